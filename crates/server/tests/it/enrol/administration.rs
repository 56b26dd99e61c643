//! What a practice administers: deadlines, roles and hardware tokens.

use countersign_app::{Answer, ImportRefusal, NewFob};
use countersign_crypto::{HmacAlgorithm, SecretBytes};
use countersign_domain::{
    CredentialId, PracticeId,
    access::Setting,
    otp::{OtpParams, TokenSeed},
};
use countersign_testkit::{Phone, SeededRng, both};

use super::House;

both! {
    /// What one person of a practice does in its console: a colleague's token, a role, models, time zone.
    /// Shows: R-1311.125-d4, R-1311.102-gh
    async fn a_practice_looks_after_itself(app: TestApp) {
        let house = House::of(app, Setting::Institution).await;
        let mut office = house.at_desk(&house.office).await;
        let here = format!("{}/people/{}", house.base, house.app.person.id);
        let rules = format!("{}/rules", house.base);
        // A model that this practice does not want: its tokens sign no more, also those that are there.
        let api = house.app.api().await;
        assert!(api.check(house.app.person.phone.credential.as_str(), &house.app.code()).await.verified());
        let model = "countersign-terminal";
        office.get(&rules).await.says(200, "Allowed");
        for (value, reason, field) in [(model, "", "model_reason"), ("none", "x", "model")] {
            let fields = [("model", value), ("refuse", "yes"), ("model_reason", reason)];
            let page = office.post(&format!("{rules}/model"), &fields).await;
            assert!(page.field_error(field).is_some(), "{field} {}", page.words());
        }
        let fields = [("model", model), ("refuse", "yes"), ("model_reason", "Phones only")];
        house.app.confirm(&mut office, &house.office, &format!("{rules}/model"), &fields).await.leads_to(&format!("{rules}?done=saved"));
        office.post(&format!("{rules}/model"), &fields).await.says(422, "No changes: this is already the case");
        office.get(&rules).await.says(200, "Phones only");
        house.app.clock.advance(30);
        assert!(!api.check(house.app.person.phone.credential.as_str(), &house.app.code()).await.verified());
        let fields = [("model", model), ("refuse", "no"), ("model_reason", "Again")];
        house.app.confirm(&mut office, &house.office, &format!("{rules}/model"), &fields).await.leads_to(&format!("{rules}?done=saved"));
        house.app.clock.advance(30);
        assert!(api.check(house.app.person.phone.credential.as_str(), &house.app.code()).await.verified());
        // The time zone, in which days end.
        let bad = [("zone", "Mars/Olympus"), ("zone_reason", "moved")];
        assert!(office.post(&format!("{rules}/zone"), &bad).await.field_error("zone").is_some());
        let good = [("zone", "America/Chicago"), ("zone_reason", "moved")];
        house.app.confirm(&mut office, &house.office, &format!("{rules}/zone"), &good).await.leads_to(&format!("{rules}?done=saved"));
        // A role opens records and letters: it takes two; and nobody is the last administrator to go.
        let role = |role: &'static str, give: &'static str| [("role", role), ("give", give), ("role_reason", "duty")];
        house.app.clock.advance(1);
        office.post(&format!("{here}/role"), &role("administrator", "yes")).await.leads_to(&format!("{}?done=entered", house.base));
        let mut second = house.at_desk(&house.doctor).await;
        house.execute_newest(&mut second, &house.doctor).await;
        office.post(&format!("{here}/role"), &role("administrator", "yes")).await.says(422, "No changes: this is already the case");
        house.app.clock.advance(1);
        office.post(&format!("{here}/role"), &role("administrator", "no")).await.leads_to(&format!("{}?done=entered", house.base));
        house.execute_newest(&mut second, &house.doctor).await;
        let own = format!("{}/people/{}", house.base, house.office.id);
        office.post(&format!("{own}/role"), &role("administrator", "no")).await.says(422, "No one else has this role");
        // The fleet at a glance.
        let page = office.get(&format!("{}/fleet", house.base)).await;
        page.says(200, "with only one token");
        page.says(200, "Dr. Ada Moreno");
        // A colleague's token: disabled with a reason, told to its owner; never added.
        let token = house.app.person.token.to_string();
        let page = office.post(&format!("{here}/disable"), &[("token", &token), ("why", ""), ("disable_reason", "")]).await;
        assert!(page.field_error("why").is_some() && page.field_error("disable_reason").is_some());
        let fields = [("token", token.as_str()), ("why", "stolen"), ("disable_reason", "Called from the station")];
        office.post(&format!("{here}/disable"), &fields).await.leads_to(&format!("{here}?done=lost"));
        house.app.clock.advance(30);
        assert!(!api.check(house.app.person.phone.credential.as_str(), &house.app.code()).await.verified());
        assert_eq!(house.count("loss_reported").await, 2);
        assert_eq!(office.post(&format!("{here}/disable"), &fields).await.status, 422, "once");
        // Who no longer prescribes here no longer signs here.
        let gone = format!("{}/people/{}", house.base, house.doctor.id);
        house.app.confirm(&mut office, &house.office, &format!("{gone}/role"), &role("prescriber", "no")).await.leads_to(&format!("{gone}?done=saved"));
        let code = house.doctor.phone.code(house.app.now());
        assert!(!api.check(house.doctor.phone.credential.as_str(), &code).await.verified());
        let said = house.app.events().await;
        for line in ["policy_changed success -", "role_changed success given", "role_changed success taken", "permission_changed success left"] {
            assert!(said.iter().any(|event| event == line), "{line}: {said:?}");
        }
    }

    /// A fob: from the delivery to the drawer, by post to its owner, in use, and at the end of its life.
    /// Shows: N-25
    async fn a_fob_from_the_delivery_to_its_end(app: TestApp) {
        let house = House::of(app, Setting::Institution).await;
        let at = house.app.app.at().unwrap();
        let ends = at.now.plus_seconds(40 * 86_400);
        let fob = |serial: &str, byte: u8| NewFob {
            credential: CredentialId::parse(serial, None).unwrap(),
            params: OtpParams::new(HmacAlgorithm::Sha1, 6, 30).unwrap(),
            seed: TokenSeed::new(SecretBytes::new(vec![byte; 20])).unwrap(),
            ends,
        };
        let import = async |model: &str, fobs: Vec<NewFob>| {
            let (practice, model) = (house.app.practice, model.parse().unwrap());
            house.app.app.import_fobs(practice, model, "Box 1".into(), "Ruth".into(), fobs, at).await.unwrap()
        };
        let model = "countersign-terminal";
        assert!(matches!(import("nobodys", vec![fob("AVT123456789", 1)]).await, Answer::Refused(ImportRefusal::Model(_))));
        assert_eq!(import(model, vec![fob("AVT123456789", 1), fob("AVT123456788", 2)]).await, Answer::Done(2));
        // A delivery with one that is known: nothing of it is taken.
        assert!(matches!(import(model, vec![fob("AVT123456787", 3), fob("AVT123456789", 1)]).await, Answer::Refused(ImportRefusal::Known(_))));
        let mut office = house.at_desk(&house.office).await;
        let fleet = format!("{}/fleet", house.base);
        let page = office.get(&fleet).await;
        page.says(200, "2 hardware tokens in stock");
        page.says(200, "1 month");
        let bad = office.post(&format!("{fleet}/send"), &[("how", "")]).await;
        for field in ["fob", "person", "how"] {
            assert!(bad.field_error(field).is_some(), "{field}");
        }
        let fobs = page.field("fob").options();
        let (id, _) = fobs.into_iter().find(|(_, name)| name.contains("6789")).unwrap();
        let owner = house.app.person.id.to_string();
        let fields = [("fob", id.as_str()), ("person", owner.as_str()), ("how", "parcel 77")];
        office.post(&format!("{fleet}/send"), &fields).await.leads_to(&format!("{fleet}?done=sent"));
        office.get(&fleet).await.says(200, "Sent to Dr. Ada Moreno, parcel 77");
        // Its owner adds it like any other.
        let phone = fob("AVT123456789", 1);
        let phone = Phone::new(phone.credential, phone.seed, phone.params);
        let mut browser = house.app.signed_in().await;
        crate::add(&mut browser, &phone, &phone.code(house.app.now()), &[("manufacturer", "symantec")]).await
            .leads_to("/portal/tokens?done=added");
        office.get(&fleet).await.says(200, "In use by Dr. Ada Moreno");
        office.post(&format!("{fleet}/send"), &fields).await.says(422, "already in use or not in your stock");
        house.app.activate(&phone.credential).await;
        let api = house.app.api().await;
        house.app.clock.advance(30);
        assert!(api.check(phone.credential.as_str(), &phone.code(house.app.now())).await.verified());
        // One of another practice's stock is answered like one that nobody knows.
        let (practice, now) = (PracticeId::new(at.now, &mut SeededRng).unwrap(), at.now);
        house.app.store.write("test_practice", move |tx| tx.create_practice(practice, "Elsewhere", now)).await.unwrap();
        let theirs = fob("AVT123456786", 4);
        let foreign = Phone::new(theirs.credential.clone(), theirs.seed.clone(), theirs.params);
        let taken = house.app.app.import_fobs(practice, model.parse().unwrap(), "Box".into(), "Sam".into(), vec![theirs], at).await;
        assert_eq!(taken.unwrap(), Answer::Done(1));
        let page = crate::add(&mut browser, &foreign, &foreign.code(house.app.now()), &[("manufacturer", "symantec")]).await;
        assert!(page.field_error("credential_id").is_some(), "{}", page.words());
        // At the end of its life it signs no more, to the second; then it is disabled, and its owner told.
        house.app.clock.advance(40 * 86_400);
        assert!(!api.check(phone.credential.as_str(), &phone.code(house.app.now())).await.verified());
        assert!(api.check(house.app.person.phone.credential.as_str(), &house.app.code()).await.verified());
        house.app.app.watch().await.unwrap();
        let mut browser = house.app.signed_in().await;
        browser.get("/portal/history").await.says(200, "Past its end of life");
        assert_eq!(house.count("token_disabled").await, 2);
        // What nobody has added is kept, however many days have passed.
        house.app.app.purge().await.unwrap();
        let mut office = house.at_desk(&house.office).await;
        office.get(&fleet).await.says(200, "Past end of life");
    }
}
