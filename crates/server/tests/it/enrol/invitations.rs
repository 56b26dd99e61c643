//! Invitations, and enrollment from an invitation to a permission.

use countersign_domain::access::Setting;
use countersign_testkit::{ISSUER, WRONG_CODE, both, npi};

use super::{House, NEW_PASSPHRASE, SEEN};

both! {
    /// The whole road by an outside provider: nothing is skipped by an address, another person's reply and
    /// a weak one count for nothing, a near match goes to a person.
    /// Shows: R-1311.105-a1, R-1311.105-b, R-1311.102-d, A4, A5, N-21, N-28
    async fn an_invited_prescriber_enrols_by_an_outside_provider(app: TestApp) {
        let house = House::of(app, Setting::Practitioners).await;
        house.invite(&[]).await.leads_to(&format!("{}?done=invited", house.base));
        assert_eq!(house.message("invitation").await.0, "grace@x.example");
        let mut browser = house.begin().await;
        browser.get("/enrol").await.says(200, "Your practice has no identity proofing provider yet");
        assert_eq!(browser.post("/enrol/provider", &[("issuer", ISSUER)]).await.status, 404, "not on the list");
        house.accept_provider().await;
        // Later steps answer with the one that is due, and do nothing.
        let (_, page) = house.add_token(&mut browser, "/enrol/tokens").await;
        page.leads_to("/enrol");
        let new = [("new", NEW_PASSPHRASE), ("again", NEW_PASSPHRASE)];
        browser.post("/enrol/passphrase", &new).await.leads_to("/enrol");
        browser.get("/enrol").await.says(200, "Verify your identity with Test provider");
        for page in ["/portal/dashboard", "/portal/tokens", "/portal/login", "/portal/addresses"] {
            browser.get(page).await.leads_to("/enrol");
        }
        // Somebody else, nobody, and an answer that was not asked for.
        house.go_to_provider(&mut browser, "/enrol/provider", "other").await.says(422, "a different person");
        house.go_to_provider(&mut browser, "/enrol/provider", "nobody").await.says(422, "did not verify");
        browser.get("/proofing/finish?state=made-up&code=x").await.says(422, "does not match identity proofing");
        browser.get("/enrol").await.says(200, "Verify your identity with Test provider");
        // Written otherwise: a person looks at it, and never the person themselves or the office.
        house.go_to_provider(&mut browser, "/enrol/provider", "near").await.leads_to("/enrol?done=proofed");
        let page = browser.get("/enrol?done=proofed").await;
        page.says(200, "Your identity is not verified yet: your name or address at the provider differs");
        assert!(!page.words().contains("Your identity is verified"), "{}", page.words());
        assert_eq!(house.decide(&house.office, &[("decision", "near")]).await.status, 404);
        let mut proofer = house.at_desk(&house.proofer).await;
        let case = house.case(&mut proofer).await;
        // Whoever decides is not spoken to as if they were the applicant.
        let page = proofer.get(&case).await;
        page.says(200, "Birgit");
        page.says(200, "mismatch shown below");
        for words in ["Your name", "your identity", "You can do this with"] {
            assert!(!page.words().contains(words), "{words}: {}", page.words());
        }
        let wrong = [("decision", "near"), ("stepup_token", "any"), ("stepup_passcode", WRONG_CODE)];
        proofer.post(&case, &wrong).await.says(422, "Incorrect passcode");
        assert_eq!(house.decide(&house.proofer, &[("decision", "near")]).await.status, 303);
        // Nobody of the practice proofs in person where an outside provider must.
        house.decide(&house.proofer, &SEEN).await.says(422, "nothing to decide");
        // The code to the address: wrong ones count.
        browser.post("/enrol/code", &[("channel", "post")]).await.says(422, "no code can be sent");
        browser.post("/enrol/code", &[("channel", "phone")]).await.leads_to("/enrol");
        browser.post("/enrol/confirm", &[("code", "AAAAAAAA")]).await.says(422, "Incorrect code");
        let code = house.code().await;
        browser.post("/enrol/confirm", &[("code", &code)]).await.leads_to("/enrol?done=code");
        assert_eq!(house.count("case_complete").await, 2);
        // The quarter of an hour runs out; a new code opens it again.
        house.app.clock.advance(600);
        browser.get("/enrol").await.says(200, "Your token");
        house.app.clock.advance(300);
        browser.get("/enrol").await.says(200, "Confirm that it is you");
        house.add_token(&mut browser, "/enrol/tokens").await.1.leads_to("/enrol");
        house.confirm_by_phone(&mut browser, "/enrol").await.leads_to("/enrol?done=code");
        browser.get("/enrol").await.says(200, "Your token");
        let (phone, page) = house.add_token(&mut browser, "/enrol/tokens").await;
        page.leads_to("/enrol?done=added");
        browser.get("/enrol").await.says(200, "Add a second token now?");
        let (_, page) = house.add_token(&mut browser, "/enrol/tokens").await;
        page.leads_to("/enrol?done=added");
        for (new, again, text) in [("short", "short", "14"), (NEW_PASSPHRASE, "other words altogether", "don't match")] {
            browser.post("/enrol/passphrase", &[("new", new), ("again", again)]).await.says(422, text);
        }
        browser.post("/enrol/passphrase", &new).await.leads_to("/portal/login?ended=enrolled");
        house.app.clock.advance(30);
        let npi = npi(9_000).as_text();
        browser.pass(&npi, NEW_PASSPHRASE).await.leads_to("/portal/login/passcode");
        browser.passcode("any", &phone.code(house.app.now())).await.leads_to("/portal/dashboard");
        browser.get("/portal/dashboard").await.says(200, "not activated for signing");
        browser.get("/portal/approval").await.says(200, "Waiting for access approval");
        // The proofed phone carries the activation, and two people grant.
        let token = house.app.token_id(&phone.credential).await;
        house.app.clock.advance(60);
        let path = format!("/portal/tokens/{token}");
        browser.post(&format!("{path}/activation-code"), &[("channel", "phone")]).await.leads_to(&format!("{path}/activate"));
        let code = house.code().await;
        browser.post(&format!("{path}/activate"), &[("code", &code)]).await.leads_to("/portal/tokens?done=activated");
        let api = house.app.api().await;
        house.app.clock.advance(30);
        assert!(!api.check(phone.credential.as_str(), &phone.code(house.app.now())).await.verified());
        house.granted(house.person_id(9_000).await).await;
        assert!(api.check(phone.credential.as_str(), &phone.code(house.app.now())).await.verified());
        browser.get("/portal/approval").await.says(200, "Enrollment complete");
        let said = house.app.events().await;
        for line in [
            "person_invited success -", "invitation_accepted success -", "terms_accepted success -", "profile_saved success -",
            "case_opened success -", "identity_proofed refused proofing_other_person", "identity_proofed refused proofing_declined",
            "identity_proofed refused proofing_unknown", "identity_proofed success -", "near_match_decided success -",
            "address_confirmed refused code_wrong", "address_confirmed success -", "case_closed success -",
            "token_added refused window_over", "token_added success proofed", "passphrase_chosen success -",
            "provider_changed success given",
        ] {
            assert!(said.iter().any(|event| event == line), "{line}: {said:?}");
        }
    }

    /// The link: once, replaced by a newer one, taken back; and the way on from another device.
    async fn an_invitation_is_followed_once_and_goes_on_elsewhere(app: TestApp) {
        let house = House::of(app, Setting::Institution).await;
        // What is wrong stands beside its field, and what was typed is kept.
        let page = house.invite(&[("npi", "1234567890"), ("dea", "BL4005120"), ("email", "no address"), ("given", "")]).await;
        for field in ["npi", "dea", "email", "given"] {
            assert!(page.field_error(field).is_some(), "{field}");
        }
        assert!(page.body.contains("value=\"Lindholm\""));
        house.invite(&[]).await.leads_to(&format!("{}?done=invited", house.base));
        let first = house.link("invitation").await;
        let mut office = house.at_desk(&house.office).await;
        let page = office.get(&house.base).await;
        page.says(200, "Grace Lindholm");
        let resend = page.addresses(&format!("{}/invitations/", house.base)).remove(0);
        let id = resend.strip_suffix("/resend").unwrap().rsplit('/').next().unwrap().to_owned();
        house.app.clock.advance(60);
        office.post(&format!("{}/invitations/{id}/resend", house.base), &[]).await.leads_to(&format!("{}?done=resent", house.base));
        let second = house.link("invitation").await;
        let mut browser = house.app.browser();
        browser.get(&first).await.says(404, "replaced by a newer one");
        browser.post(&first, &[]).await.says(422, "replaced by a newer one");
        browser.get("/invitation/none").await.says(404, "link is not valid");
        // Opening it changes nothing; sending the form does, once.
        browser.get(&second).await.says(200, "Get started");
        browser.get(&second).await.says(200, "Get started");
        browser.post(&second, &[]).await.leads_to("/enrol");
        browser.post("/enrol/terms", &[("keep", "yes"), ("report", "yes")]).await.says(422, "check the box");
        browser.post("/enrol/terms", &[("keep", "yes"), ("report", "yes"), ("audit", "yes")]).await.leads_to("/enrol");
        let mut phone = house.app.browser();
        phone.get(&second).await.says(404, "g•••@x.example");
        phone.post(&second, &[]).await.says(422, "Each link works once");
        house.app.clock.advance(60);
        phone.post(&format!("{second}/again"), &[]).await.leads_to(&format!("{second}?done=sent"));
        phone.post(&format!("{second}/again"), &[]).await.leads_to(&format!("{second}?done=sent"));
        assert_eq!(house.count("invitation").await, 3, "one new link, and not before a minute has passed");
        let third = house.link("invitation").await;
        phone.post(&third, &[]).await.leads_to("/enrol");
        phone.get("/enrol").await.says(200, "Your information");
        browser.get("/enrol").await.leads_to("/portal/login?ended=1");
        let bad = [("born", "yesterday"), ("email", "grace@x.example"), ("phone", ""), ("address", "")];
        let page = phone.post("/enrol/data", &bad).await;
        assert!(page.field_error("born").is_some() && page.field_error("phone").is_some());
        // Taken back: the session of the enrolment ends with it.
        house.app.confirm(&mut office, &house.office, &format!("{}/invitations/{id}/revoke", house.base), &[]).await
            .leads_to(&format!("{}?done=taken-back", house.base));
        phone.get("/enrol").await.leads_to("/portal/login?ended=1");
        phone.get(&third).await.says(404, "canceled");
        phone.get("/portal/login?ended=enrolling").await.says(200, "Open your invitation link again");
        assert_eq!(office.post(&format!("{}/invitations/{id}/revoke", house.base), &[]).await.status, 404);
        // A new one runs out by itself after thirty days.
        house.app.clock.advance(1);
        house.invite(&[]).await.leads_to(&format!("{}?done=invited", house.base));
        let fourth = house.link("invitation").await;
        house.app.clock.advance(30 * 86_400);
        phone.get(&fourth).await.says(404, "has expired");
        // Whoever is here is not invited again.
        let mut house = house;
        house.app.clock.advance(-30 * 86_400);
        let here = house.doctor.npi.as_text();
        house.invite(&[("npi", &here)]).await.says(422, "already in your practice");
        // Somebody with an account elsewhere joins with it.
        let elsewhere = house.app.another_person().await;
        house.app.give_addresses(&elsewhere, "own@y.example").await;
        let id = elsewhere.id;
        house.app.clock.advance(1);
        house.app.store.write("test_leave", move |tx| {
            for (practice, member) in tx.roles_of(id)? {
                tx.end_role(id, practice, member.role, member.since)?;
            }
            Ok(())
        }).await.unwrap();
        let npi = elsewhere.npi.as_text();
        house.invite(&[("npi", &npi), ("email", "typed@by.example")]).await.leads_to(&format!("{}?done=invited", house.base));
        assert_eq!(house.message("invitation").await.0, "own@y.example", "not where the office says");
        let link = house.link("invitation").await;
        house.app.browser().get(&link).await.says(200, "you already have an account");
        house.app.browser().post(&link, &[]).await.leads_to("/portal/login");
        let mut other = house.at_desk(&house.doctor).await;
        other.post(&link, &[]).await.says(422, "replaced by a newer one");
        let mut own = house.at_desk(&elsewhere).await;
        own.get(&link).await.says(200, "Join Lakeside Clinic");
        own.post(&link, &[]).await.leads_to("/portal/dashboard?done=joined");
    }
}
