//! Who can keep whom out: attempts at a passphrase are counted by where they come from, and wrong passcodes by
//! the day.

use countersign_testkit::{Browser, PASSPHRASE, Page, Person, TestApp, WRONG_CODE, both, npi};
use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    access::Place,
    integration::{REQUESTS, System, signature, wanted},
    prescribing::{ready, send, shown, signing},
    smart::in_from,
};

const KNOWN_COOKIE: &str = "__Host-countersign-known";
const WRONG: &str = "not the right passphrase";
const NEW: &str = "copper meadow violin granite";

/// Signs in with both factors, and out again: the browser stays known.
async fn make_known(app: &TestApp, browser: &mut Browser, person: &Person) {
    let code = person.phone.code(app.now());
    let page = browser.sign_in(&person.npi.as_text(), PASSPHRASE, "any", &code).await;
    page.leads_to("/portal/dashboard");
    browser.post("/sign-out", &[]).await.leads_to("/signed-out");
    app.clock.advance(30);
}

/// What a stranger can do who knows an NPI: a hundred wrong log-ins, as fast as they are looked at, and a
/// hundred wrong requests for a new passphrase.
async fn attack(app: &TestApp, person: &Person) {
    let npi = person.npi.as_text();
    let forgot =
        [("npi", npi.as_str()), ("first", "111111"), ("second", "222222"), ("channel", "phone")];
    let mut stranger = app.browser();
    for count in 0..100 {
        assert_eq!(stranger.pass(&npi, WRONG).await.status, 422);
        assert_eq!(stranger.post("/portal/forgot", &forgot).await.status, 422);
        if (2..5).contains(&count) {
            app.clock.advance(30);
        }
    }
    let page = app.browser().pass(&npi, PASSPHRASE).await;
    assert_eq!((page.status, page.seconds()), (422, Some(900)), "{}", page.words());
    let page = app.browser().post("/portal/forgot", &forgot).await;
    assert_eq!((page.status, page.seconds()), (422, Some(900)), "{}", page.words());
}

/// The lines of a count.
async fn count(app: &TestApp, what: &str) -> String {
    let sql = format!("SELECT CAST(COUNT(*) AS TEXT) FROM {what}");
    app.database.texts(&sql).await.remove(0)
}

async fn known_browsers(app: &TestApp) -> String {
    count(app, "known_browser").await
}

/// Writes a prescription, marks it ready and types both factors at the page of signing.
async fn sign_in_the_app(browser: &mut Browser, passphrase: &str, code: &str) -> Page {
    let page = browser.get("/e-prescribing/sign").await;
    let form = signing(&shown(&page), passphrase, code);
    send(browser, "/e-prescribing/sign", &form).await
}

/// Asks for a signature through the API; the answer.
async fn sign_by_api(
    app: &TestApp,
    ehr: &mut System,
    token: &str,
    key: &str,
    (passphrase, code): (&str, &str),
) -> (u16, Value) {
    let (status, view) = ehr.send(token, Method::POST, REQUESTS, Some(key), &wanted(app)).await;
    assert_eq!(status, 201, "{view}");
    let path = format!("{REQUESTS}/{}/signature", view["id"].as_str().unwrap());
    ehr.send(token, Method::POST, &path, None, &signature(&view, passphrase, code)).await
}

/// Sends the form of a forgotten passphrase and the code that came, with [`NEW`].
async fn reset(app: &TestApp, browser: &mut Browser, second: &countersign_testkit::Phone) {
    let (npi, one, two) = (app.person.npi.as_text(), app.code(), second.code(app.now()));
    let fields = [("npi", npi.as_str()), ("first", &one), ("second", &two), ("channel", "phone")];
    browser.post("/portal/forgot", &fields).await.leads_to("/portal/forgot/code");
    let sent = app.messages().await.into_iter().find(|it| it.kind == "code_text").unwrap();
    let text = sent.body.unwrap().text;
    let code = text.split("Clinic: ").nth(1).unwrap().split('\n').next().unwrap().to_owned();
    let fields = [("code", code.as_str()), ("new", NEW), ("again", NEW)];
    browser.post("/portal/forgot/code", &fields).await.leads_to("/portal/login?ended=reset");
}

both! {
    /// A stranger who knows an NPI keeps its owner from nothing but a log-in in a browser that the account does
    /// not know: not from signing, executing a change, signing through the API, logging in where they have
    /// logged in before, and logging in from the EHR.
    async fn a_hundred_wrong_attempts_of_a_stranger_keep_nobody_out(app: TestApp) {
        let place = Place::of(app).await;
        let app = &place.app;
        let mut known = app.browser();
        make_known(app, &mut known, &app.person).await;
        let mut charts = app.launched("amoreno").await;
        let mut office = app.signed_in_as(&place.office).await;
        let mut doctor = app.signed_in_as(&place.doctor).await;
        // A grant that waits for its second person; until then the holder may not sign.
        let registration = place.registration(&mut office).await;
        let revoke = [("revoked", registration.as_str()), ("cause", "non_compliant"), ("revoke_reason", "Audit")];
        let confirm = place.enter(&mut office, "revoke", &revoke).await;
        let done = format!("{}?done=executed", place.base);
        let confirmed = format!("{}?done=confirmed", place.base);
        place.execute(&mut doctor, &place.doctor, &confirm).await.leads_to(&confirmed);
        let request = place.grant(&mut office).await;

        attack(app, &app.person).await;
        attack(app, &place.doctor).await;

        place.execute(&mut doctor, &place.doctor, &request).await.leads_to(&done);
        ready(&mut charts).await;
        let page = sign_in_the_app(&mut charts, PASSPHRASE, &app.code()).await;
        page.leads_to("/e-prescribing?done=signed");
        app.clock.advance(30);
        let mut ehr = System::of(app, "signing").await;
        let token = ehr.token(app, "after-the-attack").await;
        let code = app.code();
        let (status, said) = sign_by_api(app, &mut ehr, &token, "k-1", (PASSPHRASE, &code)).await;
        assert_eq!((status, &said["prescriptions"][0]["state"]), (200, &json!("signed")), "{said}");
        app.clock.advance(30);
        make_known(app, &mut known, &app.person).await;
        let mut launched = app.launched("amoreno").await;
        launched.pass("", PASSPHRASE).await.leads_to("/portal/login/passcode");
        launched.passcode("any", &app.code()).await.leads_to("/portal/dashboard");
        let (mut smart, _) = in_from(app, "amoreno", "p-1001").await;
        smart.pass("", PASSPHRASE).await.leads_to("/portal/login/passcode");
        // And the passphrase is changed in an open session.
        app.clock.advance(30);
        let code = app.code();
        let form = [("current", PASSPHRASE), ("new", NEW), ("again", NEW),
            ("stepup_token", "any"), ("stepup_passcode", code.as_str())];
        launched.post("/portal/passphrase", &form).await.leads_to("/portal/dashboard?done=passphrase");
        // The stranger has gained nothing by it, and is still kept waiting.
        let page = app.browser().pass(&app.person.npi.as_text(), NEW).await;
        assert_eq!(page.status, 422, "{}", page.words());
    }

    /// Right passphrases that come at once wait for one another, on one server or on two, also after a few
    /// wrong ones; nobody is told to wait.
    async fn right_passphrases_at_the_same_moment_pause_nobody(app: TestApp) {
        let other = app.second_server().await;
        let npi = app.person.npi.as_text();
        for _ in 0..2 {
            for _ in 0..2 {
                app.browser().pass(&npi, WRONG).await.says(422, "Incorrect NPI or passphrase");
            }
            let mut tries = JoinSet::new();
            for number in 0..10 {
                let (mut browser, npi) = (app.browser(), npi.clone());
                if number % 2 == 1 {
                    browser.use_server(other.clone());
                }
                tries.spawn(async move { browser.pass(&npi, PASSPHRASE).await.status });
            }
            assert_eq!(tries.join_all().await, [303; 10]);
        }
        // Typed again by a system of the API: each is looked at, and none is told to wait.
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut ehr = System::of(&app, "signing").await;
        let token = ehr.token(&app, "many-at-the-same-time").await;
        let (_, view) = ehr.send(&token, Method::POST, REQUESTS, Some("k"), &wanted(&app)).await;
        let path = format!("{REQUESTS}/{}/signature", view["id"].as_str().unwrap());
        let mut tries = JoinSet::new();
        for _ in 0..6 {
            let request = http::Request::post(&path)
                .header("authorization", format!("Bearer {token}"))
                .header("content-type", "application/json")
                .body(signature(&view, PASSPHRASE, WRONG_CODE).to_string().into())
                .unwrap();
            let mut browser = app.browser();
            tries.spawn(async move { browser.send(request).await.body });
        }
        for body in tries.join_all().await {
            let said: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(said["code"], "passcode_wrong", "{said}");
        }
    }

    /// Wrong ones that come at once are counted like those in a row, also on two servers.
    async fn wrong_passphrases_on_two_servers_are_counted_one_by_one(app: TestApp) {
        let other = app.second_server().await;
        let npi = app.person.npi.as_text();
        let mut tries = JoinSet::new();
        for number in 0..12 {
            let (mut browser, npi) = (app.browser(), npi.clone());
            if number % 2 == 1 {
                browser.use_server(other.clone());
            }
            tries.spawn(async move { browser.pass(&npi, WRONG).await });
        }
        let pages = tries.join_all().await;
        let judged = pages.iter().filter(|page| page.words().contains("Incorrect NPI or passphrase")).count();
        assert_eq!(judged, 3, "as many as one after the other");
    }

    /// An attempt that was cut off between its count and its end is a wrong one.
    async fn an_attempt_that_was_cut_off_counts_as_wrong(app: TestApp) {
        let npi = app.person.npi.as_text();
        for _ in 0..2 {
            app.browser().pass(&npi, WRONG).await.says(422, "Incorrect NPI or passphrase");
        }
        // As a process leaves it that dies while it looks at one.
        let until = app.now().plus_seconds(60).micros();
        let cut = format!("UPDATE sign_in_pause SET under_way_until = {until} WHERE failures = 2");
        app.database.execute(&cut).await;
        app.clock.advance(60);
        let page = app.browser().pass(&npi, PASSPHRASE).await;
        assert_eq!((page.status, page.seconds()), (422, Some(30)), "{}", page.words());
        app.clock.advance(30);
        app.browser().pass(&npi, PASSPHRASE).await.leads_to("/portal/login/passcode");
    }

    /// A known browser has a counter of its own: it pauses nobody elsewhere, and ends its trust.
    async fn a_known_browser_is_known_for_six_wrong_passphrases(app: TestApp) {
        let npi = app.person.npi.as_text();
        let mut browser = app.browser();
        make_known(&app, &mut browser, &app.person).await;
        for wrong in 1..=6 {
            browser.pass(&npi, WRONG).await.says(422, "Incorrect NPI or passphrase");
            if (3..6).contains(&wrong) {
                let page = browser.pass(&npi, PASSPHRASE).await;
                assert_eq!(page.seconds(), Some(30), "{wrong}: {}", page.words());
                app.clock.advance(30);
            }
            app.browser().pass(&npi, PASSPHRASE).await.leads_to("/portal/login/passcode");
        }
        assert_eq!(known_browsers(&app).await, "0");
        let sql = "SELECT detail FROM audit_event WHERE detail LIKE '%, no longer known'";
        assert!(app.database.texts(sql).await[0].ends_with(", known browser, no longer known"));
        // From now on it counts like anybody's.
        for _ in 0..3 {
            app.browser().pass(&npi, WRONG).await;
        }
        assert_eq!(browser.pass(&npi, PASSPHRASE).await.seconds(), Some(30));
        // Until its owner has signed in there once more; the old count is gone.
        app.clock.advance(30);
        make_known(&app, &mut browser, &app.person).await;
        assert_eq!(known_browsers(&app).await, "1");
        for _ in 0..2 {
            browser.pass(&npi, WRONG).await.says(422, "Incorrect NPI or passphrase");
        }
        browser.pass(&npi, PASSPHRASE).await.leads_to("/portal/login/passcode");
    }

    /// One computer of a clinic, several people: each account knows it, and only those that signed in there. Of
    /// each account ten browsers are known, for 90 days.
    async fn several_people_share_a_known_browser(mut app: TestApp) {
        let (second, third) = (app.another_person().await, app.another_person().await);
        let mut shared = app.browser();
        make_known(&app, &mut shared, &app.person).await;
        let secret = shared.cookie(KNOWN_COOKIE).unwrap().to_owned();
        make_known(&app, &mut shared, &second).await;
        assert_eq!(shared.cookie(KNOWN_COOKIE), Some(secret.as_str()));
        for person in [&app.person, &second, &third] {
            for _ in 0..3 {
                app.browser().pass(&person.npi.as_text(), WRONG).await;
            }
        }
        for (person, status) in [(&app.person, 303), (&second, 303), (&third, 422)] {
            let page = shared.pass(&person.npi.as_text(), PASSPHRASE).await;
            assert_eq!(page.status, status, "{}", page.words());
            shared.post("/sign-out", &[]).await;
        }
        app.clock.advance(30);
        for _ in 0..10 {
            make_known(&app, &mut app.browser(), &app.person).await;
        }
        assert_eq!(known_browsers(&app).await, "11", "ten of the one, one of the other");
        app.clock.advance(90 * 86_400);
        app.app.purge().await.unwrap();
        assert_eq!(known_browsers(&app).await, "0");
    }

    /// A secret that nobody has signed in with is never taken over, and no secret tells anything: an NPI that
    /// nobody has is answered like one whose account does not know the browser.
    async fn a_planted_secret_opens_and_tells_nothing(mut app: TestApp) {
        let second = app.another_person().await;
        let planted = "A".repeat(43);
        let mut browser = app.browser();
        browser.set_cookie(KNOWN_COOKIE, &planted);
        make_known(&app, &mut browser, &app.person).await;
        assert_ne!(browser.cookie(KNOWN_COOKIE), Some(planted.as_str()));
        let secret = browser.cookie(KNOWN_COOKIE).unwrap().to_owned();
        assert!(!app.database.texts("SELECT detail FROM audit_event").await.concat().contains(&secret));
        // Three wrong ones each, and what a right one is answered then.
        let mut answers = Vec::new();
        for (npi, known) in [(second.npi, true), (npi(99), true), (second.npi, false), (npi(99), false)] {
            app.clock.advance(86_400);
            let npi = npi.as_text();
            let mut browser = app.browser();
            if known {
                browser.set_cookie(KNOWN_COOKIE, &secret);
            }
            let mut seen = Vec::new();
            for passphrase in [WRONG, WRONG, WRONG, PASSPHRASE] {
                let page = browser.pass(&npi, passphrase).await;
                let mut headers: Vec<_> = page.headers.keys().map(ToString::to_string).collect();
                headers.sort();
                seen.push((page.status, headers, page.without_support_code().replace(&npi, "NPI")));
            }
            app.database.execute("DELETE FROM sign_in_pause").await;
            answers.push(seen.iter().map(|it| format!("{it:?}")).collect::<Vec<_>>());
        }
        // The time of the lock is on the page; all else is the same.
        let at = |answer: &Vec<String>| answer[..3].to_vec();
        assert!(answers.iter().all(|answer| at(answer) == at(&answers[0])));
        assert!(answers.iter().all(|answer| answer[3].contains("data-seconds=\\\"30\\\"")));
    }

    /// Another passphrase than the old one's owner chose, a closed account and "this was not me" end what is
    /// known; a change of the passphrase ends it in other browsers.
    async fn a_new_passphrase_makes_known_browsers_unknown(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let npi = app.person.npi.as_text();
        let (_, second) = app.another_token(&app.person, "Second phone").await;
        let (mut here, mut elsewhere) = (app.browser(), app.browser());
        for browser in [&mut here, &mut elsewhere] {
            make_known(&app, browser, &app.person).await;
        }
        // Nor do wrong attempts at the forgotten one keep its owner from the new one.
        for count in 0..6 {
            app.browser().pass(&npi, WRONG).await;
            app.clock.advance(if count < 5 { 30 } else { 0 });
        }
        reset(&app, &mut app.browser(), &second).await;
        assert_eq!(known_browsers(&app).await, "0");
        app.clock.advance(30);
        for browser in [&mut here, &mut elsewhere] {
            let page = browser.sign_in(&npi, NEW, "any", &app.code()).await;
            page.leads_to("/portal/dashboard");
            app.clock.advance(30);
        }
        let code = app.code();
        let form = [("current", NEW), ("new", PASSPHRASE), ("again", PASSPHRASE),
            ("stepup_token", "any"), ("stepup_passcode", code.as_str())];
        here.post("/portal/passphrase", &form).await.leads_to("/portal/dashboard?done=passphrase");
        assert_eq!(known_browsers(&app).await, "1");
        for _ in 0..3 {
            app.browser().pass(&npi, WRONG).await;
        }
        here.post("/sign-out", &[]).await;
        here.pass(&npi, PASSPHRASE).await.leads_to("/portal/login/passcode");
        assert_eq!(elsewhere.pass(&npi, PASSPHRASE).await.seconds(), Some(30));
        // "This was not me".
        let sent = app.messages().await.into_iter().find(|it| it.kind == "passphrase_changed").unwrap();
        let text = sent.body.unwrap().text;
        let link = text.split("/not-me/").nth(1).unwrap().split('\n').next().unwrap();
        app.browser().post(&format!("/not-me/{link}"), &[]).await;
        assert_eq!(known_browsers(&app).await, "0");
    }

    /// An account that was closed knows no browser.
    async fn a_closed_account_knows_no_browser(app: TestApp) {
        let mut browser = app.browser();
        make_known(&app, &mut browser, &app.person).await;
        let at = app.app.at().unwrap();
        app.app.close_account(app.person.npi, at).await.unwrap();
        assert_eq!(known_browsers(&app).await, "0");
        browser.pass(&app.person.npi.as_text(), PASSPHRASE).await.says(422, "Incorrect NPI or passphrase");
    }

    /// Wrong passphrases of one system of the API pause that system alone, and those of a session the session.
    async fn systems_and_sessions_do_not_pause_each_other(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let (mut one, mut two) = (System::of(&app, "signing").await, System::of(&app, "signing").await);
        let (first, second) = (one.token(&app, "token-of-the-first").await, two.token(&app, "token-of-the-second").await);
        for number in 0..4 {
            let key = format!("wrong-{number}");
            let (status, said) = sign_by_api(&app, &mut one, &first, &key, (WRONG, &app.code())).await;
            let word = if number < 3 { "passphrase_wrong" } else { "sign_in_paused" };
            assert_eq!((status, &said["code"]), (422, &json!(word)), "{said}");
        }
        let code = app.code();
        let (status, said) = sign_by_api(&app, &mut two, &second, "k", (PASSPHRASE, &code)).await;
        assert_eq!(status, 200, "{said}");
        app.clock.advance(1);
        let mut charts = app.launched("amoreno").await;
        ready(&mut charts).await;
        for number in 0..4 {
            let page = sign_in_the_app(&mut charts, WRONG, &app.code()).await;
            let text = if number < 3 { "Incorrect passphrase" } else { "locked until" };
            page.says(422, text);
        }
        app.clock.advance(29);
        // The system waits no longer, the session still does; and the log-in never did.
        let code = app.code();
        let (status, said) = sign_by_api(&app, &mut one, &first, "k", (PASSPHRASE, &code)).await;
        assert_eq!(status, 200, "{said}");
        sign_in_the_app(&mut charts, PASSPHRASE, &code).await.says(422, "locked until");
        let npi = app.person.npi.as_text();
        app.browser().pass(&npi, PASSPHRASE).await.leads_to("/portal/login/passcode");
        app.clock.advance(30);
        let page = sign_in_the_app(&mut charts, PASSPHRASE, &app.code()).await;
        page.leads_to("/e-prescribing?done=signed");
    }

    /// Somebody who knows the passphrase guesses between the owner's log-ins, each of which clears the count of
    /// wrong codes in a row: the tenth of the day pauses, the pauses grow, the owner is told, and a code no
    /// longer counts for any token.
    async fn guessing_between_the_owners_log_ins_pauses_and_is_told(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let (id, second) = app.another_token(&app.person, "Second phone").await;
        let mut guesser = app.at_passcode().await;
        for wrong in 1..=10 {
            guesser.passcode("any", WRONG_CODE).await.says(422, "Incorrect passcode");
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
            guesser.passcode(&id, WRONG_CODE).await.says(422, "Incorrect passcode");
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
                session.post(&test, &[("passcode", WRONG_CODE)]).await.says(200, "Incorrect passcode");
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
