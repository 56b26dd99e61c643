//! Tokens are added: the whole way, and what is refused.

use countersign_domain::{CredentialId, DeviceClass, DeviceEvidence};
use countersign_store::Stage;
use countersign_testkit::{PASSPHRASE, WRONG_CODE, both};

use crate::add;

both! {
    /// From the chart to a new token that then signs in, and not with the code that added it.
    /// Shows: N-14
    async fn the_article_from_launch_to_a_new_token_that_signs_in(app: TestApp) {
        let mut browser = app.launched("amoreno").await;
        let page = browser.get("/e-prescribing").await;
        page.says(200, "Rosa Lindqvist");
        page.says(200, "MRN-1001");
        assert!(page.find("[href=/portal]").is_some(), "no way to Token Management");
        browser.get("/portal").await.leads_to("/portal/login");
        let page = browser.get("/portal/login").await;
        page.says(200, "Dr. Ada Moreno");
        assert!(page.body.contains(&app.person.npi.as_text()), "the NPI is filled in");

        let page = browser.pass("", PASSPHRASE).await;
        page.leads_to("/portal/login/passcode");
        browser.get("/portal/login/passcode").await.says(200, "First phone");
        let page = browser.passcode(&app.person.token.to_string(), &app.code()).await;
        page.leads_to("/portal/dashboard");
        let page = browser.get("/portal/dashboard").await;
        page.says(200, "Manage Tokens");
        assert_eq!(page.html().all("[href=/portal/tokens]").len(), 2, "{}", page.words());
        browser.get("/portal/tokens").await.says(200, "1 of 5 active");
        let page = browser.get("/portal/tokens/new").await;
        page.says(200, "Add Two Factor Authentication Token");

        let new = app.provision().await;
        let spent = new.code(app.now());
        let page = add(&mut browser, &new, &spent, &[]).await;
        page.leads_to("/portal/tokens?done=added");
        let page = browser.get("/portal/tokens?done=added").await;
        page.says(200, "2 of 5 active");
        page.says(200, "New phone");
        assert!(!page.body.contains(new.credential.as_str()), "the ID is masked");
        browser.post("/sign-out", &[]).await.leads_to("/signed-out");

        let mut browser = app.browser();
        let id = app.token_id(&new.credential).await.to_string();
        let page = browser.sign_in(&app.person.npi.as_text(), PASSPHRASE, &id, &spent).await;
        page.says(422, "This passcode was already used");
        assert_eq!(page.seconds(), Some(30), "the page says how long to wait");
        app.clock.advance(30);
        let page = browser.passcode(&id, &new.code(app.now())).await;
        page.leads_to("/portal/dashboard");
        browser.get("/portal/dashboard").await.says(200, "New phone");
    }

    /// Says what a token lives on and how that is known; a person's word goes above an app's.
    /// Shows: R-1311.115-a3
    async fn a_seen_device_is_recorded_and_shown(app: TestApp) {
        let id = app.token_id(&app.person.phone.credential).await;
        let mut browser = app.signed_in().await;
        let path = format!("/portal/tokens/{id}");
        browser.get(&path).await.says(200, "Unknown");
        let at = app.app.at().unwrap();
        let credential = app.person.phone.credential.clone();
        let done = app.app.attest_device(credential.clone(), DeviceClass::Tablet, "Ruth".to_owned(), at);
        done.await.unwrap().done().unwrap();
        let device = app.token(&credential).await.device();
        assert_eq!((device.class, device.evidence), (DeviceClass::Tablet, DeviceEvidence::Attested));
        browser.get(&path).await.says(200, "Tablet, seen and confirmed in person");
        let rows = app.database.texts(
            "SELECT outcome, actor, detail FROM audit_event WHERE kind = 'device_attested'",
        ).await;
        assert_eq!(rows, ["success operator tablet by Ruth; was unknown, stated"]);
        let unknown = CredentialId::parse("CNST00000000", None).unwrap();
        let done = app.app.attest_device(unknown, DeviceClass::Phone, "Ruth".to_owned(), at);
        assert!(done.await.unwrap().done().is_err());
    }

    /// At most five active tokens; a disabled one makes room.
    /// Shows: N-21
    async fn five_active_tokens_are_the_limit(app: TestApp) {
        let mut browser = app.signed_in().await;
        for number in 2..=5 {
            let phone = app.provision().await;
            let name = format!("Phone {number}");
            let page = add(&mut browser, &phone, &phone.code(app.now()), &[("name", &name)]).await;
            page.leads_to("/portal/tokens?done=added");
        }
        browser.get("/portal/tokens").await.says(200, "5 of 5 active");
        browser.get("/portal/tokens/new").await.says(200, "Limit reached");
        let sixth = app.provision().await;
        let page = add(&mut browser, &sixth, &sixth.code(app.now()), &[]).await;
        page.says(422, "You have reached the limit of 5 active tokens");
        let path = format!("/portal/tokens/{}/disable", app.person.token);
        browser.post(&path, &[("reason", "replaced")]).await.leads_to("/portal/tokens?done=disabled");
        let mut browser = app.signed_in().await;
        app.clock.advance(30);
        let page = add(&mut browser, &sixth, &sixth.code(app.now()), &[]).await;
        page.leads_to("/portal/tokens?done=added");
    }

    /// A token of somebody else can't be added, used or seen; the attempt is on record.
    /// Shows: R-1311.102-a
    async fn a_foreign_token_is_refused_everywhere(mut app: TestApp) {
        let other = app.another_person().await;
        let mut browser = app.signed_in().await;
        let code = other.phone.code(app.now());
        let page = add(&mut browser, &other.phone, &code, &[]).await;
        assert!(page.field_error("credential_id").unwrap().contains("belongs to another account"));
        let refused = "token_added refused credential_bound_to_another".to_owned();
        assert!(app.events().await.contains(&refused), "{:?}", app.events().await);
        assert_eq!(app.token(&other.phone.credential).await.prescriber(), Some(other.id));
        let page = browser.get(&format!("/portal/tokens/{}", other.token)).await;
        assert_eq!(page.status, 404);
        let mut browser = app.at_passcode().await;
        let foreign = browser.passcode(&other.token.to_string(), &code).await;
        let unknown = browser.passcode("0196f000-0000-7000-8000-000000000000", &code).await;
        foreign.says(422, "not active");
        assert_eq!(foreign.words().len(), unknown.words().len(), "not to be told apart");
        // And the code still serves its owner.
        let mut owner = app.browser_at(Stage::Passphrase { prescriber: other.id }).await;
        owner.passcode(&other.token.to_string(), &code).await.leads_to("/portal/dashboard");
    }

    /// One's own token can't be added twice.
    /// Shows: R-1311.102-a
    async fn a_token_is_added_once(app: TestApp) {
        let mut browser = app.signed_in().await;
        let phone = app.provision().await;
        let code = phone.code(app.now());
        add(&mut browser, &phone, &code, &[]).await.leads_to("/portal/tokens?done=added");
        let page = add(&mut browser, &phone, &code, &[]).await;
        page.says(422, "This token is already in your list");
    }

    /// IDs are forgiven as people type them; what does not fit is said beside the field.
    async fn an_id_is_forgiven_and_its_faults_named(app: TestApp) {
        let mut browser = app.signed_in().await;
        let phone = app.provision().await;
        let id = phone.credential.as_str();
        let typed = format!(" {}-{} {} ", id[..4].to_lowercase(), &id[4..8], &id[8..]);
        let page = add(&mut browser, &phone, WRONG_CODE, &[("credential_id", &typed)]).await;
        assert!(page.field_error("otp").is_some(), "{}", page.words());
        let digit = if id.ends_with('0') { '1' } else { '0' };
        let slipped = format!("{}{digit}", &id[..11]);
        let cases = [
            (("credential_id", slipped.as_str()), "credential_id", "A digit is incorrect"),
            (("credential_id", ""), "credential_id", "Enter the credential ID"),
            (("credential_id", "QQQQ12345678"), "credential_id", "ID prefix"),
            (("manufacturer", "symantec"), "manufacturer", "belongs to a Countersign token"),
            (("manufacturer", "rsa"), "manufacturer", "Choose one from the list"),
            (("token_type", "otp_hard"), "token_type", "OTP SOFT TOKEN"),
            (("issuer", "somebody_else"), "issuer", "Choose one from the list"),
            (("name", ""), "name", "Enter a name you will recognize"),
            (("otp", "12"), "otp", "Enter the 6 digits"),
        ];
        for (field, beside, says) in cases {
            let page = add(&mut browser, &phone, WRONG_CODE, &[field]).await;
            assert_eq!(page.status, 422);
            let error = page.field_error(beside);
            assert!(error.as_deref().is_some_and(|e| e.contains(says)), "{field:?}: {error:?}");
        }
        let unknown = "CNST00000000";
        let page = add(&mut browser, &phone, WRONG_CODE, &[("credential_id", unknown)]).await;
        assert!(page.field_error("credential_id").unwrap().contains("Token not found"));
        let code = phone.code(app.now());
        let page = add(&mut browser, &phone, &code, &[("credential_id", &typed)]).await;
        page.leads_to("/portal/tokens?done=added");
    }

    /// With an unknown ID the confirmation was not spent: its fields must stay on the page.
    async fn an_unknown_id_leaves_the_confirmation_to_be_given(app: TestApp) {
        let mut browser = app.signed_in().await;
        app.clock.advance(301);
        let phone = app.provision().await;
        let code = app.code();
        let fields = [
            ("credential_id", "CNST00000000"),
            ("stepup_token", "any"),
            ("stepup_passcode", code.as_str()),
        ];
        let page = add(&mut browser, &phone, WRONG_CODE, &fields).await;
        assert!(page.field_error("credential_id").is_some());
        let spent = app.token(&app.person.phone.credential).await.last_step().is_some();
        let asked = page.body.contains("stepup_passcode");
        assert_ne!(spent, asked, "spent and asked again, or neither: spent is {spent}");
    }
}
