//! What a lost token, a report by its owner and an expired registration take away.

use countersign_testkit::both;

use super::{Place, blob, hex};
use crate::add;

both! {
    /// A loss takes the permission, not only the token; it is told, and its clock runs.
    /// Shows: R-1311.102-b, R-1311.125-d1, A7, A8, N-24
    async fn a_loss_suspends_the_permission_everywhere(app: TestApp) {
        let place = Place::of(app).await;
        let (_, second) = place.app.another_token(&place.app.person, "Second phone").await;
        let api = place.app.api().await;
        assert!(api.check(second.credential.as_str(), &second.code(place.app.now())).await.verified());
        place.report_lost().await;
        place.app.clock.advance(30);
        let code = second.code(place.app.now());
        assert!(!api.check(second.credential.as_str(), &code).await.verified(), "the other token signs no more");
        let told = place.notices("loss_for_designated").await;
        assert_eq!(told, ["doctor@lakeside.example", "office@lakeside.example"]);
        assert_eq!(place.notices("loss_reported").await, ["+14025550100", "ada@lakeside.example"]);
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let page = doctor.get(&place.base).await;
        page.says(200, "Review a reported loss");
        page.says(200, "Suspended, waiting for confirmation");
        // Monday, Memorial Day: counting begins on Tuesday and ends with it, New York's midnight.
        page.says(200, "May 27, 2026, 12:00 AM EDT");
        let confirm = place.waiting(&mut doctor).await;
        place.execute(&mut doctor, &place.doctor, &confirm).await
            .leads_to(&format!("{}?done=confirmed", place.base));
        let page = doctor.get(&format!("{}/due", place.base)).await;
        let done = page.addresses(&format!("{}/due/", place.base)).remove(0);
        // What the law wants done is not noted as done without a word.
        let page = doctor.post(&done, &[("note", " ")]).await;
        page.says(422, "Briefly describe what was done");
        page.says(422, "must be notified of a loss within one business day");
        place.app.confirm(&mut doctor, &place.doctor, &done, &[("note", "Spoke with her")]).await
            .leads_to(&format!("{}/due?done=noted", place.base));
        assert_eq!(doctor.post(&done, &[("note", "again")]).await.status, 404);
        doctor.get(&format!("{}/due", place.base)).await.says(200, "Spoke with her");
        // The doctor enters, and the office has no registration: it takes the other way round.
        let mut office = place.app.signed_in_as(&place.office).await;
        let request = place.grant(&mut office).await;
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &request).await
            .leads_to(&format!("{}?done=executed", place.base));
        let code = second.code(place.app.now());
        assert!(api.check(second.credential.as_str(), &code).await.verified());
    }

    /// The link of a notice stops everything, once, and not by being opened.
    /// Shows: N-19
    async fn this_was_not_me(app: TestApp) {
        let place = Place::of(app).await;
        let mut browser = place.app.signed_in().await;
        let new = place.app.provision().await;
        add(&mut browser, &new, &new.code(place.app.now()), &[]).await.leads_to("/portal/tokens?done=added");
        let sent = place.app.messages().await;
        let text = sent.iter().find(|it| it.kind == "token_added").unwrap().body.clone().unwrap().text;
        let link = text.split("/not-me/").nth(1).unwrap().split('\n').next().unwrap();
        let link = format!("/not-me/{link}");
        let mut stranger = place.app.browser();
        stranger.get(&link).await.says(200, "Dr. Ada Moreno");
        browser.get("/portal/tokens").await.says(200, "2 of 5 active");
        stranger.post(&link, &[]).await.says(200, "Account secured");
        browser.get("/portal/tokens").await.leads_to("/portal/login?ended=1");
        place.app.clock.advance(30);
        assert!(!place.may_sign().await);
        stranger.post(&link, &[]).await.says(422, "link is not valid");
        assert_eq!(stranger.get("/not-me/x").await.status, 404);
        // The owner turns the own token on again; signing takes two people.
        let mut owner = place.app.at_passcode().await;
        let id = place.app.person.token.to_string();
        let code = place.app.code();
        let fields = [("token", id.as_str()), ("passcode", code.as_str())];
        owner.post("/portal/login/enable", &fields).await.leads_to("/portal/login/passcode?done=enabled");
        place.app.clock.advance(30);
        assert!(!place.may_sign().await);
    }

    /// Expiry: a warning a month before, and on the day signing stops by itself, on record.
    /// Shows: R-1311.125-d2
    async fn an_expiry_is_watched(app: TestApp) {
        let place = Place::of(app).await;
        let id = blob(&place.app, &hex(place.app.person.id.as_bytes()));
        let end = place.app.now().plus_seconds(20 * 86_400);
        place.app.database.execute(&format!(
            "UPDATE authority SET stops_at = {} WHERE person = {id} AND kind = 'dea'", end.micros()
        )).await;
        let refresh = place.app.person.id;
        place.app.store.write("test_refresh", move |tx| tx.refresh_signing(refresh)).await.unwrap();
        place.app.app.watch().await.unwrap();
        place.app.app.watch().await.unwrap();
        assert_eq!(place.notices("expires_soon").await.len(), 4, "the holder at both, and two who are designated");
        assert!(place.may_sign().await);
        place.app.clock.advance(20 * 86_400);
        assert!(!place.may_sign().await, "before anybody has looked");
        place.app.app.watch().await.unwrap();
        let changed = place.app.events().await;
        assert!(changed.contains(&"permission_changed success expired".to_owned()), "{changed:?}");
        let told = place.notices("expired").await.len();
        place.app.app.watch().await.unwrap();
        assert_eq!(place.notices("expired").await.len(), told, "once");
        // Renewed, it takes two people; and signing takes two again.
        let mut office = place.app.signed_in_as(&place.office).await;
        let page = office.get(&place.person()).await;
        page.says(200, "Expired");
        let fields = [("dea", "BM0000000"), ("dea_state", "NE"), ("schedules", "2 2N 3 3N 4 5"), ("dea_expires", "2029-05-31"), ("dea_reason", "Renewed")];
        place.app.confirm(&mut office, &place.office, &format!("{}/dea", place.person()), &fields).await
            .leads_to(&format!("{}?done=entered", place.base));
        office.get(&place.person()).await.says(200, "Expired");
        let renewal = place.waiting(&mut office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &renewal).await.leads_to(&format!("{}?done=executed", place.base));
        office.get(&place.person()).await.says(200, "expires May 31, 2029");
        assert!(!place.may_sign().await);
        let bad = [("dea", "BM0000001"), ("dea_state", "XX"), ("schedules", "9"), ("dea_expires", "soon")];
        let page = office.post(&format!("{}/dea", place.person()), &bad).await;
        for field in ["dea", "dea_state", "schedules", "dea_expires"] {
            assert!(page.field_error(field).is_some(), "{field}");
        }
        assert!(page.body.contains("value=\"BM0000001\""), "what was typed is kept");
    }
}
