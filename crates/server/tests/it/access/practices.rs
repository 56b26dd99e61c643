//! Several practices on one server: what they share, and what none sees of another.

use countersign_domain::{PracticeId, Role, access::Cause};
use countersign_store::{Stage, Store};
use countersign_testkit::{TestApp, both};

use super::Place;

both! {
    /// A token is its owner's in every practice where they prescribe: one replay state, and a permission
    /// for each place.
    /// Shows: A11, A16
    async fn a_second_practice_checks_the_same_token(app: TestApp) {
        let place = Place::of(app).await;
        let elsewhere = other_practice(&place.app.store, &place.app).await;
        let at = place.app.app.at().unwrap();
        let key = place.app.app.create_api_key(elsewhere, "EHR there".to_owned(), at).await.unwrap();
        let there = countersign_testkit::Api::new(place.app.router(), Some(key));
        let here = place.app.api().await;
        let credential = place.app.person.phone.credential.clone();
        let id = credential.as_str();
        let check = async |api: &countersign_testkit::Api, purpose: &str| {
            api.check_for(id, &place.app.code(), purpose).await.verified()
        };
        assert!(!check(&there, "login").await, "not one of theirs");
        assert!(check(&here, "login").await, "and the code is not spent by it");
        let (person, now) = (place.app.person.id, place.app.now());
        place.app.store.write("test_join", move |tx| {
            tx.give_role(person, elsewhere, Role::Prescriber, "", now).map(drop)
        }).await.unwrap();
        assert!(!check(&there, "login").await, "used here, it is used there");
        place.app.clock.advance(30);
        assert!(check(&there, "login").await);
        assert!(!check(&here, "login").await, "and the other way round");
        place.app.clock.advance(30);
        assert!(!check(&there, "sign").await, "no permission there");
        place.app.clock.advance(30);
        let dea = countersign_testkit::dea(901);
        place.app.app.install_demo_permission(elsewhere, person, dea, at).await.unwrap();
        assert!(check(&there, "sign").await);
        // A loss reaches both.
        place.report_lost().await;
        place.app.clock.advance(30);
        assert!(!check(&there, "sign").await && !check(&here, "sign").await);
        let deadlines = place.app.store.read("test_due", move |tx| tx.deadlines(elsewhere, 9)).await.unwrap();
        assert_eq!(deadlines.len(), 1);
    }

    /// Another practice's console is not there, whoever asks, with real identifiers.
    /// Shows: A11
    async fn another_practice_is_not_found(app: TestApp) {
        let mut place = Place::of(app).await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let registration = place.registration(&mut office).await;
        let request = place.enter(&mut office, "revoke", &[
            ("revoked", registration.as_str()),
            ("cause", Cause::Left.code()),
            ("revoke_reason", "x"),
        ]).await;
        let elsewhere = other_practice(&place.app.store, &place.app).await;
        let stranger = place.app.another_person().await;
        let (id, now) = (stranger.id, place.app.now());
        place.app.store.write("test_move", move |tx| {
            for role in Role::ALL {
                tx.give_role(id, elsewhere, role, "", now)?;
            }
            Ok(())
        }).await.unwrap();
        let mut browser = place.app.signed_in_as(&stranger).await;
        browser.get(&format!("/practice/{elsewhere}")).await.says(200, "Riverside");
        let id = request.rsplit('/').next().unwrap().to_owned();
        let before = place.app.event_count().await;
        for path in ["", "/due", "/letters", "/people/{person}", "/requests/{request}", "/invite", "/cases", "/cases/{request}", "/rules", "/fleet"] {
            for practice in [place.app.practice, elsewhere] {
                let path = path.replace("{person}", &place.app.person.id.to_string()).replace("{request}", &id);
                if practice == elsewhere && matches!(path.as_str(), "" | "/due" | "/letters" | "/invite" | "/cases" | "/rules" | "/fleet") {
                    continue;
                }
                let page = browser.get(&format!("/practice/{practice}{path}")).await;
                assert_eq!(page.status, 404, "{practice}{path}");
            }
        }
        for path in ["/due/{id}", "/people/{person}/grant", "/people/{person}/revoke", "/people/{person}/dea",
            "/people/{person}/licence", "/people/{person}/end", "/people/{person}/code", "/people/{person}/role", "/people/{person}/disable", "/people/{person}/prove-again",
            "/cases/{id}", "/invitations/{id}/resend", "/invitations/{id}/revoke", "/requests/{request}", "/requests/{request}/reject", "/requests/{request}/withdraw", "/letters/{id}"] {
            for practice in [place.app.practice, elsewhere] {
                let path = path.replace("{person}", &place.app.person.id.to_string())
                    .replace("{request}", &id).replace("{id}", &id);
                let page = browser.post(&format!("/practice/{practice}{path}"), &[]).await;
                assert_eq!(page.status, 404, "{practice}{path}");
            }
        }
        assert_eq!(place.app.event_count().await, before);
        // The prescriber of the place has no console either; the console is no way to a passcode-less session.
        let mut holder = place.app.signed_in().await;
        assert_eq!(holder.get(&place.base).await.status, 404);
        let mut half = place.app.browser_at(Stage::Passphrase { prescriber: place.office.id }).await;
        half.get(&place.base).await.leads_to("/portal/login/passcode");
    }
}

async fn other_practice(store: &Store, app: &TestApp) -> PracticeId {
    let now = app.now();
    store
        .write("test_practice", move |tx| {
            let id = PracticeId::new(now, tx.rng())?;
            tx.create_practice(id, "Riverside", now)?;
            Ok(id)
        })
        .await
        .unwrap()
}
