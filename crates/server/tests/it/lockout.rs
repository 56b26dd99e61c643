//! Who can keep whom out: wrong passcodes are counted by the day.

use countersign_testkit::{TestApp, WRONG_CODE, both};

both! {
    /// Somebody who knows the passphrase guesses between the owner's log-ins, each of which clears the count of
    /// wrong codes in a row: the tenth of the day pauses, the pauses grow, the owner is told, and a code no
    /// longer counts for any token.
    async fn guessing_between_the_owners_log_ins_pauses_and_is_told(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let (id, second) = app.another_token(&app.person, "Second phone").await;
        let mut guesser = app.at_passcode().await;
        for wrong in 1..=10 {
            guesser.passcode("any", WRONG_CODE).await.says(422, "not right");
            if wrong < 10 && wrong % 3 == 0 {
                app.at_passcode().await.passcode("any", &app.code()).await.leads_to("/portal/dashboard");
                app.clock.advance(30);
            }
        }
        assert_eq!(guesser.passcode("any", &app.code()).await.seconds(), Some(60));
        let told: Vec<_> = app.messages().await.into_iter().filter(|it| it.kind == "tries_failed").collect();
        assert_eq!(told.len(), 2, "e-mail and telephone");
        assert!(told.iter().all(|it| it.body.as_ref().unwrap().text.contains("10 in 24 hours")));
        // Everywhere: signing, a change of tokens, a test, the API.
        let mut session = app.signed_in().await;
        let test = format!("/portal/tokens/{id}/test");
        let page = session.post(&test, &[("passcode", &second.code(app.now()))]).await;
        assert_eq!(page.seconds(), Some(60), "{}", page.words());
        assert!(!app.api().await.check(second.credential.as_str(), &second.code(app.now())).await.verified());
        app.clock.advance(60);
        guesser.passcode("any", &app.code()).await.says(422, "choose the token");
        let id = app.person.token.to_string();
        for pause in [120, 240] {
            guesser.passcode(&id, WRONG_CODE).await.says(422, "not right");
            let page = app.at_passcode().await.passcode(&id, &app.code()).await;
            assert_eq!(page.seconds(), Some(pause), "{}", page.words());
            app.clock.advance(pause);
            app.at_passcode().await.passcode(&id, &app.code()).await.leads_to("/portal/dashboard");
        }
        app.app.watch().await.unwrap();
        let told = app.messages().await.into_iter().filter(|it| it.kind == "tries_failed").count();
        assert_eq!(told, 2, "once a day");
        app.clock.advance(86_400);
        app.at_passcode().await.passcode("any", &app.code()).await.leads_to("/portal/dashboard");
    }

    /// Wrong codes in tests of a token count for the day, and so do those that systems send; of the latter the
    /// owner is told too.
    async fn wrong_codes_of_systems_and_tests_count_for_the_day_and_are_told(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let api = app.api().await;
        let credential = app.person.phone.credential.to_string();
        let told = async || {
            app.app.watch().await.unwrap();
            app.messages().await.into_iter().filter(|it| it.kind == "tries_failed").count()
        };
        let test = format!("/portal/tokens/{}/test", app.person.token);
        let mut session = app.signed_in().await;
        for wrong in 1..=9 {
            if wrong % 2 == 0 {
                session.post(&test, &[("passcode", WRONG_CODE)]).await.says(200, "not right");
            } else {
                assert!(!api.check(&credential, WRONG_CODE).await.verified());
            }
            if wrong % 2 == 0 {
                assert!(api.check(&credential, &app.code()).await.verified());
                app.clock.advance(30);
            }
        }
        assert_eq!(told().await, 0);
        assert!(!api.check(&credential, WRONG_CODE).await.verified());
        let id = app.person.id;
        let failures = app.store.read("test_owner", move |tx| tx.person(id)).await;
        assert_eq!(failures.unwrap().unwrap().failures.in_a_day, 10);
        assert_eq!(told().await, 2);
        assert_eq!(told().await, 2, "once");
        assert!(!api.check(&credential, &app.code()).await.verified());
        app.clock.advance(60);
        assert!(api.check(&credential, &app.code()).await.verified());
    }
}
