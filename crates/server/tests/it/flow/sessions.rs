//! Sessions: fresh passcodes, idle and absolute ends, sign-out, the secret that changes.

use countersign_testkit::{PASSPHRASE, WRONG_CODE, both};

use crate::add;

both! {
    /// A change asks for a fresh passcode once the last is old; what was typed stays, secrets don't.
    /// Shows: N-18
    async fn a_fresh_passcode_is_demanded_and_typed_values_kept(app: TestApp) {
        let mut browser = app.signed_in().await;
        let new = app.provision().await;
        browser.get("/portal/tokens/new").await;
        app.clock.advance(299);
        let page = browser.get("/portal/tokens/new").await;
        assert!(!page.body.contains("stepup_passcode"), "not yet");
        app.clock.advance(1);
        browser.get("/portal/tokens/new").await.says(200, "Confirm that it is you");

        let otp = new.code(app.now());
        let page = add(&mut browser, &new, &otp, &[("name", "Kitchen phone")]).await;
        page.says(422, "Confirm that it is you");
        assert!(page.field_error("stepup_passcode").is_some());
        assert!(page.body.contains("value=\"Kitchen phone\""), "the name is kept");
        assert!(page.body.contains(new.credential.as_str()), "the ID is kept");
        assert!(!page.body.contains(&otp), "a passcode is never echoed");
        assert!(app.token(&new.credential).await.prescriber().is_none());

        let wrong = [("stepup_token", "any"), ("stepup_passcode", WRONG_CODE)];
        let page = add(&mut browser, &new, &otp, &wrong).await;
        assert!(page.field_error("stepup_passcode").unwrap().contains("Incorrect passcode"));
        assert!(!page.body.contains(WRONG_CODE) && !page.body.contains(&otp));

        let before = app.event_count().await;
        let code = app.code();
        let right = [("stepup_token", "any"), ("stepup_passcode", code.as_str())];
        let page = add(&mut browser, &new, &otp, &right).await;
        page.leads_to("/portal/tokens?done=added");
        assert_eq!(app.event_count().await - before, 2, "the passcode, and the token");
        // It renewed the session: the next change needs none.
        let (id, _) = app.another_token(&app.person, "Third").await;
        let path = format!("/portal/tokens/{id}/disable");
        let page = browser.post(&path, &[("reason", "damaged")]).await;
        page.leads_to("/portal/tokens?done=disabled");
    }

    /// A session ends after a quiet quarter of an hour, and after twelve hours in any case.
    /// Shows: N-26, H-164.312-a2iii
    async fn a_session_ends_when_idle_and_in_any_case(app: TestApp) {
        let mut idle = app.signed_in().await;
        app.clock.advance(899);
        assert_eq!(idle.get("/portal/tokens").await.status, 200);
        app.clock.advance(899);
        assert_eq!(idle.get("/portal/tokens").await.status, 200);
        app.clock.advance(900);
        let before = app.event_count().await;
        idle.get("/portal/tokens").await.leads_to("/portal/login?ended=idle");
        let page = idle.get("/portal/login?ended=idle").await;
        page.says(200, "You were signed out after 15 minutes of inactivity.");
        // Whoever asks reads the same: the address alone says it, and no session is looked for.
        let stranger = app.browser().get("/portal/login?ended=idle").await;
        assert_eq!(page.without_support_code(), stranger.without_support_code());
        assert_eq!(app.event_count().await - before, 1, "the end is on record, once");
        assert!(app.events().await.contains(&"session_ended success expired".to_owned()));

        let mut busy = app.signed_in().await;
        let begun = app.now();
        while app.now() < begun.plus_seconds(12 * 3_600 - 600) {
            app.clock.advance(600);
            assert_eq!(busy.get("/portal/tokens").await.status, 200);
        }
        app.clock.set(begun.plus_seconds(12 * 3_600 - 1));
        assert_eq!(busy.get("/portal/tokens").await.status, 200);
        app.clock.advance(1);
        busy.get("/portal/tokens").await.leads_to("/portal/login?ended=1");
        busy.get("/portal/login?ended=1").await.says(200, "Your session has ended");
    }

    /// A session that nobody comes back to is ended by the server, with its record.
    async fn a_session_left_alone_is_ended_with_its_record(app: TestApp) {
        let mut left = app.signed_in().await;
        app.launched("jlee").await;
        app.clock.advance(12 * 3_600 + 1);
        let before = app.event_count().await;
        app.app.purge().await.unwrap();
        app.app.purge().await.unwrap();
        assert_eq!(app.event_count().await - before, 2, "one for each");
        let sql = "SELECT actor, reason, CAST(COUNT(prescriber) AS TEXT) FROM audit_event \
                   WHERE kind = 'session_ended' GROUP BY actor, reason";
        assert_eq!(app.database.texts(sql).await, ["system expired 1"]);
        left.get("/portal/tokens").await.leads_to("/portal/login?ended=1");
    }

    /// Signing out ends the session on the server, not only in the browser.
    async fn sign_out_ends_it_on_the_server(app: TestApp) {
        let mut browser = app.signed_in().await;
        let mut stolen = browser.clone();
        assert_eq!(stolen.get("/portal/tokens").await.status, 200);
        let page = browser.post("/sign-out", &[]).await;
        page.leads_to("/signed-out");
        assert_eq!(page.session(), Some(""), "the cookie is taken away");
        stolen.get("/portal/tokens").await.leads_to("/portal/login?ended=1");
        assert!(app.events().await.contains(&"session_ended success -".to_owned()));
    }

    /// The secret changes at each factor, and the older one opens nothing.
    async fn the_session_secret_changes_at_each_factor(app: TestApp) {
        let mut browser = app.launched("amoreno").await;
        let mut olds = vec![browser.clone()];
        browser.pass("", PASSPHRASE).await.leads_to("/portal/login/passcode");
        olds.push(browser.clone());
        browser.passcode("any", &app.code()).await.leads_to("/portal/dashboard");
        let mut secrets: Vec<_> = olds.iter().map(|b| b.session().unwrap().to_owned()).collect();
        secrets.push(browser.session().unwrap().to_owned());
        secrets.sort();
        secrets.dedup();
        assert_eq!(secrets.len(), 3);
        for mut old in olds {
            old.get("/portal/tokens").await.leads_to("/portal/login?ended=1");
            assert_eq!(old.get("/e-prescribing").await.status, 403);
        }
        browser.get("/e-prescribing").await.says(200, "Rosa Lindqvist");
    }
}
