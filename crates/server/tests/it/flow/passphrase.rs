//! The passphrase: changed by its owner, guesses slowed down.

use countersign_testkit::{PASSPHRASE, START, WRONG_CODE, both, npi};

both! {
    /// The passphrase is changed with the old one and a fresh passcode; other sessions end.
    /// Shows: R-1311.115-a1, R-1311.102-a, N-15
    async fn the_passphrase_is_changed_by_its_owner_alone(app: TestApp) {
        const NEW: &str = "copper meadow violin harbor";
        let mut browser = app.signed_in().await;
        let mut elsewhere = app.signed_in().await;
        browser.get("/portal/dashboard").await.says(200, "Change passphrase");
        browser.get("/portal/passphrase").await.says(200, "Confirm new passphrase");
        let form = |current, new, again, code| {
            [
                ("current", current),
                ("new", new),
                ("again", again),
                ("stepup_token", "any"),
                ("stepup_passcode", code),
            ]
        };
        app.clock.advance(60);
        let code = app.code();
        let before = app.event_count().await;
        for (current, new, again, field) in [
            ("", NEW, NEW, "current"),
            (PASSPHRASE, "short", "short", "new"),
            (PASSPHRASE, "moreno lantern wallpaper", "moreno lantern wallpaper", "new"),
            (PASSPHRASE, NEW, "copper meadow violin harbour", "again"),
        ] {
            let page = browser.post("/portal/passphrase", &form(current, new, again, &code)).await;
            assert_eq!(page.status, 422);
            assert!(page.field_error(field).is_some(), "{field}");
            assert!(!page.body.contains(NEW) && !page.body.contains(PASSPHRASE), "typed secrets stay out");
        }
        let page = browser.post("/portal/passphrase", &form(PASSPHRASE, NEW, NEW, "12")).await;
        assert!(page.field_error("stepup_passcode").is_some());
        assert_eq!(app.event_count().await, before, "what is malformed is no try");
        // A wrong present one spends no code and counts as at the log-in.
        let wrong = "violin meadow copper granite";
        let page = browser.post("/portal/passphrase", &form(wrong, NEW, NEW, &code)).await;
        assert!(page.field_error("current").unwrap().contains("Incorrect passphrase"));
        let page = browser.post("/portal/passphrase", &form(PASSPHRASE, PASSPHRASE, PASSPHRASE, &code)).await;
        assert!(page.field_error("new").unwrap().contains("your current passphrase"));
        let page = browser.post("/portal/passphrase", &form(PASSPHRASE, NEW, NEW, WRONG_CODE)).await;
        assert!(page.field_error("stepup_passcode").is_some());
        let mut stranger = app.browser();
        stranger.pass(&app.person.npi.as_text(), NEW).await.says(422, "Incorrect NPI or passphrase");
        let page = browser.post("/portal/passphrase", &form(PASSPHRASE, NEW, NEW, &code)).await;
        page.leads_to("/portal/dashboard?done=passphrase");
        browser.get("/portal/dashboard?done=passphrase").await.says(200, "Passphrase changed");
        elsewhere.get("/portal/dashboard").await.leads_to("/portal/login?ended=1");
        // The old one is worth nothing now, the new one logs in.
        stranger.pass(&app.person.npi.as_text(), PASSPHRASE).await.says(422, "Incorrect NPI or passphrase");
        stranger.pass(&app.person.npi.as_text(), NEW).await.leads_to("/portal/login/passcode");
        let rows = app.database.texts(
            "SELECT outcome, reason FROM audit_event WHERE kind = 'passphrase_changed' ORDER BY reason",
        ).await;
        let mut rows = rows;
        rows.sort();
        assert_eq!(
            rows,
            [
                "refused passcode_wrong",
                "refused passphrase_same",
                "refused passphrase_wrong",
                "success -"
            ]
        );
    }

    /// An open session helps nobody to guess the passphrase: tries count as at the log-in.
    async fn guesses_at_the_present_passphrase_pause(app: TestApp) {
        let mut browser = app.signed_in().await;
        let new = "copper meadow violin harbor";
        for _ in 0..3 {
            let form = [
                ("current", "violin meadow copper granite"),
                ("new", new),
                ("again", new),
                ("stepup_token", "any"),
                ("stepup_passcode", WRONG_CODE),
            ];
            browser.post("/portal/passphrase", &form).await.says(422, "Incorrect passphrase");
        }
        app.clock.advance(5);
        let code = app.code();
        let form = [
            ("current", PASSPHRASE),
            ("new", new),
            ("again", new),
            ("stepup_token", "any"),
            ("stepup_passcode", &code),
        ];
        browser.post("/portal/passphrase", &form).await.says(422, "Locked");
        app.clock.advance(60);
        let code = app.code();
        let form = [form[0], form[1], form[2], form[3], ("stepup_passcode", &code)];
        browser.post("/portal/passphrase", &form).await.leads_to("/portal/dashboard?done=passphrase");
    }

    /// Tries at the passphrase pause, then lock, for an NPI that nobody has just as for a known one.
    async fn passphrase_tries_pause_alike_for_known_and_unknown(app: TestApp) {
        let mut answers = Vec::new();
        for npi in [app.person.npi, npi(99)] {
            app.clock.set(START);
            let npi = npi.as_text();
            let mut seen = Vec::new();
            let mut browser = app.browser();
            for _ in 0..3 {
                let page = browser.pass(&npi, "not the right passphrase").await;
                page.says(422, "Incorrect NPI or passphrase");
                seen.push(page.without_support_code().replace(&npi, "NPI"));
            }
            let page = browser.pass(&npi, PASSPHRASE).await;
            assert_eq!((page.status, page.seconds()), (422, Some(30)), "{}", page.words());
            seen.push(page.without_support_code().replace(&npi, "NPI"));
            answers.push(seen);
        }
        assert_eq!(answers[0], answers[1]);
        app.clock.advance(30);
        let mut browser = app.browser();
        browser.pass(&app.person.npi.as_text(), PASSPHRASE).await.leads_to("/portal/login/passcode");
    }
}
