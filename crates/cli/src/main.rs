//! The one binary of Countersign: server, soft token for the terminal, and what an operator needs.

mod admin;
mod certification;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
#[cfg(feature = "demo")]
mod drawer;
mod fobs;
mod key_file;
mod models;
mod outside;
mod prescription;
mod private_file;
mod release;
mod serve;
mod settings;
mod soft_token;
mod vip_keys;

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use settings::Settings;

/// Two-factor credentials for the electronic prescribing of controlled substances
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// Configuration file [default: ./countersign.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve {
        /// Only check the configuration
        #[arg(long)]
        check_config: bool,
    },
    /// Run a demonstration with fictional people, all in one folder
    #[cfg(feature = "demo")]
    Demo(demo::DemoArguments),
    /// Use a soft token in the terminal
    #[command(subcommand)]
    Token(soft_token::TokenCommand),
    /// Manage practices, prescribers, staff, tokens and reports
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// Verify signed records of prescriptions
    #[command(subcommand)]
    Prescription(prescription::PrescriptionCommand),
    /// Sign and verify manifests of certified builds
    #[command(subcommand)]
    Release(release::ReleaseCommand),
    /// Migrate the database to this version
    Migrate,
    /// Check this host and suggest fixes
    Doctor,
    /// Print the versions of Countersign and the FIPS module
    Version,
    /// Print the default configuration with comments
    Config,
}

impl Command {
    /// Whether it reads the configuration file.
    const fn reads_settings(&self) -> bool {
        match self {
            Self::Serve { .. } | Self::Admin(_) | Self::Migrate | Self::Doctor => true,
            #[cfg(feature = "demo")]
            Self::Demo(_) => false,
            Self::Token(_)
            | Self::Prescription(_)
            | Self::Release(_)
            | Self::Version
            | Self::Config => false,
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let config = cli.config.as_deref();
    let done = match cli.command {
        // A file that is named and not read would be a setting that nobody heeds.
        ref command if config.is_some() && !command.reads_settings() => Err(anyhow::anyhow!(
            "--config: this command does not read a configuration file; omit it"
        )),
        Command::Serve { check_config } => serve::run(config, check_config).map(|()| 0),
        #[cfg(feature = "demo")]
        Command::Demo(arguments) => demo::run(&arguments).map(|()| 0),
        Command::Token(command) => soft_token::run(command).map(|()| 0),
        Command::Admin(command) => admin::run(config, command).map(|()| 0),
        Command::Prescription(command) => prescription::run(&command).map(|()| 0),
        Command::Release(command) => release::run(&command).map(|()| 0),
        Command::Migrate => serve::migrate(config).map(|()| 0),
        Command::Doctor => serve::doctor(config),
        Command::Version => print(&version()).map(|()| 0),
        Command::Config => print(&Settings::reference()).map(|()| 0),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            for line in told(&error).lines() {
                let _ = writeln!(std::io::stderr(), "countersign: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes in one text, each said once: some errors end in the words of their cause.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    let mut before = String::new();
    for cause in error.chain() {
        let said = cause.to_string();
        if said != before && !before.contains(&format!(": {said}")) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&said);
        }
        before = said;
    }
    text
}

fn version() -> String {
    let module = match countersign_crypto::fips_status() {
        Ok(status) => status.library,
        Err(error) => error.to_string(),
    };
    format!("countersign {}\nFIPS module: {module}\n", env!("CARGO_PKG_VERSION"))
}

/// Writes to standard output; a reader that has read enough is no fault.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::told;
    use anyhow::Context as _;

    /// A cause that its error has said already is left out, and a short one that only looks like a part of it is not.
    #[test]
    fn each_cause_is_said_once() {
        let io = || std::io::Error::other("no luck");
        let twice = anyhow::Error::from(io()).context("data/key: no luck; try again");
        assert_eq!(told(&twice), "data/key: no luck; try again");
        let same = anyhow::Error::from(io()).context("no luck").context("no luck");
        assert_eq!(told(&same), "no luck");
        let path: anyhow::Result<()> = Err(io()).context("key").context("keys.file");
        assert_eq!(told(&path.unwrap_err()), "keys.file: key: no luck");
    }
}
