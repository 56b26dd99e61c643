//! Attacks on passphrases, sessions and decisions that need a second factor or a second person.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use countersign_app::{App, Clock, Error, SignInForm};
use countersign_crypto::SecretText;
use countersign_domain::{Passphrase, PassphraseHash, Refusal};
use countersign_testkit::{PASSPHRASE, SeededRng, WRONG_CODE, both, npi, seeded_rng};
use tokio::{sync::oneshot, task::JoinSet};

use super::{Hold, HoldingClock};
use crate::add;

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

    /// Many passphrases at once are counted one by one: the burst is cut off where a row would be.
    async fn passphrases_tried_in_parallel(app: TestApp) {
        for npi in [app.person.npi, npi(88)] {
            let mut tries = JoinSet::new();
            for _ in 0..12 {
                let (mut browser, npi) = (app.browser(), npi.as_text());
                tries.spawn(async move { browser.pass(&npi, "not the right passphrase").await });
            }
            let pages = tries.join_all().await;
            let judged = pages.iter().filter(|page| page.words().contains("Incorrect NPI or passphrase")).count();
            assert_eq!(judged, 3, "as many as one after the other");
        }
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
        assert!(page.field_error("stepup_passcode").unwrap().contains("not the new one"));
        let page =
            add(&mut browser, &phone, &code, &[("stepup_token", "any"), ("stepup_passcode", &code)]).await;
        assert_eq!(page.status, 422);
        let token = app.token(&phone.credential).await;
        assert!(token.prescriber().is_none() && token.last_step().is_none());
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
        assert!(app.token(&phone.credential).await.prescriber().is_none());
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
                server.emergency_disable(credential, at).await.unwrap().done().unwrap();
            });
            tasks.join_all().await;
            assert!(!app.token(&phone.credential).await.is_active(), "round {round}");
        }
    }
}
