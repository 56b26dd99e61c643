//! Many kept connections, each with one request under way, and what they were answered.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use countersign_domain::{Purpose, otp};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::{clock, data, stats::float};

/// Connections at a time.
pub(crate) const CONNECTIONS: usize = 64;
/// Passcodes that a token without drift can give one after the other: of the step before, of the
/// current one and of the next one.
const CODES_EACH: usize = 3;
/// Longest latency that is told apart: a minute, in microseconds.
const LATENCY_MAX: u64 = 60_000_000;
/// Body of the answer to a verified check.
const VERIFIED: &[u8] = b"{\"verified\":true}";
/// Answers that are shown where they are wrong.
const EXAMPLES: usize = 3;
/// A server that does not answer for so long has failed the run.
const SILENCE_MAX: Duration = Duration::from_mins(1);

const ID_BYTES: usize = 12;
const CODE_BYTES: usize = 6;

/// Passcode checks to send, each with a fresh right code of another token than the one before.
pub(crate) struct Checks {
    tokens: Vec<([u8; ID_BYTES], [[u8; CODE_BYTES]; CODES_EACH])>,
    /// Step from one token to the next, without a common divisor with their number: every token has
    /// its turn once a pass, and neighbors in the database are no neighbors in time.
    stride: u64,
    next: AtomicU64,
    request: Vec<u8>,
    id_at: usize,
    code_at: usize,
    endless: bool,
}

impl Checks {
    /// Checks of the tokens numbered from 0, with the codes around the step of now, for the server that is
    /// `host` to its clients.
    pub(crate) fn around_now(count: u32, api_key: &str, host: SocketAddr) -> Result<Self> {
        let step = data::PARAMS.step_at(clock::now()).number();
        let mut tokens = Vec::new();
        for number in 0..count {
            let seed = data::seed(number)?;
            let code = |back: i64| -> Result<[u8; CODE_BYTES]> {
                let text = otp::passcode(&seed, &data::PARAMS, otp::Step::new(step + back));
                text.as_bytes().try_into().context("a passcode of another length")
            };
            let window = [code(-2)?, code(-1)?, code(0)?, code(1)?, code(2)?];
            // Where two steps in reach have the same digits the server consumes the later one, as it
            // must, and a code sent afterwards is rightly refused: such a token is left out.
            let [_, before, current, after, _] = window;
            let mut sorted = window;
            sorted.sort_unstable();
            if sorted.windows(2).any(|pair| pair.first() == pair.last()) {
                continue;
            }
            let id = data::credential(number)?.as_str().as_bytes().try_into()?;
            tokens.push((id, [before, current, after]));
        }
        ensure!(tokens.len() > CONNECTIONS, "fewer tokens than connections");
        let head_of = |body: &str| {
            format!(
                "POST /api/v1/passcode-checks HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {api_key}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )
        };
        let id = "0".repeat(ID_BYTES);
        let before_code = format!("{{\"credential_id\":\"{id}\",\"passcode\":\"");
        let after_code = format!("\",\"purpose\":\"{}\"}}", Purpose::Sign.code());
        let body = [&before_code, "0".repeat(CODE_BYTES).as_str(), &after_code].concat();
        let head = head_of(&body);
        Ok(Self {
            stride: stride(tokens.len() as u64),
            tokens,
            next: AtomicU64::new(0),
            id_at: head.len() + "{\"credential_id\":\"".len(),
            code_at: head.len() + before_code.len(),
            request: [head, body].concat().into_bytes(),
            endless: false,
        })
    }

    /// The same requests over and over, for a server that does not mind.
    pub(crate) fn endless(mut self) -> Self {
        self.endless = true;
        self
    }

    /// How many requests there are.
    pub(crate) fn total(&self) -> u64 {
        (self.tokens.len() * CODES_EACH) as u64
    }

    /// Puts the next request in place of the last; `false` when there is none left below `limit`.
    fn fill(&self, request: &mut [u8], limit: u64) -> bool {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        if index >= limit && !self.endless {
            // Not used: it is there for whoever asks with a higher limit.
            self.next.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        let count = self.tokens.len() as u64;
        let place = usize::try_from(index % count * self.stride % count).unwrap_or(0);
        let pass = usize::try_from(index / count % CODES_EACH as u64).unwrap_or(0);
        let Some((id, codes)) = self.tokens.get(place) else { return false };
        let Some(code) = codes.get(pass) else { return false };
        for (at, text) in [(self.id_at, id.as_slice()), (self.code_at, code.as_slice())] {
            if let Some(part) = request.get_mut(at..at + text.len()) {
                part.copy_from_slice(text);
            }
        }
        true
    }
}

fn stride(count: u64) -> u64 {
    let common = |mut a: u64, mut b: u64| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    // About the golden section of the whole: far from the last one, and far from the one before.
    let wanted = (count * 618 / 1_000).max(1);
    (wanted..wanted + count).find(|step| common(*step, count) == 1).unwrap_or(1)
}

/// The result of a load.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Answers that said yes.
    pub(crate) verified: u64,
    /// How many other answers came.
    pub(crate) wrong: u64,
    /// A few of those, to look at.
    pub(crate) examples: Vec<String>,
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// Whether it ended before its time because every code was used.
    pub(crate) ran_out: bool,
    latencies: Histogram<u64>,
}

impl Outcome {
    fn new() -> Result<Self> {
        Ok(Self {
            verified: 0,
            wrong: 0,
            examples: Vec::new(),
            elapsed: Duration::ZERO,
            ran_out: false,
            latencies: Histogram::new_with_bounds(1, LATENCY_MAX, 3)?,
        })
    }

    fn add(&mut self, other: &Self) -> Result<()> {
        self.verified += other.verified;
        self.wrong += other.wrong;
        self.ran_out |= other.ran_out;
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.iter().take(room).cloned());
        self.latencies.add(&other.latencies)?;
        Ok(())
    }

    /// Verified answers a second.
    pub(crate) fn rate(&self) -> f64 {
        float(self.verified) / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The latency, in milliseconds, below which this part (0 to 1) of the requests stayed.
    pub(crate) fn milliseconds(&self, part: f64) -> f64 {
        float(self.latencies.value_at_quantile(part)) / 1_000.0
    }
}

/// Sends `checks` over [`CONNECTIONS`] connections: a tenth of `time` to warm up, which does not
/// count, then `time`, or until there is none left.
pub(crate) async fn run(
    address: SocketAddr,
    checks: &Arc<Checks>,
    time: Duration,
) -> Result<Outcome> {
    let total = checks.total();
    round(address, checks, time / 10, total / 10).await.context("warming up")?;
    round(address, checks, time, total).await
}

async fn round(
    address: SocketAddr,
    checks: &Arc<Checks>,
    time: Duration,
    limit: u64,
) -> Result<Outcome> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(crate::client::Connection::open(address).await.context("connecting")?);
    }
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for connection in connections {
        tasks.spawn(send(connection, Arc::clone(checks), began + time, limit));
    }
    let mut outcome = Outcome::new()?;
    let joined = async {
        while let Some(done) = tasks.join_next().await {
            outcome.add(&done??)?;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(time + SILENCE_MAX, joined).await.context("the server fell silent")??;
    outcome.elapsed = began.elapsed();
    Ok(outcome)
}

async fn send(
    mut connection: crate::client::Connection,
    checks: Arc<Checks>,
    end: Instant,
    limit: u64,
) -> Result<Outcome> {
    let mut outcome = Outcome::new()?;
    let mut request = checks.request.clone();
    let mut now = Instant::now();
    while now < end {
        if !checks.fill(&mut request, limit) {
            outcome.ran_out = true;
            break;
        }
        let answer = connection.exchange(&request).await?;
        let answered = Instant::now();
        if answer.status == 200 && answer.body == VERIFIED {
            outcome.verified += 1;
        } else {
            outcome.wrong += 1;
            if outcome.examples.len() < EXAMPLES {
                let text = String::from_utf8_lossy(answer.body);
                outcome.examples.push(format!("status {}: {text}", answer.status));
            }
        }
        let spent = u64::try_from((answered - now).as_micros()).unwrap_or(LATENCY_MAX);
        outcome.latencies.saturating_record(spent.max(1));
        now = answered;
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const HERE: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 80);

    #[test]
    fn every_token_has_its_turn_in_every_pass_and_codes_come_in_order() {
        let checks = Checks::around_now(200, "key", HERE).unwrap();
        let count = checks.tokens.len();
        assert!(count > 190, "{count}");
        let mut request = checks.request.clone();
        for pass in 0..CODES_EACH {
            let mut seen = HashSet::new();
            for _ in 0..count {
                assert!(checks.fill(&mut request, checks.total()));
                let text = String::from_utf8(request.clone()).unwrap();
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                assert!(head.contains(&format!("Content-Length: {}", body.len())));
                let body: serde_json::Value = serde_json::from_str(body).unwrap();
                let id = body["credential_id"].as_str().unwrap().to_owned();
                let token = checks.tokens.iter().find(|(t, _)| t == id.as_bytes()).unwrap();
                assert_eq!(body["passcode"].as_str().unwrap().as_bytes(), token.1[pass]);
                assert_eq!(body["purpose"], "sign");
                assert!(seen.insert(id));
            }
        }
        assert!(!checks.fill(&mut request, checks.total()));
        assert!(checks.endless().fill(&mut request, 0));
    }

    #[test]
    fn a_limit_leaves_the_rest_for_later() {
        let checks = Checks::around_now(100, "key", HERE).unwrap();
        let mut request = checks.request.clone();
        assert!(checks.fill(&mut request, 1));
        assert!(!checks.fill(&mut request, 1));
        assert!(!checks.fill(&mut request, 1));
        assert!(checks.fill(&mut request, 2));
    }

    #[test]
    fn a_right_code_is_accepted_three_times_in_order() {
        let now = clock::now();
        let seed = data::seed(1).unwrap();
        let step = data::PARAMS.step_at(now).number();
        let mut last = None;
        let mut drift = otp::Drift::default();
        for back in [-1, 0, 1] {
            let wanted = otp::Step::new(step + back);
            let code = otp::passcode(&seed, &data::PARAMS, wanted).parse().unwrap();
            match otp::find(&seed, &data::PARAMS, &code, last, drift, now) {
                otp::Found::Fresh { step, drift: learned } => {
                    assert_eq!(step, wanted);
                    last = Some(step);
                    drift = learned;
                }
                other => panic!("{back}: {other:?}"),
            }
        }
    }

    #[test]
    fn strides_reach_everything() {
        for count in [1, 2, 65, 100, 5_000, 99_997, 100_000] {
            let step = stride(count);
            let reached: HashSet<u64> = (0..count).map(|index| index * step % count).collect();
            assert_eq!(reached.len() as u64, count, "{count}");
        }
    }
}
