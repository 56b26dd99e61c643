//! The JSON API and provisioning, as an integrating system and a token app see them.

use std::net::{IpAddr, Ipv4Addr};

use countersign_app::Clock;
use countersign_crypto::AgreementKey;
use countersign_domain::Purpose;
use countersign_server::Limits;
use countersign_testkit::{Api, Backend, Browser, TestApp, WRONG_CODE, both};
use data_encoding::BASE64URL_NOPAD;
use http::Method;
use serde_json::json;

use crate::add;

/// Shows a pairing code; gives the address of its page, and the code.
async fn start_pairing(browser: &mut Browser) -> (String, String) {
    let page = browser.post("/portal/pairings", &[]).await;
    assert_eq!(page.status, 303);
    let address = page.headers["location"].to_str().unwrap().to_owned();
    let page = browser.get(&address).await;
    page.says(200, "Pair a phone");
    let code = page.hook("pairing-code").text();
    let picture = browser.get(&format!("{address}/code.svg")).await;
    assert_eq!(picture.headers["content-type"], "image/svg+xml");
    assert_eq!(picture.headers["cache-control"], "no-store");
    (address, code)
}

both! {
    /// Accepted once, for whatever purpose, and on record with it.
    async fn a_right_code_is_verified_once_for_any_purpose(app: TestApp) {
        let api = app.api().await;
        let credential = app.person.phone.credential.to_string();
        for purpose in Purpose::ALL {
            app.clock.advance(30);
            let body = json!({
                "credential_id": credential, "passcode": app.code(), "purpose": purpose.code(),
            });
            let reply = api.post("/api/v1/passcode-checks", &body).await;
            assert!(reply.verified(), "{purpose:?}");
            assert_eq!(reply.body, r#"{"verified":true}"#);
            for other in Purpose::ALL {
                let body = json!({
                    "credential_id": credential, "passcode": app.code(), "purpose": other.code(),
                });
                assert!(!api.post("/api/v1/passcode-checks", &body).await.verified());
            }
            app.clock.advance(900);
        }
        let rows = app.database.texts(
            "SELECT purpose, actor FROM audit_event WHERE kind = 'passcode_tried' AND outcome = 'success' ORDER BY at",
        ).await;
        let expected: Vec<String> =
            Purpose::ALL.iter().map(|purpose| format!("{} api_key", purpose.code())).collect();
        assert_eq!(rows, expected);
        let body = json!({"credential_id": credential, "passcode": app.code(), "purpose": "fun"});
        api.post("/api/v1/passcode-checks", &body).await.is_problem(422, "purpose_unknown");
        // What a code was given for stands in its record, right or wrong; a digest that is none costs no code.
        let digest = "5f".repeat(32);
        let asked = |passcode: &str, digest: &str| json!({"credential_id": credential, "passcode": passcode, "purpose": "approve", "content_digest": digest});
        for (bad, why) in [
            ("5f", "this value has 2 characters"),
            (&"5f".repeat(33), "this value has 66 characters"),
            ("", "this value has 0 characters"),
            (&"5F".repeat(32), "0-9 and a-f"),
            (&"5g".repeat(32), "0-9 and a-f"),
        ] {
            let reply = api.post("/api/v1/passcode-checks", &asked(&app.code(), bad)).await;
            reply.is_problem(422, "digest_malformed");
            assert!(reply.body.contains(why), "{}", reply.body);
        }
        assert!(!api.post("/api/v1/passcode-checks", &asked(WRONG_CODE, &digest)).await.verified());
        app.clock.advance(60);
        let code = app.code();
        assert!(api.post("/api/v1/passcode-checks", &asked(&code, &digest)).await.verified());
        assert!(!api.post("/api/v1/passcode-checks", &asked(&code, &"00".repeat(32))).await.verified(), "it vouches for one content");
        let rows = app.database.texts("SELECT outcome FROM audit_event WHERE detail LIKE 'content 5f%' ORDER BY at").await;
        assert_eq!(rows, ["refused", "success"]);
    }

    /// Two devices with one seed: the one behind shows itself, and the owner is told.
    /// Shows: N-10
    async fn a_twin_is_raised_as_an_event(app: TestApp) {
        let api = app.api().await;
        let own = app.person.phone.credential.to_string();
        app.clock.advance(60);
        let (here, behind) = (app.code(), app.person.phone.code_after(app.now(), -1));
        assert!(api.check(&own, &here).await.verified());
        // A second click raises nothing.
        assert!(!api.check(&own, &here).await.verified());
        let all = "SELECT reason FROM audit_event WHERE kind = 'twin_suspected'";
        assert!(app.database.texts(all).await.is_empty());
        let twin = api.check(&own, &behind).await;
        assert_eq!(twin.body, r#"{"verified":false}"#);
        let rows = app.database.texts(
            "SELECT e.outcome, e.actor, e.reason FROM audit_event e JOIN token t ON t.id = e.token \
             WHERE e.kind = 'twin_suspected'",
        ).await;
        assert_eq!(rows, ["success system passcode_behind"]);
        // Both hang on the token's chain, and the history finds them.
        app.clock.advance(900);
        let mut browser = app.signed_in().await;
        browser.get("/portal/tokens").await.says(200, "An older passcode from");
        let id = app.token_id(&app.person.phone.credential).await.to_string();
        browser.get(&format!("/portal/tokens/{id}")).await.says(200, "Possible token copy detected");
        // At the page the person learns it at once.
        app.clock.advance(900);
        let mut second = app.at_passcode().await;
        let (here, behind) = (app.code(), app.person.phone.code_after(app.now(), -1));
        assert!(api.check(&own, &here).await.verified());
        let page = second.passcode(&id, &behind).await;
        page.says(422, "older than one already used");
        assert_eq!(app.database.texts(all).await.len(), 2);
    }

    /// Whatever is wrong, the answer is the same: status, body and headers.
    async fn every_refusal_is_the_same_answer(mut app: TestApp) {
        let api = app.api().await;
        let other = app.another_person().await;
        let (off_id, off) = app.another_token(&app.person, "Off").await;
        let (_, locked) = app.another_token(&app.person, "Locked").await;
        let path = format!("/portal/tokens/{off_id}/disable");
        let page = app.signed_in().await.post(&path, &[("reason", "damaged")]).await;
        page.leads_to("/portal/tokens?done=disabled");
        let waiting = app.provision().await;
        let used = app.code();
        let own = app.person.phone.credential.to_string();
        assert!(api.check(&own, &used).await.verified());
        for _ in 0..3 {
            assert!(!api.check(locked.credential.as_str(), WRONG_CODE).await.verified());
        }
        // A token of another practice.
        let at = app.app.at().unwrap();
        let elsewhere = app.app.create_practice("Elsewhere".to_owned(), at).await.unwrap();
        let key = app.app.create_api_key(elsewhere, "other".to_owned(), at).await.unwrap();
        let foreign = Api::new(app.router(), Some(key));

        let now = app.now();
        let cases = [
            ("wrong", api.check(&own, WRONG_CODE).await),
            ("replayed", api.check(&own, &used).await),
            ("of another token", api.check(&own, &off.code(now)).await),
            ("disabled", api.check(off.credential.as_str(), &off.code(now)).await),
            ("locked", api.check(locked.credential.as_str(), &locked.code(now)).await),
            ("nobody's", api.check(waiting.credential.as_str(), &waiting.code(now)).await),
            ("unknown", api.check("CNST00000000", WRONG_CODE).await),
            ("malformed ID", api.check("no such thing!", WRONG_CODE).await),
            ("empty ID", api.check("", WRONG_CODE).await),
            ("digits alone", api.check("1234567", WRONG_CODE).await),
            ("eight digits", api.check(&own, "12345678").await),
            (
                "another practice's",
                foreign.check(other.phone.credential.as_str(), &other.phone.code(now)).await,
            ),
        ];
        for (why, reply) in &cases {
            assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"verified":false}"#), "{why}");
            assert_eq!(reply.headers, cases[0].1.headers, "{why}");
        }
        // The other practice's try cost its owner nothing.
        let token = app.token(&other.phone.credential).await;
        assert!(token.failures().count == 0 && token.last_step().is_none());
    }

    /// Without a good key nothing is looked at, and nothing changes.
    async fn keys_missing_unknown_and_revoked(app: TestApp) {
        let good = app.api().await;
        let (credential, code) = (app.person.phone.credential.to_string(), app.code());
        let before = app.event_count().await;
        let key = good.key.clone().unwrap();
        let keys = [
            None,
            Some(String::new()),
            Some("cs_unknown".to_owned()),
            Some(key.to_uppercase()),
            Some(format!("{key}x")),
            Some(key[..key.len() - 1].to_owned()),
            Some("k".repeat(5_000)),
            Some(format!(" {key}")),
        ];
        for key in keys {
            let reply = Api::new(app.router(), key.clone()).check(&credential, &code).await;
            reply.is_problem(401, "key_unknown");
            assert_eq!(reply.headers["www-authenticate"], "Bearer");
        }
        assert_eq!(app.event_count().await, before + 6, "as many as are recorded in a minute");
        assert!(app.token(&app.person.phone.credential).await.last_step().is_none());
        app.database.execute("UPDATE api_key SET revoked = 1").await;
        good.check(&credential, &code).await.is_problem(401, "key_unknown");
        app.database.execute("UPDATE api_key SET revoked = NULL").await;
        assert!(good.check(&credential, &code).await.verified());
    }

    /// Failures over the API lock as those on pages do, and leave bystanders alone.
    async fn failures_count_on_the_named_token_and_its_owner(mut app: TestApp) {
        let api = app.api().await;
        let other = app.another_person().await;
        let (_, second) = app.another_token(&app.person, "Second").await;
        let own = app.person.phone.credential.to_string();
        for _ in 0..3 {
            assert!(!api.check(&own, WRONG_CODE).await.verified());
        }
        assert_eq!(app.token(&app.person.phone.credential).await.failures().count, 3);
        assert_eq!(app.token(&second.credential).await.failures().count, 0);
        assert!(!api.check(&own, &app.code()).await.verified(), "paused");
        assert!(api.check(second.credential.as_str(), &second.code(app.now())).await.verified());
        let code = other.phone.code(app.now());
        assert!(api.check(other.phone.credential.as_str(), &code).await.verified());
        app.clock.advance(30);
        assert!(api.check(&own, &app.code()).await.verified());
        assert_eq!(app.token(&app.person.phone.credential).await.failures().count, 0);
    }

    /// A token is provisioned for a day, works once it was added, and not before.
    async fn a_provisioned_token_waits_a_day(app: TestApp) {
        let provisioner = Api::new(app.router(), None);
        let reply = provisioner.ask_provision(None).await;
        assert_eq!(reply.status, 201);
        assert_eq!(reply.headers["cache-control"], "no-store");
        assert_eq!(reply.json["server_time_ms"], app.now().micros() / 1_000);
        let day = 24 * 3_600 * 1_000;
        assert_eq!(reply.json["expires_at_ms"], app.now().micros() / 1_000 + day);
        assert_eq!(reply.json["algorithm"], "SHA256");
        assert_eq!(reply.json["digits"], 6);

        let phone = provisioner.provision(None).await;
        app.clock.advance(24 * 3_600 - 1);
        let late = provisioner.provision(None).await;
        let mut browser = app.signed_in().await;
        let page = add(&mut browser, &phone, &phone.code(app.now()), &[]).await;
        page.leads_to("/portal/tokens?done=added");

        let stale = provisioner.provision(None).await;
        app.clock.advance(24 * 3_600);
        let mut browser = app.signed_in().await;
        for gone in [&late, &stale] {
            let page = add(&mut browser, gone, &gone.code(app.now()), &[]).await;
            assert!(page.field_error("credential_id").unwrap().contains("Token not found"));
        }
        app.clock.advance(1);
        app.app.purge().await.unwrap();
        let left = app.database.texts("SELECT state FROM token WHERE prescriber IS NULL").await;
        assert_eq!(left, Vec::<String>::new());
        let mut browser = app.signed_in().await;
        browser.get("/portal/tokens").await.says(200, "2 of 5 active");
    }

    /// Families: ours, Symantec's where it is switched on, and no other.
    async fn families_offered_and_not(app: TestApp) {
        let provisioner = Api::new(app.router(), None);
        let phone = provisioner.provision(Some("symantec")).await;
        assert!(phone.credential.as_str().starts_with("SYMC"), "{}", phone.credential);
        assert_eq!(phone.params.algorithm_code(), "SHA1");
        let mut browser = app.signed_in().await;
        let page = add(&mut browser, &phone, &phone.code(app.now()), &[]).await;
        page.leads_to("/portal/tokens?done=added");
        browser.get("/portal/tokens").await.says(200, "Symantec");
        for family in ["", "acme", "Countersign", "countersign ", "onespan", "rsa"] {
            let reply = provisioner.ask_provision(Some(family)).await;
            reply.is_problem(422, "family_unknown");
        }
    }

    /// What is no request of the protocol is refused by name, and leaves nothing.
    async fn malformed_provisioning(app: TestApp) {
        let asker = Api::new(app.router(), None);
        let key = BASE64URL_NOPAD.encode(AgreementKey::generate().unwrap().public_key().as_bytes());
        let mut off_curve = BASE64URL_NOPAD.decode(key.as_bytes()).unwrap();
        *off_curve.last_mut().unwrap() ^= 1;
        let off_curve = BASE64URL_NOPAD.encode(&off_curve);
        let before = app.event_count().await;
        for (body, status, code) in [
            (json!({}), 400, "body_malformed"),
            (json!({"family": "countersign"}), 400, "body_malformed"),
            (json!({"version": 2, "device_key": key}), 422, "version_unknown"),
            (json!({"version": 1, "device_key": off_curve}), 422, "key_malformed"),
            (json!({"version": 1, "device_key": &key[..80]}), 422, "key_malformed"),
            (json!({"version": 1, "device_key": ""}), 422, "key_malformed"),
            (json!({"version": 1, "device_key": key, "algorithm": "MD5"}), 422, "algorithm_unknown"),
            (json!({"version": 1, "device_key": key, "device_class": "desktop"}), 422, "device_class_unknown"),
            (json!({"version": 1, "device_key": key, "pairing_code": "short"}), 422, "pairing_malformed"),
            (json!({"version": 1, "device_key": key, "count": 5}), 400, "body_malformed"),
            (
                json!({"version": 1, "device_key": key, "family": "symantec", "algorithm": "SHA256"}),
                422,
                "algorithm_not_offered",
            ),
        ] {
            asker.post("/provision/v1/credentials", &body).await.is_problem(status, code);
        }
        let truncated = json!({"version": 1, "device_key": key}).to_string();
        let truncated = truncated.as_bytes()[..truncated.len() - 5].to_vec();
        let path = "/provision/v1/credentials";
        let send = |kind: &'static str, body| asker.send(Method::POST, path, kind, body);
        send("application/json", truncated.clone()).await.is_problem(400, "body_malformed");
        let large = send("application/json", vec![b' '; 5_000]).await;
        large.is_problem(413, "body_malformed");
        assert!(large.body.contains("not exceed 4096 bytes"), "{}", large.body);
        let other = send("text/plain", truncated).await;
        other.is_problem(415, "body_malformed");
        assert!(other.body.contains("Content-Type: application/json"), "{}", other.body);
        assert_eq!(app.event_count().await, before);
        assert_eq!(app.database.texts("SELECT credential FROM token").await.len(), 1);
    }

    /// A pairing code makes one token, within five minutes, and the portal sees which.
    /// Shows: N-20
    async fn a_pairing_code_works_once(mut app: TestApp) {
        let asker = Api::new(app.router(), None);
        asker.ask_pairing("IJBEEQSCIJBEEQSCIJBEEQSCII").await.is_problem(404, "pairing_unknown");
        let mut browser = app.signed_in().await;
        let (address, code) = start_pairing(&mut browser).await;
        let state = format!("{address}/state");
        let shown = browser.get(&state).await;
        assert_eq!((shown.status, shown.body.contains("\"open\"")), (200, true), "{}", shown.body);
        let phone = asker.pair(&code.to_lowercase().replace(' ', "-")).await;
        asker.ask_pairing(&code).await.is_problem(404, "pairing_unknown");
        assert!(browser.get(&state).await.body.contains("\"used\""));
        browser.get(&address).await.leads_to(&format!(
            "/portal/tokens/new?pairing={}#add-token",
            address.rsplit('/').next().unwrap()
        ));
        let form = browser
            .get(&format!("/portal/tokens/new?pairing={}", address.rsplit('/').next().unwrap()))
            .await;
        form.says(200, "Phone paired.");
        assert!(form.body.contains(&format!("value=\"{}\"", phone.credential)), "filled in");
        let page = add(&mut browser, &phone, &phone.code(app.now()), &[]).await;
        page.leads_to("/portal/tokens?done=added");

        // One that is too old, and one that another has taken the place of.
        let (_, old) = start_pairing(&mut browser).await;
        let (address, code) = start_pairing(&mut browser).await;
        asker.ask_pairing(&old).await.is_problem(404, "pairing_unknown");
        app.clock.advance(300);
        asker.ask_pairing(&code).await.is_problem(404, "pairing_unknown");
        assert!(browser.get(&format!("{address}/state")).await.body.contains("\"over\""));
        browser.get(&address).await.says(200, "This code has expired.");

        // Somebody else's is nobody's.
        let person = app.another_person().await;
        let mut other = app.signed_in_as(&person).await;
        assert_eq!(other.get(&address).await.status, 404);
        assert_eq!(other.get(&format!("{address}/code.svg")).await.status, 404);
        assert_eq!(other.get(&format!("{address}/state")).await.status, 404);
    }

    /// The time is the server's, for whoever asks.
    async fn time_is_the_servers(app: TestApp) {
        let asker = Api::new(app.router(), None);
        for _ in 0..2 {
            let reply = asker.send(Method::GET, "/provision/v1/time", "", vec![]).await;
            assert_eq!(reply.status, 200);
            assert_eq!(reply.json["unix_time_ms"], app.clock.now().micros() / 1_000);
            app.clock.advance(17);
        }
    }
}

/// Provisioning is limited for each address, and for all together.
#[tokio::test]
async fn provisioning_is_limited_per_address() {
    let app = TestApp::with(Backend::Sqlite, Limits::new(100, 3), |_| {}).await;
    let mut asker = Api::new(app.router(), None);
    for _ in 0..3 {
        asker.provision(None).await;
    }
    asker.ask_provision(None).await.is_problem(429, "too_many");
    let before = app.event_count().await;
    for _ in 0..20 {
        asker.ask_provision(None).await.is_problem(429, "too_many");
    }
    assert_eq!(app.event_count().await, before + 5, "a flood leaves six records a minute");
    asker.address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    asker.provision(None).await;
    // Checks and the time are not held up by it.
    let reply = asker.send(Method::GET, "/provision/v1/time", "", vec![]).await;
    assert_eq!(reply.status, 200);
}

/// Strangers from many addresses use up what is for all; who pairs goes on.
#[tokio::test]
async fn provisioning_is_limited_for_all_addresses_together() {
    let limits = Limits::new(100_000, 100_000).for_all(2);
    let app = TestApp::with(Backend::Sqlite, limits, |_| {}).await;
    let mut asker = Api::new(app.router(), None);
    for last in 1..=6 {
        asker.address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
        let reply = asker.ask_provision(None).await;
        if last <= 2 { assert_eq!(reply.status, 201) } else { reply.is_problem(429, "too_many") }
    }
    let (_, code) = start_pairing(&mut app.signed_in().await).await;
    asker.pair(&code).await;
}

/// A family that the operator has not switched on is not offered, nor are its IDs taken.
#[tokio::test]
async fn a_family_that_is_switched_off() {
    let app = TestApp::with(Backend::Sqlite, Limits::new(100, 100), |options| {
        options.manufacturers = vec![countersign_domain::Manufacturer::Countersign];
    })
    .await;
    let reply = Api::new(app.router(), None).ask_provision(Some("symantec")).await;
    reply.is_problem(422, "family_not_offered");
    let phone = app.provision().await;
    let mut browser = app.signed_in().await;
    let page = add(&mut browser, &phone, WRONG_CODE, &[("credential_id", "SYMC12345678")]).await;
    assert!(page.field_error("credential_id").unwrap().contains("not supported here"));
}
