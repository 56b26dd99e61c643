//! The help article, step by step, and what can happen on the way.

use countersign_app::Closing;
use countersign_domain::{CredentialId, DeviceClass, DeviceEvidence, DisableReason, TokenState};
use countersign_store::Stage;
use countersign_testkit::{PASSPHRASE, START, WRONG_CODE, both, npi};

use crate::add;

both! {
    /// From the chart to a new token that then signs in, and not with the code that added it.
    /// Shows: N-14
    async fn the_article_from_launch_to_a_new_token_that_signs_in(app: TestApp) {
        let mut browser = app.launched("amoreno").await;
        let page = browser.get("/e-prescribing").await;
        page.says(200, "Rosa Lindqvist");
        page.says(200, "MRN-1001");
        assert!(page.body.contains("href=\"/portal\""), "no way to Token Management");
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
        assert_eq!(page.body.matches("href=\"/portal/tokens\"").count(), 2, "{}", page.words());
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
        page.says(422, "That passcode was already used");
        assert_eq!(page.seconds(), Some(30), "the page says how long to wait");
        app.clock.advance(30);
        let page = browser.passcode(&id, &new.code(app.now())).await;
        page.leads_to("/portal/dashboard");
        browser.get("/portal/dashboard").await.says(200, "New phone");
    }

    /// Any of my tokens: whichever shows the code; one failure counts once, on no token.
    /// Shows: N-11
    async fn any_of_my_tokens_counts_a_failure_once(app: TestApp) {
        let (_, second) = app.another_token(&app.person, "Second phone").await;
        let mut browser = app.at_passcode().await;
        browser.passcode("any", WRONG_CODE).await.says(422, "That passcode is not right");
        assert_eq!(app.owner_failures().await.count, 1);
        for credential in [&app.person.phone.credential, &second.credential] {
            assert_eq!(app.token(credential).await.failures.count, 0);
        }
        browser.passcode("any", &second.code(app.now())).await.leads_to("/portal/dashboard");
        assert_eq!(app.owner_failures().await.count, 0);
        assert!(app.token(&second.credential).await.last_step.is_some());
        assert!(app.token(&app.person.phone.credential).await.last_step.is_none());
    }

    /// A code of the other token is named, and is consumed there.
    async fn a_code_of_another_token_is_named_and_consumed(app: TestApp) {
        let (second_id, second) = app.another_token(&app.person, "Second phone").await;
        let mut browser = app.at_passcode().await;
        let code = second.code(app.now());
        let page = browser.passcode(&app.person.token.to_string(), &code).await;
        page.says(422, "That passcode is from your token \u{201c}Second phone\u{201d}");
        let page = browser.passcode(&second_id.to_string(), &code).await;
        page.says(422, "already used");
    }

    /// A slow or fast clock is learnt up to four steps, and no further without two codes.
    async fn drift_is_learnt_and_capped(app: TestApp) {
        let api = app.api().await;
        let mut phone = app.person.phone.clone();
        for steps in 1..=4 {
            phone.ahead = 30 * steps;
            app.clock.advance(60);
            assert!(api.check(phone.credential.as_str(), &phone.code(app.now())).await.verified());
            assert_eq!(app.token(&phone.credential).await.drift.current(), steps);
        }
        phone.ahead = 180;
        app.clock.advance(60);
        let code = phone.code(app.now());
        assert!(!api.check(phone.credential.as_str(), &code).await.verified());
        let mut slow = app.person.phone.clone();
        slow.ahead = -600;
        let mut browser = app.at_passcode().await;
        let late = slow.code_after(app.now(), 2);
        let page = browser.passcode("any", &late).await;
        page.says(422, "That passcode is not right");
    }

    /// A code that came too late is told apart from a wrong one, with its age.
    async fn a_late_code_is_named(app: TestApp) {
        let mut browser = app.at_passcode().await;
        let late = app.person.phone.code_after(app.now(), -10);
        let page = browser.passcode(&app.person.token.to_string(), &late).await;
        page.says(422, "That passcode was right 5 minutes ago");
    }

    /// The passphrase is changed with the old one and a fresh passcode; other sessions end.
    /// Shows: R-1311.115-a1, R-1311.102-a, N-15
    async fn the_passphrase_is_changed_by_its_owner_alone(app: TestApp) {
        const NEW: &str = "copper meadow violin harbor";
        let mut browser = app.signed_in().await;
        let mut elsewhere = app.signed_in().await;
        browser.get("/portal/dashboard").await.says(200, "Change passphrase");
        browser.get("/portal/passphrase").await.says(200, "New passphrase again");
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
        assert!(page.field_error("current").unwrap().contains("not your present passphrase"));
        let page = browser.post("/portal/passphrase", &form(PASSPHRASE, PASSPHRASE, PASSPHRASE, &code)).await;
        assert!(page.field_error("new").unwrap().contains("the passphrase you have"));
        let page = browser.post("/portal/passphrase", &form(PASSPHRASE, NEW, NEW, WRONG_CODE)).await;
        assert!(page.field_error("stepup_passcode").is_some());
        let mut stranger = app.browser();
        stranger.pass(&app.person.npi.as_text(), NEW).await.says(422, "do not match");
        let page = browser.post("/portal/passphrase", &form(PASSPHRASE, NEW, NEW, &code)).await;
        page.leads_to("/portal/dashboard?done=passphrase");
        browser.get("/portal/dashboard?done=passphrase").await.says(200, "passphrase is changed");
        elsewhere.get("/portal/dashboard").await.leads_to("/portal/login?ended=1");
        // The old one is worth nothing now, the new one logs in.
        stranger.pass(&app.person.npi.as_text(), PASSPHRASE).await.says(422, "do not match");
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
            browser.post("/portal/passphrase", &form).await.says(422, "not your present passphrase");
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

    /// A token's own page knows who added it and what it was used for, however busy the others are.
    async fn a_token_keeps_its_history_beside_busy_ones(app: TestApp) {
        let (quiet, _) = app.another_token(&app.person, "Quiet").await;
        let api = app.api().await;
        let own = app.person.phone.credential.to_string();
        for _ in 0..210 {
            app.clock.advance(30);
            assert!(api.check(&own, &app.code()).await.verified());
        }
        let mut browser = app.signed_in().await;
        let page = browser.get(&format!("/portal/tokens/{quiet}")).await;
        page.says(200, "by the system operator");
        let history = page.body.split("History of this token").nth(1).unwrap();
        assert!(history.contains("Added"), "{history}");
    }

    /// Says what a token lives on and how that is known; a person's word goes above an app's.
    /// Shows: R-1311.115-a3
    async fn a_seen_device_is_recorded_and_shown(app: TestApp) {
        let id = app.token_id(&app.person.phone.credential).await;
        let mut browser = app.signed_in().await;
        let path = format!("/portal/tokens/{id}");
        browser.get(&path).await.says(200, "Not known");
        let at = app.app.at().unwrap();
        let credential = app.person.phone.credential.clone();
        let done = app.app.attest_device(credential.clone(), DeviceClass::Tablet, "Ruth".to_owned(), at);
        assert!(done.await.unwrap());
        let device = app.token(&credential).await.device;
        assert_eq!((device.class, device.evidence), (DeviceClass::Tablet, DeviceEvidence::Attested));
        browser.get(&path).await.says(200, "Tablet, seen and confirmed by a person");
        let rows = app.database.texts(
            "SELECT outcome, actor, detail FROM audit_event WHERE kind = 'device_attested'",
        ).await;
        assert_eq!(rows, ["success operator tablet by Ruth; was unknown, stated"]);
        let unknown = CredentialId::parse("CNST00000000", None).unwrap();
        let done = app.app.attest_device(unknown, DeviceClass::Phone, "Ruth".to_owned(), at);
        assert!(!done.await.unwrap());
    }

    /// Two codes in a row bring a token back, and are worth nothing as a login.
    /// Shows: N-09
    async fn two_codes_resynchronise(app: TestApp) {
        let mut phone = app.person.phone.clone();
        phone.ahead = 30 * 50;
        let id = app.person.token.to_string();
        let mut browser = app.at_passcode().await;
        let (first, second) = (phone.code(app.now()), phone.code_after(app.now(), 1));
        browser.passcode(&id, &first).await.says(422, "That passcode is not right");
        let resync = |one: &str, two: &str| {
            vec![
                ("token".to_owned(), id.clone()),
                ("passcode1".to_owned(), one.to_owned()),
                ("passcode2".to_owned(), two.to_owned()),
            ]
        };
        let fields = resync(&first, &phone.code_after(app.now(), 2));
        let fields: Vec<_> = fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let page = browser.post("/portal/login/resync", &fields).await;
        page.says(422, "not two codes in a row");
        let fields = resync(&first, &second);
        let fields: Vec<_> = fields.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let page = browser.post("/portal/login/resync", &fields).await;
        page.leads_to("/portal/login/passcode?done=resynced");
        for spent in [&first, &second] {
            browser.passcode(&id, spent).await.says(422, "already used");
        }
        app.clock.advance(60);
        browser.passcode(&id, &phone.code(app.now())).await.leads_to("/portal/dashboard");
    }

    /// Slowed, then locked with a countdown that tries don't extend; other tokens go on working.
    async fn a_lock_counts_down_and_leaves_other_tokens_alone(app: TestApp) {
        let (second_id, second) = app.another_token(&app.person, "Second phone").await;
        let id = app.person.token.to_string();
        let mut browser = app.at_passcode().await;
        for failure in 1..=6 {
            browser.passcode(&id, WRONG_CODE).await.says(422, "That passcode is not right");
            if (3..6).contains(&failure) {
                let page = browser.passcode(&id, &app.code()).await;
                page.says(422, "First phone is locked");
                assert_eq!(page.seconds(), Some(30), "a short pause");
                app.clock.advance(30);
            }
        }
        let page = browser.passcode(&id, &app.code()).await;
        page.says(422, "First phone is locked until");
        page.says(422, "Your other tokens work as usual");
        assert_eq!(page.seconds(), Some(900));
        app.clock.advance(100);
        for _ in 0..5 {
            let page = browser.passcode(&id, &app.code()).await;
            assert_eq!(page.seconds(), Some(800), "a try does not extend it");
        }
        assert_eq!(app.token(&app.person.phone.credential).await.failures.count, 6);
        let mut other = app.at_passcode().await;
        other
            .passcode(&second_id.to_string(), &second.code(app.now()))
            .await
            .leads_to("/portal/dashboard");
        let page = other.get("/portal/tokens").await;
        page.says(200, "Locked");
        app.clock.advance(799);
        assert_eq!(browser.passcode(&id, &app.code()).await.seconds(), Some(1));
        app.clock.advance(1);
        browser.passcode(&id, &app.code()).await.leads_to("/portal/dashboard");
        assert_eq!(app.token(&app.person.phone.credential).await.failures.count, 0);
    }

    /// With every token locked, "any of my tokens" counts down to the first that opens again.
    async fn all_tokens_locked_says_when_the_first_can_be_tried(app: TestApp) {
        let (second_id, second) = app.another_token(&app.person, "Second phone").await;
        let mut browser = app.at_passcode().await;
        let first_id = app.person.token.to_string();
        let second_id = second_id.to_string();
        for id in [&first_id, &second_id] {
            for _ in 0..3 {
                browser.passcode(id, WRONG_CODE).await.says(422, "That passcode is not right");
            }
            app.clock.advance(10);
        }
        let page = browser.passcode("any", &second.code(app.now())).await;
        page.says(422, "all your tokens are locked. The first one can be tried again at");
        assert_eq!(page.seconds(), Some(10), "that of the first, not of the second");
        assert!(page.field_error("passcode").is_none(), "{}", page.words());
        assert_eq!(app.owner_failures().await.count, 6, "a try meanwhile counts nowhere");
        let events = app.events().await;
        assert!(events.contains(&"passcode_tried refused all_tokens_blocked".to_owned()));
        app.clock.advance(10);
        browser.passcode("any", &app.code()).await.leads_to("/portal/dashboard");
    }

    /// Many wrong codes in a row end a token for good.
    /// Shows: N-11
    async fn thirty_failures_in_a_row_disable_for_good(app: TestApp) {
        let id = app.person.token.to_string();
        for failure in 1..=30 {
            let mut browser = app.at_passcode().await;
            let page = browser.passcode(&id, WRONG_CODE).await;
            if failure < 30 {
                page.says(422, "That passcode is not right");
                app.clock.advance(3_601);
            } else {
                page.says(422, "disabled for good");
            }
        }
        let state = app.token(&app.person.phone.credential).await.state;
        assert_eq!(
            state,
            TokenState::Disabled { reason: DisableReason::TooManyFailures, since: app.now() }
        );
    }

    /// A passphrase alone reports a loss and enables nothing.
    /// Shows: R-1311.102-b, N-24, A7
    async fn a_lost_token_is_reported_with_the_passphrase_alone(app: TestApp) {
        let (second_id, second) = app.another_token(&app.person, "Second phone").await;
        let id = app.person.token.to_string();
        let mut browser = app.at_passcode().await;
        let page = browser
            .post("/portal/login/lost", &[("token", &id), ("reason", "temporarily_unavailable")])
            .await;
        page.says(422, "Choose what happened");
        let page = browser.post("/portal/login/lost", &[("token", &id), ("reason", "stolen")]).await;
        page.leads_to("/portal/login/passcode?done=lost");
        browser.passcode(&id, &app.code()).await.says(422, "not active");
        let page = browser
            .post("/portal/login/enable", &[("token", &id), ("passcode", &app.code())])
            .await;
        page.says(422, "disabled for good");
        // The last one goes by the form that said so.
        let second_id = second_id.to_string();
        let lost = [("token", second_id.as_str()), ("reason", "lost"), ("confirmation", "yes")];
        let page = browser.post("/portal/login/lost", &lost).await;
        // Its own page says what follows, and its one button means it.
        page.says(422, "It is your only token");
        assert!(page.body.contains("name=\"confirmation\" value=\"DISABLE\""), "{}", page.body);
        let lost = [("token", second_id.as_str()), ("reason", "lost"), ("confirmation", "DISABLE")];
        browser.post("/portal/login/lost", &lost).await.leads_to("/portal/no-token?done=lost");
        let page = browser.passcode("any", &second.code(app.now())).await;
        page.says(422, "None of your tokens can be used");
        browser.get("/portal/login/passcode").await.leads_to("/portal/no-token");
        browser.get("/portal/no-token").await.says(200, "Lakeside Clinic support desk");
    }

    /// The last active token goes only with a confirmation, and comes back only by its own code.
    async fn the_last_token_and_back_by_its_own_code(app: TestApp) {
        let id = app.person.token.to_string();
        let path = format!("/portal/tokens/{id}/disable");
        let mut browser = app.signed_in().await;
        browser.get(&path).await.says(200, "This is your only active token");
        let page = browser.post(&path, &[("reason", "temporarily_unavailable")]).await;
        assert!(page.field_error("confirmation").unwrap().contains("DISABLE"));
        let confirmed = [("reason", "temporarily_unavailable"), ("confirmation", "DISABLE")];
        browser.post(&path, &confirmed).await.leads_to("/portal/tokens?done=disabled");
        // In the same session: the way to add one leads to the one that can be enabled.
        browser.get("/portal/tokens/new").await.leads_to("/portal/no-token");
        let page = browser.get("/portal/no-token").await;
        page.says(200, "Turn a token back on");
        let enable = format!("/portal/tokens/{id}/enable");
        assert!(page.body.contains(&format!("href=\"{enable}\"")), "{}", page.body);
        browser.get(&enable).await.says(200, "Enable this token");
        // Nothing could confirm a new name, so none is asked for.
        let page = browser.get(&format!("/portal/tokens/{id}")).await;
        assert!(!page.body.contains("Save name"), "{}", page.words());

        let mut browser = app.at_passcode().await;
        browser.get("/portal/login/passcode").await.leads_to("/portal/no-token");
        browser.get("/portal/no-token").await.says(200, "Turn a token back on");
        browser.passcode(&id, &app.code()).await.says(422, "not active");
        let other = app.provision().await;
        let wrong = other.code(app.now());
        let page = browser
            .post("/portal/login/enable", &[("token", &id), ("passcode", &wrong)])
            .await;
        page.says(422, "That passcode is not right");
        let code = app.code();
        let page =
            browser.post("/portal/login/enable", &[("token", &id), ("passcode", &code)]).await;
        page.leads_to("/portal/login/passcode?done=enabled");
        browser.passcode(&id, &code).await.says(422, "already used");
        app.clock.advance(30);
        browser.passcode(&id, &app.code()).await.leads_to("/portal/dashboard");
    }

    /// Temporarily unavailable is undone by the token's own code, in token management.
    /// Shows: N-24
    async fn only_temporarily_unavailable_is_reversible(app: TestApp) {
        let mut kept = Vec::new();
        for reason in ["temporarily_unavailable", "lost", "stolen", "compromised"] {
            kept.push((app.another_token(&app.person, reason).await, reason));
        }
        for ((id, phone), reason) in &kept {
            // Fresh each time: a disabled token's passcode vouches for nothing more.
            let mut browser = app.signed_in().await;
            let path = format!("/portal/tokens/{id}/disable");
            let done = if *reason == "temporarily_unavailable" { "disabled" } else { "lost" };
            browser.post(&path, &[("reason", reason)]).await.leads_to(&format!("/portal/tokens?done={done}"));
            assert!(!app.token(&phone.credential).await.is_active());
        }
        for reason in ["damaged", "replaced"] {
            let (id, phone) = app.another_token(&app.person, reason).await;
            let mut browser = app.signed_in().await;
            let path = format!("/portal/tokens/{id}/disable");
            browser.post(&path, &[("reason", reason)]).await.leads_to("/portal/tokens?done=disabled");
            kept.push(((id, phone), reason));
        }
        app.clock.advance(30);
        let mut browser = app.signed_in().await;
        for ((id, phone), reason) in &kept {
            let path = format!("/portal/tokens/{id}/enable");
            // Another token's code does not do.
            let page = browser.post(&path, &[("passcode", WRONG_CODE)]).await;
            assert_eq!(page.status, 422);
            let page = browser.post(&path, &[("passcode", &phone.code(app.now()))]).await;
            if *reason == "temporarily_unavailable" {
                page.leads_to("/portal/tokens?done=enabled");
            } else {
                page.says(422, "disabled for good and cannot be enabled again");
            }
        }
        let page = browser.get("/portal/history").await;
        for word in ["Lost", "Stolen", "Compromised", "Damaged", "Replaced"] {
            page.says(200, word);
        }
    }

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
        browser.get("/portal/tokens/new").await.says(200, "Confirm it is you");

        let otp = new.code(app.now());
        let page = add(&mut browser, &new, &otp, &[("name", "Kitchen phone")]).await;
        page.says(422, "Confirm it is you");
        assert!(page.field_error("stepup_passcode").is_some());
        assert!(page.body.contains("value=\"Kitchen phone\""), "the name is kept");
        assert!(page.body.contains(new.credential.as_str()), "the ID is kept");
        assert!(!page.body.contains(&otp), "a passcode is never echoed");
        assert!(app.token(&new.credential).await.prescriber.is_none());

        let wrong = [("stepup_token", "any"), ("stepup_passcode", WRONG_CODE)];
        let page = add(&mut browser, &new, &otp, &wrong).await;
        assert!(page.field_error("stepup_passcode").unwrap().contains("not right"));
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
        page.says(200, "You were signed out because nothing happened for 15 minutes.");
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

    /// A launch works once, soon, unchanged, and here.
    async fn a_launch_is_single_use_timely_and_untampered(app: TestApp) {
        let good = app.launch("amoreno", |_| {});
        let open = |token: String| {
            let mut browser = app.browser();
            async move { browser.get(&format!("/launch?token={token}")).await }
        };
        let page = open(good.clone()).await;
        page.says(200, "Opening e-Prescribing");
        assert!(page.session().is_some());
        let cookie = page.header("set-cookie");
        for part in ["__Host-", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        let tampered = {
            let fresh = app.launch("jlee", |_| {});
            let parts: Vec<&str> = fresh.split('.').collect();
            let other = app.launch("amoreno", |_| {});
            let payload = other.split('.').nth(1).unwrap();
            format!("{}.{payload}.{}", parts[0], parts[2])
        };
        let refused = [
            ("used", good),
            ("tampered", tampered),
            ("another audience", app.launch("amoreno", |c| c.aud = "https://other.test".into())),
            ("old", app.launch("amoreno", |c| { c.iat -= 61; c.exp -= 1; })),
            ("expired", app.launch("amoreno", |c| { c.iat -= 60; c.exp -= 60; })),
            ("long", app.launch("amoreno", |c| c.exp += 3_600)),
            ("early", app.launch("amoreno", |c| { c.iat += 60; c.exp += 60; })),
            ("unknown user", app.launch("mallory", |_| {})),
            ("unknown EHR", app.launch("amoreno", |c| {
                c.iss = "0196f000-0000-7000-8000-000000000000".parse().unwrap();
            })),
            ("nothing", String::new()),
            ("rubbish", "a.b.c".to_owned()),
        ];
        for (why, token) in refused {
            let before = app.event_count().await;
            let page = open(token).await;
            assert_eq!(page.status, 403, "{why}");
            assert!(page.session().is_none_or(str::is_empty), "{why}");
            assert_eq!(app.event_count().await - before, 1, "{why}");
        }
    }

    /// A refused launch says what to do: back to the chart where that helps, and else whom to tell.
    async fn a_refused_launch_says_what_to_do(app: TestApp) {
        let mut browser = app.browser();
        let page = browser.get("/launch?token=a.b.c").await;
        page.says(403, "The EHR's link can't be used here");
        page.says(403, "choosing e-Prescribing again will not help");
        let unknown = app.launch("mallory", |_| {});
        browser.get(&format!("/launch?token={unknown}")).await.says(403, "You are not known here yet");
        let used = app.launch("amoreno", |_| {});
        assert_eq!(app.browser().get(&format!("/launch?token={used}")).await.status, 200);
        let page = browser.get(&format!("/launch?token={used}")).await;
        page.says(403, "This link has been used or has run out");
        page.says(403, "Go back to the patient's chart");
        let page = browser.get("/e-prescribing").await;
        page.says(403, "Open e-Prescribing from a patient's chart");
    }

    /// Who the EHR launched as a prescriber can sign in as nobody else.
    async fn a_launched_npi_is_not_replaced_by_the_form(mut app: TestApp) {
        let other = app.another_person().await;
        let mut browser = app.launched("amoreno").await;
        browser.pass(&other.npi.as_text(), PASSPHRASE).await.leads_to("/portal/login/passcode");
        let page = browser.get("/portal/login/passcode").await;
        page.says(200, "Dr. Ada Moreno");
        assert!(!page.words().contains("Okafor"));
        browser.passcode("any", &app.code()).await.leads_to("/portal/dashboard");
    }

    /// A launched nurse sees the patient, and no way into token management in the menu.
    async fn a_nurse_sees_the_app_and_no_token_management(app: TestApp) {
        let mut browser = app.launched("jlee").await;
        let page = browser.get("/e-prescribing").await;
        page.says(200, "Jamie Lee");
        page.says(200, "For prescribers only");
        browser.get("/portal/tokens").await.leads_to("/portal/login");
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
        page.says(422, "You have 5 active tokens, which is the limit");
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
        assert_eq!(app.token(&other.phone.credential).await.prescriber, Some(other.id));
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
        page.says(422, "This token is already on your list");
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
            (("credential_id", slipped.as_str()), "credential_id", "One digit is not right"),
            (("credential_id", ""), "credential_id", "Enter the credential ID"),
            (("credential_id", "QQQQ12345678"), "credential_id", "letters at the front"),
            (("manufacturer", "symantec"), "manufacturer", "belongs to a Countersign token"),
            (("manufacturer", "rsa"), "manufacturer", "Choose one from the list"),
            (("token_type", "otp_hard"), "token_type", "OTP SOFT TOKEN"),
            (("issuer", "somebody_else"), "issuer", "Choose one from the list"),
            (("name", ""), "name", "Give the token a name"),
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
        assert!(page.field_error("credential_id").unwrap().contains("No token with this ID"));
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
        let spent = app.token(&app.person.phone.credential).await.last_step.is_some();
        let asked = page.body.contains("stepup_passcode");
        assert_ne!(spent, asked, "spent and asked again, or neither: spent is {spent}");
    }

    /// A wrong code in a test pauses no token; a right one is used up.
    async fn a_test_of_a_token_does_not_count_against_it(app: TestApp) {
        let path = format!("/portal/tokens/{}/test", app.person.token);
        let mut browser = app.signed_in().await;
        for _ in 0..5 {
            let page = browser.post(&path, &[("passcode", WRONG_CODE)]).await;
            page.says(200, "did not count against the token");
        }
        assert_eq!(app.token(&app.person.phone.credential).await.failures.count, 0);
        assert_eq!(app.owner_failures().await.count, 0);
        let code = app.code();
        browser.post(&path, &[("passcode", &code)]).await.says(200, "This token works");
        browser.post(&path, &[("passcode", &code)]).await.says(200, "already used");
        let mut other = app.at_passcode().await;
        other.passcode("any", &code).await.says(422, "already used");
        for _ in 0..3 {
            browser.post(&path, &[("passcode", WRONG_CODE)]).await;
        }
        let page = browser.post(&path, &[("passcode", WRONG_CODE)]).await;
        page.says(200, "Too many tests");
        app.clock.advance(601);
        let page = browser.post(&path, &[("passcode", &app.code())]).await;
        page.says(200, "This token works");
    }

    /// While a token pauses, its test page counts down; a used code says when the next one comes.
    async fn a_test_of_a_paused_token_says_how_long(app: TestApp) {
        let path = format!("/portal/tokens/{}/test", app.person.token);
        let mut browser = app.signed_in().await;
        let mut login = app.at_passcode().await;
        for _ in 0..3 {
            login.passcode(&app.person.token.to_string(), WRONG_CODE).await;
        }
        app.clock.advance(5);
        let page = browser.post(&path, &[("passcode", &app.code())]).await;
        page.says(200, "First phone is locked until");
        assert_eq!(page.seconds(), Some(25));
        app.clock.advance(25);
        let code = app.code();
        browser.post(&path, &[("passcode", &code)]).await.says(200, "This token works");
        let page = browser.post(&path, &[("passcode", &code)]).await;
        page.says(200, "The next code comes in");
        assert_eq!(page.seconds(), Some(30));
    }

    /// A new name asks for a fresh passcode once the last is old, as every change of a token does.
    async fn a_rename_asks_for_a_fresh_passcode(app: TestApp) {
        let mut browser = app.signed_in().await;
        let path = format!("/portal/tokens/{}", app.person.token);
        let name = format!("{path}/name");
        app.clock.advance(299);
        let page = browser.get(&path).await;
        assert!(!page.body.contains("stepup_passcode"), "not yet");
        app.clock.advance(1);
        browser.get(&path).await.says(200, "Confirm it is you");

        let page = browser.post(&name, &[("name", "Kitchen fob")]).await;
        assert_eq!(page.status, 422);
        assert!(page.field_error("stepup_passcode").is_some() && page.field_error("name").is_none());
        assert!(page.body.contains("value=\"Kitchen fob\""), "the name is kept");
        let with = |code: &str| {
            let pairs = [("name", "Kitchen fob"), ("stepup_token", "any"), ("stepup_passcode", code)];
            pairs.map(|(key, value)| (key, value.to_owned()))
        };
        let wrong = with(WRONG_CODE);
        let wrong = wrong.each_ref().map(|(key, value)| (*key, value.as_str()));
        let page = browser.post(&name, &wrong).await;
        assert!(page.field_error("stepup_passcode").unwrap().contains("not right"));
        assert!(page.body.contains("value=\"Kitchen fob\""), "the name is kept");
        assert!(!page.body.contains(WRONG_CODE), "a passcode is never echoed");
        let token = app.token(&app.person.phone.credential).await;
        assert_eq!(token.name.as_str(), "First phone");

        let right = with(&app.code());
        let right = right.each_ref().map(|(key, value)| (*key, value.as_str()));
        browser.post(&name, &right).await.leads_to(&format!("{path}?done=renamed"));
        browser.get(&path).await.says(200, "Kitchen fob");
        // It renewed the session, and its code is spent.
        browser.post(&name, &[("name", "Desk")]).await.leads_to(&format!("{path}?done=renamed"));
        app.clock.advance(300);
        let page = browser.post(&name, &[("name", "Desk"), right[1], right[2]]).await;
        assert!(page.field_error("stepup_passcode").is_some(), "{}", page.words());
        // While its token is locked, the page counts down.
        let code = app.code();
        let id = app.person.token.to_string();
        let mut login = app.at_passcode().await;
        for _ in 0..3 {
            login.passcode(&id, WRONG_CODE).await;
        }
        let fields = [("name", "Desk"), ("stepup_token", id.as_str()), ("stepup_passcode", &code)];
        browser.post(&name, &fields).await.says(422, "is locked until");
    }

    /// A closed account is answered like one that never was; the record says why.
    /// Shows: R-1311.125-d4
    async fn a_closed_account_is_like_none(mut app: TestApp) {
        let other = app.another_person().await;
        let mut full = app.signed_in().await;
        let mut launched = app.launched("amoreno").await;
        let (old, _) = app.another_token(&app.person, "Old").await;
        let path = format!("/portal/tokens/{old}/disable");
        full.post(&path, &[("reason", "lost")]).await.leads_to("/portal/tokens?done=lost");
        let mut strangers = app.signed_in_as(&other).await;
        let api = app.api().await;
        let at = app.app.at().unwrap();
        let close = |npi| app.app.close_account(npi, at);
        let before = app.event_count().await;
        assert_eq!(close(npi(999)).await.unwrap(), Closing::Unknown);
        assert_eq!(close(app.person.npi).await.unwrap(), Closing::Done);
        assert_eq!(app.event_count().await - before, 3, "a refusal, the account, and its token");
        assert_eq!(close(app.person.npi).await.unwrap(), Closing::Before);

        full.get("/portal/tokens").await.leads_to("/portal/login?ended=1");
        launched.get("/e-prescribing").await.says(403, "Open e-Prescribing from");
        assert_eq!(strangers.get("/portal/tokens").await.status, 200);
        let launch = format!("/launch?token={}", app.launch("amoreno", |_| {}));
        app.browser().get(&launch).await.says(403, "Go back to the patient's chart");
        let credential = app.person.phone.credential.as_str();
        assert!(!api.check(credential, &app.code()).await.verified());
        let theirs = other.phone.code(app.now());
        assert!(api.check(other.phone.credential.as_str(), &theirs).await.verified());
        // What had ended before keeps its reason.
        let sql = "SELECT state_reason FROM token WHERE prescriber IS NOT NULL \
                   AND state <> 'active' ORDER BY state_reason";
        assert_eq!(app.database.texts(sql).await, ["account_closed", "lost"]);

        let closed = app.browser().pass(&app.person.npi.as_text(), PASSPHRASE).await;
        let unknown = app.browser().pass(&npi(998).as_text(), PASSPHRASE).await;
        closed.says(422, "That NPI and passphrase do not match");
        let same = |page: &countersign_testkit::Page, typed: &str| {
            page.without_support_code().replace(typed, "NPI")
        };
        let (mine, nobodys) = (app.person.npi.as_text(), npi(998).as_text());
        assert_eq!(same(&closed, &mine), same(&unknown, &nobodys));
        let code = closed.support_code().unwrap();
        let sql = format!("SELECT outcome, actor, reason FROM audit_event WHERE support = '{code}'");
        assert_eq!(app.database.texts(&sql).await, ["refused unknown account_closed"]);
        // The tries are counted as for anybody.
        for _ in 0..2 {
            app.browser().pass(&mine, PASSPHRASE).await;
        }
        let page = app.browser().pass(&mine, PASSPHRASE).await;
        page.says(422, "this account is locked until");
    }

    /// A name can be changed; what can't be shown is refused beside the field.
    async fn a_token_is_renamed(app: TestApp) {
        let path = format!("/portal/tokens/{}", app.person.token);
        let name = format!("{path}/name");
        let mut browser = app.signed_in().await;
        browser.post(&name, &[("name", "Kitchen fob")]).await.leads_to(&format!("{path}?done=renamed"));
        browser.get(&path).await.says(200, "Kitchen fob");
        let long = "x".repeat(41);
        for bad in ["", "   ", "a\u{202e}b", "a\u{0}b", long.as_str()] {
            let page = browser.post(&name, &[("name", bad)]).await;
            assert_eq!(page.status, 422);
            assert!(page.field_error("name").is_some(), "{bad:?}");
        }
        browser.get("/portal/tokens").await.says(200, "Kitchen fob");
    }

    /// Everything ever bound stays in the history, with who did what.
    /// Shows: N-17
    async fn history_shows_every_token_ever_bound(app: TestApp) {
        let mut browser = app.signed_in().await;
        let phone = app.provision().await;
        let page = add(&mut browser, &phone, &phone.code(app.now()), &[("name", "Old fob")]).await;
        page.leads_to("/portal/tokens?done=added");
        let id = app.token_id(&phone.credential).await;
        let path = format!("/portal/tokens/{id}/disable");
        browser.post(&path, &[("reason", "damaged")]).await.leads_to("/portal/tokens?done=disabled");
        let page = browser.get("/portal/tokens").await;
        assert!(!page.words().contains("Old fob"), "what ended is not in the table");
        let page = browser.get("/portal/history").await;
        page.says(200, "Old fob");
        page.says(200, "Damaged");
        page.says(200, "First phone");
        let page = browser.get(&format!("/portal/tokens/{id}")).await;
        page.says(200, "Added");
        page.says(200, "Disabled");
        page.says(200, "by You");
    }

    /// The portal without an EHR; a wrong check digit is said beside the field, what was typed kept.
    async fn the_portal_is_reached_directly(app: TestApp) {
        let mut browser = app.browser();
        browser.get("/").await.leads_to("/portal");
        browser.get("/portal").await.leads_to("/portal/login");
        let page = browser.pass("1234567890", "something or other").await;
        assert!(page.field_error("npi").unwrap().contains("digit"));
        assert!(page.body.contains("value=\"1234567890\""));
        assert!(!page.body.contains("something or other"), "a passphrase is never echoed");
        let npi = app.person.npi.as_text();
        browser.pass(&npi, "").await.says(422, "Enter your EPCS passphrase");
        let page = browser.sign_in(&npi, PASSPHRASE, "any", &app.code()).await;
        page.leads_to("/portal/dashboard");
        browser.get("/portal/login").await.leads_to("/portal/dashboard");
        browser.get("/portal/login/passcode").await.leads_to("/portal/dashboard");
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
                page.says(422, "do not match");
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
