//! `countersign token`: a soft token for the terminal.
//!
//! Each token is one file of mode 0600. Its seed is sealed with AES-256-GCM under a key that
//! PBKDF2-HMAC-SHA-512 makes from a PIN, and is never printed.
//!
//! What the PIN is good for: it keeps the seed from a backup, a screen share or a colleague who looks
//! into the file, and keeps the factor in the hands of the one who knows it. Against somebody who
//! has copied the file it only buys time, since a short PIN can be tried out elsewhere without limit:
//! six digits fall within hours. A long one, of several words, is what resists that.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Read, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, anyhow, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use countersign_crypto::{
    AgreementKey, DataKey, PBKDF2_MIN_ITERATIONS, SecretBytes, SecretText, SystemRng,
    pbkdf2_hmac_sha512, random_array,
};
use countersign_domain::{
    CredentialId, DeviceClass, DeviceEvidence, Timestamp, TokenName,
    ocra::typed_code,
    otp::{OtpParams, TokenSeed, passcode},
};
use countersign_provision::native::{
    self, Answer, PairingCode, ProvisionRequest, SeedAlgorithm, ServerTime,
};
use data_encoding::BASE64;
use reqwest::{Method, StatusCode, Url, blocking::Client, header, redirect};
use serde::{Deserialize, Serialize};

use crate::{private_file, settings::is_loopback};

const VERSION: u32 = 1;
const SALT_BYTES: usize = 32;
const KEY_BYTES: usize = 32;
/// A stored number above this would only make opening the file take for ever.
const ITERATIONS_MAX: u32 = 10_000_000;
const PIN_MIN_CHARACTERS: usize = 6;
const PIN_MAX_BYTES: usize = 128;
const FILE_BYTES_MAX: usize = 4_096;
const ANSWER_BYTES_MAX: u64 = 64 * 1_024;
/// A clock further than this from the server's is worth a warning: milliseconds.
const CLOCK_FINE_MS: i64 = 3_000;
const TIMEOUT: Duration = Duration::from_secs(15);
const PIN_VARIABLE: &str = "COUNTERSIGN_TOKEN_PIN";

/// What `countersign token` does.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Get a new credential from a server and keep it here
    New(NewToken),
    /// Show the current passcode
    Code(ShowCode),
    /// List the tokens that are kept here
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

/// Where the PIN comes from.
#[derive(Debug, Args)]
pub(crate) struct PinSource {
    /// File with the PIN on its first line, mode 0600; else the variable `COUNTERSIGN_TOKEN_PIN`, else a prompt
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
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
    /// Code of a pairing that the portal shows; the portal then goes on by itself
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
    /// Name or credential ID; not needed where there is only one token
    name: Option<String>,
    /// Go on showing passcodes until stopped (Ctrl-C)
    #[arg(long)]
    watch: bool,
    /// Only the digits, as when the output goes to a file or a pipe
    #[arg(long)]
    plain: bool,
    /// A code of 8 digits that is bound to what is signed: the number that stands below its picture
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
    /// Don't ask
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

/// Keeps a token that the demonstration made, as `token new` would have.
#[cfg(feature = "demo")]
pub(crate) fn keep_for_demo(
    folder: &Path,
    name: &str,
    made: (CredentialId, TokenSeed, OtpParams),
    pin: &str,
) -> anyhow::Result<()> {
    private_file::create_folder(folder)?;
    let (id, seed, params) = made;
    let credential = Credential { id, params, seed, expires: None };
    let stored = StoredToken::seal(name, &credential, &Pin(SecretText::new(pin.to_owned())))?;
    let text = serde_json::to_vec_pretty(&stored).context("the token could not be written")?;
    private_file::create(&folder.join(format!("{}.json", credential.id)), &text)?;
    Ok(())
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
            "a token named {} is kept here already: choose another --name, or remove it by `{}`",
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
    let text = serde_json::to_vec_pretty(&stored).context("the token could not be written")?;
    private_file::create(&path, &text).with_context(|| {
        format!("the token was not kept; the server discards the credential {id} by itself")
    })?;

    writeln!(out, "Token {} is kept in {}", quoted(&stored.name), path.display())?;
    writeln!(out, "\n    Credential ID  {}\n", grouped_id(id))?;
    writeln!(out, "Next: in Token Management, choose Add New Token, enter this credential ID")?;
    writeln!(out, "and the passcode that this command shows:\n")?;
    writeln!(out, "    {}\n", follow_up(&arguments.folder, &["code", &stored.name]))?;
    if let Some(expires) = credential.expires {
        writeln!(out, "The server discards the credential at {} if it is", expires.minute_text())?;
        writeln!(out, "not added by then.")?;
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
        let code = typed_code(number, &seed, &params, params.step_at(now)).context(
            "the page of signing gives a number of 8 digits, below the picture: type that one",
        )?;
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
        writeln!(out, "No tokens in {}. Make one:", folder.display())?;
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
    writeln!(out, "Token {name} is removed from this computer. If it was added to your account,")?;
    writeln!(out, "also disable {} in Token Management.", grouped_id(&id))?;
    Ok(())
}

/// Asks at a terminal; a script that names a token means it.
fn confirmed(what: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(true);
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "Remove {what}? Its passcodes can't be shown again. Type yes: ")?;
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
        let home = home.ok_or_else(|| anyhow!("there is no home folder: give --dir DIR"))?;
        Ok(home.join(".countersign/tokens"))
    }
}

impl PinSource {
    fn read(&self, twice: bool) -> anyhow::Result<Pin> {
        if let Some(path) = &self.pin_file {
            return Pin::from_file(path);
        }
        if let Some(value) = std::env::var_os(PIN_VARIABLE) {
            let text =
                value.into_string().map_err(|_| anyhow!("{PIN_VARIABLE} is not UTF-8 text"))?;
            return Pin::new(SecretText::new(text)).with_context(|| PIN_VARIABLE.to_owned());
        }
        Pin::from_prompt(twice)
    }
}

/// What opens a token: at least six characters.
struct Pin(SecretText);

impl Pin {
    fn new(text: SecretText) -> anyhow::Result<Self> {
        let pin = text.expose();
        ensure!(
            pin.chars().count() >= PIN_MIN_CHARACTERS,
            "the PIN needs at least {PIN_MIN_CHARACTERS} characters; several words are better"
        );
        ensure!(
            pin.len() <= PIN_MAX_BYTES,
            "the PIN has more than {PIN_MAX_BYTES} bytes: use fewer"
        );
        ensure!(
            !pin.chars().any(char::is_control),
            "the PIN holds a character that can't be typed: use letters, digits, spaces and signs"
        );
        Ok(Self(text))
    }

    fn from_file(path: &Path) -> anyhow::Result<Self> {
        // A pipe, as a shell makes for `--pin-file <(...)`, is private to the two processes.
        let piped =
            fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
        let bytes = if piped {
            let mut bytes = Vec::with_capacity(1_024);
            let read =
                fs::File::open(path).and_then(|file| file.take(1_024).read_to_end(&mut bytes));
            let bytes = SecretBytes::new(bytes);
            read.map_err(|error| anyhow!("PIN file {}", private_file::explain(path, &error)))?;
            bytes
        } else {
            private_file::read(path, 1_024).context("PIN file")?
        };
        let line = bytes.expose().split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = std::str::from_utf8(line)
            .map_err(|_| anyhow!("the PIN file {} is not UTF-8 text", path.display()))?;
        Self::new(SecretText::new(text.to_owned()))
            .with_context(|| format!("PIN file {}", path.display()))
    }

    fn from_prompt(twice: bool) -> anyhow::Result<Self> {
        let ask = |prompt: &str| {
            rpassword::prompt_password(prompt).map(SecretText::new).map_err(|error| {
                anyhow!("there is no terminal to ask for the PIN ({error}): give --pin-file FILE or set {PIN_VARIABLE}")
            })
        };
        if !twice {
            return Self::new(ask("PIN: ")?);
        }
        let pin = Self::new(ask("Choose a PIN for this token (6 characters or more): ")?)?;
        let again = ask("The same PIN again: ")?;
        let same = SecretBytes::new(again.expose().into()).ct_eq(pin.0.expose().as_bytes());
        ensure!(same, "the two PINs differ: nothing was made, start again");
        Ok(pin)
    }

    /// The key under which the seed is sealed. Slow on purpose.
    fn key(&self, iterations: u32, salt: &[u8]) -> anyhow::Result<DataKey> {
        // The module counts PBKDF2 as approved from 14 bytes on. These constant words make up the
        // length, so that the rule holds in form; they add nothing to the strength of the PIN.
        let mut secret = Vec::with_capacity(256);
        secret.extend_from_slice(b"countersign-pin:");
        secret.extend_from_slice(self.0.expose().as_bytes());
        let secret = SecretBytes::new(secret);
        let derived = pbkdf2_hmac_sha512(iterations, salt, secret.expose());
        let key = derived.expose().get(..KEY_BYTES).unwrap_or_default();
        Ok(DataKey::from_bytes(&SecretBytes::new(key.to_vec()))?)
    }
}

/// A token file, version 1.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredToken {
    version: u32,
    name: String,
    credential_id: String,
    algorithm: String,
    digits: u8,
    period: u16,
    iterations: u32,
    /// Base64, 32 bytes.
    salt: String,
    /// Base64, the seed as [`DataKey::seal`] makes it.
    sealed: String,
    #[serde(skip)]
    path: PathBuf,
}

impl StoredToken {
    fn seal(name: &str, credential: &Credential, pin: &Pin) -> anyhow::Result<Self> {
        let salt: [u8; SALT_BYTES] = random_array(&mut SystemRng)?;
        let mut token = Self {
            version: VERSION,
            name: name.to_owned(),
            credential_id: credential.id.as_str().to_owned(),
            algorithm: credential.params.algorithm_code().to_owned(),
            digits: credential.params.digits(),
            period: credential.params.period(),
            iterations: PBKDF2_MIN_ITERATIONS,
            salt: BASE64.encode(&salt),
            sealed: String::new(),
            path: PathBuf::new(),
        };
        let key = pin.key(token.iterations, &salt)?;
        token.sealed = BASE64.encode(&key.seal(&token.place()?, credential.seed.expose())?);
        Ok(token)
    }

    fn read(path: &Path) -> anyhow::Result<Self> {
        let damaged = || format!("{} is damaged or no token file: remove it", path.display());
        let bytes = private_file::read(path, FILE_BYTES_MAX)?;
        let value: serde_json::Value =
            serde_json::from_slice(bytes.expose()).with_context(damaged)?;
        if value
            .get("version")
            .and_then(serde_json::Value::as_u64)
            .is_some_and(|v| v > VERSION.into())
        {
            bail!("{} was made by a newer version: update countersign", path.display());
        }
        let mut token: Self = serde_json::from_value(value).with_context(damaged)?;
        let iterations = PBKDF2_MIN_ITERATIONS..=ITERATIONS_MAX;
        let sound = token.version == VERSION
            && iterations.contains(&token.iterations)
            && TokenName::stored(&token.name).is_some_and(|name| name.as_str() == token.name)
            && token.id().is_ok()
            && token.params().is_ok()
            && token.bytes_of(&token.salt)?.len() == SALT_BYTES;
        ensure!(sound, damaged());
        path.clone_into(&mut token.path);
        Ok(token)
    }

    fn open(&self, pin: &Pin) -> anyhow::Result<(TokenSeed, OtpParams)> {
        let key = pin.key(self.iterations, &self.bytes_of(&self.salt)?)?;
        let seed = key
            .open(&self.place()?, &self.bytes_of(&self.sealed)?)
            .map_err(|_| anyhow!("the PIN is not right, or {} was changed", self.path.display()))?;
        Ok((TokenSeed::new(seed)?, self.params()?))
    }

    /// The associated data of the seal: all that says whose seed this is and how it is used.
    fn place(&self) -> anyhow::Result<Vec<u8>> {
        let place = (
            "countersign soft token",
            self.version,
            &self.credential_id,
            &self.name,
            &self.algorithm,
            self.digits,
            self.period,
        );
        Ok(serde_json::to_vec(&place)?)
    }

    fn id(&self) -> anyhow::Result<CredentialId> {
        Ok(CredentialId::parse(&self.credential_id, None)?)
    }

    fn params(&self) -> anyhow::Result<OtpParams> {
        let algorithm = OtpParams::algorithm_from_code(&self.algorithm)?;
        Ok(OtpParams::new(algorithm, self.digits, self.period)?)
    }

    fn bytes_of(&self, text: &str) -> anyhow::Result<Vec<u8>> {
        BASE64
            .decode(text.as_bytes())
            .map_err(|_| anyhow!("{} is damaged or no token file: remove it", self.path.display()))
    }
}

fn check_folder(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let metadata =
        fs::metadata(folder).map_err(|error| anyhow!(private_file::explain(folder, &error)))?;
    ensure!(metadata.is_dir(), "{} is not a folder: give another --dir", folder.display());
    let mode = metadata.permissions().mode() & 0o7777;
    let others = mode & 0o077;
    ensure!(
        others == 0,
        "{0} is open to other accounts (mode {mode:04o}): run `chmod 700 {0}`, or give another --dir",
        folder.display()
    );
    Ok(())
}

/// The tokens in a folder, by name, and a line for each file that is none.
fn read_folder(folder: &Path) -> anyhow::Result<(Vec<StoredToken>, Vec<String>)> {
    let (mut tokens, mut faults) = (Vec::new(), Vec::new());
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((tokens, faults)),
        other => other.map_err(|error| anyhow!(private_file::explain(folder, &error)))?,
    };
    for item in listed {
        let path = item?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        match StoredToken::read(&path) {
            Ok(token) => tokens.push(token),
            Err(error) => faults.push(error.to_string()),
        }
    }
    tokens.sort_by(|a, b| (&a.name, &a.credential_id).cmp(&(&b.name, &b.credential_id)));
    faults.sort();
    Ok((tokens, faults))
}

fn find_token(folder: &Path, wanted: Option<&str>) -> anyhow::Result<StoredToken> {
    let (mut tokens, faults) = read_folder(folder)?;
    let all: Vec<String> = tokens.iter().map(|token| quoted(&token.name)).collect();
    if let Some(wanted) = wanted {
        let id = CredentialId::parse(wanted, None).ok();
        let named = |token: &StoredToken| token.name == wanted.trim();
        let by_id =
            |token: &StoredToken| id.as_ref().is_some_and(|id| id.as_str() == token.credential_id);
        if tokens.iter().any(named) {
            tokens.retain(named);
        } else {
            tokens.retain(by_id);
        }
    }
    match (tokens.len(), wanted) {
        (1, _) => tokens.pop().ok_or_else(|| anyhow!("no token")),
        (0, _) if !faults.is_empty() => bail!("{}", faults.join("\n")),
        (0, None) => bail!(
            "no tokens in {}: make one by `countersign token new --server URL --name NAME`",
            folder.display()
        ),
        (0, Some(wanted)) if all.is_empty() => {
            bail!("no token {} in {}, which holds none", quoted(wanted), folder.display())
        }
        (0, Some(wanted)) => {
            bail!(
                "no token {} in {}; here are {}",
                quoted(wanted),
                folder.display(),
                all.join(", ")
            )
        }
        (_, None) => bail!("which token? Give its name: {}", all.join(", ")),
        (_, Some(_)) => bail!("several tokens have that name: give the credential ID"),
    }
}

/// `123 456   (17 s left)`
fn code_line(seed: &TokenSeed, params: OtpParams, now: Timestamp) -> String {
    let code = passcode(seed, &params, params.step_at(now));
    let half = code.len() / 2;
    let (first, second) = code.split_at_checked(half).unwrap_or((&code, ""));
    format!("{first} {second}   ({} s left)", params.seconds_left(now))
}

/// `CNST 1234 5674`: the letters, then the digits by four.
fn grouped_id(id: &CredentialId) -> String {
    let text = id.as_str();
    let letters = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let mut grouped = letters.to_owned();
    for (index, digit) in text.chars().skip(letters.len()).enumerate() {
        if index % 4 == 0 && !grouped.is_empty() {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// A command of ours to go on with, that works as it stands: this program as it was called, in
/// the folder that was named.
fn follow_up(folder: &TokenFolder, words: &[&str]) -> String {
    let program = std::env::args_os().next().map(PathBuf::from);
    let program = program.unwrap_or_else(|| "countersign".into()).display().to_string();
    let mut line = vec![quoted(&program), "token".to_owned()];
    line.extend(
        words
            .iter()
            .map(|word| if word.starts_with("--") { (*word).to_owned() } else { quoted(word) }),
    );
    if let Some(dir) = folder.dir.as_ref().filter(|dir| !dir.as_os_str().is_empty()) {
        line.extend(["--dir".to_owned(), quoted(&dir.display().to_string())]);
    }
    line.join(" ")
}

/// A name or a path as a shell takes it.
pub(crate) fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+');
    if !name.is_empty() && name.chars().all(plain) && !name.starts_with('-') {
        return name.to_owned();
    }
    format!("'{}'", name.replace('\'', r"'\''"))
}

fn clock_warning(offset_ms: i64) -> Option<String> {
    if offset_ms.saturating_abs() <= CLOCK_FINE_MS {
        return None;
    }
    let seconds = offset_ms.saturating_abs() / 1_000;
    let side = if offset_ms > 0 { "behind" } else { "ahead of" };
    Some(format!(
        "Look at your clock: this computer is {seconds} s {side} the server.\nPasscodes may be refused until it is right. Switch on automatic time, then go on."
    ))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A credential as the server hands it out.
struct Credential {
    id: CredentialId,
    params: OtpParams,
    seed: TokenSeed,
    expires: Option<Timestamp>,
}

/// The provisioning endpoint of a server.
struct Server {
    client: Client,
    origin: Url,
}

impl Server {
    /// HTTPS; plain HTTP only to this machine, since the seed goes over it.
    fn at(address: &str) -> anyhow::Result<Self> {
        let url = Url::parse(address.trim()).ok().filter(|url| url.host_str().is_some());
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
        let origin = url
            .ok_or_else(|| anyhow!("--server: give an address such as https://erx.example.org"))?;
        let only_origin =
            origin.path() == "/" && origin.query().is_none() && origin.fragment().is_none();
        ensure!(
            only_origin && origin.username().is_empty() && origin.password().is_none(),
            "--server: give the address without a path or user: {}",
            origin.origin().ascii_serialization()
        );
        let builder = Client::builder()
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")));
        install_tls();
        let builder = if origin.scheme() == "https" {
            builder.https_only(true)
        } else {
            ensure!(
                is_loopback(&origin),
                "--server: use https; over plain http the secret of the token could be read on the way"
            );
            // No proxy may see the seed, and no certificates are needed: a computer may have none.
            builder.no_proxy().tls_backend_preconfigured(trusts_nobody())
        };
        let client = builder.build().context(
            "TLS could not be set up: install the certificates of your system (Debian: ca-certificates)",
        )?;
        Ok(Self { client, origin })
    }

    /// The server's time less ours, in milliseconds.
    fn clock_offset_ms(&self, clock: fn() -> Timestamp) -> anyhow::Result<i64> {
        let before = clock();
        let answer = self.ask(Method::GET, "/provision/v1/time", None)?;
        let after = clock();
        let time = ServerTime::from_json(answer.expose()).map_err(|_| self.not_understood())?;
        Ok(time.offset_ms(before, after))
    }

    fn new_credential(
        &self,
        family: native::Family,
        pairing_code: Option<PairingCode>,
    ) -> anyhow::Result<Credential> {
        // A vendor's IDs come with what that vendor's apps can do.
        let algorithm = match family {
            native::Family::Countersign => SeedAlgorithm::Sha256,
            native::Family::Symantec => SeedAlgorithm::Sha1,
        };
        let own = AgreementKey::generate().context("the FIPS module made no key")?;
        let request = ProvisionRequest {
            device_key: own.public_key().clone(),
            algorithm,
            family,
            device_class: DeviceClass::Terminal,
            device_evidence: DeviceEvidence::Checked,
            pairing_code,
        };
        let body = request.to_json();
        let answer = self.ask(Method::POST, "/provision/v1/credentials", Some(&body))?;
        let answer = Answer::from_json(answer.expose())
            .ok()
            .filter(|answer| answer.credential_id.manufacturer() == family.manufacturer())
            .ok_or_else(|| self.not_understood())?;
        let seed = answer.seed(own, algorithm).map_err(|error| {
            anyhow!(
                "{} does not prove that it has the same secret ({error}): nothing was kept; somebody may be in between",
                self.name()
            )
        })?;
        Ok(Credential {
            id: answer.credential_id,
            params: algorithm.params()?,
            seed,
            expires: Some(answer.expires_at),
        })
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&SecretText>,
    ) -> anyhow::Result<SecretBytes> {
        let url = self.origin.join(path).context("--server")?;
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.expose().to_owned());
        }
        let answer = request.send().map_err(|error| self.away(&error))?;
        let status = answer.status();
        let mut bytes = Vec::with_capacity(4_096);
        let read = answer.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
        let bytes = SecretBytes::new(bytes);
        read.map_err(|error| anyhow!("{} broke off ({error}): try again", self.name()))?;
        if status.is_success() {
            return Ok(bytes);
        }
        Err(self.refused(status, &bytes))
    }

    fn not_understood(&self) -> anyhow::Error {
        anyhow!(
            "{} gave an answer that is not understood: is it a Countersign server, of this version?",
            self.name()
        )
    }

    /// The words of an RFC 9457 problem, where the server gave them.
    fn refused(&self, status: StatusCode, body: &SecretBytes) -> anyhow::Error {
        #[derive(Deserialize)]
        struct Problem {
            title: Option<String>,
            detail: Option<String>,
        }
        let problem = serde_json::from_slice::<Problem>(body.expose()).ok();
        let words = problem.and_then(|problem| problem.detail.or(problem.title));
        match words.map(|words| shown(&words)).filter(|words| !words.is_empty()) {
            Some(words) => anyhow!("{} refused: {words}", self.name()),
            None => anyhow!("{} answered {status}: is it a Countersign server?", self.name()),
        }
    }

    fn away(&self, error: &reqwest::Error) -> anyhow::Error {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        anyhow!(
            "{} can't be reached ({cause}): check the address, and that the server runs",
            self.name()
        )
    }

    fn name(&self) -> String {
        self.origin.origin().ascii_serialization()
    }
}

/// Words of a server, made harmless for a terminal.
fn shown(words: &str) -> String {
    words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect::<String>()
        .trim()
        .to_owned()
}

fn install_tls() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        // A provider that is there already is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
}

fn trusts_nobody() -> rustls::ClientConfig {
    rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, os::unix::fs::PermissionsExt, thread};

    /// RFC 6238's SHA-256 seed of appendix B, in Base32.
    const SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZA";
    const PIN: &str = "plum anchor violet";

    fn fixed() -> Timestamp {
        Timestamp::from_seconds(1_111_111_109)
    }

    fn pin(text: &str) -> Pin {
        Pin::new(SecretText::new(text.to_owned())).unwrap()
    }

    fn credential() -> Credential {
        Credential {
            id: CredentialId::parse("CNST12345674", None).unwrap(),
            params: OtpParams::OWN,
            seed: TokenSeed::new(SecretBytes::new(
                data_encoding::BASE32_NOPAD.decode(SEED.as_bytes()).unwrap(),
            ))
            .unwrap(),
            expires: None,
        }
    }

    fn keep(folder: &Path, name: &str, id: &str) -> PathBuf {
        let credential = Credential { id: CredentialId::parse(id, None).unwrap(), ..credential() };
        let stored = StoredToken::seal(name, &credential, &pin(PIN)).unwrap();
        let path = folder.join(format!("{id}.json"));
        private_file::create(&path, &serde_json::to_vec_pretty(&stored).unwrap()).unwrap();
        path
    }

    fn pin_file(folder: &Path) -> PinSource {
        let path = folder.join("pin");
        private_file::create(&path, format!("{PIN}\r\nsecond line\n").as_bytes()).unwrap();
        PinSource { pin_file: Some(path) }
    }

    fn fail<T>(result: anyhow::Result<T>) -> String {
        format!("{:#}", result.err().unwrap())
    }

    /// What was asked, and the seed that was agreed.
    type Asked = (Vec<String>, Option<TokenSeed>);

    /// How a request is answered.
    enum Reply {
        Fixed(&'static str, String),
        /// As the protocol has it, with this ID.
        Credential(&'static str),
        /// The same by somebody who knows another seed.
        Impostor(&'static str),
    }

    /// Answers one request after the other; gives back what was asked, and the seed that was agreed.
    fn server(answers: Vec<Reply>) -> (String, thread::JoinHandle<Asked>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = thread::spawn(move || {
            let (mut asked, mut agreed) = (Vec::new(), None);
            for reply in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                let mut chunk = [0; 2_048];
                // The small requests of this client come whole once their JSON object has ended.
                while !(request.ends_with(b"}")
                    || request.starts_with(b"GET") && request.ends_with(b"\r\n\r\n"))
                {
                    let read = stream.read(&mut chunk).unwrap();
                    request.extend_from_slice(&chunk[..read]);
                }
                let request = String::from_utf8(request).unwrap();
                let (status, body) = match reply {
                    Reply::Fixed(status, body) => (status, body),
                    Reply::Credential(id) | Reply::Impostor(id) => {
                        let body = request.split_once("\r\n\r\n").unwrap().1;
                        let asked = ProvisionRequest::from_json(body.as_bytes()).unwrap();
                        assert_eq!(asked.device_class, DeviceClass::Terminal);
                        let id = CredentialId::parse(id, None).unwrap();
                        let expires = Timestamp::from_micros(1_111_197_509_000_000);
                        let (mut answer, seed) =
                            asked.answer(id.clone(), fixed(), expires).unwrap();
                        if matches!(reply, Reply::Impostor(_)) {
                            answer.confirmation =
                                asked.answer(id, fixed(), expires).unwrap().0.confirmation;
                        }
                        agreed = Some(seed);
                        ("201 Created", answer.to_json())
                    }
                };
                asked.push(request);
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                stream.write_all((head + &body).as_bytes()).unwrap();
            }
            (asked, agreed)
        });
        (address, asked)
    }

    fn time_answer(offset_ms: i64) -> Reply {
        let time = fixed().micros() / 1_000 + offset_ms;
        Reply::Fixed("200 OK", format!("{{\"unix_time_ms\":{time}}}"))
    }

    fn new_arguments(folder: &Path, server: String, name: &str) -> NewToken {
        NewToken {
            server,
            name: name.parse().unwrap(),
            family: Family::Countersign,
            pairing_code: None,
            pin: PinSource { pin_file: Some(folder.join("pin")) },
            folder: TokenFolder { dir: Some(folder.join("tokens")) },
        }
    }

    #[test]
    fn a_new_token_is_kept_sealed_and_shows_the_right_passcode() {
        let folder = tempfile::tempdir().unwrap();
        pin_file(folder.path());
        let (address, asked) =
            server(vec![time_answer(-42_500), Reply::Credential("CNST12345674")]);
        let arguments = new_arguments(folder.path(), address, "my phone");
        let mut out = Vec::new();
        new_token(&arguments, fixed, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("CNST 1234 5674") && out.contains("code 'my phone'"), "{out}");
        assert!(out.contains("42 s ahead of the server"), "{out}");
        assert!(out.contains("discards the credential at 2005-03-19 01:58 UTC"), "{out}");
        let (asked, agreed) = asked.join().unwrap();
        let agreed = agreed.unwrap();
        assert!(asked[0].starts_with("GET /provision/v1/time "), "{asked:?}");
        assert!(asked[1].starts_with("POST /provision/v1/credentials "), "{asked:?}");
        assert!(asked[1].to_lowercase().contains("content-type: application/json"), "{asked:?}");

        let path = folder.path().join("tokens/CNST12345674.json");
        let text = fs::read_to_string(&path).unwrap();
        for shown in [&out, &text] {
            let base32 = data_encoding::BASE32_NOPAD.encode(agreed.expose());
            assert!(!shown.contains(&base32), "{shown}");
            assert!(!shown.contains(PIN));
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));

        let stored = find_token(path.parent().unwrap(), None).unwrap();
        let (seed, params) = stored.open(&pin(PIN)).unwrap();
        assert_eq!(seed.expose(), agreed.expose());
        let code = passcode(&agreed, &params, params.step_at(fixed()));
        let shown = format!("{} {}   (1 s left)", &code[..3], &code[3..]);
        assert_eq!(code_line(&seed, params, fixed()), shown);

        let arguments = new_arguments(folder.path(), "http://127.0.0.1:1".into(), "my phone");
        let line = fail(new_token(&arguments, fixed, &mut Vec::new()));
        assert!(line.contains("kept here already"), "{line}");
    }

    #[test]
    fn what_the_server_says_is_shown_and_nothing_is_kept() {
        let problem = r#"{"type":"about:blank","title":"Too many","detail":"Wait a minute.\u001b[2J","status":429}"#;
        let fixed_reply = |status, body: &str| Reply::Fixed(status, body.to_owned());
        let cases = [
            (vec![fixed_reply("404 Not Found", "<html>")], "answered 404"),
            (vec![fixed_reply("200 OK", "{}")], "not understood"),
            (vec![fixed_reply("302 Found", "")], "answered 302"),
            (
                vec![time_answer(0), fixed_reply("429 Too Many Requests", problem)],
                "refused: Wait a minute. [2J",
            ),
            (vec![time_answer(0), Reply::Credential("SYMC12345674")], "not understood"),
            (vec![time_answer(0), Reply::Impostor("CNST12345674")], "nothing was kept"),
            (vec![time_answer(0), fixed_reply("201 Created", r#"{"seed":"x"}"#)], "not understood"),
            (
                vec![time_answer(0), fixed_reply("201 Created", &"x".repeat(100_000))],
                "not understood",
            ),
        ];
        for (answers, expected) in cases {
            let folder = tempfile::tempdir().unwrap();
            pin_file(folder.path());
            let (address, asked) = server(answers);
            let line = fail(new_token(
                &new_arguments(folder.path(), address.clone(), "phone"),
                fixed,
                &mut Vec::new(),
            ));
            asked.join().unwrap();
            assert!(line.contains(expected) && line.contains(&address), "{line}");
            assert!(!line.contains(['\n', '\u{1b}']), "{line}");
            assert_eq!(fs::read_dir(folder.path().join("tokens")).unwrap().count(), 0);
        }
    }

    #[test]
    fn addresses_over_which_a_seed_would_be_read_are_refused() {
        for (address, expected) in [
            ("http://erx.example.org", "use https"),
            ("http://192.0.2.1:8700", "use https"),
            ("http://localhost.example.org", "use https"),
            ("erx.example.org", "give an address such as"),
            ("file:///etc/passwd", "give an address such as"),
            ("https://erx.example.org/portal", "without a path or user: https://erx.example.org"),
            ("https://user@erx.example.org", "without a path or user"),
        ] {
            let line = fail(Server::at(address));
            assert!(line.contains(expected), "{address}: {line}");
        }
        for address in ["http://127.0.0.1:8700", "http://localhost:8700/", "http://[::1]:8700"] {
            assert!(Server::at(address).is_ok(), "{address}");
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let server = Server::at(&format!("http://127.0.0.1:{port}")).unwrap();
        let line = fail(server.clock_offset_ms(fixed));
        assert!(line.contains("can't be reached") && line.contains("check the address"), "{line}");
    }

    #[test]
    fn the_seal_holds_against_another_pin_name_id_or_setting() {
        let folder = tempfile::tempdir().unwrap();
        let path = keep(folder.path(), "phone", "CNST12345674");
        let stored = StoredToken::read(&path).unwrap();
        assert!(fail(stored.open(&pin("plum anchor violin"))).contains("PIN is not right"));
        let text = fs::read_to_string(&path).unwrap();
        let other_id =
            CredentialId::random(countersign_domain::TokenKind::OtpSoft, &mut SystemRng).unwrap();
        for (from, to) in [
            ("\"phone\"", "\"other\""),
            ("CNST12345674", other_id.as_str()),
            ("SHA256", "SHA1"),
            ("\"digits\": 6", "\"digits\": 8"),
            ("\"period\": 30", "\"period\": 60"),
            ("210000", "210001"),
        ] {
            assert!(text.contains(from), "{from}");
            fs::write(&path, text.replace(from, to)).unwrap();
            let changed = StoredToken::read(&path).unwrap();
            assert!(fail(changed.open(&pin(PIN))).contains("was changed"), "{to}");
        }
        for (from, to, expected) in [
            ("210000", "1000", "damaged"),
            ("210000", "4000000000", "damaged"),
            ("\"version\": 1", "\"version\": 2", "newer version"),
            ("\"version\": 1", "\"version\": 0", "damaged"),
            ("\"digits\": 6", "\"digits\": 5", "damaged"),
            ("\"salt\": \"", "\"salt\": \"AAAA", "damaged"),
            ("{", "", "damaged"),
            ("{", "{\"more\": 1,", "damaged"),
        ] {
            fs::write(&path, text.replacen(from, to, 1)).unwrap();
            assert!(fail(StoredToken::read(&path)).contains(expected), "{to}");
        }
        fs::write(&path, text).unwrap();
        assert!(StoredToken::read(&path).unwrap().open(&pin(PIN)).is_ok());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(fail(StoredToken::read(&path)).contains("chmod 600"));
    }

    #[test]
    fn one_token_needs_no_name_and_more_do() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        assert!(fail(find_token(dir, None)).contains("token new --server URL"));
        assert!(fail(find_token(&dir.join("no"), Some("x"))).contains("holds none"));
        keep(dir, "phone", "CNST12345674");
        assert_eq!(find_token(dir, None).unwrap().name, "phone");
        keep(dir, "desk top", "SYMC26070843");
        assert_eq!(find_token(dir, Some("desk top")).unwrap().credential_id, "SYMC26070843");
        assert_eq!(find_token(dir, Some("symc 2607 0843")).unwrap().name, "desk top");
        assert!(fail(find_token(dir, None)).contains("Give its name: 'desk top', phone"));
        assert!(fail(find_token(dir, Some("no"))).contains("here are 'desk top', phone"));
        keep(dir, "phone", "SYMC26070844");
        assert!(fail(find_token(dir, Some("phone"))).contains("give the credential ID"));
        assert_eq!(find_token(dir, Some("SYMC26070844")).unwrap().name, "phone");
        fs::write(dir.join("broken.json"), "{}").unwrap();
        assert!(find_token(dir, Some("desk top")).is_ok(), "a damaged file stops no other token");
    }

    #[test]
    fn list_and_remove() {
        let folder = tempfile::tempdir().unwrap();
        let place = || TokenFolder { dir: Some(folder.path().into()) };
        let listed = || {
            let mut out = Vec::new();
            let result = list_tokens(&place(), &mut out);
            (String::from_utf8(out).unwrap(), result)
        };
        assert!(listed().0.contains("No tokens in"));
        let path = keep(folder.path(), "phone", "CNST12345674");
        keep(folder.path(), "fob", "FT1234567890");
        let (out, result) = listed();
        result.unwrap();
        assert_eq!(
            out,
            "fob    FT 1234 5678 90  6 digits every 30 s\nphone  CNST 1234 5674  6 digits every 30 s\n"
        );
        let remove = |confirm: fn(&str) -> anyhow::Result<bool>, yes| {
            let arguments = RemoveToken { name: "phone".into(), yes, folder: place() };
            let mut out = Vec::new();
            remove_token(&arguments, confirm, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(
            remove(|what| Ok(what != "phone (CNST 1234 5674)"), false)
                .contains("Nothing was removed")
        );
        assert!(path.exists());
        assert!(remove(|_| panic!("must not ask"), true).contains("disable CNST 1234 5674"));
        assert!(!path.exists());
        private_file::create(&folder.path().join("broken.json"), b"{}").unwrap();
        let (out, result) = listed();
        assert!(out.contains("fob") && fail(result).contains("broken.json is damaged"));
    }

    #[test]
    fn code_for_a_pipe_is_digits_only() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("tokens");
        private_file::create_folder(&dir).unwrap();
        keep(&dir, "phone", "CNST12345674");
        let mut arguments = ShowCode {
            name: None,
            watch: false,
            plain: false,
            sign: None,
            pin: pin_file(folder.path()),
            folder: TokenFolder { dir: Some(dir) },
        };
        let code = |arguments: &ShowCode, terminal| {
            let mut out = Vec::new();
            show_code(arguments, terminal, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let digits = code(&arguments, false);
        assert!(digits.len() == 7 && digits.trim().bytes().all(|b| b.is_ascii_digit()), "{digits}");
        assert!(code(&arguments, true).ends_with(" s left)\n"));
        arguments.plain = true;
        assert_eq!(code(&arguments, true).len(), 7);
        // For a number of what is signed: 8 digits, other ones for another number.
        let signing = ["1234 5678", "12345679"].map(|number| {
            arguments.sign = Some(number.to_owned());
            code(&arguments, true)
        });
        assert!(signing.iter().all(|code| code.len() == 9) && signing[0] != signing[1]);
        arguments.sign = Some("1234".to_owned());
        assert!(fail(show_code(&arguments, true, &mut Vec::new())).contains("8 digits"));
    }

    #[test]
    fn watching_shows_each_second_and_each_new_code() {
        let Credential { seed, params, .. } = credential();
        let run = |plain| {
            let (mut out, mut waits) = (Vec::new(), Vec::new());
            let mut time = fixed().micros() + 250_000;
            let mut times = [time, time + 750_000, time + 1_750_000].into_iter();
            let mut clock = || {
                time = times.next().unwrap();
                Timestamp::from_micros(time)
            };
            let mut wait = |left: Duration| {
                waits.push(left.as_millis());
                if waits.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            watch(&seed, params, plain, &mut out, &mut clock, &mut wait).unwrap();
            assert_eq!(waits, [750, 1_000, 1_000]);
            String::from_utf8(out).unwrap()
        };
        let shown = run(false);
        assert!(shown.starts_with("\r084 774   (1 s left)\u{1b}[K\r"), "{shown:?}");
        assert!(
            shown.contains("(30 s left)") && shown.ends_with("(29 s left)\u{1b}[K"),
            "{shown:?}"
        );
        let plain = run(true);
        assert!(plain.starts_with("084774\n") && plain.lines().count() == 2, "{plain:?}");
    }

    #[test]
    fn pins_have_six_characters_and_private_files() {
        let refused = |text: &str| fail(Pin::new(SecretText::new(text.to_owned())));
        assert!(refused("12345").contains("at least 6 characters"));
        assert!(refused("ééééé").contains("at least 6 characters"));
        assert!(refused(&"x".repeat(129)).contains("128 bytes"));
        assert!(refused("12345\t6").contains("can't be typed"));
        let folder = tempfile::tempdir().unwrap();
        let source = pin_file(folder.path());
        assert_eq!(source.read(true).unwrap().0.expose(), PIN);
        let path = source.pin_file.clone().unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(fail(source.read(false)).starts_with("PIN file: "));
        assert!(fail(Pin::from_file(&folder.path().join("no"))).contains("does not exist"));
        assert!(fail(Pin::from_file(folder.path())).contains("not a regular file"));
        assert!(fail(Pin::from_file(Path::new("/dev/null"))).contains("at least 6"));
    }

    #[test]
    fn an_open_folder_is_refused_before_anything_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = new_arguments(folder.path(), "http://127.0.0.1:1".into(), "phone");
        let dir = folder.path().join("tokens");
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        let line = fail(new_token(&arguments, fixed, &mut Vec::new()));
        assert!(line.contains("chmod 700"), "{line}");
    }

    #[test]
    fn words_for_people() {
        assert_eq!(clock_warning(3_000), None);
        assert!(clock_warning(-3_001).unwrap().contains("3 s ahead of"));
        assert!(clock_warning(90_000).unwrap().contains("90 s behind"));
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("-x"), "'-x'");
        let id = CredentialId::parse("AVT123456789", None).unwrap();
        assert_eq!(grouped_id(&id), "AVT 1234 5678 9");
    }
}
