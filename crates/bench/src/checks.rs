//! `checks`: the server's rate of durable passcode checks beside the bare limits of the machine.

use std::{fmt::Write as _, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use countersign_domain::PassphraseHash;
use countersign_store::Database;

use crate::{
    Place, clock,
    data::{self, MasterKey, Practice},
    limits,
    load::{self, Checks, Outcome},
    machine,
    postgres::{self, OwnDatabase},
    server::{Echo, Server, Setup},
    show,
    stats::float,
    table::{Table, grouped},
    tell,
};

/// Least part of the echo rate that checks on `SQLite` should reach.
const AIM_SQLITE: f64 = 0.35;
/// Least part of the echo rate that checks on `PostgreSQL` should reach.
const AIM_POSTGRES: f64 = 0.2;
/// What 99 of 100 checks should stay below, in milliseconds.
const AIM_P99_MS: f64 = 15.0;
/// What a start should stay below, in seconds.
const AIM_START: f64 = 0.3;
/// What idle memory should stay below, in megabytes (10^6 bytes).
const AIM_IDLE_MB: f64 = 60.0;

/// Tokens of the small data folder.
const FEW_TOKENS: u32 = 1_000;
const TOKENS_EACH: u32 = 4;
/// Starts of which the median counts.
const STARTS: usize = 5;
const IDLE: Duration = Duration::from_secs(2);
/// Time for connecting, and room before a code grows too old.
const MARGIN_SECONDS: u64 = 3;

/// What `checks` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Tokens in the database
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..=5_000_000))]
    tokens: u32,
    /// Seconds of each load
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=20))]
    seconds: u64,
    /// Threads of the client
    #[arg(long, default_value_t = 1)]
    pub(crate) client_threads: usize,
    /// Two seconds and 5,000 tokens: shows that everything runs, not how fast
    #[arg(long)]
    quick: bool,
}

impl Arguments {
    const fn tokens(&self) -> u32 {
        if self.quick { 5_000 } else { self.tokens }
    }

    const fn time(&self) -> Duration {
        Duration::from_secs(if self.quick { 2 } else { self.seconds })
    }
}

/// Start-up and idle memory with some number of tokens.
struct Rest {
    tokens: u32,
    start: Duration,
    slowest_start: Duration,
    idle_kib: u64,
}

/// What was found of one database.
struct Measured {
    name: &'static str,
    aim: f64,
    rests: Vec<Rest>,
    load: Outcome,
    loaded_kib: u64,
    bare: (String, f64),
    log_tail: String,
}

/// Measures everything and prints the table; `false` where an answer was wrong.
pub(crate) async fn run(arguments: Arguments) -> Result<bool> {
    let folder = arguments.place.make()?;
    let machine = machine::describe(&arguments.place.folder);
    tell(&format!("machine: {machine}"));
    if machine::file_system(folder.path()) == "tmpfs" {
        tell("this folder is in memory, where nothing is durable: choose another --folder");
    }
    let time = arguments.time();
    tell("fdatasync");
    let synced = limits::fdatasync_rate(folder.path(), time.min(Duration::from_secs(2)))?;
    tell("HTTP echo, before");
    let mut echoes = vec![echo(time).await?];
    let mut databases = vec![sqlite(folder.path(), &arguments).await.context("SQLite")?];
    match std::env::var("COUNTERSIGN_TEST_PG_URL") {
        Ok(server) => {
            databases
                .push(postgresql(folder.path(), &server, &arguments).await.context("PostgreSQL")?);
        }
        Err(_) => {
            tell(
                "no PostgreSQL: COUNTERSIGN_TEST_PG_URL is not set (see scripts/with-postgres.sh)",
            );
        }
    }
    tell("HTTP echo, after");
    echoes.push(echo(time).await?);
    show(&report(&arguments, &machine, synced, &echoes, &databases))?;
    let mut all_right = true;
    for (name, load, log) in echoes
        .iter()
        .map(|load| ("HTTP echo", load, ""))
        .chain(databases.iter().map(|found| (found.name, &found.load, found.log_tail.as_str())))
    {
        if load.wrong > 0 || load.verified == 0 {
            all_right = false;
            show(&format!(
                "\nFAILED: {name}: {} answers were not {{\"verified\":true}}, such as:\n  {}\n{log}",
                load.wrong,
                load.examples.join("\n  ")
            ))?;
        }
    }
    Ok(all_right)
}

async fn echo(time: Duration) -> Result<Outcome> {
    let server = Echo::start()?;
    let practice = practice(FEW_TOKENS);
    let checks =
        Checks::around_now(practice.tokens, &practice.api_key(), server.address)?.endless();
    load::run(server.address, &Arc::new(checks), time).await
}

const fn practice(tokens: u32) -> Practice {
    Practice { name: "Bench Clinic", first: 0, tokens, tokens_each: TOKENS_EACH }
}

/// Makes the data, closes the store again and gives what starts a server on it.
async fn fill(folder: &Path, database: &Database, tokens: u32) -> Result<Setup> {
    tell(&format!("making {} tokens", grouped(float(u64::from(tokens)))));
    std::fs::create_dir(folder)?;
    let key = MasterKey::create(&folder.join("master.key"))?;
    let store = key.open_store(database).await?;
    // Nobody signs in here, so no hash needs a passphrase.
    practice(tokens).create(&store, &PassphraseHash::decoy(0)).await?;
    Setup::new(folder, database, "")
}

/// Starts a server some times and lets the last one rest.
async fn rest(setup: &Setup, tokens: u32) -> Result<(Rest, Server)> {
    tell(&format!("starting {STARTS} times with {} tokens", grouped(float(u64::from(tokens)))));
    let mut starts = Vec::new();
    let mut server = setup.start().await?;
    for _ in 1..STARTS {
        starts.push(server.started_in);
        drop(server);
        server = setup.start().await?;
    }
    starts.push(server.started_in);
    tokio::time::sleep(IDLE).await;
    starts.sort_unstable();
    let rest = Rest {
        tokens,
        start: starts.get(STARTS / 2).copied().unwrap_or_default(),
        slowest_start: starts.last().copied().unwrap_or_default(),
        idle_kib: server.resident_kib()?,
    };
    Ok((rest, server))
}

async fn load(server: &Server, arguments: &Arguments) -> Result<Outcome> {
    let practice = practice(arguments.tokens());
    let time = arguments.time();
    machine::settle()?;
    // All codes must still be in the window at the end: begin where the step lasts long enough.
    let needed = i64::try_from((time + time / 10).as_secs() + MARGIN_SECONDS)?;
    ensure!(needed < i64::from(data::PARAMS.period()), "the load is longer than a step");
    let checks = loop {
        let now = clock::now();
        let left = data::PARAMS.seconds_left(now);
        if left >= needed {
            let checks = Checks::around_now(practice.tokens, &practice.api_key(), server.address)?;
            let after = clock::now();
            if data::PARAMS.step_at(after) == data::PARAMS.step_at(now)
                && data::PARAMS.seconds_left(after) >= needed
            {
                break checks;
            }
        } else {
            tell(&format!("waiting {left} s for the next step of the tokens"));
        }
        let wait = u64::try_from(data::PARAMS.seconds_left(clock::now())).unwrap_or(1);
        tokio::time::sleep(Duration::from_secs(wait)).await;
    };
    tell(&format!("{} connections for {} s", load::CONNECTIONS, time.as_secs()));
    load::run(server.address, &Arc::new(checks), time).await
}

async fn sqlite(folder: &Path, arguments: &Arguments) -> Result<Measured> {
    tell("SQLite: group commit of the store alone");
    let bare = folder.join("bare");
    std::fs::create_dir(&bare)?;
    let database = |folder: &Path| Database::Sqlite { path: folder.join("countersign.db") };
    let store = MasterKey::create(&bare.join("master.key"))?.open_store(&database(&bare)).await?;
    let bare_rate = limits::group_commit_rate(&store, arguments.time() / 2).await?;
    drop(store);
    let few = folder.join("few");
    let setup = fill(&few, &database(&few), FEW_TOKENS).await?;
    let (few, server) = rest(&setup, FEW_TOKENS).await?;
    drop(server);
    let many = folder.join("many");
    let setup = fill(&many, &database(&many), arguments.tokens()).await?;
    let (many, server) = rest(&setup, arguments.tokens()).await?;
    let load = load(&server, arguments).await?;
    Ok(Measured {
        name: "SQLite",
        aim: AIM_SQLITE,
        rests: vec![few, many],
        loaded_kib: server.resident_kib()?,
        load,
        bare: (
            format!(
                "SQLite group commit, the store alone: 1 update and 1 insert each, {} waiting",
                load::CONNECTIONS
            ),
            bare_rate,
        ),
        log_tail: setup.log_tail(),
    })
}

async fn postgresql(folder: &Path, server_url: &str, arguments: &Arguments) -> Result<Measured> {
    let own = OwnDatabase::create(server_url, "bench")?;
    tell("PostgreSQL: bare group commit");
    let bare_rate = own.group_commit_rate(folder, arguments.time() / 2)?;
    let database = Database::Postgres { url: own.url.clone(), connections: 4 };
    let setup = fill(&folder.join("postgres"), &database, arguments.tokens()).await?;
    own.settle()?;
    let (rest, server) = rest(&setup, arguments.tokens()).await?;
    let load = load(&server, arguments).await?;
    Ok(Measured {
        name: "PostgreSQL",
        aim: AIM_POSTGRES,
        rests: vec![rest],
        loaded_kib: server.resident_kib()?,
        load,
        bare: (
            format!(
                "PostgreSQL group commit, pgbench: {0} updates and {0} inserts a commit, 2 connections",
                postgres::GROUP
            ),
            bare_rate,
        ),
        log_tail: setup.log_tail(),
    })
}

const fn met(holds: bool) -> &'static str {
    if holds { "yes" } else { "NO" }
}

fn megabytes(kib: u64) -> f64 {
    float(kib) * 1_024.0 / 1e6
}

fn report(
    arguments: &Arguments,
    machine: &str,
    synced: f64,
    echoes: &[Outcome],
    databases: &[Measured],
) -> String {
    let echo_rate =
        echoes.iter().map(Outcome::rate).sum::<f64>() / float(echoes.len().max(1) as u64);
    let mut table = Table::new(&["measured", "value", "of echo", "aim", "met"]);
    let rate = |rate: f64| format!("{}/s", grouped(rate));
    let part = |rate: f64| format!("{:.2}", rate / echo_rate.max(f64::MIN_POSITIVE));
    table.row(&["fdatasync after 4 KiB appended", &rate(synced), "", "", ""]);
    for (when, load) in ["before", "after"].iter().zip(echoes) {
        table.row(&[&format!("HTTP echo, {when}"), &rate(load.rate()), &part(load.rate()), "", ""]);
        latencies(&mut table, load, false);
    }
    for found in databases {
        let (name, value) = &found.bare;
        table.row(&[name, &rate(*value), &part(*value), "", ""]);
    }
    for found in databases {
        let checks = found.load.rate();
        table.row(&[
            &format!("{}: durable passcode checks", found.name),
            &rate(checks),
            &part(checks),
            &format!(">= {:.2}", found.aim),
            met(checks / echo_rate >= found.aim),
        ]);
        latencies(&mut table, &found.load, true);
        for rest in &found.rests {
            let tokens = grouped(float(u64::from(rest.tokens)));
            let (start, slowest) = (rest.start.as_secs_f64(), rest.slowest_start.as_secs_f64());
            table.row(&[
                &format!(
                    "  start with {tokens} tokens, median of {STARTS} (slowest {slowest:.3} s)"
                ),
                &format!("{start:.3} s"),
                "",
                &format!("< {AIM_START:.1} s"),
                met(start < AIM_START),
            ]);
            let idle = megabytes(rest.idle_kib);
            table.row(&[
                &format!("  memory, idle, with {tokens} tokens"),
                &format!("{idle:.1} MB"),
                "",
                &format!("< {AIM_IDLE_MB:.0} MB"),
                met(idle < AIM_IDLE_MB),
            ]);
        }
        let loaded = format!("{:.1} MB", megabytes(found.loaded_kib));
        table.row(&["  memory, after the load", &loaded, "", "", ""]);
    }
    let mut text = format!(
        "\n{machine}\n{} connections, client on {} thread(s) of the same machine, {} s a load, {} tokens, {} build\n\
         \"of echo\" compares with the mean of both echo runs, {}\n\n{}",
        load::CONNECTIONS,
        arguments.client_threads.max(1),
        arguments.time().as_secs(),
        grouped(float(u64::from(arguments.tokens()))),
        if cfg!(debug_assertions) { "debug" } else { "optimized" },
        rate(echo_rate),
        table.render()
    );
    for found in databases.iter().filter(|found| found.load.ran_out) {
        // Writing to a text does not fail.
        let _ = write!(
            text,
            "\n{}: every code was used after {:.1} s; more --tokens make a longer load.\n",
            found.name,
            found.load.elapsed.as_secs_f64()
        );
    }
    if arguments.quick {
        text += "\nA quick run shows that everything works; its numbers mean little.\n";
    }
    text
}

fn latencies(table: &mut Table, load: &Outcome, aimed: bool) {
    table.row(&["  p50", &format!("{:.2} ms", load.milliseconds(0.5)), "", "", ""]);
    let p99 = load.milliseconds(0.99);
    let value = format!("{p99:.2} ms");
    let aim = format!("< {AIM_P99_MS:.0} ms");
    let (aim, met) = if aimed { (aim.as_str(), met(p99 < AIM_P99_MS)) } else { ("", "") };
    table.row(&["  p99", &value, "", aim, met]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn megabytes_are_decimal() {
        assert!((megabytes(1_000) - 1.024).abs() < 1e-12);
    }
}
