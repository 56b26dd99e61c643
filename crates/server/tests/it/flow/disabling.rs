//! Tokens that are lost, disabled, and enabled again.

use countersign_testkit::{WRONG_CODE, both};

both! {
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
        page.says(422, "permanently disabled");
        // The last one goes by the form that said so.
        let second_id = second_id.to_string();
        let lost = [("token", second_id.as_str()), ("reason", "lost"), ("confirmation", "yes")];
        let page = browser.post("/portal/login/lost", &lost).await;
        // Its own page says what follows, and its one button means it.
        page.says(422, "It is your only token");
        assert_eq!(page.value("confirmation"), "DISABLE");
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
        page.says(200, "Enable a token");
        let enable = format!("/portal/tokens/{id}/enable");
        assert!(page.body.contains(&format!("href=\"{enable}\"")), "{}", page.body);
        browser.get(&enable).await.says(200, "Enable this token");
        // Nothing could confirm a new name, so none is asked for.
        let page = browser.get(&format!("/portal/tokens/{id}")).await;
        assert!(!page.body.contains("Save name"), "{}", page.words());

        let mut browser = app.at_passcode().await;
        browser.get("/portal/login/passcode").await.leads_to("/portal/no-token");
        browser.get("/portal/no-token").await.says(200, "Enable a token");
        browser.passcode(&id, &app.code()).await.says(422, "not active");
        let other = app.provision().await;
        let wrong = other.code(app.now());
        let page = browser
            .post("/portal/login/enable", &[("token", &id), ("passcode", &wrong)])
            .await;
        page.says(422, "Incorrect passcode.");
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
                page.says(422, "permanently disabled and can't be enabled again");
            }
        }
        let page = browser.get("/portal/history").await;
        for word in ["Lost", "Stolen", "Compromised", "Damaged", "Replaced"] {
            page.says(200, word);
        }
    }
}
