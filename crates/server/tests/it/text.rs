//! Text that people and other systems give: what is not seen, turns the order or could end a line is refused beside
//! its field or shown as what it is, at every edge, and a NUL is never a fault of ours.

use axum::body::Body;
use countersign_app::NewFob;
use countersign_crypto::{HmacAlgorithm, SecretBytes, SigningKey};
use countersign_domain::{
    CredentialId, DeadlineId, Role,
    otp::{OtpParams, TokenSeed},
    retyped,
};
use countersign_store::{Deadline, Stage};
use countersign_testkit::{Browser, GatewayMood, TestApp, both};
use data_encoding::BASE64URL_NOPAD;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::prescribing::{fields, with};

/// What no text keeps; each page says why in words of its own.
const BAD: [char; 22] = [
    '\0', '\t', '\n', '\r', '\u{1b}', '\u{85}', '\u{ad}', '\u{61c}', '\u{200b}', '\u{200c}',
    '\u{200d}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202e}', '\u{2066}', '\u{2069}',
    '\u{378}', '\u{e000}', '\u{feff}', '\u{fffd}',
];

/// A form with a text in it.
struct Edge<'a> {
    path: String,
    field: &'a str,
    others: Vec<(&'a str, String)>,
}

impl Edge<'_> {
    /// Sends the form with that text in the field; nothing of it may be done.
    async fn refuses(&self, app: &TestApp, browser: &mut Browser, text: &str) -> String {
        // That the page shows a number in full goes on record, also where it says what is wrong.
        let count = async || {
            app.events().await.iter().filter(|it| !it.starts_with("identifiers_shown")).count()
        };
        let before = count().await;
        let mut fields: Vec<(&str, &str)> =
            self.others.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fields.retain(|(name, _)| *name != self.field);
        fields.push((self.field, text));
        let page = browser.post(&self.path, &fields).await;
        let (path, field) = (&self.path, self.field);
        assert_eq!(page.status, 422, "{path} {field} {text:?}: {}", page.words());
        let said = page.field_error(field);
        assert!(said.is_some(), "{path} {field} {text:?}: {}", page.words());
        assert_eq!(count().await, before, "{path} {field} {text:?}");
        for hidden in ['\0', '\u{202e}', '\u{2066}', '\u{2028}'] {
            assert!(!page.body.contains(hidden), "{path} {field} {text:?}");
        }
        if text.len() < 100 && !text.contains(['\r', '\n', '<']) {
            // What was typed is kept, and what can't be seen is shown.
            let kept = retyped(text);
            assert!(page.body.contains(&kept), "{path} {field} {text:?}: {}", page.body);
        }
        said.unwrap()
    }
}

/// Somebody with every role that has forms, and the addresses of their practice.
async fn desk(app: &TestApp) -> (Browser, String) {
    app.give_addresses(&app.person, "ada@x.example").await;
    app.give_roles(&app.person, &[Role::Administrator, Role::Designated]).await;
    let (id, practice, now) = (
        DeadlineId::new(app.now(), &mut countersign_crypto::SystemRng).unwrap(),
        app.practice,
        app.now(),
    );
    app.store
        .write("test_deadline", move |tx| {
            tx.create_deadline(&Deadline {
                id,
                practice,
                person: None,
                kind: "incident".to_owned(),
                discovered: now,
                due: now.plus_seconds(86_400),
                done: None,
                note: String::new(),
            })
        })
        .await
        .unwrap();
    // Without a fob in stock nobody is asked how one was sent.
    let fob = NewFob {
        credential: CredentialId::parse("AVT123456789", None).unwrap(),
        params: OtpParams::new(HmacAlgorithm::Sha1, 6, 30).unwrap(),
        seed: TokenSeed::new(SecretBytes::new(vec![1; 20])).unwrap(),
        ends: now.plus_seconds(400 * 86_400),
    };
    let (model, at) = ("countersign-terminal".parse().unwrap(), app.app.at().unwrap());
    let (batch, by) = ("Box 1".to_owned(), "Ruth".to_owned());
    app.app.import_fobs(practice, model, batch, by, vec![fob], at).await.unwrap().done().unwrap();
    (app.signed_in().await, id.to_string())
}

fn pairs<'a>(fields: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
    fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

/// Every form of the console and of one's own account in which somebody writes.
fn portal_edges<'a>(app: &TestApp, due: &str) -> Vec<Edge<'a>> {
    let base = format!("/practice/{}", app.practice);
    let person = format!("{base}/people/{}", app.person.id);
    let token = app.person.token.to_string();
    let invite = pairs(&[
        ("role", "prescriber"),
        ("given", "Grace"),
        ("family", "Lindholm"),
        ("email", "grace@x.example"),
        ("phone", "402 555 0111"),
        ("npi", &countersign_testkit::npi(9_000).as_text()),
        ("licence", "NE-1"),
        ("licence_state", "NE"),
        ("licence_expires", "2028-05-31"),
    ]);
    let edge = |path: String, field: &'a str, others: &[(&'a str, &str)]| Edge {
        path,
        field,
        others: pairs(others),
    };
    let mut edges: Vec<Edge<'a>> = [
        "given", "middle", "family", "suffix", "email", "email2", "phone", "address", "npi", "dea",
        "licence",
    ]
    .into_iter()
    .map(|field| Edge { path: format!("{base}/invite"), field, others: invite.clone() })
    .collect();
    let role = [("role", "designated"), ("give", "yes"), ("role_reason", "Asked for")];
    let unit = [("role", "proofing"), ("give", "yes"), ("role_reason", "Asked for")];
    let licence = [("licence_state", "NE"), ("licence_expires", "2028-05-31")];
    let account = [("email", "ada@x.example"), ("phone", "402 555 0100")];
    let add = [("token_type", ""), ("otp", "123456"), ("name", "x"), ("credential_id", "")];
    edges.extend([
        edge(format!("{person}/grant"), "grant_reason", &[("verified", "2026-05-25")]),
        edge(format!("{person}/revoke"), "revoke_reason", &[("cause", "left")]),
        edge(format!("{person}/role"), "role_reason", &role),
        edge(format!("{person}/role"), "unit", &unit),
        edge(format!("{person}/disable"), "disable_reason", &[("token", &token), ("why", "lost")]),
        edge(format!("{person}/licence"), "licence", &licence),
        edge(format!("{person}/dea"), "dea", &[]),
        edge(format!("{base}/rules/zone"), "zone_reason", &[("zone", "America/Chicago")]),
        edge(format!("{base}/rules/zone"), "zone", &[("zone_reason", "Moved")]),
        edge(format!("{base}/rules/model"), "model_reason", &[("refuse", "yes")]),
        edge(format!("{base}/rules/provider"), "provider_reason", &[("give", "no")]),
        edge(format!("{base}/rules/provider"), "accepted", &[("provider_reason", "Contract")]),
        edge(format!("{base}/fleet/send"), "how", &[]),
        edge(format!("{base}/due/{due}"), "note", &[]),
        edge(format!("{base}/holds"), "reason", &[("person", "all")]),
        edge(format!("/portal/tokens/{token}/name"), "name", &[]),
        edge("/portal/tokens".to_owned(), "name", &add),
        edge("/portal/tokens".to_owned(), "credential_id", &add),
        edge("/portal/addresses".to_owned(), "address", &account),
        edge("/portal/addresses".to_owned(), "email", &account),
        edge("/portal/addresses".to_owned(), "phone", &account),
    ]);
    edges
}

both! {
    /// Every form in which a person writes free text refuses each of these beside its field, keeps what was typed,
    /// and writes nothing.
    async fn no_form_takes_what_can_not_be_seen(app: TestApp) {
        let (mut browser, due) = desk(&app).await;
        for edge in portal_edges(&app, &due) {
            for bad in BAD {
                edge.refuses(&app, &mut browser, &format!("Kept{bad}text")).await;
            }
        }
        let enrolling = Stage::Enrolling { prescriber: app.person.id };
        let mut browser = app.browser_at(enrolling).await;
        for field in ["born", "email", "phone", "address"] {
            let others = pairs(&[("born", "1975-04-12"), ("email", "a@x.example"), ("phone", "402 555 0100")]);
            let edge = Edge { path: "/enrol/data".to_owned(), field, others };
            for bad in BAD {
                edge.refuses(&app, &mut browser, &format!("Kept{bad}text")).await;
            }
        }
        let mut browser = app.launched("amoreno").await;
        for field in ["drug", "strength", "form", "unit", "directions", "note", "address", "quantity"] {
            let edge = Edge { path: "/e-prescribing/new".to_owned(), field, others: fields() };
            for bad in BAD {
                if field != "directions" || !matches!(bad, '\r' | '\n') {
                    edge.refuses(&app, &mut browser, &format!("Kept{bad}text")).await;
                }
            }
        }
    }

    /// Nothing is cut: what is too long is said, with how long it is.
    async fn no_form_cuts_what_is_too_long(app: TestApp) {
        let (mut browser, due) = desk(&app).await;
        let long = "é".repeat(1_200);
        for edge in portal_edges(&app, &due) {
            if edge.path == "/portal/tokens" || edge.path.ends_with("/name") || edge.path.ends_with("/dea") {
                continue;
            }
            let said = edge.refuses(&app, &mut browser, &long).await;
            assert!(said.contains("at most") && said.contains("1200"), "{} {}: {said}", edge.path, edge.field);
        }
        let mut browser = app.launched("amoreno").await;
        for field in ["drug", "strength", "form", "unit", "directions", "note", "address"] {
            let edge = Edge { path: "/e-prescribing/new".to_owned(), field, others: fields() };
            let said = edge.refuses(&app, &mut browser, &long).await;
            assert!(said.contains("(now 1200)"), "{field}: {said}");
        }
    }

    /// A name is written in one alphabet, all parts of it; in whichever.
    async fn a_name_of_two_alphabets_is_refused_and_one_of_any_is_taken(app: TestApp) {
        let (mut browser, due) = desk(&app).await;
        let edges = portal_edges(&app, &due);
        let invite = |field: &str| edges.iter().find(|edge| edge.field == field && edge.path.ends_with("/invite")).unwrap();
        for (field, bad) in [("given", "\u{410}da"), ("family", "M\u{43e}reno"), ("middle", "\u{391}nn"), ("suffix", "\u{408}r.")] {
            let said = invite(field).refuses(&app, &mut browser, bad).await;
            assert!(said.contains("two alphabets"), "{said}");
        }
        // Each part by itself is of one alphabet, and the name is not.
        let mut mixed = Edge { others: invite("given").others.clone(), ..Edge { path: invite("given").path.clone(), field: "family", others: Vec::new() } };
        mixed.others.retain(|(name, _)| *name != "given");
        mixed.others.push(("given", "\u{410}\u{440}\u{430}".to_owned()));
        let said = mixed.refuses(&app, &mut browser, "Lindholm").await;
        assert!(said.contains("Cyrillic and Latin"), "{said}");
        for bad in ["Gr\u{1f600}ace", "Grace\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}", "<b>", "\u{ff27}race", "12"] {
            invite("given").refuses(&app, &mut browser, bad).await;
        }
        let unit = edges.iter().find(|edge| edge.field == "unit").unwrap();
        let said = unit.refuses(&app, &mut browser, "Secur\u{456}ty").await;
        assert!(said.contains("two alphabets"), "{said}");
        let path = format!("/practice/{}", app.practice);
        for (number, (given, family)) in [
            ("Jose\u{301}", "  Nu\u{f1}ez   de la Cruz "),
            ("\u{418}\u{432}\u{430}\u{43d}", "\u{41f}\u{435}\u{442}\u{440}\u{43e}\u{432}"),
            ("\u{639}\u{644}\u{6cc}\u{200c}\u{631}\u{636}\u{627}", "\u{627}\u{62d}\u{645}\u{62f}\u{6cc}"),
            ("\u{738b}", "\u{5c0f}\u{660e}"),
        ].into_iter().enumerate() {
            let npi = countersign_testkit::npi(9_100 + u32::try_from(number).unwrap()).as_text();
            let email = format!("p{number}@x.example");
            browser.post(&format!("{path}/invite"), &[("role", "prescriber"), ("given", given), ("family", family), ("email", &email), ("phone", "402 555 0111"), ("npi", &npi)])
                .await.leads_to(&format!("{path}?done=invited"));
        }
        let page = browser.get(&path).await;
        // One form of it: composed, one space between words.
        for name in ["Jos\u{e9} Nu\u{f1}ez de la Cruz", "\u{418}\u{432}\u{430}\u{43d} \u{41f}\u{435}\u{442}\u{440}\u{43e}\u{432}", "\u{639}\u{644}\u{6cc}\u{200c}\u{631}\u{636}\u{627}"] {
            page.says(200, name);
        }
        for message in app.messages().await {
            let body = message.body.unwrap();
            assert!(!body.subject.contains(['\r', '\n']), "{:?}", body.subject);
        }
    }

    /// Directions may be typed on several lines; the record has one.
    async fn directions_are_one_line(app: TestApp) {
        let mut browser = app.launched("amoreno").await;
        let typed = with(fields(), &[("directions", " One every\r\n  six hours\n")]);
        let typed: Vec<(&str, &str)> = typed.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page = browser.post("/e-prescribing/new", &typed).await;
        assert_eq!(page.status, 303, "{}", page.words());
        let path = page.location().to_owned();
        assert!(browser.get(&path).await.body.contains("One every six hours"));
    }

    /// Addresses and searches: what can't be is refused or not found, and no NUL is a fault of ours.
    async fn no_address_and_no_search_fails_on_any_character(app: TestApp) {
        let (mut browser, _) = desk(&app).await;
        let base = format!("/practice/{}", app.practice);
        for bad in ["%00", "%0D%0A", "%E2%80%AE", "%EF%BF%BF", "%FF", "%00%00%00"] {
            for path in [
                format!("{base}/records?patient=a{bad}b"),
                format!("{base}/records?drug=a{bad}b"),
                format!("{base}/records?from={bad}"),
                format!("{base}/records?person={bad}&sort={bad}"),
                format!("/portal/prescriptions?month={bad}&sort={bad}"),
                format!("/portal/tokens/new?pairing={bad}&replaces={bad}"),
                format!("/portal/phone?intent={bad}&token={bad}"),
                format!("/portal/dashboard?done={bad}"),
                format!("/portal/tokens/{bad}"),
                format!("/practice/{bad}"),
                format!("{base}/people/{bad}"),
                format!("{base}/cases/{bad}"),
                format!("/invitation/x{bad}"),
                format!("/not-me/x{bad}"),
                format!("/e-prescribing/rx/{bad}"),
                format!("/static/{bad}"),
                format!("/proofing/return?state={bad}&code={bad}"),
                format!("/proofing/finish?state={bad}&code={bad}"),
                format!("/smart/launch?iss={bad}&launch={bad}"),
                format!("/smart/launch?iss=http://127.0.0.1:8/fhir{bad}"),
                format!("/smart/callback?state={bad}&code={bad}"),
                format!("/smart/callback?error={bad}&state={bad}"),
                format!("/launch?token={bad}"),
                format!("/api/v1/prescribers/{bad}"),
            ] {
                // A launch ends what is open, and so has a browser of its own.
                let launch = path.starts_with("/smart") || path.starts_with("/launch");
                let mut visitor = if launch { app.browser() } else { browser.clone() };
                let page = visitor.get(&path).await;
                assert!(page.status < 500, "{path}: {} {}", page.status, page.words());
                assert!(!page.body.contains(['\0', '\u{202e}']), "{path}");
            }
            for path in [format!("{base}/records?patient=a%00b"), format!("{base}/records?drug=a%E2%80%AEb")] {
                let page = browser.get(&path).await;
                page.says(422, "invisible character");
            }
        }
        // Log-in, forgotten passphrase, codes: fields that are no free text.
        for bad in BAD {
            let text = format!("1{bad}2");
            for (path, fields) in [
                ("/portal/login", vec![("npi", text.as_str()), ("passphrase", text.as_str())]),
                ("/portal/addresses/phone/confirm", vec![("code_phone", text.as_str())]),
                ("/portal/prescriptions/export", vec![("month", text.as_str()), ("format", text.as_str())]),
                ("/portal/pairings", vec![("replaces", text.as_str())]),
                ("/portal/phone", vec![("intent", text.as_str()), ("token", text.as_str())]),
            ] {
                let page = browser.clone().post(path, &fields).await;
                assert!(page.status < 500, "{path} {text:?}: {} {}", page.status, page.words());
                assert!(!page.body.contains(['\0', '\u{202e}']), "{path} {text:?}");
            }
        }
    }

    /// A system of a practice is told which field of which prescription, and nothing is put down.
    async fn the_api_refuses_by_field_what_can_not_be_seen(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let (key, _) = SigningKey::generate().unwrap();
        let (point, at) = (key.verifying_key().point().to_vec(), app.app.at().unwrap());
        let id = app.app.create_api_client(app.practice, "EHR".to_owned(), point, "signing prescribers.read".to_owned(), at).await.unwrap().to_string();
        let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let now = app.now().seconds();
        let claims = json!({ "iss": id, "sub": id, "aud": "https://erx.test/api/v1/token", "iat": now, "exp": now + 60, "jti": "a-first-assertion" });
        let message = format!("{}.{}", part(json!({ "alg": "ES256", "typ": "JWT" })), part(claims));
        let assertion = format!("{message}.{}", BASE64URL_NOPAD.encode(&key.sign(message.as_bytes()).unwrap()));
        let form = format!("grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}");
        let mut browser = app.browser();
        let request = Request::post("/api/v1/token").header("content-type", "application/x-www-form-urlencoded").body(Body::from(form)).unwrap();
        let said: Value = serde_json::from_str(&browser.send(request).await.body).unwrap();
        let token = said["access_token"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned();
        let good = json!({
            "npi": app.person.npi.as_text(),
            "patient": { "id": "p-1", "name": "Rosa Lindqvist", "birth_date": "1961-04-12", "mrn": "M-1", "address": "4 Birch Lane, Lincoln NE" },
            "prescriptions": [{
                "drug": "Oxycodone hydrochloride", "strength": "5 mg", "form": "tablet", "quantity": "20", "unit": "tablets",
                "directions": "One every six hours", "refills": 0, "note": "", "earliest_fill": "", "schedule": "", "pharmacy": "9999991",
                "dea": countersign_testkit::dea(0).as_text(), "ready": true,
            }],
        });
        let mut post = async |body: &Value, key: &str| {
            let request = Request::builder().method(Method::POST).uri("/api/v1/signing-requests")
                .header("authorization", format!("Bearer {token}")).header("idempotency-key", key).header("content-type", "application/json");
            browser.send(request.body(Body::from(body.to_string())).unwrap()).await
        };
        for (pointer, bad, cause) in [
            // The first letter is Cyrillic.
            ("/patient/name", "\u{410}nna Lindqvist", "This mixes letters from two alphabets"),
            ("/patient/birth_date", "2999-01-01", "This day has not come yet."),
        ] {
            let mut body = good.clone();
            *body.pointer_mut(pointer).unwrap() = json!(bad);
            let page = post(&body, "k").await;
            assert!(page.status == 422 && page.body.contains(cause), "{pointer}: {} {}", page.status, page.body);
            assert!(page.body.contains(&pointer[1..].replace('/', ".")), "{pointer}: {}", page.body);
        }
        for bad in BAD {
            for pointer in [
                "/npi", "/patient/id", "/patient/name", "/patient/birth_date", "/patient/mrn", "/patient/address",
                "/prescriptions/0/drug", "/prescriptions/0/strength", "/prescriptions/0/form", "/prescriptions/0/quantity", "/prescriptions/0/unit",
                "/prescriptions/0/directions", "/prescriptions/0/note", "/prescriptions/0/earliest_fill", "/prescriptions/0/schedule",
                "/prescriptions/0/pharmacy", "/prescriptions/0/dea",
            ] {
                let mut body = good.clone();
                *body.pointer_mut(pointer).unwrap() = json!(format!("a{bad}b"));
                let page = post(&body, "k").await;
                let field = pointer.rsplit('/').next().unwrap();
                assert_eq!(page.status, 422, "{pointer} {bad:?}: {}", page.body);
                assert!(page.body.contains(field), "{pointer} {bad:?}: {}", page.body);
            }
        }
        let before = app.event_count().await;
        assert_eq!(post(&good, "k").await.status, 201);
        assert!(app.event_count().await > before);
        // A check with an ID that can be none is answered like one with an unknown ID.
        let api = app.api().await;
        assert!(!api.check("a\0b", "123456").await.verified());
        api.check("a\0b", "1\0").await.is_problem(422, "passcode_malformed");
        api.check_for("a\0b", "123456", "si\0gn").await.is_problem(422, "purpose_unknown");
    }

    /// What a pharmacy says is shown, on pages, in records and through the API, without what could mislead.
    async fn a_reason_of_a_pharmacy_is_shown_safely(app: TestApp) {
        app.give_addresses(&app.person, "ada@x.example").await;
        let mut browser = app.launched("amoreno").await;
        let path = crate::prescribing::signed(&app, &mut browser, &fields()).await;
        *app.mood.lock().unwrap() = GatewayMood::Rejecting("out of\r\nBcc: x\u{202e}kcots\0 \u{e000}");
        assert_eq!(app.transmit().await, 1);
        let shown = "out of Bcc: x\u{fffd}kcots\u{fffd} \u{fffd}";
        let page = browser.get(&path).await;
        page.says(200, shown);
        for message in app.messages().await {
            let body = message.body.unwrap();
            assert!(!body.text.contains(['\0', '\u{202e}', '\r', '\u{e000}']), "{}", body.text);
            assert!(!body.subject.contains(['\r', '\n']));
        }
        let details = app.database.texts("SELECT detail FROM audit_event WHERE detail IS NOT NULL").await;
        assert!(details.iter().all(|text| !text.contains(['\0', '\n', '\u{202e}'])), "{details:?}");
    }

    /// In the store, under every edge: a NUL is refused before the statement, in the same way on both databases.
    async fn a_nul_that_came_through_is_refused_by_the_store(app: TestApp) {
        let (practice, now) = (app.practice, app.now());
        let refused = app.store.write("test_nul", move |tx| tx.create_practice(practice, "a\0b", now)).await;
        assert!(matches!(refused, Err(countersign_store::Error::NulInText)), "{refused:?}");
        let refused = app.store.read("test_nul", |tx| tx.smart_ehr("http://\0")).await.map(drop);
        assert!(matches!(refused, Err(countersign_store::Error::NulInText)));
        // And above it: whoever asked is told, and it is no fault of ours.
        let at = app.app.at().unwrap();
        let error = app.app.create_practice("a\0b".to_owned(), at).await.unwrap_err();
        assert!(matches!(error, countersign_app::Error::NulInText), "{error}");
    }
}
