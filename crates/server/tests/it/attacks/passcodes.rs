//! Attacks on passcodes: used twice, guessed, confirmed by what a refusal says, forgotten by a restart.

use countersign_testkit::{PASSPHRASE, WRONG_CODE, both, npi};
use tokio::task::JoinSet;

use crate::add;

both! {
    /// One code from many connections at once, at two servers: accepted once.
    async fn same_code_in_parallel(app: TestApp) {
        let api = app.api().await;
        let mut other = api.clone();
        other.use_server(app.second_server().await);
        let (credential, code) = (app.person.phone.credential.to_string(), app.code());
        let mut tries = JoinSet::new();
        for number in 0..32 {
            let api = if number % 2 == 0 { api.clone() } else { other.clone() };
            let (credential, code) = (credential.clone(), code.clone());
            tries.spawn(async move { api.check(&credential, &code).await.verified() });
        }
        let accepted = tries.join_all().await.into_iter().filter(|accepted| *accepted).count();
        assert_eq!(accepted, 1);
    }

    /// The same, over the sign-in page and the API and the test of a token at once.
    async fn same_code_in_parallel_over_different_doors(app: TestApp) {
        let api = app.api().await;
        let (credential, code) = (app.person.phone.credential.to_string(), app.code());
        let id = app.person.token.to_string();
        let mut tries = JoinSet::new();
        for _ in 0..4 {
            let mut browser = app.at_passcode().await;
            let (id, code) = (id.clone(), code.clone());
            tries.spawn(async move { browser.passcode(&id, &code).await.status == 303 });
        }
        for _ in 0..4 {
            let mut browser = app.signed_in().await;
            let (path, code) = (format!("/portal/tokens/{id}/test"), code.clone());
            tries.spawn(async move {
                browser.post(&path, &[("passcode", &code)]).await.words().contains("token works")
            });
        }
        for _ in 0..4 {
            let (api, credential, code) = (api.clone(), credential.clone(), code.clone());
            tries.spawn(async move { api.check(&credential, &code).await.verified() });
        }
        let accepted = tries.join_all().await.into_iter().filter(|accepted| *accepted).count();
        assert_eq!(accepted, 1);
    }

    /// A right code is one code however it is written, and digits of other scripts are none.
    async fn same_code_with_spaces_or_other_digits(app: TestApp) {
        let api = app.api().await;
        let (credential, code) = (app.person.phone.credential.to_string(), app.code());
        let spaced = format!(" {} {}-{} ", &code[..2], &code[2..4], &code[4..]);
        assert!(api.check(&credential, &spaced).await.verified());
        for again in [code.clone(), spaced.clone(), format!("{code}  "), code.replace("", " ")] {
            assert!(!api.check(&credential, &again).await.verified(), "{again:?}");
        }
        app.clock.advance(60);
        let code = app.code();
        let count = app.token(&app.person.phone.credential).await.failures().count;
        let shifted = |zero: u32| -> String {
            code.bytes().map(|b| char::from_u32(zero + u32::from(b - b'0')).unwrap()).collect()
        };
        // Arabic-Indic, Devanagari, fullwidth, mathematical monospace; and signs around ASCII ones.
        let mut others: Vec<String> = [0x660, 0x966, 0xff10, 0x1d7f6].map(shifted).to_vec();
        others.extend([format!("+{code}"), format!("{code}\u{0}"), format!("{code}\n")]);
        others.extend([format!("{code}.0"), format!("0x{code}"), format!("\u{feff}{code}")]);
        for other in &others {
            let reply = api.check(&credential, other).await;
            reply.is_problem(422, "passcode_malformed");
        }
        // None of them cost a try or the step.
        assert_eq!(app.token(&app.person.phone.credential).await.failures().count, count);
        assert!(api.check(&credential, &code).await.verified());
    }

    /// An older passcode from the window is dead once a later one was used.
    async fn code_of_an_earlier_step_after_a_later_one(app: TestApp) {
        let api = app.api().await;
        let phone = &app.person.phone;
        let credential = phone.credential.to_string();
        let (before, now, after) =
            (phone.code_after(app.now(), -1), app.code(), phone.code_after(app.now(), 1));
        assert!(api.check(&credential, &after).await.verified());
        assert!(!api.check(&credential, &now).await.verified());
        assert!(!api.check(&credential, &before).await.verified());
        let mut browser = app.at_passcode().await;
        browser.passcode("any", &now).await.says(422, "already used");
    }

    /// Codes used once, or seen unused, can't be fed to a resync to sign in with them after all.
    async fn replay_through_resync(app: TestApp) {
        let phone = &app.person.phone;
        let id = app.person.token.to_string();
        let codes: Vec<String> = (-2..=2).map(|step| phone.code_after(app.now(), step)).collect();
        let mut browser = app.at_passcode().await;
        let resync = |one: usize, two: usize| {
            [("token", id.as_str()), ("passcode1", codes[one].as_str()), ("passcode2", codes[two].as_str())]
        };
        // The current one is used to sign in; pairs that hold it, or an older one, are refused.
        app.at_passcode().await.passcode(&id, &codes[2]).await.leads_to("/portal/dashboard");
        for (one, two) in [(0, 1), (1, 2), (2, 3)] {
            let page = browser.post("/portal/login/resync", &resync(one, two)).await;
            assert_eq!(page.status, 422, "{one} {two}: {}", page.words());
            app.at_passcode().await;
        }
        assert_eq!(app.token(&phone.credential).await.drift().current(), 0);
        // A pair that holds is used up by it, and by nothing before it.
        app.clock.advance(60);
        let (one, two) = (app.code(), phone.code_after(app.now(), 1));
        let pair = [("token", id.as_str()), ("passcode1", &one), ("passcode2", &two)];
        let mut browser = app.at_passcode().await;
        app.clock.advance(30);
        let page = browser.post("/portal/login/resync", &pair).await;
        page.leads_to("/portal/login/passcode?done=resynced");
        assert_eq!(browser.post("/portal/login/resync", &pair).await.status, 422, "twice");
        for code in [&one, &two] {
            browser.passcode(&id, code).await.says(422, "already used");
        }
    }

    /// A restart forgets neither a lock nor its count, nor a used code, nor a pause before it.
    async fn lock_state_lost_on_restart(mut app: TestApp) {
        let id = app.person.token.to_string();
        let mut browser = app.at_passcode().await;
        for _ in 0..2 {
            browser.passcode(&id, WRONG_CODE).await.says(422, "Incorrect passcode");
        }
        app.restart().await;
        assert_eq!(app.token(&app.person.phone.credential).await.failures().count, 2);
        browser.use_server(app.router());
        browser.passcode(&id, WRONG_CODE).await.says(422, "Incorrect passcode");
        app.restart().await;
        browser.use_server(app.router());
        let page = browser.passcode(&id, &app.code()).await;
        assert_eq!(page.seconds(), Some(30));
        for _ in 4..=6 {
            app.clock.advance(30);
            browser.passcode(&id, WRONG_CODE).await.says(422, "Incorrect passcode");
        }
        app.restart().await;
        browser.use_server(app.router());
        assert_eq!(browser.passcode(&id, &app.code()).await.seconds(), Some(900));
        // The same for the passphrase.
        let npi = app.person.npi.as_text();
        for _ in 0..3 {
            app.browser().pass(&npi, "not the right passphrase").await.says(422, "Incorrect NPI or passphrase");
        }
        app.restart().await;
        assert_eq!(app.browser().pass(&npi, PASSPHRASE).await.status, 422);
    }

    /// A code accepted before a restart is not accepted after it.
    async fn used_code_forgotten_on_restart(mut app: TestApp) {
        let code = app.code();
        app.at_passcode().await.passcode("any", &code).await.leads_to("/portal/dashboard");
        app.restart().await;
        app.at_passcode().await.passcode("any", &code).await.says(422, "already used");
        let credential = app.person.phone.credential.to_string();
        assert!(!app.api().await.check(&credential, &code).await.verified());
    }

    /// Every wrong code is on the token before its answer leaves, over every door.
    async fn attempt_count_not_saved(app: TestApp) {
        let credential = &app.person.phone.credential;
        let id = app.person.token.to_string();
        let api = app.api().await;
        let count = async || app.token(credential).await.failures().count;
        assert!(!api.check(credential.as_str(), WRONG_CODE).await.verified());
        assert_eq!(count().await, 1);
        app.at_passcode().await.passcode(&id, WRONG_CODE).await.says(422, "Incorrect passcode");
        assert_eq!(count().await, 2);
        let resync = [("token", id.as_str()), ("passcode1", "111111"), ("passcode2", "222222")];
        let page = app.at_passcode().await.post("/portal/login/resync", &resync).await;
        page.says(422, "not two consecutive passcodes");
        assert_eq!(count().await, 3);
        app.clock.advance(30);
        let mut browser = app.signed_in().await;
        app.clock.advance(301);
        let phone = app.provision().await;
        let more = [("stepup_token", id.as_str()), ("stepup_passcode", WRONG_CODE)];
        let page = add(&mut browser, &phone, &phone.code(app.now()), &more).await;
        assert!(page.field_error("stepup_passcode").is_some());
        assert_eq!(count().await, 4);
        assert_eq!(app.owner_failures().await.count, 4);
    }

    /// The new token's six digits can't be guessed at the form that adds it.
    async fn guessing_the_new_tokens_code(app: TestApp) {
        let phone = app.provision().await;
        let mut browser = app.signed_in().await;
        for _ in 0..3 {
            let page = add(&mut browser, &phone, WRONG_CODE, &[]).await;
            assert!(page.field_error("otp").unwrap().contains("Incorrect passcode"));
        }
        let page = add(&mut browser, &phone, &phone.code(app.now()), &[]).await;
        assert!(page.field_error("otp").unwrap().contains("locked"), "{}", page.words());
        assert_eq!(app.token(&phone.credential).await.failures().count, 3);
    }

    /// Wrong NPI, wrong passphrase and closed account: the same bytes, but for what was typed.
    async fn refusal_text_confirms_a_right_guess(mut app: TestApp) {
        let closed = app.another_person().await;
        app.database.execute("UPDATE prescriber SET closed = 1 WHERE name = 'Dr. Ben Okafor'").await;
        let cases = [
            ("wrong passphrase", app.person.npi, "not the right passphrase"),
            ("unknown NPI", npi(77), PASSPHRASE),
            ("closed account", closed.npi, PASSPHRASE),
            ("too short to be one", app.person.npi, "short"),
            ("with a character that none has", npi(78), "a\u{7}b and fourteen more"),
        ];
        let mut bodies = Vec::new();
        for (name, npi, passphrase) in cases {
            let page = app.browser().pass(&npi.as_text(), passphrase).await;
            assert_eq!((page.status, page.session()), (422, None), "{name}");
            let mut headers: Vec<_> = page.headers.keys().map(ToString::to_string).collect();
            headers.sort();
            bodies.push((headers, page.without_support_code().replace(&npi.as_text(), "NPI")));
        }
        for (index, body) in bodies.iter().enumerate() {
            assert_eq!(body, &bodies[0], "{}", cases[index].0);
        }
    }

    /// During a pause a right passphrase, or passcode, gets the answer of a wrong one.
    async fn a_right_guess_shows_during_a_pause(app: TestApp) {
        let npi = app.person.npi.as_text();
        for _ in 0..3 {
            app.browser().pass(&npi, "not the right passphrase").await;
        }
        let wrong = app.browser().pass(&npi, "not the right passphrase").await;
        let right = app.browser().pass(&npi, PASSPHRASE).await;
        assert_eq!((wrong.status, right.status), (422, 422));
        assert_eq!(wrong.without_support_code(), right.without_support_code());

        let id = app.person.token.to_string();
        let mut browser = app.at_passcode().await;
        for _ in 0..3 {
            browser.passcode(&id, WRONG_CODE).await;
        }
        let wrong = browser.passcode(&id, WRONG_CODE).await;
        let right = browser.passcode(&id, &app.code()).await;
        assert_eq!(wrong.without_support_code(), right.without_support_code());
        let api = app.api().await;
        let credential = app.person.phone.credential.to_string();
        let wrong = api.check(&credential, WRONG_CODE).await;
        let right = api.check(&credential, &app.code()).await;
        assert_eq!((wrong.status, &wrong.body), (right.status, &right.body));
        // And the right code was not used up by it: once the pause ends it still works.
        app.clock.advance(30);
        assert!(api.check(&credential, &app.person.phone.code_after(app.now(), -1)).await.verified());
    }

    /// A code stays remembered for as long as any window could take it: not by a timer, by its step.
    async fn memory_of_used_codes_shorter_than_the_window(app: TestApp) {
        let api = app.api().await;
        let credential = app.person.phone.credential.to_string();
        // The next step's code, used early, lives longest: 90 seconds with a learnt drift.
        let early = app.person.phone.code_after(app.now(), 1);
        assert!(api.check(&credential, &early).await.verified());
        for _ in 0..20 {
            app.clock.advance(5);
            app.app.purge().await.unwrap();
            assert!(!api.check(&credential, &early).await.verified(), "at {}", app.now().minute_text());
            // Failures would pause the token and hide what is asked here.
            app.database.execute("UPDATE token SET failures = 0, blocked_until = NULL").await;
            app.database.execute("UPDATE prescriber SET failures = 0, blocked_until = NULL").await;
        }
    }

    /// A wrong code is not remembered as used: when its time comes it is accepted.
    async fn a_wrong_code_is_stored_as_used(app: TestApp) {
        let api = app.api().await;
        let credential = app.person.phone.credential.to_string();
        let future = app.person.phone.code_after(app.now(), 4);
        assert!(!api.check(&credential, &future).await.verified());
        assert!(app.token(&app.person.phone.credential).await.last_step().is_none());
        app.clock.advance(120);
        assert!(api.check(&credential, &future).await.verified());
    }
}
