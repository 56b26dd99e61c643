//! Attacks that have worked on systems like this one, a test each, named after the attack.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use axum::body::Body;
use countersign_app::{App, Clock, Error, SignInForm};
use countersign_crypto::SecretText;
use countersign_domain::{Passphrase, PassphraseHash, Refusal, Timestamp};
use countersign_server::{Limits, Listening, listen};
use countersign_testkit::{
    Api, Backend, FrozenClock, KeepAlive, PASSPHRASE, SeededRng, TestApp, WRONG_CODE, both, npi,
    seeded_rng,
};
use http::{Method, Request};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinSet,
};

use crate::add;

/// A clock that counts how often it is read, and holds whoever reads it for a given time until the test goes on.
struct HoldingClock {
    time: Arc<FrozenClock>,
    reads: AtomicUsize,
    hold: Mutex<Option<Hold>>,
}

/// Which reading is held, and how the test hears of it and ends it.
struct Hold {
    reading: usize,
    reached: oneshot::Sender<()>,
    go_on: mpsc::Receiver<()>,
}

impl Clock for HoldingClock {
    fn now(&self) -> Timestamp {
        let reading = self.reads.fetch_add(1, Ordering::SeqCst) + 1;
        let held = self.hold.lock().unwrap().take_if(|hold| hold.reading == reading);
        if let Some(hold) = held {
            let _: Result<(), ()> = hold.reached.send(());
            let _: Result<(), mpsc::RecvError> = hold.go_on.recv();
        }
        self.time.now()
    }
}

both! {
    /// A passphrase that is right when it is compared, and changed before the log-in is written, opens nothing any
    /// more; nor does that of an account that is closed meanwhile.
    async fn old_passphrase_while_it_is_changed(app: TestApp) {
        const NEW: &str = "copper meadow violin granite";
        let clock = Arc::new(HoldingClock {
            time: Arc::clone(&app.clock),
            reads: AtomicUsize::new(0),
            hold: Mutex::new(None),
        });
        let of_server: Arc<dyn Clock> = clock.clone();
        let options = app.app.options().clone();
        let iterations = options.iterations;
        let server = Arc::new(App::new(app.store.clone(), of_server, seeded_rng, options));
        let (at, name, person) = (app.app.at().unwrap(), app.person.npi, app.person.id);
        let log_in = async |passphrase: &str| {
            let passphrase = SecretText::new(passphrase.to_owned());
            let form = SignInForm { name: name.into(), passphrase };
            server.sign_in(form, None, at).await.map(drop)
        };
        // The last time that a log-in reads the clock is after the passphrase was compared.
        log_in(PASSPHRASE).await.unwrap();
        let reads = clock.reads.load(Ordering::SeqCst);
        let sessions = async || app.database.texts("SELECT CAST(COUNT(*) AS TEXT) FROM session").await;
        let new = Passphrase::parse(&SecretText::new(NEW.to_owned())).unwrap();
        let new = PassphraseHash::create(&new, iterations, &mut SeededRng).unwrap();
        for (typed, closes, reason) in [(PASSPHRASE, false, "sign_in_refused"), (NEW, true, "account_closed")] {
            let open = sessions().await;
            let (say_reached, reached) = oneshot::channel();
            let (go_on, wait) = mpsc::channel();
            let reading = clock.reads.load(Ordering::SeqCst) + reads;
            *clock.hold.lock().unwrap() = Some(Hold { reading, reached: say_reached, go_on: wait });
            let hash = new.clone();
            let meanwhile = async {
                reached.await.unwrap();
                let change = app.store.write("test_meanwhile", move |tx| {
                    if closes { tx.close_account(person) } else { tx.save_passphrase(person, &hash) }
                });
                change.await.unwrap();
                go_on.send(()).unwrap();
            };
            let (answer, ()) = tokio::join!(log_in(typed), meanwhile);
            assert!(matches!(answer, Err(Error::Refused(Refusal::SignIn))), "{reason}: {answer:?}");
            let said = app.events().await;
            assert!(said.contains(&format!("passphrase_tried refused {reason}")), "{said:?}");
            assert_eq!(sessions().await, open, "{reason}: no session was begun");
            if !closes {
                log_in(NEW).await.unwrap();
                assert_ne!(sessions().await, open);
            }
        }
    }

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
        let count = app.token(&app.person.phone.credential).await.failures.count;
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
        assert_eq!(app.token(&app.person.phone.credential).await.failures.count, count);
        assert!(api.check(&credential, &code).await.verified());
    }

    /// An older code of the window is dead once a later one was used.
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
        assert_eq!(app.token(&phone.credential).await.drift.current(), 0);
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
            browser.passcode(&id, WRONG_CODE).await.says(422, "not right");
        }
        app.restart().await;
        assert_eq!(app.token(&app.person.phone.credential).await.failures.count, 2);
        browser.use_server(app.router());
        browser.passcode(&id, WRONG_CODE).await.says(422, "not right");
        app.restart().await;
        browser.use_server(app.router());
        let page = browser.passcode(&id, &app.code()).await;
        assert_eq!(page.seconds(), Some(30));
        for _ in 4..=6 {
            app.clock.advance(30);
            browser.passcode(&id, WRONG_CODE).await.says(422, "not right");
        }
        app.restart().await;
        browser.use_server(app.router());
        assert_eq!(browser.passcode(&id, &app.code()).await.seconds(), Some(900));
        // The same for the passphrase.
        let npi = app.person.npi.as_text();
        for _ in 0..3 {
            app.browser().pass(&npi, "not the right passphrase").await.says(422, "do not match");
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
        let count = async || app.token(credential).await.failures.count;
        assert!(!api.check(credential.as_str(), WRONG_CODE).await.verified());
        assert_eq!(count().await, 1);
        app.at_passcode().await.passcode(&id, WRONG_CODE).await.says(422, "not right");
        assert_eq!(count().await, 2);
        let resync = [("token", id.as_str()), ("passcode1", "111111"), ("passcode2", "222222")];
        let page = app.at_passcode().await.post("/portal/login/resync", &resync).await;
        page.says(422, "not two codes in a row");
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
            assert!(page.field_error("otp").unwrap().contains("not right"));
        }
        let page = add(&mut browser, &phone, &phone.code(app.now()), &[]).await;
        assert!(page.field_error("otp").unwrap().contains("paused"), "{}", page.words());
        assert_eq!(app.token(&phone.credential).await.failures.count, 3);
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

    /// Many passphrases at once are counted one by one: the burst is cut off where a row would be.
    async fn passphrases_tried_in_parallel(app: TestApp) {
        for npi in [app.person.npi, npi(88)] {
            let mut tries = JoinSet::new();
            for _ in 0..12 {
                let (mut browser, npi) = (app.browser(), npi.as_text());
                tries.spawn(async move { browser.pass(&npi, "not the right passphrase").await });
            }
            let pages = tries.join_all().await;
            let judged = pages.iter().filter(|page| page.words().contains("do not match")).count();
            assert_eq!(judged, 3, "as many as one after the other");
        }
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
            assert!(!api.check(&credential, &early).await.verified(), "at {}", app.now().clock_text());
            // Failures would pause the token and hide what is asked here.
            app.database.execute("UPDATE token SET failures = 0, blocked_until = NULL").await;
            app.database.execute("UPDATE prescriber SET failures = 0, blocked_until = NULL").await;
        }
    }

    /// Nothing that a client sends is long enough, or odd enough, to keep its own event from being
    /// written.
    async fn a_long_field_suppresses_the_audit_record(app: TestApp) {
        let long = "9".repeat(14_000);
        let header = "z".repeat(60_000);
        for text in [long.as_str(), "\u{0}\u{0}", "'; DROP TABLE audit_event; --", "\u{1f9ff}\u{202e}"] {
            let before = app.event_count().await;
            let fields = [("npi", app.person.npi.as_text()), ("passphrase", text.to_owned())];
            let fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (*a, b.as_str())).collect();
            let mut browser = app.browser();
            let body = fields
                .iter()
                .map(|(name, value)| {
                    let value: String = value.bytes().map(|b| format!("%{b:02x}")).collect();
                    format!("{name}={value}")
                })
                .collect::<Vec<_>>()
                .join("&");
            let body = if body.len() > 15_000 {
                format!("npi={}&passphrase={text}", app.person.npi.as_text())
            } else {
                body
            };
            let request = browser
                .request(&Method::POST, "/portal/login")
                .header("user-agent", &header)
                .header("x-forwarded-for", &header)
                .body(Body::from(body))
                .unwrap();
            let page = browser.send(request).await;
            page.says(422, "do not match");
            assert_eq!(app.event_count().await - before, 1, "{text:.20}");
            app.database.execute("DELETE FROM sign_in_pause").await;
        }
        // The longest name that a token may have, in the widest characters.
        let name = "\u{1f511}".repeat(40);
        let mut browser = app.signed_in().await;
        let before = app.event_count().await;
        let path = format!("/portal/tokens/{}/name", app.person.token);
        assert_eq!(browser.post(&path, &[("name", &name)]).await.status, 303);
        assert_eq!(app.event_count().await - before, 1);
        // A check with a long ID is answered, and on record, like any unknown one.
        let api = app.api().await;
        let before = app.event_count().await;
        assert!(!api.check(&"C".repeat(3_000), WRONG_CODE).await.verified());
        assert_eq!(app.event_count().await - before, 1);
    }

    /// A wrong code is not remembered as used: when its time comes it is accepted.
    async fn a_wrong_code_is_stored_as_used(app: TestApp) {
        let api = app.api().await;
        let credential = app.person.phone.credential.to_string();
        let future = app.person.phone.code_after(app.now(), 4);
        assert!(!api.check(&credential, &future).await.verified());
        assert!(app.token(&app.person.phone.credential).await.last_step.is_none());
        app.clock.advance(120);
        assert!(api.check(&credential, &future).await.verified());
    }

    /// Countdowns come from the server's clock and the rows, not from when the page was opened.
    async fn a_countdown_that_starts_when_the_page_is_opened(app: TestApp) {
        let id = app.person.token.to_string();
        let mut browser = app.at_passcode().await;
        app.clock.advance(13);
        let code = app.code();
        app.at_passcode().await.passcode(&id, &code).await.leads_to("/portal/dashboard");
        assert_eq!(browser.passcode(&id, &code).await.seconds(), Some(17));
        app.clock.advance(10);
        assert_eq!(browser.passcode(&id, &code).await.seconds(), Some(7));
        browser.passcode(&id, WRONG_CODE).await;
        app.clock.advance(12);
        assert_eq!(browser.passcode(&id, WRONG_CODE).await.seconds(), Some(18), "of the pause");
    }

    /// A new token can't vouch for itself, under its own name or as any of my tokens.
    async fn the_requester_approves_the_own_request(app: TestApp) {
        let mut browser = app.signed_in().await;
        app.clock.advance(301);
        let phone = app.provision().await;
        let id = app.token_id(&phone.credential).await.to_string();
        let code = phone.code(app.now());
        let page =
            add(&mut browser, &phone, &code, &[("stepup_token", &id), ("stepup_passcode", &code)]).await;
        assert!(page.field_error("stepup_passcode").unwrap().contains("not with the new one"));
        let page =
            add(&mut browser, &phone, &code, &[("stepup_token", "any"), ("stepup_passcode", &code)]).await;
        assert_eq!(page.status, 422);
        let token = app.token(&phone.credential).await;
        assert!(token.prescriber.is_none() && token.last_step.is_none());
        // Nor can it prove the second factor of a sign-in before it is added.
        let page = app.at_passcode().await.passcode(&id, &code).await;
        page.says(422, "not active");
    }

    /// A passphrase alone adds nothing, and one passcode vouches for one session only.
    async fn adding_a_token_with_the_passphrase_alone(app: TestApp) {
        let phone = app.provision().await;
        let mut browser = app.at_passcode().await;
        let page = add(&mut browser, &phone, &phone.code(app.now()), &[]).await;
        page.leads_to("/portal/login/passcode");
        assert!(app.token(&phone.credential).await.prescriber.is_none());
    }

    /// Tokens, sessions and launches are there after a restart as they were before.
    async fn the_second_factor_is_gone_after_a_restart(mut app: TestApp) {
        let mut browser = app.signed_in().await;
        let phone = app.provision().await;
        let page = add(&mut browser, &phone, &phone.code(app.now()), &[]).await;
        page.leads_to("/portal/tokens?done=added");
        let launch = app.launch("amoreno", |_| {});
        app.browser().get(&format!("/launch?token={launch}")).await.says(200, "e-Prescribing");
        app.restart().await;
        browser.use_server(app.router());
        browser.get("/portal/tokens").await.says(200, "2 of 5 active");
        let mut fresh = app.browser();
        fresh.pass(&app.person.npi.as_text(), PASSPHRASE).await.leads_to("/portal/login/passcode");
        // Not past the second factor just because nobody remembers it.
        fresh.get("/portal/tokens").await.leads_to("/portal/login/passcode");
        app.clock.advance(30);
        fresh.passcode("any", &phone.code(app.now())).await.leads_to("/portal/dashboard");
        let page = app.browser().get(&format!("/launch?token={launch}")).await;
        assert_eq!(page.status, 403, "a launch is used once, whatever happened between");
    }

    /// A session that somebody planted in the browser is worth nothing once its owner signs in.
    async fn session_fixation(app: TestApp) {
        let mut planted = app.launched("amoreno").await;
        let secret = planted.session().unwrap().to_owned();
        let mut victim = app.browser();
        victim.set_session(&secret);
        victim.pass("", PASSPHRASE).await.leads_to("/portal/login/passcode");
        victim.passcode("any", &app.code()).await.leads_to("/portal/dashboard");
        planted.get("/portal/tokens").await.leads_to("/portal/login?ended=1");
        // A secret of the attacker's own making never becomes a session.
        let chosen = "A".repeat(43);
        let mut victim = app.browser();
        victim.set_session(&chosen);
        let page = victim.pass(&app.person.npi.as_text(), PASSPHRASE).await;
        assert_ne!(page.session().unwrap(), chosen);
        for odd in ["", "x", &"A".repeat(5_000), "A; Path=/", "%00"] {
            let mut browser = app.browser();
            browser.set_session(odd);
            assert_eq!(browser.get("/portal/tokens").await.status, 303, "{odd:.20}");
        }
    }

    /// No address that a client gives leads a browser elsewhere.
    async fn open_redirect(app: TestApp) {
        let evil = "https://evil.test/";
        let mut browser = app.browser();
        for path in [
            "/portal/login?next=https://evil.test/",
            "/portal?return=//evil.test",
            "//evil.test/",
            "/portal/login/passcode?to=https://evil.test/",
            "/launch?token=x&redirect=https://evil.test/",
            "/portal/tokens//evil.test/",
        ] {
            let page = browser.get(path).await;
            assert!(!page.location().contains("evil") && !page.body.contains("url=https://evil"));
        }
        let request = Request::get("/").header("host", "evil.test").body(Body::empty()).unwrap();
        let page = browser.send(request).await;
        assert_eq!((page.status, page.location()), (421, ""));
        assert!(!page.body.contains("evil"), "{}", page.body);
        let fields = [("npi", app.person.npi.as_text()), ("passphrase", PASSPHRASE.to_owned())];
        let fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (*a, b.as_str())).collect();
        let mut more = fields.clone();
        more.extend([("next", evil), ("return_to", evil)]);
        browser.post("/portal/login", &more).await.leads_to("/portal/login/passcode");
    }

    /// What a person or an EHR typed is shown as text, wherever it is shown.
    async fn html_injection(app: TestApp) {
        let name = "<script>x</script>\"'&";
        let mut browser = app.signed_in().await;
        let path = format!("/portal/tokens/{}", app.person.token);
        let page = browser.post(&format!("{path}/name"), &[("name", name)]).await;
        assert_eq!(page.status, 303);
        let no_markup = |page: &countersign_testkit::Page| {
            for bad in ["<script>x", "\"'&\"", "<img ", "onerror=\"", "javascript:"] {
                let found = page.body.match_indices(bad).count();
                let own = if bad == "<img " { page.body.matches("<img src=\"/static/").count() } else { 0 };
                assert_eq!(found, own, "{bad} in {}", page.body);
            }
        };
        let pages = [
            "/portal/tokens".to_owned(),
            "/portal/tokens/new".to_owned(),
            "/portal/dashboard".to_owned(),
            "/portal/history".to_owned(),
            path.clone(),
            format!("{path}/disable"),
            format!("{path}/test"),
            format!("{path}/resync"),
            "/portal/tokens?done=<script>x</script>".replace('<', "%3C").replace('>', "%3E"),
            "/signed-out?expired=%3Cscript%3Ex".to_owned(),
            "/portal/login?ended=%3Cscript%3Ex".to_owned(),
            "/nowhere/%3Cscript%3Ex%3C/script%3E".to_owned(),
        ];
        for path in &pages {
            no_markup(&browser.get(path).await);
        }
        browser.get("/portal/tokens").await.says(200, name);
        // Typed values that come back with an error.
        let phone = app.provision().await;
        let typed = [("name", name), ("credential_id", "\"><img src=x onerror=\"y"), ("manufacturer", name)];
        no_markup(&add(&mut browser, &phone, WRONG_CODE, &typed).await);
        no_markup(&app.browser().pass("\"><script>x", name).await);
        let page = browser
            .post(&format!("{path}/disable"), &[("reason", name), ("confirmation", "\"><script>x")])
            .await;
        no_markup(&page);
        // A name that the EHR sends.
        let token = app.launch("amoreno", |claims| {
            "<img src=x onerror=\"x\">\"'&".clone_into(&mut claims.patient.name);
            "<script>x</script>".clone_into(&mut claims.patient.mrn);
        });
        let mut browser = app.browser();
        browser.get(&format!("/launch?token={token}")).await;
        let page = browser.get("/e-prescribing").await;
        page.says(200, "<img src=x onerror=\"x\">\"'&");
        no_markup(&page);
    }

    /// Bodies that are too large, too many, or no text: a 4xx, and the server goes on.
    async fn oversize_and_malformed_bodies(app: TestApp) {
        let mut browser = app.signed_in().await;
        let name = format!("/portal/tokens/{}/name", app.person.token);
        let paths = ["/portal/login", "/portal/tokens", "/sign-out", &name];
        for path in &paths[..2] {
            let page = browser.post_raw(path, vec![b'a'; 17 * 1024]).await;
            page.says(413, "too much to send");
            page.says(413, "Support code");
        }
        // 10,000 fields: those of a short name fit no body, those of none at all do.
        let bomb = "a=1&".repeat(10_000).into_bytes();
        assert_eq!(browser.post_raw("/portal/login", bomb).await.status, 413);
        let bomb = "&".repeat(10_000).into_bytes();
        assert_eq!(browser.post_raw("/portal/login", bomb).await.status, 422);
        let bomb = "a=&".repeat(5_000).into_bytes();
        assert_eq!(browser.post_raw("/portal/login", bomb).await.status, 422);
        let bodies: [&[u8]; 6] =
            [b"name=%ff%fe", b"name=\xff\xfe", b"name=%00", b"name=a%00b", b"%", b"name=%zz"];
        for body in bodies {
            let page = browser.post_raw(&name, body.to_vec()).await;
            assert!(
                matches!(page.status, 400 | 422 | 303),
                "{body:?} gave {}: {}",
                page.status,
                page.words()
            );
        }
        let token = app.token(&app.person.phone.credential).await;
        assert!(!token.name.as_str().contains('\0'));
        // Another content type is no form.
        for kind in ["application/json", "multipart/form-data", "text/plain", ""] {
            let mut request = browser.request(&Method::POST, &name).body(Body::from("{}")).unwrap();
            request.headers_mut().insert("content-type", kind.parse().unwrap());
            assert_eq!(browser.send(request).await.status, 415, "{kind}");
        }
        for path in ["/portal/tokens/%ff", "/portal/tokens/%00", "/portal/tokens/..%2f..", "/static/%2e%2e%2fx"] {
            let page = browser.get(path).await;
            assert!(matches!(page.status, 400 | 404), "{path} gave {}", page.status);
        }
        let long = format!("/portal/tokens?done={}", "x".repeat(20_000));
        assert_eq!(browser.get(&long).await.status, 200);

        let api = app.api().await;
        let path = "/api/v1/passcode-checks";
        let json = "application/json";
        let reply = api.send(Method::POST, path, json, vec![b' '; 5 * 1024]).await;
        reply.is_problem(413, "body_malformed");
        let deep = "[".repeat(2_000);
        let bodies: [&[u8]; 7] = [
            b"", b"{", b"null", b"[]", deep.as_bytes(), b"{\"credential_id\":1}", b"\xff\xfe",
        ];
        for body in bodies {
            let reply = api.send(Method::POST, path, json, body.to_vec()).await;
            assert!(matches!(reply.status, 400 | 422), "{}", reply.status);
            reply.is_problem(reply.status, "body_malformed");
        }
        let extra = serde_json::json!({
            "credential_id": "x", "passcode": "123456", "purpose": "sign", "admin": true,
        });
        api.post(path, &extra).await.is_problem(422, "body_malformed");
        let reply = api.send(Method::POST, path, "text/plain", b"{}".to_vec()).await;
        reply.is_problem(415, "body_malformed");
    }

    /// Cookies of somebody who sends many, or sends ours twice.
    async fn header_floods_in_process(app: TestApp) {
        let mut browser = app.signed_in().await;
        let secret = browser.session().unwrap().to_owned();
        let flood: String = (0..2_000).map(|n| format!("c{n}=v; ")).collect();
        let request = Request::get("/portal/tokens")
            .header("cookie", format!("{flood}__Host-countersign={secret}"))
            .body(Body::empty())
            .unwrap();
        assert_eq!(browser.send(request).await.status, 200);
        let request = Request::get("/portal/tokens")
            .header("cookie", format!("countersign={secret}; __Host-Countersign={secret}"))
            .body(Body::empty())
            .unwrap();
        assert_eq!(browser.send(request).await.status, 303, "another name is another cookie");
    }

    /// A form that another site sends is refused, whatever cookie the browser adds.
    async fn cross_site_forms(app: TestApp) {
        let mut browser = app.signed_in().await;
        let path = format!("/portal/tokens/{}/disable", app.person.token);
        let form = "reason=lost&confirmation=DISABLE";
        let cases: [&[(&str, &str)]; 11] = [
            &[],
            &[("origin", "https://evil.test")],
            &[("origin", "null")],
            &[("origin", "")],
            &[("origin", "http://erx.test")],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://erx.test"), ("sec-fetch-site", "cross-site")],
            &[("origin", "https://erx.test.evil.test")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.test")],
        ];
        for headers in cases {
            let mut request = Request::post(&path)
                .header("cookie", format!("__Host-countersign={}", browser.session().unwrap()))
                .header("host", "erx.test")
                .header("content-type", "application/x-www-form-urlencoded");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let page = browser.send(request.body(Body::from(form)).unwrap()).await;
            assert_eq!(page.status, 403, "{headers:?}");
        }
        assert!(app.token(&app.person.phone.credential).await.is_active());
    }

    /// Forms from elsewhere leave records, each with the code of its page; a storm of them fills
    /// no disk, and is counted all the same.
    async fn a_storm_of_refused_forms(app: TestApp) {
        let mut browser = app.browser();
        let elsewhere = |from: u8| {
            let mut request = Request::post("/portal/login")
                .header("origin", "https://evil.test")
                .header("host", "erx.test")
                .body(Body::from("a=b"))
                .unwrap();
            let there = IpAddr::V4(Ipv4Addr::new(192, 0, 2, from));
            request.extensions_mut().insert(axum::extract::ConnectInfo(there));
            request
        };
        let unmarked = Request::post("/portal/login").body(Body::from("a=b")).unwrap();
        browser.send(unmarked).await.says(403, "not open to you");
        let page = browser.send(elsewhere(0)).await;
        let code = page.support_code().unwrap().to_owned();
        let sql = format!("SELECT kind, outcome, reason FROM audit_event WHERE support = '{code}'");
        let records = app.database.texts(&sql).await;
        assert_eq!(records, ["request_refused refused form_of_other_origin"]);

        for from in 0..70 {
            for _ in 0..8 {
                assert_eq!(browser.send(elsewhere(from)).await.status, 403);
            }
        }
        let count = "SELECT CAST(COUNT(*) AS TEXT) FROM audit_event WHERE kind = 'request_refused'";
        assert_eq!(app.database.texts(count).await, ["60"]);
        app.clock.advance(60);
        browser.send(elsewhere(1)).await;
        // Of 562 there are 60 on record; the others are told by the records after them.
        let all = "SELECT detail FROM audit_event WHERE detail LIKE '%without a record'";
        let sum: i64 = app
            .database
            .texts(all)
            .await
            .iter()
            .map(|text| text.split(' ').next().unwrap().parse::<i64>().unwrap())
            .sum();
        assert_eq!(sum, 562 - 60);
        // No address is kept.
        let texts = "SELECT reason, detail FROM audit_event WHERE kind = 'request_refused'";
        assert!(app.database.texts(texts).await.iter().all(|text| !text.contains("192.0.2")));
    }

    /// After a loss is reported nobody stays signed in elsewhere.
    async fn a_thief_keeps_the_session_after_the_loss_is_reported(app: TestApp) {
        let (second, _) = app.another_token(&app.person, "Second phone").await;
        let mut thief = app.signed_in().await;
        assert_eq!(thief.get("/portal/tokens").await.status, 200);
        let mut owner = app.at_passcode().await;
        let id = second.to_string();
        let page = owner.post("/portal/login/lost", &[("token", &id), ("reason", "stolen")]).await;
        page.leads_to("/portal/login/passcode?done=lost");
        thief.get("/portal/tokens").await.leads_to("/portal/login?ended=1");
        assert_eq!(owner.get("/portal/login/passcode").await.status, 200);
    }

    /// Two changes at once don't undo each other: an emergency stop stands.
    async fn an_emergency_stop_is_overwritten_by_a_change_under_way(app: TestApp) {
        for round in 0..20 {
            let (id, phone) = app.another_token(&app.person, "Race").await;
            let path = format!("/portal/tokens/{id}/name");
            let mut tasks = JoinSet::new();
            for number in 0..6 {
                let (mut browser, path) = (app.signed_in().await, path.clone());
                let name = format!("Name {number}");
                tasks.spawn(async move { drop(browser.post(&path, &[("name", &name)]).await) });
            }
            let (server, credential) = (Arc::clone(&app.app), phone.credential.clone());
            tasks.spawn(async move {
                let at = server.at().unwrap();
                assert!(server.emergency_disable(credential, at).await.unwrap());
            });
            tasks.join_all().await;
            assert!(!app.token(&phone.credential).await.is_active(), "round {round}");
        }
    }
}

/// Over a real socket: heads that are too long, too many, or never end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn header_floods_on_the_wire() {
    let app = TestApp::on(Backend::Sqlite).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(listen(Listening::Tcp(listener), app.router(), stopped));
    tokio::task::spawn_blocking(move || {
        let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
        let long = format!("X-Long: {}\r\n", "y".repeat(1_000_000));
        let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "y".repeat(100_000));
        let heads = [
            format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
            format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{long}\r\n"),
            target,
            "GET /healthz HTTP/9.9\r\n\r\n".to_owned(),
            "\u{0}\u{1}\u{2}\r\n\r\n".to_owned(),
            "POST /portal/login HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n".to_owned(),
            "POST /portal/login HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"
                .to_owned(),
            "POST /portal/login HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\
             Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                .to_owned(),
            "GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n".to_owned(),
        ];
        for head in heads {
            let mut wire = KeepAlive::open(address).unwrap();
            // The server may close before all is written; that is an answer too.
            let _ = wire.write(head.as_bytes());
            if let Some(reply) = wire.read() {
                assert!((400..500).contains(&reply.status), "{:.60}: {}", head, reply.status);
            }
        }
        let mut wire = KeepAlive::open(address).unwrap();
        assert_eq!(wire.send("GET", "/healthz", "", "").status, 200);
        let body = "a".repeat(17 * 1024);
        let headers = "Origin: https://erx.test\r\nContent-Type: application/x-www-form-urlencoded\r\n";
        assert_eq!(wire.send("POST", "/portal/login", headers, &body).status, 413);
    })
    .await
    .unwrap();
    stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap();
}

/// Sign-ins that fail are counted for each address, and what is too much is refused before anything costs.
#[tokio::test]
async fn a_flood_of_sign_ins_from_one_address() {
    let app = TestApp::with(Backend::Sqlite, Limits::new(5, 5), |_| {}).await;
    let mut browser = app.browser();
    for _ in 0..5 {
        assert_eq!(browser.pass(&npi(5).as_text(), "not the right passphrase").await.status, 422);
    }
    let page = browser.pass(&app.person.npi.as_text(), PASSPHRASE).await;
    page.says(429, "Wait a little");
    let sql = format!(
        "SELECT kind, reason FROM audit_event WHERE support = '{}'",
        page.support_code().unwrap()
    );
    assert_eq!(app.database.texts(&sql).await, ["request_refused sign_in_limit"]);
    assert!(page.session().is_none());
    // Another address is served. The address is that of the connection, whatever a header says.
    let mut request = browser
        .request(&Method::POST, "/portal/login")
        .body(Body::from(format!("npi={}", npi(5).as_text())))
        .unwrap();
    request.headers_mut().insert("x-forwarded-for", "192.0.2.1".parse().unwrap());
    assert_eq!(browser.send(request).await.status, 429);
    let mut request = browser
        .request(&Method::POST, "/portal/login")
        .body(Body::from(format!("npi={}", npi(5).as_text())))
        .unwrap();
    let there = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    request.extensions_mut().insert(axum::extract::ConnectInfo(there));
    assert_eq!(browser.send(request).await.status, 422);
}

/// Those that fail at the same moment are no more than that either: none begins in a place that another may yet take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_simultaneous_sign_ins_from_one_address() {
    let app = TestApp::with(Backend::Sqlite, Limits::new(5, 5), |_| {}).await;
    let mut flood = JoinSet::new();
    for number in (2_000..).take(40) {
        let mut browser = app.browser();
        flood.spawn(async move {
            browser.pass(&npi(number).as_text(), "not the right passphrase").await.status
        });
    }
    let answers = flood.join_all().await;
    let count = |status: u16| answers.iter().filter(|it| **it == status).count();
    assert_eq!((count(422), count(429)), (5, 35));
}

/// Passcode checks go on while many passphrases are being hashed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_sign_ins_starves_passcode_checks() {
    const STORM: usize = 40;
    let app = TestApp::on(Backend::Sqlite).await;
    let api: Api = app.api().await;
    let (finished, mut storm) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for number in (1_000..).take(STORM) {
        let (mut browser, finished) = (app.browser(), Arc::clone(&finished));
        storm.spawn(async move {
            let page = browser.pass(&npi(number).as_text(), PASSPHRASE).await;
            finished.fetch_add(1, Ordering::SeqCst);
            page.status
        });
    }
    // Once one is through, all others stand in line for their hash.
    assert_eq!(storm.join_next().await.unwrap().unwrap(), 422);
    let credential = app.person.phone.credential.to_string();
    assert!(api.check(&credential, &app.code()).await.verified());
    let before = finished.load(Ordering::SeqCst);
    assert!(before < STORM / 2, "the check waited for {before} hashes");
    assert!(storm.join_all().await.into_iter().all(|status| status == 422));
}
