//! Tokens are tested and renamed, and their history shown.

use countersign_testkit::{WRONG_CODE, both};

use crate::add;

both! {
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
        let history = page.one("section[aria-labelledby=events]").text();
        assert!(history.contains("Added"), "{history}");
    }

    /// A wrong code in a test pauses no token; a right one is used up.
    async fn a_test_of_a_token_does_not_count_against_it(app: TestApp) {
        let path = format!("/portal/tokens/{}/test", app.person.token);
        let mut browser = app.signed_in().await;
        for _ in 0..5 {
            let page = browser.post(&path, &[("passcode", WRONG_CODE)]).await;
            page.says(200, "does not count toward locking the token");
        }
        assert_eq!(app.token(&app.person.phone.credential).await.failures().count, 0);
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
        page.says(200, "Next passcode in");
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
        browser.get(&path).await.says(200, "Confirm that it is you");

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
        assert!(page.field_error("stepup_passcode").unwrap().contains("Incorrect passcode"));
        assert!(page.body.contains("value=\"Kitchen fob\""), "the name is kept");
        assert!(!page.body.contains(WRONG_CODE), "a passcode is never echoed");
        let token = app.token(&app.person.phone.credential).await;
        assert_eq!(token.name().as_str(), "First phone");

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
}
