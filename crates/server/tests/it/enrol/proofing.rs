//! Identity proofing in person; one factor alone and staff who break the rules get nothing.

use countersign_domain::{Role, access::Setting};
use countersign_testkit::{WRONG_CODE, both, npi};

use super::{House, NEW_PASSPHRASE, SEEN, newest_waiting};

both! {
    /// An institution: in person, and another hand of another unit authorizes.
    /// Shows: R-1311.110-a, R-1311.110-a1, R-1311.110-a2, R-1311.110-a3, R-1311.110-a45, R-1311.110-b, R-1311.110-e, R-1304.06-b
    async fn an_institution_proofs_in_person_and_another_unit_issues(app: TestApp) {
        let house = House::of(app, Setting::Institution).await;
        house.invite(&[]).await.leads_to(&format!("{}?done=invited", house.base));
        let mut browser = house.begin().await;
        let page = browser.get("/enrol").await;
        page.says(200, "Show your photo ID in person");
        page.says(200, "Authorization by a credential issuer");
        page.says(200, "Can be done by");
        // Each point is asked for beside its field.
        let none = [("decision", "in_person"), ("id_last_four", "21"), ("id_expires", "soon")];
        let page = house.decide(&house.proofer, &none).await;
        for field in ["id_kind", "id_last_four", "id_expires", "licence", "registration"] {
            assert!(page.field_error(field).is_some(), "{field} {}", page.words());
        }
        let mut veteran = SEEN.to_vec();
        veteran.push(("va", "open"));
        assert_eq!(house.decide(&house.proofer, &veteran).await.status, 303);
        browser.get("/enrol").await.says(200, "Confirmation of your appointment");
        assert_eq!(house.decide(&house.proofer, &SEEN).await.status, 303);
        house.decide(&house.issuer, &[("decision", "issue")]).await.says(422, "not complete yet");
        house.confirm_by_phone(&mut browser, "/enrol").await.leads_to("/enrol?done=code");
        // The one who proofed may not issue, whatever role they get.
        let (id, practice, now) = (house.proofer.id, house.app.practice, house.app.now());
        house.app.store.write("test_role", move |tx| {
            tx.give_role(id, practice, Role::Issuing, "Security", now).map(drop)
        }).await.unwrap();
        house.decide(&house.proofer, &[("decision", "issue")]).await.says(422, "A different person in a different department");
        assert_eq!(house.decide(&house.issuer, &[("decision", "issue")]).await.status, 303);
        let (phone, page) = house.add_token(&mut browser, "/enrol/tokens").await;
        page.leads_to("/enrol?done=added");
        let new = [("new", NEW_PASSPHRASE), ("again", NEW_PASSPHRASE)];
        browser.post("/enrol/passphrase", &new).await.leads_to("/portal/login?ended=enrolled");
        // What was seen stays on record, without the number.
        let mut proofer = house.at_desk(&house.proofer).await;
        let case = house.case(&mut proofer).await;
        let page = proofer.get(&case).await;
        page.says(200, "Passport, •••• 4821");
        page.says(200, "(Security)");
        house.app.clock.advance(30);
        let npi = npi(9_000).as_text();
        browser.pass(&npi, NEW_PASSPHRASE).await.leads_to("/portal/login/passcode");
        browser.passcode("any", &phone.code(house.app.now())).await.leads_to("/portal/dashboard");
    }

    /// With the passphrase alone: a case, which tells the owner, and nothing more. With the phone alone: not
    /// even that.
    /// Shows: N-18, N-22
    async fn one_factor_alone_gets_nothing(app: TestApp) {
        let house = House::of(app, Setting::Institution).await;
        let mut thief = house.app.at_passcode().await;
        // There is an active token, so there is no recovery to begin.
        thief.post("/portal/recovery", &[]).await.leads_to("/portal/login/passcode");
        let id = house.app.person.token.to_string();
        let lost = [("token", id.as_str()), ("reason", "lost"), ("confirmation", "DISABLE")];
        thief.post("/portal/login/lost", &lost).await.leads_to("/portal/no-token?done=lost");
        thief.post("/portal/recovery", &[]).await.leads_to("/portal/no-token");
        // The code goes to the owner's own telephone.
        thief.post("/portal/recovery/code", &[("channel", "phone")]).await.leads_to("/portal/no-token");
        assert_eq!(house.message("code_text").await.0, "+14025550100");
        for _ in 0..5 {
            thief.post("/portal/recovery/confirm", &[("code", "AAAAAAAA")]).await.says(422, "Incorrect code");
        }
        thief.post("/portal/recovery/confirm", &[("code", "AAAAAAAA")]).await.says(422, "Too many incorrect entries");
        house.add_token(&mut thief, "/portal/recovery/tokens").await.1.says(422, "time to add a token has expired");
        for page in ["/portal/addresses", "/portal/passphrase", "/portal/tokens", "/enrol"] {
            let page = thief.get(page).await;
            assert_eq!(page.status, 303, "{}", page.words());
        }
        let (_, text) = house.message("recovery_begun").await;
        assert!(text.contains("/not-me/"), "{text}");
        // The phone alone: a name and two codes of one token reset nothing.
        let house_two = house;
        let owner = &house_two.doctor;
        let (npi, one) = (owner.npi.as_text(), owner.phone.code(house_two.app.now()));
        house_two.app.clock.advance(30);
        let two = owner.phone.code(house_two.app.now());
        let mut finder = house_two.app.browser();
        let fields = [("npi", npi.as_str()), ("first", &two), ("second", &one), ("channel", "phone")];
        finder.post("/portal/forgot", &fields).await.says(422, "We could not verify this");
        finder.get("/portal/forgot/code").await.leads_to("/portal/forgot");
    }

    /// A rogue administrator alone, and with a colleague who is no registrant; and with a stolen session.
    /// Shows: R-1311.130-a, R-1311.130-b2
    async fn rogue_staff_get_nowhere(app: TestApp) {
        let house = House::of(app, Setting::Practitioners).await;
        let mut office = house.at_desk(&house.office).await;
        let here = format!("{}/people/{}", house.base, house.office.id);
        // No role that decides over signing alone, and none for oneself.
        for role in ["designated", "proofing", "issuing"] {
            let fields = [("role", role), ("give", "yes"), ("unit", "Mine"), ("role_reason", "because")];
            let page = office.post(&format!("{here}/role"), &fields).await;
            assert_eq!(page.status, 422, "{role}: {}", page.words());
            assert!(page.field_error("role").is_some());
        }
        // For somebody else it takes a second person, a registrant.
        let clerk = format!("{}/people/{}", house.base, house.issuer.id);
        let fields = [("role", "proofing"), ("give", "yes"), ("unit", "Front office"), ("role_reason", "helps")];
        office.post(&format!("{clerk}/role"), &fields).await.leads_to(&format!("{}?done=entered", house.base));
        let mut second = house.at_desk(&house.issuer).await;
        second.get(&house.base).await.says(200, "assign the role");
        let mut own = house.at_desk(&house.issuer).await;
        let page = own.get(&house.base).await;
        let request = newest_waiting(&page);
        house.execute(&mut own, &house.issuer, &request).await.says(404, "Page not found");
        // Nor does a made-up DEA number, which passes its check digit, make a registrant of the colleague.
        let (clerk_id, practice, now) = (house.issuer.id, house.app.practice, house.app.now());
        house.app.store.write("test_clerk", move |tx| {
            tx.give_role(clerk_id, practice, Role::Designated, "", now)?;
            for it in tx.authorities(practice, Some(clerk_id))? {
                tx.save_authority(&countersign_store::Authority { stops_at: now, ..it })?;
            }
            Ok(())
        }).await.unwrap();
        let typed = countersign_testkit::dea(777).as_text();
        let paper = [("dea", typed.as_str()), ("dea_state", "NE"), ("schedules", "2 3"), ("dea_expires", "2029-05-31"), ("dea_reason", "x")];
        house.app.confirm(&mut office, &house.office, &format!("{clerk}/dea"), &paper).await.leads_to(&format!("{clerk}?done=saved"));
        house.app.clock.advance(30);
        house.execute(&mut own, &house.issuer, &request).await.says(422, "Only a practitioner with a DEA registration in force");
        // A stolen session of the administrator: no passphrase, no code, nothing executed or decided.
        let mut stolen = house.at_desk(&house.office).await;
        let fields = [("shown", ""), ("passphrase", ""), ("stepup_token", "any"), ("stepup_passcode", "")];
        assert_eq!(stolen.post(&request, &fields).await.status, 422);
        assert_eq!(stolen.get("/portal/addresses").await.status, 200);
        let moved = [("email", "thief@x.example"), ("phone", "402 555 0199"), ("stepup_token", "any"), ("stepup_passcode", WRONG_CODE)];
        stolen.post("/portal/addresses", &moved).await.says(422, "Incorrect passcode");
        // It invites somebody made up: who gets no further than the proofing.
        house.invite(&[("email", "thief@x.example"), ("phone", "402 555 0199")]).await.leads_to(&format!("{}?done=invited", house.base));
        let mut browser = house.begin().await;
        house.confirm_by_phone(&mut browser, "/enrol").await.leads_to("/enrol?done=code");
        house.add_token(&mut browser, "/enrol/tokens").await.1.leads_to("/enrol");
        browser.get("/enrol").await.says(200, "Still needed");
        // With the doctor it is done, as the rule has it; and taken again the same way.
        house.app.clock.advance(30);
        let mut doctor = house.at_desk(&house.doctor).await;
        house.execute(&mut doctor, &house.doctor, &request).await.leads_to(&format!("{}?done=executed", house.base));
        house.app.clock.advance(30);
        office.get(&clerk).await.says(200, "Identity proofing (Front office)");
        let fields = [("role", "proofing"), ("give", "no"), ("role_reason", "left")];
        office.post(&format!("{clerk}/role"), &fields).await.leads_to(&format!("{}?done=entered", house.base));
        let said = house.app.events().await;
        assert!(said.contains(&"role_changed success given".to_owned()), "{said:?}");
    }
}
