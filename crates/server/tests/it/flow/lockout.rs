//! Locks after wrong passcodes.

use countersign_domain::{DisableReason, TokenState};
use countersign_testkit::{WRONG_CODE, both};

both! {
    /// Slowed, then locked with a countdown that tries don't extend; other tokens go on working.
    async fn a_lock_counts_down_and_leaves_other_tokens_alone(app: TestApp) {
        let (second_id, second) = app.another_token(&app.person, "Second phone").await;
        let id = app.person.token.to_string();
        let mut browser = app.at_passcode().await;
        for failure in 1..=6 {
            browser.passcode(&id, WRONG_CODE).await.says(422, "Incorrect passcode.");
            if (3..6).contains(&failure) {
                let page = browser.passcode(&id, &app.code()).await;
                page.says(422, "First phone is locked");
                assert_eq!(page.seconds(), Some(30), "a short pause");
                app.clock.advance(30);
            }
        }
        let page = browser.passcode(&id, &app.code()).await;
        page.says(422, "First phone is locked until");
        page.says(422, "Your other tokens still work");
        assert_eq!(page.seconds(), Some(900));
        app.clock.advance(100);
        for _ in 0..5 {
            let page = browser.passcode(&id, &app.code()).await;
            assert_eq!(page.seconds(), Some(800), "a try does not extend it");
        }
        assert_eq!(app.token(&app.person.phone.credential).await.failures().count, 6);
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
        assert_eq!(app.token(&app.person.phone.credential).await.failures().count, 0);
    }

    /// With every token locked, "any of my tokens" counts down to the first that opens again.
    async fn all_tokens_locked_says_when_the_first_can_be_tried(app: TestApp) {
        let (second_id, second) = app.another_token(&app.person, "Second phone").await;
        let mut browser = app.at_passcode().await;
        let first_id = app.person.token.to_string();
        let second_id = second_id.to_string();
        for id in [&first_id, &second_id] {
            for _ in 0..3 {
                browser.passcode(id, WRONG_CODE).await.says(422, "Incorrect passcode.");
            }
            app.clock.advance(10);
        }
        let page = browser.passcode("any", &second.code(app.now())).await;
        page.says(422, "All your tokens are locked. The first one unlocks at");
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
                page.says(422, "Incorrect passcode.");
                app.clock.advance(3_601);
            } else {
                page.says(422, "permanently disabled");
            }
        }
        let state = app.token(&app.person.phone.credential).await.state();
        assert_eq!(
            state,
            TokenState::Disabled { reason: DisableReason::TooManyFailures, since: app.now() }
        );
    }
}
