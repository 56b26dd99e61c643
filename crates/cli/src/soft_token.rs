//! `countersign token`: a soft token for the terminal.
//!
//! Each token is one file of mode 0600. Its seed is sealed with AES-256-GCM under a key that
//! PBKDF2-HMAC-SHA-512 makes from a PIN, and is never printed.
//!
//! What the PIN is good for: it keeps the seed from a backup, a screen share or a colleague who looks
//! into the file, and keeps the factor in the hands of the one who knows it. Against somebody who
//! has copied the file it only buys time, since a short PIN can be tried out elsewhere without limit:
//! six digits fall within hours. A long one, of several words, is what resists that.

#[cfg(feature = "demo")]
mod demo;
mod pin;
mod server;
#[cfg(test)]
mod tests;
mod text;
mod token_file;

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Read, Write},
    ops::ControlFlow,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use countersign_domain::{
    Timestamp, TokenName,
    ocra::typed_code,
    otp::{OtpParams, TokenSeed, passcode},
};
use countersign_provision::native::{self, PairingCode};

#[cfg(feature = "demo")]
pub(crate) use self::demo::keep_for_demo;
pub(crate) use self::pin::PinSource;
pub(crate) use self::text::quoted;
use self::{
    server::Server,
    text::{clock_warning, code_line, follow_up, grouped_id},
    token_file::{StoredToken, check_folder, find_token, read_folder},
};
use crate::private_file;

/// What `countersign token` does.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Get a new credential from a server and save it here
    New(NewToken),
    /// Show the current passcode
    Code(ShowCode),
    /// List the saved tokens
    List(ListTokens),
    /// Remove a token from this computer
    Remove(RemoveToken),
}

/// Where the tokens are kept.
#[derive(Debug, Args)]
pub(crate) struct TokenFolder {
    /// Folder of the tokens [default: ~/.countersign/tokens]
    #[arg(long, value_name = "DIR", env = "COUNTERSIGN_TOKEN_DIR")]
    dir: Option<PathBuf>,
}

/// `token new`
#[derive(Debug, Args)]
pub(crate) struct NewToken {
    /// Address of the server: `https://` and its host name
    #[arg(long, value_name = "URL")]
    server: String,
    /// Your name for the token, such as "laptop"
    #[arg(long)]
    name: TokenName,
    /// Kind of credential ID to ask for
    #[arg(long, value_enum, default_value_t = Family::Countersign)]
    family: Family,
    /// Pairing code shown in the portal; the portal then continues automatically
    #[arg(long, value_name = "CODE")]
    pairing_code: Option<PairingCode>,
    #[command(flatten)]
    pin: PinSource,
    #[command(flatten)]
    folder: TokenFolder,
}

/// `token code`
#[derive(Debug, Args)]
pub(crate) struct ShowCode {
    /// Name or credential ID; not needed if there is only one token
    name: Option<String>,
    /// Keep showing passcodes until stopped (Ctrl-C)
    #[arg(long)]
    watch: bool,
    /// Print only the digits (default if the output is a file or pipe)
    #[arg(long)]
    plain: bool,
    /// Show an 8-digit passcode bound to what is signed: give the number below the QR code
    #[arg(long, value_name = "NUMBER", conflicts_with = "watch")]
    sign: Option<String>,
    #[command(flatten)]
    pin: PinSource,
    #[command(flatten)]
    folder: TokenFolder,
}

/// `token list`
#[derive(Debug, Args)]
pub(crate) struct ListTokens {
    #[command(flatten)]
    folder: TokenFolder,
}

/// `token remove`
#[derive(Debug, Args)]
pub(crate) struct RemoveToken {
    /// Name or credential ID
    name: String,
    /// Don't ask for confirmation
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    folder: TokenFolder,
}

/// The kind of credential ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Family {
    /// CNST and 8 digits
    Countersign,
    /// SYMC and 8 digits, from the server's built-in authority
    Symantec,
}

impl Family {
    const fn native(self) -> native::Family {
        match self {
            Self::Countersign => native::Family::Countersign,
            Self::Symantec => native::Family::Symantec,
        }
    }
}

/// Runs the command. Must not be called on a thread of an asynchronous runtime: it blocks.
pub(crate) fn run(command: TokenCommand) -> anyhow::Result<()> {
    let stdout = io::stdout();
    let terminal = stdout.is_terminal();
    let mut out = stdout.lock();
    let done = match command {
        TokenCommand::New(arguments) => new_token(&arguments, now, &mut out),
        TokenCommand::Code(arguments) => show_code(&arguments, terminal, &mut out),
        TokenCommand::List(arguments) => list_tokens(&arguments.folder, &mut out),
        TokenCommand::Remove(arguments) => remove_token(&arguments, confirmed, &mut out),
    };
    match done {
        // Whoever reads has read enough, as `head` does.
        Err(error) if is_broken_pipe(&error) => Ok(()),
        other => other,
    }
}

/// The time of this computer.
pub(crate) fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "the edge at which this command reads the clock; what is below is handed the time"
    )]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

fn new_token(
    arguments: &NewToken,
    clock: fn() -> Timestamp,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let server = Server::at(&arguments.server)?;
    let folder = arguments.folder.path()?;
    private_file::create_folder(&folder)?;
    check_folder(&folder)?;
    let (tokens, _) = read_folder(&folder)?;
    if tokens.iter().any(|token| token.name == arguments.name.as_str()) {
        bail!(
            "a token named {} already exists here: choose another --name, or remove it with `{}`",
            quoted(arguments.name.as_str()),
            follow_up(&arguments.folder, &["remove", arguments.name.as_str()])
        );
    }
    // Asked for before the server is: a slip here must not leave a credential that nobody holds.
    let pin = arguments.pin.read(true)?;

    let offset = server.clock_offset_ms(clock)?;
    if let Some(warning) = clock_warning(offset) {
        writeln!(out, "{warning}\n")?;
    }
    let credential =
        server.new_credential(arguments.family.native(), arguments.pairing_code.clone())?;
    let id = &credential.id;
    let stored = StoredToken::seal(arguments.name.as_str(), &credential, &pin)?;
    let path = folder.join(format!("{id}.json"));
    let text = serde_json::to_vec_pretty(&stored).context("the token could not be saved")?;
    private_file::create(&path, &text).with_context(|| {
        format!("the token was not saved; the server discards credential {id} automatically")
    })?;

    writeln!(out, "Token {} saved in {}", quoted(&stored.name), path.display())?;
    writeln!(out, "\n    Credential ID  {}\n", grouped_id(id))?;
    writeln!(out, "Next: in Token Management, choose Add New Token, enter this credential ID")?;
    writeln!(out, "and the passcode that this command shows:\n")?;
    writeln!(out, "    {}\n", follow_up(&arguments.folder, &["code", &stored.name]))?;
    if let Some(expires) = credential.expires {
        writeln!(out, "The server discards the credential at {} if it has", expires.minute_text())?;
        writeln!(out, "not been added by then.")?;
    }
    Ok(())
}

fn show_code(arguments: &ShowCode, terminal: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let folder = arguments.folder.path()?;
    let stored = find_token(&folder, arguments.name.as_deref())?;
    let (seed, params) = stored.open(&arguments.pin.read(false)?)?;
    let plain = arguments.plain || !terminal;
    if arguments.watch {
        return watch(&seed, params, plain, out, &mut now, &mut pause);
    }
    let now = now();
    if let Some(number) = &arguments.sign {
        let code = typed_code(number, &seed, &params, params.step_at(now))
            .context("enter the 8-digit number shown below the QR code on the signing page")?;
        writeln!(out, "{code}")?;
    } else if plain {
        writeln!(out, "{}", passcode(&seed, &params, params.step_at(now)))?;
    } else {
        writeln!(out, "{}", code_line(&seed, params, now))?;
    }
    Ok(())
}

fn pause(time: Duration) -> ControlFlow<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a terminal is watched; there is nothing else to do until the next second"
    )]
    std::thread::sleep(time);
    ControlFlow::Continue(())
}

fn watch(
    seed: &TokenSeed,
    params: OtpParams,
    plain: bool,
    out: &mut dyn Write,
    clock: &mut dyn FnMut() -> Timestamp,
    wait: &mut dyn FnMut(Duration) -> ControlFlow<()>,
) -> anyhow::Result<()> {
    let mut shown = None;
    loop {
        let now = clock();
        let step = params.step_at(now);
        if !plain {
            // Back to the start of the line and over what stood there (ECMA-48, EL).
            write!(out, "\r{}\u{1b}[K", code_line(seed, params, now))?;
        } else if shown != Some(step) {
            writeln!(out, "{}", passcode(seed, &params, step))?;
        }
        out.flush()?;
        shown = Some(step);
        let into_second = u64::try_from(now.micros().rem_euclid(1_000_000)).unwrap_or(0);
        if wait(Duration::from_micros(1_000_000 - into_second)).is_break() {
            return Ok(());
        }
    }
}

fn list_tokens(given: &TokenFolder, out: &mut dyn Write) -> anyhow::Result<()> {
    let folder = given.path()?;
    let (tokens, faults) = read_folder(&folder)?;
    if tokens.is_empty() && faults.is_empty() {
        writeln!(out, "No tokens in {}. Create one:", folder.display())?;
        let words = ["new", "--server", "URL", "--name", "NAME"];
        writeln!(out, "    {}", follow_up(given, &words))?;
    }
    let width = tokens.iter().map(|token| token.name.chars().count()).max().unwrap_or(0);
    for token in &tokens {
        let id = token.id()?;
        writeln!(
            out,
            "{:width$}  {}  {} digits every {} s",
            token.name,
            grouped_id(&id),
            token.digits,
            token.period
        )?;
    }
    if faults.is_empty() { Ok(()) } else { Err(anyhow!(faults.join("\n"))) }
}

fn remove_token(
    arguments: &RemoveToken,
    confirm: fn(&str) -> anyhow::Result<bool>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let folder = arguments.folder.path()?;
    let token = find_token(&folder, Some(&arguments.name))?;
    let id = token.id()?;
    let name = quoted(&token.name);
    if !arguments.yes && !confirm(&format!("{name} ({})", grouped_id(&id)))? {
        writeln!(out, "Nothing was removed.")?;
        return Ok(());
    }
    let path = token.path;
    fs::remove_file(&path).map_err(|error| anyhow!(private_file::explain(&path, &error)))?;
    writeln!(out, "Token {name} was removed from this computer. If it was added to your account,")?;
    writeln!(out, "also disable {} in Token Management.", grouped_id(&id))?;
    Ok(())
}

/// Asks at a terminal; a script that names a token means it.
fn confirmed(what: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(true);
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "Remove {what}? It can't show passcodes after that. Type yes to confirm: ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().take(16).read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}

impl TokenFolder {
    fn path(&self) -> anyhow::Result<PathBuf> {
        if let Some(dir) = self.dir.as_ref().filter(|dir| !dir.as_os_str().is_empty()) {
            return Ok(dir.clone());
        }
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        let home = home.ok_or_else(|| anyhow!("no home folder found: give --dir DIR"))?;
        Ok(home.join(".countersign/tokens"))
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
