//! Passcodes at sign-in: any token, another token, clock drift, late codes, two codes in a row.

use countersign_testkit::{WRONG_CODE, both};

both! {
    /// Any of my tokens: whichever shows the code; one failure counts once, on no token.
    /// Shows: N-11
    async fn any_of_my_tokens_counts_a_failure_once(app: TestApp) {
        let (_, second) = app.another_token(&app.person, "Second phone").await;
        let mut browser = app.at_passcode().await;
        browser.passcode("any", WRONG_CODE).await.says(422, "Incorrect passcode.");
        assert_eq!(app.owner_failures().await.count, 1);
        for credential in [&app.person.phone.credential, &second.credential] {
            assert_eq!(app.token(credential).await.failures().count, 0);
        }
        browser.passcode("any", &second.code(app.now())).await.leads_to("/portal/dashboard");
        assert_eq!(app.owner_failures().await.count, 0);
        assert!(app.token(&second.credential).await.last_step().is_some());
        assert!(app.token(&app.person.phone.credential).await.last_step().is_none());
    }

    /// A code of the other token is named, and is consumed there.
    async fn a_code_of_another_token_is_named_and_consumed(app: TestApp) {
        let (second_id, second) = app.another_token(&app.person, "Second phone").await;
        let mut browser = app.at_passcode().await;
        let code = second.code(app.now());
        let page = browser.passcode(&app.person.token.to_string(), &code).await;
        page.says(422, "This passcode is from your token \u{201c}Second phone\u{201d}");
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
            assert_eq!(app.token(&phone.credential).await.drift().current(), steps);
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
        page.says(422, "Incorrect passcode.");
    }

    /// A code that came too late is told apart from a wrong one, with its age.
    async fn a_late_code_is_named(app: TestApp) {
        let mut browser = app.at_passcode().await;
        let late = app.person.phone.code_after(app.now(), -10);
        let page = browser.passcode(&app.person.token.to_string(), &late).await;
        page.says(422, "This passcode expired 5 minutes ago");
    }

    /// Two codes in a row bring a token back, and are worth nothing as a login.
    /// Shows: N-09
    async fn two_codes_resynchronise(app: TestApp) {
        let mut phone = app.person.phone.clone();
        phone.ahead = 30 * 50;
        let id = app.person.token.to_string();
        let mut browser = app.at_passcode().await;
        let (first, second) = (phone.code(app.now()), phone.code_after(app.now(), 1));
        browser.passcode(&id, &first).await.says(422, "Incorrect passcode.");
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
        page.says(422, "not two consecutive passcodes");
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
}
