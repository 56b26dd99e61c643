//! `audit-timing`: whether answers that must look alike also take alike long.
//!
//! Two groups of failures must not be told apart by message, status, size or time: a sign-in with
//! an unknown NPI, one with a wrong passphrase, and one with the right passphrase of a closed
//! account; a check of an unknown credential, of one of
//! another practice, and of a known one with a wrong code. Each request names another NPI or
//! credential, since a second failure on the same one is rightly answered otherwise. The requests
//! of a group take turns in random order on the same connection, so that whatever else the machine does
//! meets all of them alike.

use std::{collections::BTreeMap, fmt::Write as _, time::Instant};

use anyhow::{Context, Result, ensure};
use countersign_crypto::{Rng, SecretText, SystemRng};
use countersign_domain::{Passphrase, PassphraseHash, Purpose, otp};
use countersign_store::Database;

use crate::{
    Place,
    client::{Answer, Connection},
    clock,
    data::{self, MasterKey, Practice},
    machine,
    postgres::OwnDatabase,
    server::{Server, Setup},
    show,
    stats::{compare, float, quantile},
    table::{Table, grouped},
    tell,
};

/// Requests of each kind that go first and do not count.
const WARM_UP: u32 = 20;
/// Sign-ins of all kinds together must stay below the limit per address and minute.
const REQUESTS_MAX: i64 = 3_300;
/// Requests of each kind on one connection.
const CONNECTION_SERVES: u32 = 200;
/// A number from which on no token and no prescriber exists.
const NOBODY: u32 = 5_000_000;
/// Settings that the measurement needs: all sign-ins come from one address.
const SETTINGS: &str = "[limits]\nlogin_per_minute = 10000\n";
const PASSPHRASE: &str = "granite lantern orbit velvet";
const WRONG_PASSPHRASE: &str = "granite lantern orbit copper";

/// What `audit-timing` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Requests of each kind
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(20..=REQUESTS_MAX))]
    requests: u32,
    /// Leave out the sign-ins, which take minutes
    #[arg(long)]
    checks_only: bool,
    /// Largest effect that passes: Cliff's delta, 0 (alike) to 1 (always slower). Below 0.147 it is
    /// commonly called negligible
    #[arg(long, default_value_t = 0.1)]
    effect: f64,
}

/// A kind of request: one of a group whose answers must look alike.
struct Kind {
    name: &'static str,
    /// The request with this number.
    request: Box<dyn Fn(u32) -> Result<Request>>,
    /// How long each took, in nanoseconds.
    nanos: Vec<u64>,
}

struct Request {
    bytes: Vec<u8>,
    /// What was sent and may come back in the answer.
    typed: String,
}

impl Kind {
    fn new(name: &'static str, request: impl Fn(u32) -> Result<Request> + 'static) -> Self {
        Self { name, request: Box::new(request), nanos: Vec::new() }
    }
}

/// Answers that look alike: how many of each kind.
type Looks = BTreeMap<Look, BTreeMap<&'static str, u32>>;

/// All that a client sees of an answer but its time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Look {
    status: u16,
    bytes: usize,
    text: String,
}

impl Look {
    /// What is another in every answer by its nature is left out: the date, the support code, and
    /// what the client itself sent.
    fn of(answer: &Answer<'_>, typed: &str) -> Self {
        let mut text = String::new();
        for line in String::from_utf8_lossy(answer.head).lines() {
            if !line.to_ascii_lowercase().starts_with("date:") {
                text.extend([line, "\n"]);
            }
        }
        text += &String::from_utf8_lossy(answer.body).replace(typed, "(typed)");
        Self {
            status: answer.status,
            bytes: answer.head.len() + answer.body.len(),
            text: without_support_codes(&text),
        }
    }
}

/// Replaces every word of the form `7K3M-9QXA`.
fn without_support_codes(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let is_code = |word: &str| {
        word.len() == 9
            && word.chars().enumerate().all(|(index, c)| match index {
                4 => c == '-',
                _ => c.is_ascii_digit() || c.is_ascii_uppercase(),
            })
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (word, after) = rest.split_at(end);
        out += if is_code(word) { "(code)" } else { word };
        rest = after;
    }
    out
}

/// Measures both groups and prints the tables; `false` where something can be told apart.
pub(crate) async fn run(arguments: Arguments) -> Result<bool> {
    let folder = arguments.place.make()?;
    let count = arguments.requests + WARM_UP;
    if !arguments.checks_only {
        tell(&format!(
            "{} sign-ins, each with a slow hash of about 0.1 s: expect some {} minutes",
            grouped(f64::from(3 * count)),
            (f64::from(3 * count) * 0.1 / 60.0).ceil()
        ));
    }
    // One prescriber a token and one token a request: no failure counter is met twice.
    let ours = Practice { name: "Audit Clinic", first: 0, tokens: count, tokens_each: 1 };
    let theirs = Practice { name: "Other Clinic", first: count, ..ours };
    let gone = Practice { name: "Closed Clinic", first: 2 * count, ..ours };
    // Dropped at the end, and the database with it.
    let own = std::env::var("COUNTERSIGN_TEST_PG_URL")
        .ok()
        .map(|server| OwnDatabase::create(&server, "audit"))
        .transpose()?;
    let database = match &own {
        Some(own) => Database::Postgres { url: own.url.clone(), connections: 4 },
        None => Database::Sqlite { path: folder.path().join("countersign.db") },
    };
    tell(if own.is_some() { "on PostgreSQL" } else { "on SQLite" });
    let key = MasterKey::create(&folder.path().join("master.key"))?;
    let store = key.open_store(&database).await?;
    let hash = PassphraseHash::create(
        &Passphrase::parse(&SecretText::new(PASSPHRASE.to_owned()))?,
        0,
        &mut SystemRng,
    )?;
    ours.create(&store, &hash).await?;
    theirs.create(&store, &hash).await?;
    gone.create(&store, &hash).await?;
    gone.close(&store).await?;
    drop(store);
    if let Some(own) = &own {
        own.settle()?;
    }
    machine::settle()?;
    let setup = Setup::new(folder.path(), &database, SETTINGS)?;
    let server = setup.start().await?;

    let mut checks = checks(&server, ours, theirs);
    let check_looks =
        measure(&server, "checks", &mut checks, arguments.requests, |status| status == 200)
            .await
            .with_context(|| setup.log_tail())?;
    let mut groups = vec![("Passcode checks", checks, check_looks)];
    if !arguments.checks_only {
        let (sign_ins, looks) = sign_in_group(&server, &setup, gone, arguments.requests).await?;
        groups.insert(0, ("Sign-ins", sign_ins, looks));
    }
    show(&format!(
        "\nAlike passes: one status, one size and one text for all, and an effect below {} (Cliff's \
         delta; 0 is alike, 1 is always slower).\nU is Mann and Whitney's, p its two-sided \
         probability; with so many requests p also finds what is far too small to use.\n",
        arguments.effect
    ))?;
    let mut all_alike = true;
    for (name, kinds, looks) in &groups {
        let (text, alike) = report(name, kinds, looks, arguments.effect);
        show(&text)?;
        all_alike &= alike;
    }
    show(if all_alike { "\nNothing can be told apart.\n" } else { "\nFAILED: see above.\n" })?;
    Ok(all_alike)
}

async fn sign_in_group(
    server: &Server,
    setup: &Setup,
    gone: Practice,
    requests: u32,
) -> Result<(Vec<Kind>, Looks)> {
    let mut sign_ins = sign_ins(server, gone);
    // A refusal by the limits, or as a request from elsewhere, would say nothing of sign-ins.
    let looks = measure(server, "sign-ins", &mut sign_ins, requests, |status| {
        matches!(status, 200 | 303 | 400 | 401 | 422)
    })
    .await
    .with_context(|| setup.log_tail())?;
    Ok((sign_ins, looks))
}

fn sign_ins(server: &Server, gone: Practice) -> Vec<Kind> {
    let address = server.address;
    let request = move |number: u32, passphrase: &str| -> Result<Request> {
        let npi = data::npi(number)?.as_text();
        let body = format!("npi={npi}&passphrase={}", passphrase.replace(' ', "+"));
        let head = format!(
            "POST /portal/login HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\n\
             Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Ok(Request { bytes: [head, body].concat().into_bytes(), typed: npi })
    };
    vec![
        Kind::new("unknown NPI", move |number| request(NOBODY + number, WRONG_PASSPHRASE)),
        Kind::new("wrong passphrase", move |number| request(number, WRONG_PASSPHRASE)),
        Kind::new("closed account", move |number| request(gone.first + number, PASSPHRASE)),
    ]
}

fn checks(server: &Server, ours: Practice, theirs: Practice) -> Vec<Kind> {
    let address = server.address;
    let key = ours.api_key();
    let request = move |number: u32| -> Result<Request> {
        let credential = data::credential(number)?;
        let body = format!(
            "{{\"credential_id\":\"{credential}\",\"passcode\":\"{}\",\"purpose\":\"{}\"}}",
            wrong_code(number)?,
            Purpose::Sign.code()
        );
        let head = format!(
            "POST /api/v1/passcode-checks HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let typed = credential.as_str().to_owned();
        Ok(Request { bytes: [head, body].concat().into_bytes(), typed })
    };
    let (unknown, foreign) = (request.clone(), request.clone());
    vec![
        Kind::new("unknown credential", move |number| unknown(NOBODY + number)),
        Kind::new("another practice's", move |number| foreign(theirs.first + number)),
        Kind::new("known, wrong code", move |number| request(ours.first + number)),
    ]
}

/// Six digits that the token with this number does not show now, nor soon.
fn wrong_code(number: u32) -> Result<String> {
    let seed = data::seed(number)?;
    let here = data::PARAMS.step_at(clock::now()).number();
    let right: Vec<String> = (-3..=3)
        .map(|back| otp::passcode(&seed, &data::PARAMS, otp::Step::new(here + back)))
        .collect();
    (123_456..)
        .take(right.len() + 1)
        .map(|code: u32| code.to_string())
        .find(|code| !right.contains(code))
        .context("no wrong code")
}

/// Sends the requests of a group by turns, and notes how long each took.
async fn measure(
    server: &Server,
    what: &str,
    kinds: &mut [Kind],
    requests: u32,
    expected: impl Fn(u16) -> bool,
) -> Result<Looks> {
    let mut connection = Connection::open(server.address).await?;
    let mut looks = Looks::new();
    let began = Instant::now();
    for number in 0..requests + WARM_UP {
        // The server ends every connection after a while.
        if number.is_multiple_of(CONNECTION_SERVES) {
            connection = Connection::open(server.address).await?;
        }
        for turn in shuffled(kinds.len())? {
            let Some(kind) = kinds.get_mut(turn) else { continue };
            let request = (kind.request)(number)?;
            let asked = Instant::now();
            let answer = connection.exchange(&request.bytes).await?;
            let spent = asked.elapsed();
            ensure!(
                expected(answer.status),
                "{} was answered with status {}: {}",
                kind.name,
                answer.status,
                String::from_utf8_lossy(answer.body)
            );
            if number >= WARM_UP {
                kind.nanos.push(u64::try_from(spent.as_nanos())?);
                let look = Look::of(&answer, &request.typed);
                *looks.entry(look).or_default().entry(kind.name).or_default() += 1;
            }
        }
        let done = number + 1;
        if done.is_multiple_of(500) {
            let left = began.elapsed() / done * (requests + WARM_UP - done);
            tell(&format!("{what}: {done} of each, {} s to go", left.as_secs()));
        }
    }
    Ok(looks)
}

/// The numbers below `count` in random order.
fn shuffled(count: usize) -> Result<Vec<usize>> {
    let mut bytes = vec![0; count * 4];
    SystemRng.fill(&mut bytes)?;
    let mut order: Vec<(&[u8], usize)> = bytes.chunks(4).zip(0..count).collect();
    order.sort_unstable();
    Ok(order.into_iter().map(|(_, number)| number).collect())
}

/// The tables of a group, and whether its kinds are alike.
fn report(name: &str, kinds: &[Kind], looks: &Looks, effect: f64) -> (String, bool) {
    let mut alike = looks.len() == 1;
    // Writing to a text does not fail, here and below.
    let mut text = format!("\n{name}: ");
    match looks.keys().next() {
        Some(look) if alike => {
            let _ = write!(
                text,
                "one status ({}), one size ({} bytes), one text",
                look.status, look.bytes
            );
        }
        _ => {
            let _ = write!(text, "NOT ALIKE, {} different answers:", looks.len());
            let first = looks.keys().next();
            for (look, counts) in looks.iter().take(5) {
                let _ =
                    write!(text, "\n  status {}, {} bytes: {counts:?}", look.status, look.bytes);
                if let Some((here, there)) = first.and_then(|first| first_difference(look, first)) {
                    let _ = write!(text, "\n    {here}\n    where the first has\n    {there}");
                }
            }
        }
    }
    let milliseconds = |nanos: u64| format!("{:.3}", float(nanos) / 1e6);
    let mut times = Table::new(&["kind", "requests", "median ms", "p95 ms", "p99 ms"]);
    for kind in kinds {
        let at = |part| milliseconds(quantile(&kind.nanos, part).unwrap_or(0));
        let requests = grouped(float(kind.nanos.len() as u64));
        times.row(&[kind.name, &requests, &at(0.5), &at(0.95), &at(0.99)]);
    }
    let mut pairs = Table::new(&["first : second", "U", "p", "delta", "alike"]);
    for (index, first) in kinds.iter().enumerate() {
        for second in kinds.iter().skip(index + 1) {
            let Some(found) = compare(&first.nanos, &second.nanos) else {
                alike = false;
                continue;
            };
            let holds = found.delta.abs() < effect;
            alike &= holds;
            pairs.row(&[
                &format!("{} : {}", first.name, second.name),
                &grouped(found.u),
                &format!("{:.4}", found.p),
                &format!("{:+.3}", found.delta),
                if holds { "yes" } else { "NO" },
            ]);
        }
    }
    text.extend(["\n\n", &times.render(), "\n", &pairs.render()]);
    (text, alike)
}

fn first_difference<'l>(look: &'l Look, other: &'l Look) -> Option<(&'l str, &'l str)> {
    look.text.lines().zip(other.text.lines()).find(|(here, there)| here != there)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer<'a>(head: &'a [u8], body: &'a [u8]) -> Answer<'a> {
        Answer { status: 422, head, body }
    }

    #[test]
    fn what_differs_by_nature_is_left_out() {
        let first = answer(
            b"HTTP/1.1 422 X\r\nDate: Mon\r\nA: 1\r\n\r\n",
            b"<p>1000000004</p><code>7K3M-9QXA</code>",
        );
        let second = answer(
            b"HTTP/1.1 422 X\r\ndate: Tue\r\nA: 1\r\n\r\n",
            b"<p>1000000012</p><code>0000-ZZZZ</code>",
        );
        assert_eq!(Look::of(&first, "1000000004"), Look::of(&second, "1000000012"));
        let other = answer(second.head, b"<p>1000000012</p><code>0000-ZZZz</code>");
        assert_ne!(Look::of(&first, "1000000004"), Look::of(&other, "1000000012"));
    }

    #[test]
    fn only_support_codes_are_replaced() {
        for (text, out) in [
            ("a 7K3M-9QXA b", "a (code) b"),
            ("7K3M-9QXA-1 2026-05-25 é 7K3M9QXA", "7K3M-9QXA-1 2026-05-25 é 7K3M9QXA"),
            ("", ""),
        ] {
            assert_eq!(without_support_codes(text), out);
        }
    }

    #[test]
    fn orders_hold_each_number_once() {
        for count in 0..6 {
            let mut order = shuffled(count).unwrap();
            order.sort_unstable();
            assert_eq!(order, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_wrong_code_is_wrong() {
        let code = wrong_code(7).unwrap();
        let seed = data::seed(7).unwrap();
        let found = otp::find(
            &seed,
            &data::PARAMS,
            &code.parse().unwrap(),
            None,
            otp::Drift::default(),
            clock::now(),
        );
        assert_eq!((code.len(), found), (6, otp::Found::Nothing));
    }

    #[test]
    fn verdicts_follow_looks_and_times() {
        let kind = |name, nanos: Vec<u64>| Kind {
            nanos,
            ..Kind::new(name, |_| Ok(Request { bytes: Vec::new(), typed: String::new() }))
        };
        let look = |status| Look { status, bytes: 10, text: format!("status {status}\n") };
        let same = [kind("a", (0..100).collect()), kind("b", (0..100).collect())];
        let apart = [kind("a", (0..100).collect()), kind("b", (30..130).collect())];
        let one = Looks::from([(look(422), BTreeMap::from([("a", 100), ("b", 100)]))]);
        let two = Looks::from([
            (look(401), BTreeMap::from([("a", 100)])),
            (look(422), BTreeMap::from([("b", 100)])),
        ]);
        assert!(report("x", &same, &one, 0.1).1);
        assert!(!report("x", &apart, &one, 0.1).1);
        let (text, alike) = report("x", &same, &two, 0.1);
        assert!(!alike && text.contains("NOT ALIKE") && text.contains("status 401"), "{text}");
    }
}
