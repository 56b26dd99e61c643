//! `signings`: how many prescriptions a second are signed through the API, in this process, on `SQLite`.
//!
//! Each takes a passphrase hash, which is slow on purpose; so its rate stands beside that of the bare hash.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::body::Body;
use countersign_crypto::{SecretText, SigningKey};
use countersign_domain::{Passphrase, PassphraseHash};
use countersign_testkit::{Backend, Browser, PASSPHRASE, Page, Person, TestApp, dea};
use data_encoding::BASE64URL_NOPAD;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{show, stats::float, table::Table};

/// Iterations of the tests' passphrase, the least that a server takes.
const ITERATIONS: u32 = 210_000;

/// What `signings` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Prescribers who sign at once
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    prescribers: u32,
    /// How often each signs
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
}

/// Measures, and prints the table; `false` where a signature was refused.
pub(crate) async fn run(arguments: Arguments) -> Result<bool> {
    let mut app = TestApp::on(Backend::Sqlite).await;
    let mut people = Vec::new();
    for number in 0..arguments.prescribers {
        let person = if number == 0 { app.person.clone() } else { app.another_person().await };
        app.give_addresses(&person, "signer@bench.example").await;
        people.push((number, person));
    }
    let (key, _) = SigningKey::generate()?;
    let point = key.verifying_key().point().to_vec();
    let at = app.app.at()?;
    let scopes = "signing".to_owned();
    let client =
        app.app.create_api_client(app.practice, "bench".to_owned(), point, scopes, at).await?;
    let mut latency = Histogram::<u64>::new(3)?;
    let (mut took, mut signed, mut refused) = (Duration::ZERO, 0_u32, 0_u32);
    for round in 0..arguments.rounds {
        // A code counts once: the next round has new ones.
        app.clock.advance(30);
        let token = token(&app, &key, &client.to_string(), round).await?;
        let mut wanted = Vec::new();
        for (number, person) in &people {
            wanted.push(prepared(&app, &token, (*number, person), round).await?);
        }
        let begun = Instant::now();
        let mut running = JoinSet::new();
        for (path, body) in wanted {
            let (browser, token) = (app.browser(), token.clone());
            running.spawn(async move {
                let begun = Instant::now();
                let page = post(browser, &token, &path, None, &body).await;
                (begun.elapsed(), page.status)
            });
        }
        while let Some(done) = running.join_next().await {
            let (time, status) = done?;
            latency.record(u64::try_from(time.as_micros())?)?;
            if status == 200 { signed += 1 } else { refused += 1 }
        }
        took += begun.elapsed();
    }
    let rate = f64::from(signed) / took.as_secs_f64();
    let bare = bare_hashes()?;
    let milliseconds = |quantile: f64| float(latency.value_at_quantile(quantile)) / 1_000.0;
    let rows = [
        ("prescriptions signed and archived".to_owned(), format!("{signed} ({refused} refused)")),
        ("signings a second".to_owned(), format!("{rate:.1}")),
        ("passphrase hashes a second, one core".to_owned(), format!("{bare:.1}")),
        ("ratio".to_owned(), format!("{:.2}", rate / bare)),
        (
            format!("p50, p99 with {} at once", people.len()),
            format!("{:.0} ms, {:.0} ms", milliseconds(0.5), milliseconds(0.99)),
        ),
    ];
    let mut table = Table::new(&["Signings (SQLite, in one process)", ""]);
    for (what, found) in &rows {
        table.row(&[what, found]);
    }
    show(&format!("\n{}", table.render()))?;
    Ok(refused == 0)
}

/// Hashes a second on one core: what bounds everything that asks for a passphrase.
fn bare_hashes() -> Result<f64> {
    let phrase = Passphrase::parse(&SecretText::new(PASSPHRASE.to_owned()))
        .map_err(|_| anyhow::anyhow!("the passphrase is none"))?;
    let hash = PassphraseHash::decoy(ITERATIONS);
    let begun = Instant::now();
    let mut count = 0_u32;
    while begun.elapsed() < Duration::from_secs(2) {
        std::hint::black_box(hash.verify(&phrase));
        count += 1;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

async fn post(
    mut browser: Browser,
    token: &str,
    path: &str,
    key: Option<&str>,
    body: &Value,
) -> Page {
    let mut request = axum::http::Request::post(path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let request = request.body(Body::from(body.to_string())).unwrap_or_default();
    browser.send(request).await
}

async fn token(app: &TestApp, key: &SigningKey, client: &str, round: u32) -> Result<String> {
    let now = app.now().seconds();
    let claims = json!({
        "iss": client, "sub": client, "aud": app.app.token_address(), "exp": now + 60,
        "jti": format!("round-{round:0>16}"),
    });
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let message = format!("{}.{}", part(&json!({ "alg": "ES256" })), part(&claims));
    let signature = BASE64URL_NOPAD.encode(&key.sign(message.as_bytes())?);
    let assertion = format!("{message}.{signature}");
    let granted = app.app.grant_access(assertion, String::new(), app.app.at()?).await?;
    let (token, _) = granted.context("no token for the assertion")?;
    Ok(token.expose().to_owned())
}

/// A signing request of somebody, ready to be signed: where, and with what.
async fn prepared(
    app: &TestApp,
    token: &str,
    (number, person): (u32, &Person),
    round: u32,
) -> Result<(String, Value)> {
    let body = json!({
        "npi": person.npi.as_text(),
        "patient": {
            "id": "p-1", "name": "Rosa Lindqvist", "birth_date": "1961-04-12", "mrn": "M-1",
            "address": "4 Birch Lane, Lincoln NE",
        },
        "prescriptions": [{
            "drug": "Oxycodone hydrochloride", "strength": "5 mg", "form": "tablet", "quantity": "20",
            "unit": "tablets", "directions": "One every six hours", "refills": 0,
            "pharmacy": "9999991", "dea": dea(number).as_text(), "ready": true,
        }],
    });
    let key = format!("{number}-{round}");
    let path = "/api/v1/signing-requests";
    let page = post(app.browser(), token, path, Some(&key), &body).await;
    ensure!(page.status == 201, "a signing request was refused: {}", page.body);
    let view: Value = serde_json::from_str(&page.body)?;
    let text = |name: &str| view.get(name).cloned().unwrap_or_default();
    let id = text("id");
    let path = format!("{path}/{}/signature", id.as_str().unwrap_or_default());
    let code = person.phone.code(app.now());
    let body = json!({
        "shown_at": text("shown_at"), "digest": text("digest"), "passphrase": PASSPHRASE,
        "passcode": code,
    });
    Ok((path, body))
}
