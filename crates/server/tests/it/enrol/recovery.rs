//! A lost phone, a token left at home, a forgotten passphrase, changed addresses.

use countersign_domain::access::Setting;
use countersign_testkit::{PASSPHRASE, WRONG_CODE, both};

use super::{House, NEW_PASSPHRASE, SEEN};

both! {
    /// The worst day: the only token gone, a proofing, a new token once in a quarter of an hour, and the
    /// permission only by two people.
    /// Shows: N-19, N-22, N-24, A7, R-1311.102-b
    async fn a_lost_phone_comes_back_by_proofing(app: TestApp) {
        let house = House::of(app, Setting::Institution).await;
        let id = house.app.person.token.to_string();
        let npi = house.app.person.npi.as_text();
        let mut browser = house.app.browser();
        browser.get("/portal/login?lost=1").await.says(200, "Sign in first.");
        let fields = [("npi", npi.as_str()), ("passphrase", PASSPHRASE), ("then", "lost")];
        browser.post("/portal/login", &fields).await.leads_to("/portal/login/lost");
        let page = browser.get("/portal/login/lost").await;
        page.says(200, "It is your only token");
        let lost = [("token", id.as_str()), ("reason", "lost"), ("confirmation", "DISABLE")];
        browser.post("/portal/login/lost", &lost).await.leads_to("/portal/no-token?done=lost");
        browser.get("/portal/no-token?done=lost").await.says(200, "Start identity proofing");
        // Nothing but proofing is offered, and none of the later steps works.
        house.add_token(&mut browser, "/portal/recovery/tokens").await.1.says(422, "time to add a token has expired");
        browser.post("/portal/recovery", &[]).await.leads_to("/portal/no-token");
        assert_eq!(house.count("recovery_begun").await, 2, "told at both addresses");
        browser.get("/portal/no-token").await.says(200, "Show your photo ID in person");
        house.confirm_by_phone(&mut browser, "/portal/recovery").await.leads_to("/portal/no-token?done=code");
        assert_eq!(house.decide(&house.proofer, &SEEN).await.status, 303);
        assert_eq!(house.decide(&house.issuer, &[("decision", "issue")]).await.status, 303);
        let page = browser.get("/portal/no-token").await;
        page.says(200, "a hardware token from your practice");
        // The first code wrong: what was typed is kept, the window stays.
        let (phone, page) = house.add_token(&mut browser, "/portal/recovery/tokens").await;
        page.leads_to("/portal/login/passcode?done=recovered");
        let (_, page) = house.add_token(&mut browser, "/portal/recovery/tokens").await;
        page.leads_to("/portal/login/passcode");
        house.app.clock.advance(30);
        browser.passcode("any", &phone.code(house.app.now())).await.leads_to("/portal/dashboard");
        // Log-in is back; signing takes activation and two people.
        house.app.activate(&phone.credential).await;
        house.app.clock.advance(30);
        let api = house.app.api().await;
        assert!(!api.check(phone.credential.as_str(), &phone.code(house.app.now())).await.verified());
        let mut doctor = house.at_desk(&house.doctor).await;
        house.execute_newest(&mut doctor, &house.doctor).await;
        house.granted(house.app.person.id).await;
        assert!(api.check(phone.credential.as_str(), &phone.code(house.app.now())).await.verified());
        // The case is used up: a second loss needs a second proofing.
        let id = house.app.token_id(&phone.credential).await.to_string();
        let mut browser = house.app.at_passcode().await;
        let lost = [("token", id.as_str()), ("reason", "stolen"), ("confirmation", "DISABLE")];
        browser.post("/portal/login/lost", &lost).await.leads_to("/portal/no-token?done=lost");
        house.add_token(&mut browser, "/portal/recovery/tokens").await.1.says(422, "time to add a token has expired");
        browser.get("/portal/no-token").await.says(200, "Start identity proofing");
    }

    /// Left at home is no loss: the token's own code turns it on again, and the permission stays.
    async fn a_token_left_at_home_is_no_loss(app: TestApp) {
        let house = House::of(app, Setting::Institution).await;
        let mut browser = house.app.signed_in().await;
        let id = house.app.person.token;
        let fields = [("reason", "temporarily_unavailable"), ("confirmation", "DISABLE")];
        browser.post(&format!("/portal/tokens/{id}/disable"), &fields).await.leads_to("/portal/tokens?done=disabled");
        browser.get("/portal/tokens?done=disabled").await.leads_to("/portal/no-token?done=disabled");
        browser.get("/portal/no-token").await.says(200, "Enable a token");
        let api = house.app.api().await;
        assert!(!api.check(house.app.person.phone.credential.as_str(), &house.app.code()).await.verified());
        house.app.clock.advance(30);
        let mut half = house.app.at_passcode().await;
        let (id, code) = (id.to_string(), house.app.code());
        half.post("/portal/login/enable", &[("token", &id), ("passcode", &code)]).await.leads_to("/portal/login/passcode?done=enabled");
        house.app.clock.advance(30);
        assert!(api.check(house.app.person.phone.credential.as_str(), &house.app.code()).await.verified());
        assert_eq!(house.count("loss_reported").await, 0);
    }

    /// A forgotten passphrase: two tokens and a code to what was confirmed; or proofing again by a link to
    /// one's own address. Never by an administrator's hand.
    /// Shows: N-23, A20
    async fn a_forgotten_passphrase_takes_two_tokens_or_proofing(app: TestApp) {
        let house = House::of(app, Setting::Institution).await;
        let npi = house.app.person.npi.as_text();
        let (_, second) = house.app.another_token(&house.app.person, "Second phone").await;
        let mut browser = house.app.browser();
        browser.get("/portal/forgot").await.says(200, "Only one token, or none?");
        let now = house.app.now();
        let (one, two) = (house.app.code(), second.code(now));
        let nobody = countersign_testkit::npi(77).as_text();
        for (name, first, other) in [(nobody.as_str(), one.as_str(), two.as_str()), (npi.as_str(), WRONG_CODE, WRONG_CODE)] {
            let fields = [("npi", name), ("first", first), ("second", other), ("channel", "phone")];
            browser.post("/portal/forgot", &fields).await.says(422, "We could not verify this");
        }
        // A stranger who knows the NPI uses up no try of its tokens, and no code.
        assert_eq!(house.app.owner_failures().await.count, 0);
        let bad = [("npi", "12"), ("first", "1"), ("second", ""), ("channel", "email")];
        let page = browser.post("/portal/forgot", &bad).await;
        for field in ["npi", "first", "second", "channel"] {
            assert!(page.field_error(field).is_some(), "{field}");
        }
        let fields = [("npi", npi.as_str()), ("first", &one), ("second", &two), ("channel", "phone")];
        browser.post("/portal/forgot", &fields).await.leads_to("/portal/forgot/code");
        browser.get("/portal/forgot").await.leads_to("/portal/forgot/code");
        browser.get("/portal/forgot/code").await.says(200, "to your phone");
        browser.get("/portal/dashboard").await.leads_to("/portal/forgot/code");
        let code = house.code().await;
        let send = |code: &str| vec![("code", code.to_owned()), ("new", NEW_PASSPHRASE.to_owned()), ("again", NEW_PASSPHRASE.to_owned())];
        let fields = send("AAAAAAAA");
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        browser.post("/portal/forgot/code", &fields).await.says(422, "Incorrect code");
        let fields = send(&code);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        browser.post("/portal/forgot/code", &fields).await.leads_to("/portal/login?ended=reset");
        assert_eq!(house.count("passphrase_changed").await, 2);
        browser.pass(&npi, PASSPHRASE).await.says(422, "Incorrect NPI or passphrase");
        browser.pass(&npi, NEW_PASSPHRASE).await.leads_to("/portal/login/passcode");
        // With less than that: the practice sends a link to the addresses on record, and learns nothing.
        let mut office = house.at_desk(&house.office).await;
        let here = format!("{}/people/{}", house.base, house.app.person.id);
        house.app.confirm(&mut office, &house.office, &format!("{here}/prove-again"), &[]).await.leads_to(&format!("{here}?done=asked"));
        let own = format!("{}/people/{}", house.base, house.office.id);
        house.app.confirm(&mut office, &house.office, &format!("{own}/prove-again"), &[]).await.leads_to(&format!("{own}?done=not-asked"));
        assert_eq!(house.message("prove_again").await.0, "ada@x.example");
        assert_eq!(house.message("prove_again_told").await.0, "+14025550100");
        let link = house.link("prove_again").await;
        let mut owner = house.app.browser();
        owner.post(&link, &[]).await.leads_to("/enrol");
        // This account was made before there were terms and data: they come first.
        owner.post("/enrol/terms", &[("keep", "yes"), ("report", "yes"), ("audit", "yes")]).await.leads_to("/enrol");
        let data = [("born", "1975-04-12"), ("email", "ada@x.example"), ("phone", "402 555 0100"), ("address", "")];
        owner.post("/enrol/data", &data).await.leads_to("/enrol");
        house.confirm_by_phone(&mut owner, "/enrol").await.leads_to("/enrol?done=code");
        let new = [("new", "another nine lanterns over rivers"), ("again", "another nine lanterns over rivers")];
        owner.post("/enrol/passphrase", &new).await.leads_to("/enrol");
        assert_eq!(house.decide(&house.proofer, &SEEN).await.status, 303);
        assert_eq!(house.decide(&house.issuer, &[("decision", "issue")]).await.status, 303);
        owner.get("/enrol").await.says(200, "Choose a passphrase");
        owner.post("/enrol/passphrase", &new).await.leads_to("/portal/login?ended=enrolled");
        owner.pass(&npi, NEW_PASSPHRASE).await.says(422, "Incorrect NPI or passphrase");
        owner.pass(&npi, "another nine lanterns over rivers").await.leads_to("/portal/login/passcode");
    }

    /// New addresses are told to the old ones, and carry no code before one came back.
    /// Shows: N-19, A6
    async fn changed_addresses_are_told_to_the_old_ones(app: TestApp) {
        let house = House::of(app, Setting::Institution).await;
        let mut browser = house.app.signed_in().await;
        browser.get("/portal/addresses").await.says(200, "Confirmed");
        let fields = [
            ("email", "new@x.example"), ("email2", ""), ("phone", "402 555 0177"), ("address", "9 Oak Road, Omaha NE"),
            ("stepup_token", "any"),
        ];
        let mut without = fields.to_vec();
        without.push(("stepup_passcode", WRONG_CODE));
        browser.post("/portal/addresses", &without).await.says(422, "Incorrect passcode");
        assert_eq!(house.count("addresses_changed").await, 0);
        let code = house.app.code();
        let mut with = fields.to_vec();
        with.push(("stepup_passcode", &code));
        browser.post("/portal/addresses", &with).await.leads_to("/portal/addresses?done=saved");
        let all = house.app.messages().await;
        let mut told: Vec<String> = all.iter().filter(|it| it.kind == "addresses_changed").map(|it| it.body.clone().unwrap().to).collect();
        told.sort();
        assert_eq!(told, ["+14025550100", "ada@x.example", "new@x.example"]);
        // The new telephone carries an activation code only when a code of its own came back.
        let new = house.app.provision().await;
        house.app.clock.advance(30);
        crate::add(&mut browser, &new, &new.code(house.app.now()), &[]).await.leads_to("/portal/tokens?done=added");
        let path = format!("/portal/tokens/{}", house.app.token_id(&new.credential).await);
        browser.post(&format!("{path}/activation-code"), &[("channel", "phone")]).await.says(422, "no confirmed phone or mailing address");
        browser.post("/portal/addresses/phone/code", &[]).await.leads_to("/portal/addresses");
        browser.post("/portal/addresses/phone/code", &[]).await.says(422, "Wait a minute");
        assert_eq!(house.message("code_text").await.0, "+14025550177");
        browser.post("/portal/addresses/phone/confirm", &[("code_phone", "AAAAAAAA")]).await.says(422, "Incorrect code");
        let code = house.code().await;
        browser.post("/portal/addresses/phone/confirm", &[("code_phone", &code)]).await.leads_to("/portal/addresses?done=confirmed");
        assert_eq!(browser.post("/portal/addresses/email/code", &[]).await.status, 404);
        browser.post(&format!("{path}/activation-code"), &[("channel", "phone")]).await.leads_to(&format!("{path}/activate"));
    }
}
