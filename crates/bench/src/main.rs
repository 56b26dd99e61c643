//! Measurements of Countersign, made by hand on a quiet machine: passcode checks a second beside
//! the bare limits of the machine (`checks`), and whether answer times tell a wrong NPI from a wrong
//! passphrase (`audit-timing`). Both start servers of their own on data of their own.

mod audit;
mod checks;
mod client;
mod clock;
mod data;
mod echo;
mod limits;
mod load;
mod machine;
mod postgres;
mod server;
mod signings;
mod stats;
mod table;

use std::{io::Write, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(name = "countersign-bench", about = "Measurements of Countersign")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures passcode checks a second, start-up time and idle memory
    Checks(checks::Arguments),
    /// Compares the answer times of sign-ins and checks that fail for different reasons
    AuditTiming(audit::Arguments),
    /// Measures signed prescriptions a second, beside the bare passphrase hash
    Signings(signings::Arguments),
    /// The bare HTTP server that `checks` compares with
    #[command(hide = true)]
    EchoServer,
}

/// Where a measurement keeps its data: a new folder in a folder of the user's choice.
#[derive(clap::Args)]
struct Place {
    /// Folder on the disk to measure; a new one inside it is used and removed
    #[arg(long, default_value = "/var/tmp")]
    folder: PathBuf,
}

impl Place {
    fn make(&self) -> Result<tempfile::TempDir> {
        tempfile::Builder::new()
            .prefix("countersign-bench.")
            .tempdir_in(&self.folder)
            .with_context(|| format!("{}: choose another --folder", self.folder.display()))
    }
}

fn main() -> ExitCode {
    let (threads, work): (usize, Work) = match Cli::parse().command {
        Command::EchoServer => return exit(echo::serve().map(|()| true)),
        Command::Checks(arguments) => {
            (arguments.client_threads, Box::new(|| Box::pin(checks::run(arguments))))
        }
        Command::Signings(arguments) => (2, Box::new(|| Box::pin(signings::run(arguments)))),
        Command::AuditTiming(arguments) => (1, Box::new(|| Box::pin(audit::run(arguments)))),
    };
    exit(block_on(threads, work))
}

type Work = Box<dyn FnOnce() -> std::pin::Pin<Box<dyn Future<Output = Result<bool>>>>>;

fn block_on(threads: usize, work: Work) -> Result<bool> {
    let mut builder = match threads {
        // All connections on one thread: no thread wakes another, so the client costs least.
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.worker_threads(threads.max(1)).enable_all().build()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        // Whatever ends the work, its servers are stopped and its folder is removed as it is dropped.
        tokio::select! {
            done = work() => done,
            _ = interrupt.recv() => bail!("interrupted"),
            _ = terminate.recv() => bail!("terminated"),
        }
    })
}

/// 0 where everything went well, 1 where something failed.
fn exit(result: Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            tell(&format!("countersign-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A line on standard error: what is going on.
fn tell(line: &str) {
    // Nobody reads it any more: then there is nobody to tell that either.
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// Text on standard output: the result.
fn show(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush().context("writing the result")
}
