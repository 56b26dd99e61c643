//! What an operator may set: `countersign.toml` and `COUNTERSIGN_*` variables.
//!
//! The sections below are the only list of settings. Defaults, checks, the documented default file
//! and `docs/configuration.md` are all made from it.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fmt,
    fs::{self, File},
    io::{ErrorKind, Read},
    net::{IpAddr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    str::FromStr,
};

use config::{Config, FileFormat, Source, Value, ValueKind};
use countersign_domain::{
    EmailAddress, FORMATS, FailureLimits, Manufacturer, Policy as DomainPolicy,
    SameBrowser as DomainSameBrowser, TokenKind, UsState, check_line,
    prescription::Pharmacy,
    retention::{Retention, RetentionError, STANDARD_YEARS},
    state_rules::{LimitOfV, StateRules},
};
use countersign_server::{AddressSource, ClientAddresses, Rates, TrustedProxy};
use reqwest::Url;
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use crate::private_file::explain;

const DEFAULT_FILE: &str = "countersign.toml";
const FILE_BYTES_MAX: u64 = 256 * 1024;
const PREFIX: &str = "COUNTERSIGN_";
/// Longest path of a Unix socket: 108 bytes with the closing zero (unix(7)).
const SOCKET_PATH_MAX: usize = 107;

/// Variables with our prefix that are no settings; a name that ends in `_` stands for all it begins.
const RESERVED: [(&str, &str); 6] = [
    ("COUNTERSIGN_CONFIG", "Path of the configuration file, where `--config` is not given."),
    (
        "COUNTERSIGN_LOG",
        "Log filter for one run, in place of `log.level`, such as `info,countersign_store=debug`.",
    ),
    ("COUNTERSIGN_TOKEN_PIN", "PIN of the tokens that `countersign token` keeps, for scripts."),
    ("COUNTERSIGN_TOKEN_DIR", "Folder in which `countersign token` keeps its tokens."),
    ("COUNTERSIGN_BIN", "The binary that the scripts of the source tree run."),
    ("COUNTERSIGN_TEST_", "Variables of the test suite."),
];

/// One setting as the documents show it.
struct Entry {
    section: &'static str,
    name: &'static str,
    doc: Vec<&'static str>,
    default: serde_json::Value,
    bounds: Option<(i64, i64)>,
}

macro_rules! settings {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident: $Section:ident {
            $($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr $(, $low:literal..=$high:literal)?;)+
        }
    )+) => {
        /// Every setting, checked.
        #[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
        #[serde(default, deny_unknown_fields)]
        pub(crate) struct Settings {
            $($(#[doc = $section_doc])+ pub(crate) $section: $Section,)+
            /// The file that was read, where one was.
            #[serde(skip)]
            pub(crate) file: Option<PathBuf>,
        }

        $(
            $(#[doc = $section_doc])+
            #[allow(
                clippy::doc_markdown,
                clippy::struct_field_names,
                reason = "names and doc lines are those of the configuration file"
            )]
            #[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
            #[serde(default, deny_unknown_fields)]
            pub(crate) struct $Section {
                $($(#[doc = $doc])+ pub(crate) $name: $type,)+
            }

            impl Default for $Section {
                fn default() -> Self {
                    Self { $($name: $default,)+ }
                }
            }
        )+

        fn sections() -> Vec<(&'static str, Vec<&'static str>)> {
            vec![$((stringify!($section), vec![$($section_doc),+]),)+]
        }

        fn entries() -> Vec<Entry> {
            vec![$($(Entry {
                section: stringify!($section),
                name: stringify!($name),
                doc: vec![$($doc),+],
                default: serde_json::to_value::<$type>($default).unwrap_or_default(),
                bounds: bounds!($($low, $high)?),
            },)+)+]
        }
    };
}

macro_rules! bounds {
    () => {
        None
    };
    ($low:literal, $high:literal) => {
        Some(($low, $high))
    };
}

const STANDARD: DomainPolicy = DomainPolicy::STANDARD;

settings! {
    /// Where the server listens and how browsers reach it.
    server: Server {
        /// Address and port, or `unix:` and the path of a socket. Only this machine can reach it:
        /// TLS is ended by a validated TLS terminator in front, on the same machine.
        listen: String = "127.0.0.1:8700".to_owned();
        /// The address that browsers use, without a path. `https`, except on this machine alone.
        public_url: String = "http://127.0.0.1:8700".to_owned();
        /// Proxies that say whom they speak for: addresses, networks such as `10.1.0.0/16`, and `unix` for
        /// whoever uses the Unix socket. What anybody else says of it is ignored. Empty: every client counts as
        /// the proxy, and all share the limits of one address.
        trusted_proxies: Vec<String> = Vec::new();
        /// Where they say it: `x-forwarded-for`, `forwarded` (RFC 7239), or `proxy-protocol` (version 2, at the
        /// beginning of each connection). The client is the rightmost address that is no trusted proxy.
        client_address: ClientAddress = ClientAddress::XForwardedFor;
    }
    /// Where the data is kept.
    database: Database {
        /// `sqlite` (one file, one server) or `postgres` (PostgreSQL 15 or newer, several servers).
        kind: DatabaseKind = DatabaseKind::Sqlite;
        /// The SQLite file, with `kind = "sqlite"`.
        path: PathBuf = "data/countersign.db".into();
        /// The connection text, with `kind = "postgres"`: `postgres://user@127.0.0.1:5432/name`, or a
        /// Unix socket as `%2Frun%2Fpostgresql`. Other machines only through a tunnel that ends here.
        /// A password in it is accepted only from a file of mode 0600 or from the variable.
        url: DatabaseUrl = DatabaseUrl::default();
        /// Connections that are kept open.
        connections: u32 = 8, 1..=200;
    }
    /// Where the keys are kept that protect the seeds.
    keys: Keys {
        /// The master key, a file of mode 0600. Keep a copy apart from the data: without it no
        /// stored seed can be opened.
        master_key_file: PathBuf = "data/master.key".into();
    }
    /// Whom a prescriber asks for help; pages show it where they can't go on.
    practice: Practice {
        /// Name of the person or desk.
        support_name: String = "the support desk of your practice".to_owned();
        /// Telephone number; empty for none.
        support_phone: String = String::new();
        /// Email address; empty for none.
        support_email: String = String::new();
    }
    /// Whose tokens may be added.
    manufacturers: Manufacturers {
        /// Any of `countersign`, `symantec`, `onespan`, `rsa`, in the order of the form.
        enabled: Vec<String> = vec!["countersign".to_owned()];
        /// Letters in front of the IDs that the built-in authority gives to Symantec soft tokens.
        symantec_prefix: String = "SYMC".to_owned();
    }
    /// Limits on people, tokens and sessions.
    policy: Policy {
        /// Most active tokens of one prescriber.
        max_active_tokens: u32 = STANDARD.max_active_tokens, 1..=5;
        /// Seconds after which a new passcode is asked for before tokens are changed, or something in the console.
        step_up_seconds: i64 = STANDARD.step_up_seconds, 0..=900;
        /// Seconds without a request after which a session ends.
        session_idle_seconds: i64 = STANDARD.session_idle_seconds, 60..=3_600;
        /// Seconds after which a session ends in any case.
        session_absolute_seconds: i64 = STANDARD.session_absolute_seconds, 300..=86_400;
        /// Seconds for which a launch from the EHR is good.
        launch_seconds: i64 = STANDARD.launch_seconds, 5..=300;
        /// Seconds after which a new credential that nobody added is discarded.
        unassociated_seconds: i64 = STANDARD.unassociated_seconds, 60..=86_400;
        /// Whether the secret of a new token may be shown once, for an authenticator app of another
        /// maker. Whoever copies it can make the codes; the token is marked for good. The model
        /// `other-authenticator` must be allowed too (`countersign admin models`).
        otpauth: bool = STANDARD.otpauth;
        /// Wrong passcodes in a row on one token from which on each is followed by a pause.
        token_throttle_from: u32 = STANDARD.token.throttle_from, 1..=100;
        /// Seconds of that pause.
        token_throttle_seconds: i64 = STANDARD.token.throttle_seconds, 1..=3_600;
        /// Wrong passcodes in a row on one token from which on each is followed by a lock.
        token_lock_from: u32 = STANDARD.token.lock_from, 1..=100;
        /// Seconds of that lock.
        token_lock_seconds: i64 = STANDARD.token.lock_seconds, 60..=86_400;
        /// Wrong passcodes in a row at which a token is disabled for good (SP 800-63B-4 allows 100).
        token_disable_at: u32 = STANDARD.token.disable_at.unwrap_or(30), 1..=100;
        /// Wrong passcodes in a row of one prescriber, on any token, from which on each is followed by a pause.
        prescriber_throttle_from: u32 = STANDARD.prescriber.throttle_from, 1..=100;
        /// Seconds of that pause.
        prescriber_throttle_seconds: i64 = STANDARD.prescriber.throttle_seconds, 1..=3_600;
        /// Wrong passcodes in a row of one prescriber, on any token, from which on each is followed by a lock.
        prescriber_lock_from: u32 = STANDARD.prescriber.lock_from, 1..=100;
        /// Seconds of that lock.
        prescriber_lock_seconds: i64 = STANDARD.prescriber.lock_seconds, 60..=86_400;
        /// Wrong passphrases in a row from one source (docs/states.md): from so many on each is followed by a pause.
        passphrase_throttle_from: u32 = STANDARD.passphrase.throttle_from, 1..=100;
        /// Seconds of that pause.
        passphrase_throttle_seconds: i64 = STANDARD.passphrase.throttle_seconds, 1..=3_600;
        /// Wrong passphrases in a row from one source: from so many on each is followed by a lock.
        passphrase_lock_from: u32 = STANDARD.passphrase.lock_from, 1..=100;
        /// Seconds of that lock.
        passphrase_lock_seconds: i64 = STANDARD.passphrase.lock_seconds, 60..=86_400;
        /// PBKDF2-HMAC-SHA-512 iterations for passphrases; older ones are raised at the next login.
        passphrase_iterations: u32 = 210_000, 210_000..=10_000_000;
        /// A token used from the browser that holds it: `deny` refuses it, and new ones in a browser
        /// with a session; `warn` lets it pass, says so and records it (21 CFR 1311.115(a)(3)).
        same_browser: SameBrowser = SameBrowser::Deny;
    }
    /// Limits on requests.
    limits: Limits {
        /// New credentials a minute for one network address. One that belongs to a pairing code of the portal does
        /// not count; as many codes that nobody shows are let through.
        provisioning_per_minute: u32 = 10, 1..=10_000;
        /// New credentials a minute for all network addresses together. One that belongs to a pairing
        /// code of the portal does not count.
        provisioning_all_per_minute: u32 = 120, 1..=100_000;
        /// Failed log-ins a minute for one network address. Right ones don't count: a whole clinic may share an
        /// address. An IPv6 address counts by its network of 64 bits, here and below.
        login_per_minute: u32 = 60, 1..=10_000;
        /// Failed launches from EHRs a minute for one network address; a SMART launch counts from its beginning
        /// until it has come back well.
        launch_per_minute: u32 = 120, 1..=10_000;
        /// Links of invitations and of "this was not me" that lead nowhere, and new invitations that are asked for,
        /// a minute for one network address.
        invitation_per_minute: u32 = 60, 1..=10_000;
        /// Failed attempts with a forgotten passphrase a minute for one network address.
        forgotten_passphrase_per_minute: u32 = 60, 1..=10_000;
        /// Client assertions of the API that are refused, a minute for one network address.
        api_token_per_minute: u32 = 60, 1..=10_000;
        /// Seconds after which a request is given up.
        request_seconds: i64 = 30, 1..=300;
    }
    /// The VIP Access protocol, with which free clients of it get a Symantec ID here. Needs `symantec`
    /// among the manufacturers, and two keys that server and clients share.
    vip: Vip {
        /// Whether it is served.
        enabled: bool = false;
        /// Path below which `prov`, `otpCheck` and `otpSync` are served.
        path: String = "/vip".to_owned();
        /// The key of the requests' MAC: 64 hexadecimal digits in a file of mode 0600.
        hmac_key_file: PathBuf = "data/vip-hmac.key".into();
        /// The key under which seeds are sent: 32 hexadecimal digits in a file of mode 0600.
        token_key_file: PathBuf = "data/vip-token.key".into();
        /// Seconds that the clock of a client may be off when it asks for a credential.
        clock_tolerance_seconds: i64 = 300, 1..=86_400;
        /// New credentials a minute for all clients of this protocol together. Those of one network
        /// address have a limit of `limits.provisioning_per_minute`, counted apart.
        provisioning_per_minute: u32 = 60, 1..=10_000;
        /// Checks and syncs a minute for one network address. One credential has ten a minute.
        checks_per_minute: u32 = 60, 1..=10_000;
    }
    /// How notices and activation codes leave. They wait in the database until they can.
    notices: Notices {
        /// Address and port of a mail relay (SMTP) on this machine, such as `127.0.0.1:25`; empty for
        /// none. It speaks TLS to others; from here to it nothing leaves the machine.
        smtp: String = String::new();
        /// The sender of e-mails; needed with `smtp`.
        from: String = String::new();
        /// Where text messages and calls are asked for: each is posted as JSON, signed. `https`, or this
        /// machine; empty for none.
        webhook_url: String = String::new();
        /// The key of that signature (HMAC-SHA-256): 64 hexadecimal digits in a file of mode 0600.
        webhook_key_file: PathBuf = "data/webhook.key".into();
    }
    /// What must hold before anybody signs a prescription here.
    signing: Signing {
        /// Host and port of a time server (NTP) that goes back to NIST, such as `time.nist.gov:123`. It is
        /// asked every ten minutes, and nothing is signed while this clock is off by more than five
        /// minutes or was not checked for an hour (21 CFR 1311.120(b)(8)). Empty: nothing is signed.
        time_server: String = String::new();
        /// The release manifest that lists certified builds (`docs/operations.md`); empty for none.
        release_manifest_file: String = String::new();
        /// The keys that sign release manifests, as a JSON Web Key Set.
        release_keys_file: String = String::new();
        /// Lets a build sign that no manifest lists. Every start puts it on record, and pages say so.
        unlisted_build: bool = false;
        /// A table of drugs in place of the built-in one: lines such as `4 | Zolpidem tartrate`. A line such as
        /// `2N | Testosterone | NY` says the schedule of one state; a state is never looser than the federal schedule.
        drug_table_file: String = String::new();
        /// States that limit refills of schedule V, each as the two letters of the state in which the DEA number is
        /// registered, the most refills, and the most days after the day of issue on which it may be filled (`-` for no
        /// limit), such as `KY 5 180`. Elsewhere schedule V has the refills that the practitioner authorizes.
        schedule_v_states: Vec<String> = Vec::new();
        /// States that forbid a series of schedule II (21 CFR 1306.12(b)), each as its two letters.
        no_series_states: Vec<String> = Vec::new();
        /// States in which a mid-level practitioner names a supervisor, each as its two letters. Under an institution's
        /// DEA number it is asked of everybody without a DEA number of their own that is no mid-level practitioner's.
        supervisor_states: Vec<String> = Vec::new();
    }
    /// How long signed prescriptions are kept. `countersign admin expired-records` removes what is older; nothing
    /// is removed by itself, and nothing that a practice holds.
    records: Records {
        /// Years after the day of the signature (21 CFR 1311.305(b) asks for two at least).
        years: u32 = u32::from(STANDARD_YEARS), 2..=100;
        /// Longer times of states, each as the two letters of the state in which the DEA number is registered, a
        /// space, and years, such as `NE 7`.
        states: Vec<String> = Vec::new();
    }
    /// How signed prescriptions leave. Without a gateway nothing can be signed.
    transmission: Transmission {
        /// Where each is posted as JSON, signed, with an `Idempotency-Key` (`docs/transmission.md`).
        /// `https`, or this machine; empty for none.
        gateway_url: String = String::new();
        /// The key of that signature (HMAC-SHA-256): 64 hexadecimal digits in a file of mode 0600.
        gateway_key_file: PathBuf = "data/gateway.key".into();
        /// The pharmacies that it reaches, each as its NCPDP number, a space, and name and address, such
        /// as `1234567 Corner Pharmacy, 3 Oak Street`. In the file only: in a variable a comma ends an entry.
        pharmacies: Vec<String> = Vec::new();
    }
    /// Outside providers that say who somebody is (21 CFR 1311.105). Which of them counts, two people of
    /// each practice decide in its console.
    proofing: Proofing {
        /// One JSON file of mode 0600 for each, with the texts `name`, `issuer`, `client_id`,
        /// `client_secret` and `acr_values` (what is asked for; may be empty).
        provider_files: Vec<String> = Vec::new();
    }
    /// What the server says on its standard output.
    log: Log {
        /// `text` for people, `json` for a collector.
        format: LogFormat = LogFormat::Text;
        /// `error`, `warn`, `info`, `debug` or `trace`.
        level: LogLevel = LogLevel::Info;
    }
}

/// Which database is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DatabaseKind {
    /// The embedded default.
    Sqlite,
    /// A server, or several, that speak the protocol of `PostgreSQL`.
    Postgres,
}

/// Where a trusted proxy says whom it speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ClientAddress {
    /// The header `X-Forwarded-For`.
    XForwardedFor,
    /// The header `Forwarded`.
    Forwarded,
    /// The PROXY protocol.
    ProxyProtocol,
}

/// What happens to a token that is used from the browser which holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SameBrowser {
    /// It is refused.
    Deny,
    /// It is accepted, said and recorded.
    Warn,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// The least important lines that are still written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    /// Faults that need somebody.
    Error,
    /// And what may become one.
    Warn,
    /// And what happens in normal work.
    Info,
    /// And what explains it.
    Debug,
    /// And everything else.
    Trace,
}

impl LogLevel {
    /// The word in the file, which is also that of a log filter.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// A connection text of `PostgreSQL`, which may hold a password: shown and written as `(hidden)`.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The text itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a password stands in it, in any of the forms that clients of `PostgreSQL` read.
    pub(crate) fn has_password(&self) -> bool {
        let lower = self.0.to_ascii_lowercase();
        let after_scheme = lower.split_once("://").map(|(_, rest)| rest);
        let authority = after_scheme.and_then(|rest| rest.split(['/', '?', '#']).next());
        let user = authority.and_then(|text| text.rsplit_once('@')).map(|(user, _)| user);
        // A password may itself hold a slash that was not escaped; then the colon and the `@` tell.
        user.is_some_and(|user| user.contains(':'))
            || after_scheme
                .is_some_and(|rest| rest.split_once('@').is_some_and(|(u, _)| u.contains(':')))
            || lower.contains("password")
    }
}

impl From<&str> for DatabaseUrl {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "\"\"" } else { "(hidden)" })
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { "(hidden)" })
    }
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listen {
    /// A loopback address and port.
    Tcp(SocketAddr),
    /// A socket file.
    Unix(PathBuf),
}

/// What is wrong with the settings: one line for each fault, saying what to do.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("{}", .0.join("\n"))]
pub(crate) struct SettingsError(Vec<String>);

impl From<String> for SettingsError {
    fn from(fault: String) -> Self {
        Self(vec![fault])
    }
}

impl Settings {
    /// Reads the file `given` (or that of `COUNTERSIGN_CONFIG`, or `countersign.toml` where there is
    /// one) and the variables, and checks everything. Variables win over the file.
    pub(crate) fn load(given: Option<&Path>) -> Result<Self, SettingsError> {
        Self::load_from(given, Path::new(DEFAULT_FILE), env::vars_os())
    }

    fn load_from(
        given: Option<&Path>,
        default: &Path,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, SettingsError> {
        let entries = entries();
        let mut faults = Vec::new();
        let variables = read_variables(&entries, variables, &mut faults);
        let (path, needed) = match (given, &variables.file) {
            (Some(path), _) => (path.to_owned(), true),
            (None, Some(path)) => (path.clone(), true),
            (None, None) => (default.to_owned(), false),
        };
        let file = read_file(&path, needed)?;
        let found = file.is_some();
        let source = match file {
            Some(file) => {
                let source = parse_file(&entries, &path, &file.text, &mut faults)?;
                if let Some(fault) = exposed_password(&path, &source, file.mode) {
                    faults.push(fault);
                }
                source
            }
            None => Config::default(),
        };
        if !faults.is_empty() {
            return Err(SettingsError(faults));
        }
        let deserialize = |builder: config::ConfigBuilder<config::builder::DefaultState>| {
            builder.build().and_then(Config::try_deserialize::<Self>)
        };
        // Each source on its own first, so that a fault is reported with the place it stands in.
        let builder = Config::builder().add_source(source);
        if let Err(error) = deserialize(builder.clone()) {
            return Err(format!("{}: {error}", path.display()).into());
        }
        let mut all = builder;
        for (key, (name, value)) in &variables.values {
            let alone = Config::builder()
                .set_override(key, value.clone())
                .map_err(|error| unsettable(&error))?;
            if let Err(error) = deserialize(alone) {
                faults.push(format!("{name}: {error}"));
            }
            all = all.set_override(key, value.clone()).map_err(|error| unsettable(&error))?;
        }
        if !faults.is_empty() {
            return Err(SettingsError(faults));
        }
        let mut settings = deserialize(all).map_err(|error| unsettable(&error))?;
        settings.file = found.then_some(path);
        settings.check()?;
        Ok(settings)
    }

    /// Checks every value; all faults are reported, one line each.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        let mut faults = self.bounds_faults();
        let mut note = |result: Result<(), String>| {
            if let Err(fault) = result {
                faults.push(fault);
            }
        };
        note(parse_listen(&self.server.listen).map(|_| ()));
        note(parse_public_url(&self.server.public_url).map(|_| ()));
        note(self.check_proxies());
        note(self.check_database());
        note(check_path("keys.master_key_file", &self.keys.master_key_file));
        note(check_text("practice.support_name", &self.practice.support_name, true));
        note(check_text("practice.support_phone", &self.practice.support_phone, false));
        note(check_text("practice.support_email", &self.practice.support_email, false));
        note(check_email(&self.practice.support_email));
        note(parse_manufacturers(&self.manufacturers.enabled).map(|_| ()));
        note(check_symantec_prefix(&self.manufacturers.symantec_prefix));
        note(self.check_vip());
        note(self.check_notices());
        note(self.check_orders());
        note(check_time_server(&self.signing.time_server));
        if !self.signing.release_manifest_file.is_empty()
            && self.signing.release_keys_file.is_empty()
        {
            faults.push("signing.release_keys_file is empty: name the file of the keys that sign the manifest, since signing.release_manifest_file is set".into());
        }
        // Where a single value is out of its bounds, that has been said already.
        if faults.is_empty()
            && let Err(error) = self.domain_policy().check()
        {
            faults.push(error.to_string());
        }
        if faults.is_empty() { Ok(()) } else { Err(SettingsError(faults)) }
    }

    /// The policy of the domain, checked.
    pub(crate) fn policy(&self) -> Result<DomainPolicy, SettingsError> {
        let policy = self.domain_policy();
        policy.check().map_err(|error| error.to_string())?;
        Ok(policy)
    }

    /// Where to listen, checked.
    pub(crate) fn listen(&self) -> Result<Listen, SettingsError> {
        Ok(parse_listen(&self.server.listen)?)
    }

    /// The address that browsers use.
    pub(crate) fn public_url(&self) -> Result<Url, SettingsError> {
        Ok(parse_public_url(&self.server.public_url)?)
    }

    /// The origin that browsers use, such as `https://erx.example.org`, without a closing slash.
    pub(crate) fn public_origin(&self) -> Result<String, SettingsError> {
        Ok(parse_public_url(&self.server.public_url)?.origin().ascii_serialization())
    }

    /// The proxies that are trusted, and where they say whom they speak for.
    pub(crate) fn client_addresses(&self) -> Result<ClientAddresses, SettingsError> {
        let source = match self.server.client_address {
            ClientAddress::XForwardedFor => AddressSource::XForwardedFor,
            ClientAddress::Forwarded => AddressSource::Forwarded,
            ClientAddress::ProxyProtocol => AddressSource::ProxyProtocol,
        };
        Ok(ClientAddresses::new(parse_proxies(&self.server.trusted_proxies)?, source))
    }

    /// Limits by network address, and on all together.
    pub(crate) const fn rates(&self) -> Rates {
        let limits = &self.limits;
        Rates {
            login: limits.login_per_minute,
            launch: limits.launch_per_minute,
            invitation: limits.invitation_per_minute,
            forgotten_passphrase: limits.forgotten_passphrase_per_minute,
            api_token: limits.api_token_per_minute,
            provisioning: limits.provisioning_per_minute,
            provisioning_all: limits.provisioning_all_per_minute,
            vip_provisioning: self.vip.provisioning_per_minute,
            vip_check: self.vip.checks_per_minute,
        }
    }

    /// Whose tokens may be added, in the order of the form.
    pub(crate) fn manufacturers(&self) -> Result<Vec<Manufacturer>, SettingsError> {
        Ok(parse_manufacturers(&self.manufacturers.enabled)?)
    }

    /// The pharmacies that can be chosen.
    pub(crate) fn pharmacies(&self) -> Result<Vec<Pharmacy>, SettingsError> {
        let all = &self.transmission.pharmacies;
        all.iter()
            .map(|text| {
                text.parse().map_err(|error| {
                    SettingsError::from(format!("transmission.pharmacies: \"{text}\": {error}"))
                })
            })
            .collect()
    }

    /// For how long signed records are kept.
    pub(crate) fn retention(&self) -> Result<Retention, SettingsError> {
        let wrong = |error: RetentionError, text: &str| {
            SettingsError::from(format!("records.{text}: {error}"))
        };
        let states = &self.records.states;
        let states = states
            .iter()
            .map(|text| text.parse().map_err(|error| wrong(error, &format!("states: \"{text}\""))))
            .collect::<Result<Vec<_>, _>>()?;
        let years = u8::try_from(self.records.years).unwrap_or(u8::MAX);
        Retention::new(years, &states).map_err(|error| wrong(error, "states"))
    }

    /// What states ask of prescriptions beyond the federal rules.
    pub(crate) fn state_rules(&self) -> Result<StateRules, SettingsError> {
        fn all<T: FromStr<Err: fmt::Display>>(
            name: &str,
            texts: &[String],
        ) -> Result<Vec<T>, SettingsError> {
            let read = |text: &String| {
                text.parse().map_err(|error| {
                    SettingsError::from(format!("signing.{name}: \"{text}\": {error}"))
                })
            };
            texts.iter().map(read).collect()
        }
        let it = &self.signing;
        let limits: Vec<LimitOfV> = all("schedule_v_states", &it.schedule_v_states)?;
        let no_series: Vec<UsState> = all("no_series_states", &it.no_series_states)?;
        let supervised: Vec<UsState> = all("supervisor_states", &it.supervisor_states)?;
        StateRules::new(&limits, &no_series, &supervised)
            .map_err(|error| SettingsError::from(format!("signing.schedule_v_states: {error}")))
    }

    /// The documented default file: TOML with the meaning of every setting above it.
    pub(crate) fn reference() -> String {
        let entries = entries();
        let mut lines = vec!["# Countersign. Every setting is shown with its default.".to_owned()];
        let comment = |line: &&str| format!("# {}", line.trim());
        for (section, doc) in sections() {
            lines.push(String::new());
            lines.extend(doc.iter().map(comment));
            lines.push(format!("[{section}]"));
            for entry in entries.iter().filter(|entry| entry.section == section) {
                lines.extend(entry.doc.iter().map(comment));
                lines.extend(entry.bounds.map(|(low, high)| format!("# From {low} to {high}.")));
                // A JSON text, number or list of texts is also one of TOML.
                lines.push(format!("{} = {}", entry.name, entry.default));
            }
        }
        lines.push(String::new());
        lines.join("\n")
    }

    fn domain_policy(&self) -> DomainPolicy {
        let p = &self.policy;
        DomainPolicy {
            max_active_tokens: p.max_active_tokens,
            step_up_seconds: p.step_up_seconds,
            session_idle_seconds: p.session_idle_seconds,
            session_absolute_seconds: p.session_absolute_seconds,
            launch_seconds: p.launch_seconds,
            unassociated_seconds: p.unassociated_seconds,
            otpauth: p.otpauth,
            token: FailureLimits {
                throttle_from: p.token_throttle_from,
                throttle_seconds: p.token_throttle_seconds,
                lock_from: p.token_lock_from,
                lock_seconds: p.token_lock_seconds,
                disable_at: Some(p.token_disable_at),
            },
            prescriber: FailureLimits {
                throttle_from: p.prescriber_throttle_from,
                throttle_seconds: p.prescriber_throttle_seconds,
                lock_from: p.prescriber_lock_from,
                lock_seconds: p.prescriber_lock_seconds,
                disable_at: None,
            },
            passphrase: FailureLimits {
                throttle_from: p.passphrase_throttle_from,
                throttle_seconds: p.passphrase_throttle_seconds,
                lock_from: p.passphrase_lock_from,
                lock_seconds: p.passphrase_lock_seconds,
                disable_at: None,
            },
            same_browser: match p.same_browser {
                SameBrowser::Deny => DomainSameBrowser::Deny,
                SameBrowser::Warn => DomainSameBrowser::Warn,
            },
        }
    }

    fn bounds_faults(&self) -> Vec<String> {
        let values = serde_json::to_value(self).unwrap_or_default();
        entries()
            .iter()
            .filter_map(|entry| {
                let value = values.get(entry.section)?.get(entry.name)?.as_i64()?;
                entry.out_of_bounds(value)
            })
            .collect()
    }

    fn check_orders(&self) -> Result<(), String> {
        let p = &self.policy;
        let counts = [
            ("token", p.token_throttle_from, p.token_lock_from),
            ("prescriber", p.prescriber_throttle_from, p.prescriber_lock_from),
            ("passphrase", p.passphrase_throttle_from, p.passphrase_lock_from),
        ];
        for (who, throttle, lock) in counts {
            if lock < throttle {
                return Err(format!(
                    "policy.{who}_lock_from ({lock}) must not be below policy.{who}_throttle_from ({throttle})"
                ));
            }
        }
        if p.session_absolute_seconds < p.session_idle_seconds {
            return Err(
                "policy.session_absolute_seconds must not be below policy.session_idle_seconds"
                    .into(),
            );
        }
        Ok(())
    }

    fn check_vip(&self) -> Result<(), String> {
        let vip = &self.vip;
        check_vip_path(&vip.path)?;
        check_path("vip.hmac_key_file", &vip.hmac_key_file)?;
        check_path("vip.token_key_file", &vip.token_key_file)?;
        let symantec = Manufacturer::Symantec.code();
        if vip.enabled && !self.manufacturers.enabled.iter().any(|code| code == symantec) {
            return Err(
                "vip.enabled is true, but its credentials could not be added: put \"symantec\" into manufacturers.enabled"
                    .into(),
            );
        }
        Ok(())
    }

    fn check_notices(&self) -> Result<(), String> {
        let notices = &self.notices;
        if !notices.smtp.is_empty() {
            let here = notices.smtp.parse::<SocketAddr>().is_ok_and(|it| it.ip().is_loopback());
            if !here {
                return Err("notices.smtp must be a loopback address with its port, such as 127.0.0.1:25: run the relay that speaks TLS on this machine".into());
            }
            if notices.from.parse::<EmailAddress>().is_err() {
                return Err("notices.from must be an e-mail address, such as countersign@clinic.example, since notices.smtp is set".into());
            }
        }
        if !notices.webhook_url.is_empty() && !is_safe(&notices.webhook_url) {
            return Err(
                "notices.webhook_url must begin with https://, except on this machine alone".into(),
            );
        }
        let transmission = &self.transmission;
        if !transmission.gateway_url.is_empty() && !is_safe(&transmission.gateway_url) {
            return Err(
                "transmission.gateway_url must begin with https://, except on this machine alone"
                    .into(),
            );
        }
        self.pharmacies().map_err(|error| error.to_string())?;
        self.retention().map_err(|error| error.to_string())?;
        self.state_rules().map_err(|error| error.to_string())?;
        check_path("transmission.gateway_key_file", &transmission.gateway_key_file)?;
        check_path("notices.webhook_key_file", &notices.webhook_key_file)
    }

    fn check_proxies(&self) -> Result<(), String> {
        let proxies = parse_proxies(&self.server.trusted_proxies)?;
        if proxies.is_empty() && self.server.client_address == ClientAddress::ProxyProtocol {
            return Err("server.client_address is proxy-protocol, but nobody may speak it: name the proxy in server.trusted_proxies".into());
        }
        Ok(())
    }

    fn check_database(&self) -> Result<(), String> {
        let database = &self.database;
        match database.kind {
            DatabaseKind::Sqlite if !database.url.is_empty() => {
                Err("database.url is set, but database.kind is sqlite: set kind = \"postgres\", or remove url".into())
            }
            DatabaseKind::Sqlite => check_path("database.path", &database.path),
            DatabaseKind::Postgres if database.url.is_empty() => {
                Err("database.url is empty: with kind = \"postgres\", give postgres://user@host:5432/name".into())
            }
            DatabaseKind::Postgres => {
                let url = database.url.expose();
                let known = ["postgres://", "postgresql://"].iter().any(|s| url.starts_with(s))
                    || url.contains("host=")
                    || url.contains("host =");
                if known && !url.chars().any(char::is_control) {
                    return Ok(());
                }
                // The text is not repeated: it may hold a password.
                Err("database.url is not understood: give postgres://user@host1:5432,host2:5432/name".into())
            }
        }
    }
}

/// Whether an address of another server is one that nothing listens in on: `https`, or this machine.
pub(crate) fn is_safe(address: &str) -> bool {
    Url::parse(address)
        .is_ok_and(|url| url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)))
}

/// Whether only this machine can be meant by this host name or address.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or("");
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Entry {
    fn key(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    fn variable(&self) -> String {
        format!("{PREFIX}{}__{}", self.section, self.name).to_ascii_uppercase()
    }

    /// The words that a setting takes, where it takes only some.
    fn words(&self) -> &'static [&'static str] {
        match (self.section, self.name) {
            ("database", "kind") => &["sqlite", "postgres"],
            ("policy", "same_browser") => &["deny", "warn"],
            ("server", "client_address") => &["x-forwarded-for", "forwarded", "proxy-protocol"],
            ("log", "format") => &["text", "json"],
            ("log", "level") => &["error", "warn", "info", "debug", "trace"],
            _ => &[],
        }
    }

    fn unknown_word(&self, word: &str) -> Option<String> {
        let words = self.words();
        let unknown = !words.is_empty() && !words.contains(&word);
        unknown.then(|| format!("{} must be one of {}, not {word:?}", self.key(), words.join(", ")))
    }

    fn out_of_bounds(&self, value: i64) -> Option<String> {
        let (low, high) = self.bounds?;
        let outside = value < low || value > high;
        outside.then(|| format!("{} must be from {low} to {high}, not {value}", self.key()))
    }

    /// Looks at a value of the file before it is converted: conversions round, cut and guess.
    fn fault_of(&self, value: &Value) -> Option<String> {
        let key = self.key();
        match (&self.default, &value.kind) {
            (serde_json::Value::Number(_), ValueKind::I64(number)) => self.out_of_bounds(*number),
            (serde_json::Value::Number(_), _) => {
                Some(format!("{key} must be a whole number, such as {}", self.default))
            }
            (serde_json::Value::Array(_), ValueKind::Array(items)) => {
                items.iter().any(|item| !matches!(item.kind, ValueKind::String(_))).then(|| {
                    format!("{key} must be a list of texts in quotes, such as {}", self.default)
                })
            }
            (serde_json::Value::Array(_), _) => {
                Some(format!("{key} must be a list of texts in quotes, such as {}", self.default))
            }
            (serde_json::Value::Bool(_), ValueKind::Boolean(_)) => None,
            (serde_json::Value::Bool(_), _) => Some(format!("{key} must be true or false")),
            (_, ValueKind::String(word)) => self.unknown_word(word),
            _ => Some(format!("{key} must be a text in quotes")),
        }
    }

    /// The value of a variable; a list is separated by commas.
    fn value_of(&self, text: &str) -> Result<Value, String> {
        match &self.default {
            serde_json::Value::Number(_) => match text.trim().parse::<i64>() {
                Ok(number) => match self.out_of_bounds(number) {
                    Some(fault) => Err(fault),
                    None => Ok(Value::from(number)),
                },
                Err(_) => Err(format!("must be a whole number, such as {}", self.default)),
            },
            serde_json::Value::Array(_) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Ok(Value::from(items.map(str::to_owned).collect::<Vec<_>>()))
            }
            serde_json::Value::Bool(_) => match text.trim() {
                "true" => Ok(Value::from(true)),
                "false" => Ok(Value::from(false)),
                _ => Err("must be true or false".to_owned()),
            },
            _ => self.unknown_word(text).map_or_else(|| Ok(Value::from(text)), Err),
        }
    }
}

struct Variables {
    file: Option<PathBuf>,
    /// By key: name of the variable, and its value.
    values: BTreeMap<String, (String, Value)>,
}

fn read_variables(
    entries: &[Entry],
    variables: impl Iterator<Item = (OsString, OsString)>,
    faults: &mut Vec<String>,
) -> Variables {
    let mut read = Variables { file: None, values: BTreeMap::new() };
    for (name, value) in variables {
        let name = name.to_string_lossy();
        if !name.starts_with(PREFIX) {
            continue;
        }
        if name == "COUNTERSIGN_CONFIG" {
            read.file = (!value.is_empty()).then(|| value.into());
            continue;
        }
        if RESERVED.iter().any(|(r, _)| name == *r || (r.ends_with('_') && name.starts_with(r))) {
            continue;
        }
        let Some(entry) = entries.iter().find(|entry| entry.variable() == name) else {
            faults.push(format!(
                "the variable {name} is not a setting: correct its name (COUNTERSIGN_SECTION__NAME, as in docs/configuration.md) or unset it"
            ));
            continue;
        };
        match value.to_str().ok_or("must be UTF-8 text".to_owned()).and_then(|v| entry.value_of(v))
        {
            Ok(value) => {
                read.values.insert(entry.key(), (name.into_owned(), value));
            }
            Err(fault) => faults.push(format!("{name}: {fault}")),
        }
    }
    read
}

struct ReadFile {
    text: String,
    mode: u32,
}

fn read_file(path: &Path, needed: bool) -> Result<Option<ReadFile>, SettingsError> {
    let failed = |error: &std::io::Error| {
        SettingsError::from(format!("the configuration file {}", explain(path, error)))
    };
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && !needed => return Ok(None),
        other => other.map_err(|error| failed(&error))?,
    };
    if metadata.is_dir() {
        let fault = format!("the configuration file {} is a folder: give a file", path.display());
        return Err(fault.into());
    }
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
    read.map_err(|error| match error.kind() {
        ErrorKind::InvalidData => {
            format!("{} is not UTF-8 text: save it as UTF-8", path.display()).into()
        }
        _ => failed(&error),
    })?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let fault = format!("{} is larger than 256 KiB: is it the right file?", path.display());
        return Err(fault.into());
    }
    Ok(Some(ReadFile { text, mode: metadata.permissions().mode() & 0o7777 }))
}

fn parse_file(
    entries: &[Entry],
    path: &Path,
    text: &str,
    faults: &mut Vec<String>,
) -> Result<Config, SettingsError> {
    let file = config::File::from_str(text, FileFormat::Toml);
    let source = Config::builder().add_source(file).build().map_err(|error| {
        // First and last line only: between them the parser repeats the line, perhaps a password.
        let message = error.to_string();
        let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or("not TOML").to_owned();
        let last = lines.next_back().map(|line| format!(": {line}")).unwrap_or_default();
        SettingsError::from(format!("{}: {first}{last}", path.display()))
    })?;
    let shown = path.display();
    let values = source.collect().map_err(|error| unsettable(&error))?;
    for (section, value) in values {
        let known: Vec<&Entry> = entries.iter().filter(|entry| entry.section == section).collect();
        if known.is_empty() {
            let all: Vec<String> = sections().iter().map(|(name, _)| format!("[{name}]")).collect();
            faults.push(format!(
                "{shown}: unknown section or setting `{section}`; the sections are {}",
                all.join(", ")
            ));
            continue;
        }
        let ValueKind::Table(settings) = value.kind else {
            faults.push(format!("{shown}: `{section}` must be a section: write [{section}]"));
            continue;
        };
        for (name, value) in settings {
            if let Some(entry) = known.iter().find(|entry| entry.name == name) {
                faults.extend(entry.fault_of(&value).map(|fault| format!("{shown}: {fault}")));
                continue;
            }
            let names: Vec<&str> = known.iter().map(|entry| entry.name).collect();
            faults.push(format!(
                "{shown}: unknown setting `{section}.{name}`; [{section}] has {}",
                names.join(", ")
            ));
        }
    }
    faults.sort();
    Ok(source)
}

fn exposed_password(path: &Path, source: &Config, mode: u32) -> Option<String> {
    let url = source.get_string("database.url").ok()?;
    let exposed = mode & 0o044 != 0 && DatabaseUrl(url).has_password();
    exposed.then(|| {
        format!(
            "{0}: database.url holds a password and other accounts may read the file (mode {mode:04o}): run `chmod 600 {0}`, or give the URL in COUNTERSIGN_DATABASE__URL",
            path.display()
        )
    })
}

fn unsettable(error: &config::ConfigError) -> SettingsError {
    error.to_string().replace('\n', " ").into()
}

fn parse_listen(text: &str) -> Result<Listen, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        if !path.starts_with('/') || path.len() > SOCKET_PATH_MAX || path.contains('\0') {
            return Err(format!(
                "server.listen: give the whole path of the socket, at most {SOCKET_PATH_MAX} bytes, such as unix:/run/countersign/server.sock"
            ));
        }
        return Ok(Listen::Unix(path.into()));
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(Listen::Tcp(address)),
        Ok(_) => Err(format!(
            "server.listen: {text} can be reached from other machines, and this server does not end TLS itself: listen on 127.0.0.1:8700 or unix:/path, and put a validated TLS terminator in front"
        )),
        Err(_) => Err(format!(
            "server.listen: {text:?} is not understood: give 127.0.0.1:8700, [::1]:8700 or unix:/path (no host names; TLS is ended by a validated TLS terminator in front)"
        )),
    }
}

fn parse_public_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| url.host_str().is_some());
    let Some(url) = url.filter(|url| matches!(url.scheme(), "http" | "https")) else {
        return Err(format!(
            "server.public_url: {text:?} is no web address: give https://erx.example.org"
        ));
    };
    let more = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
    if more || !url.username().is_empty() || url.password().is_some() {
        return Err(format!(
            "server.public_url: give scheme, host and port only, such as {}",
            url.origin().ascii_serialization()
        ));
    }
    if url.scheme() != "https" && !is_loopback(&url) {
        return Err(format!(
            "server.public_url: {text} must begin with https; plain http is for this machine only"
        ));
    }
    Ok(url)
}

fn parse_proxies(texts: &[String]) -> Result<Vec<TrustedProxy>, String> {
    let parse = |text: &String| {
        text.parse::<TrustedProxy>()
            .map_err(|error| format!("server.trusted_proxies: {text:?}: {error}"))
    };
    texts.iter().map(parse).collect()
}

fn parse_manufacturers(codes: &[String]) -> Result<Vec<Manufacturer>, String> {
    let mut makers = Vec::new();
    for code in codes {
        let Ok(maker) = code.parse::<Manufacturer>() else {
            return Err(format!(
                "manufacturers.enabled: {code:?} is not known; choose from {}",
                Manufacturer::ALL.map(Manufacturer::code).join(", ")
            ));
        };
        if makers.contains(&maker) {
            return Err(format!("manufacturers.enabled: {code} stands there twice; remove one"));
        }
        makers.push(maker);
    }
    if makers.is_empty() {
        return Err(
            "manufacturers.enabled is empty: no token could be added; name at least one".into()
        );
    }
    Ok(makers)
}

fn check_symantec_prefix(prefix: &str) -> Result<(), String> {
    let known: Vec<&str> = FORMATS
        .iter()
        .filter(|f| f.manufacturer == Manufacturer::Symantec && f.kind == TokenKind::OtpSoft)
        // Codes of such an ID follow a counter; the built-in authority makes them by the time.
        .filter(|f| !f.event_based)
        .map(|f| f.prefix)
        .collect();
    if known.contains(&prefix) {
        return Ok(());
    }
    Err(format!("manufacturers.symantec_prefix: {prefix:?} is not one of {}", known.join(", ")))
}

fn check_vip_path(path: &str) -> Result<(), String> {
    /// First parts of our own addresses.
    const TAKEN: [&str; 13] = [
        "api",
        "provision",
        "portal",
        "launch",
        "e-prescribing",
        "sign-out",
        "signed-out",
        "static",
        "healthz",
        "readyz",
        "authenticator",
        "get",
        "admin",
    ];
    let parts = path.strip_prefix('/').map(|rest| rest.split('/').collect::<Vec<_>>());
    let good = |part: &&str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let Some(parts) = parts.filter(|parts| path.len() <= 100 && parts.iter().all(good)) else {
        return Err(format!(
            "vip.path: {path:?} is no path: give letters, digits, - and _ after a slash, such as /vip"
        ));
    };
    match parts.first().filter(|first| TAKEN.contains(first)) {
        Some(first) => {
            Err(format!("vip.path: /{first} is used already: choose another, such as /vip"))
        }
        None => Ok(()),
    }
}

fn check_path(key: &str, path: &Path) -> Result<(), String> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.is_empty() || bytes.contains(&0) || bytes.ends_with(b"/") {
        return Err(format!("{key}: give the path of a file"));
    }
    Ok(())
}

/// Checks that it is host and port, or empty.
fn check_time_server(text: &str) -> Result<(), String> {
    let wrong = |why: &str| {
        Err(format!(
            "signing.time_server: {text:?}: {why}: give host and port, such as time.nist.gov:123"
        ))
    };
    if text.is_empty() || text.parse::<SocketAddr>().is_ok_and(|it| it.port() > 0) {
        return Ok(());
    }
    let Some((host, port)) = text.rsplit_once(':') else { return wrong("it has no port") };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return wrong("what follows the colon is no port from 1 to 65535");
    }
    let label = |it: &str| {
        let plain = it.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=63).contains(&it.len()) && plain && !it.starts_with('-') && !it.ends_with('-')
    };
    if host.len() > 253 || !host.strip_suffix('.').unwrap_or(host).split('.').all(label) {
        return wrong("what precedes the port is no host name and no address");
    }
    Ok(())
}

fn check_text(key: &str, text: &str, needed: bool) -> Result<(), String> {
    if needed && text.trim().is_empty() {
        return Err(format!("{key} is empty: pages name it where a prescriber needs help"));
    }
    check_line(text, 200).map_err(|error| format!("{key}: {error}"))
}

fn check_email(text: &str) -> Result<(), String> {
    let parts = text.split_once('@');
    let fine = parts.is_some_and(|(name, host)| {
        !name.is_empty() && !host.is_empty() && !host.contains('@') && !text.contains(' ')
    });
    if text.is_empty() || fine {
        return Ok(());
    }
    Err(format!(
        "practice.support_email: {text:?} is no email address: give name@host, or leave it empty"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT_HEAD: &str = "\
# Configuration

This page is made from the code by a test. Change `crates/cli/src/settings.rs`, then run
`UPDATE_DOCS=1 cargo test -p countersign settings`.

Every setting has a default, so that no file is needed to begin. Settings come from, the later
winning over the earlier:

1. the defaults below;
2. the file given by `--config`, or by `COUNTERSIGN_CONFIG`, or `countersign.toml` in the working
   folder where there is one;
3. variables: `COUNTERSIGN_`, the section, two underscores, the name, all in capitals. For example
   `COUNTERSIGN_DATABASE__PATH=/srv/countersign/countersign.db` or
   `COUNTERSIGN_MANUFACTURERS__ENABLED=countersign,symantec`.

An unknown setting or variable, a value of the wrong type and a value out of bounds are refused,
each with a line that says what to do, and nothing starts. `countersign serve --check-config` does
only that check. Relative paths start at the working folder.

## Variables that are no settings

| Variable | Meaning |
|---|---|
";

    const DOCUMENT_MIDDLE: &str = "
## All settings

As a file, ready to be copied to `countersign.toml`:

```toml
";

    /// `docs/configuration.md`.
    fn document() -> String {
        let row = |(name, meaning): &(&str, &str)| {
            let all = if name.ends_with('_') { "*" } else { "" };
            format!("| `{name}{all}` | {meaning} |\n")
        };
        let reserved: String = RESERVED.iter().map(row).collect();
        [DOCUMENT_HEAD, &reserved, DOCUMENT_MIDDLE, &Settings::reference(), "```\n"].concat()
    }

    fn load_text(text: &str, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("countersign.toml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        load_path(&path, variables)
    }

    fn load_path(path: &Path, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::load_from(None, path, variables.iter().map(|(k, v)| ((*k).into(), (*v).into())))
    }

    fn faults(result: Result<Settings, SettingsError>) -> String {
        let error = result.unwrap_err();
        assert!(error.0.iter().all(|line| !line.contains('\n')), "{error}");
        error.to_string()
    }

    #[test]
    fn the_reference_holds_every_default() {
        let settings = load_text(&Settings::reference(), &[]).unwrap();
        assert!(settings.file.is_some());
        assert_eq!(Settings { file: None, ..settings }, Settings::default());
        Settings::default().check().unwrap();
        assert_eq!(Settings::default().policy().unwrap(), DomainPolicy::STANDARD);
        let lines = Settings::reference();
        for entry in entries() {
            assert!(lines.contains(&format!("\n{} = ", entry.name)), "{}", entry.key());
            let doc = entry.doc.concat();
            assert!(
                doc.trim().len() > 15 && doc.ends_with('.'),
                "{} needs a doc line",
                entry.key()
            );
        }
    }

    #[test]
    fn the_document_is_the_one_in_the_tree() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        if env::var_os("UPDATE_DOCS").is_some() {
            fs::write(path, document()).unwrap();
        }
        let found = fs::read_to_string(path).unwrap_or_default();
        assert!(
            found == document(),
            "docs/configuration.md is out of date: UPDATE_DOCS=1 cargo test -p countersign settings"
        );
    }

    #[test]
    fn variables_win_over_the_file_and_the_file_over_defaults() {
        let text = "[database]\npath = \"a.db\"\nconnections = 3\n[practice]\nsupport_phone = \"0800 1\"\n";
        let variables = [
            ("COUNTERSIGN_DATABASE__PATH", "b.db"),
            ("COUNTERSIGN_MANUFACTURERS__ENABLED", "countersign, symantec"),
            ("COUNTERSIGN_POLICY__MAX_ACTIVE_TOKENS", "2"),
            ("COUNTERSIGN_PRACTICE__SUPPORT_NAME", "007"),
            ("COUNTERSIGN_LOG__LEVEL", "debug"),
            ("COUNTERSIGN_LOG", "trace"),
            ("COUNTERSIGN_TOKEN_PIN", "x"),
            ("COUNTERSIGN_TEST_ANYTHING", "x"),
            ("OTHER", "x"),
        ];
        let settings = load_text(text, &variables).unwrap();
        assert_eq!(settings.database.path, Path::new("b.db"));
        assert_eq!(settings.database.connections, 3);
        assert_eq!(settings.practice.support_name, "007");
        assert_eq!(settings.practice.support_phone, "0800 1");
        assert_eq!(settings.policy().unwrap().max_active_tokens, 2);
        assert_eq!(settings.log.level, LogLevel::Debug);
        let makers = settings.manufacturers().unwrap();
        assert_eq!(makers, [Manufacturer::Countersign, Manufacturer::Symantec]);
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        let line = faults(load_text("[server]\nlistn = \"x\"\n", &[]));
        assert!(
            line.contains("unknown setting `server.listn`; [server] has listen, public_url"),
            "{line}"
        );
        let line = faults(load_text("[servers]\nlisten = \"x\"\n", &[]));
        assert!(line.contains("`servers`; the sections are [server], [database]"), "{line}");
        let line = faults(load_text("listen = \"x\"\n", &[]));
        assert!(line.contains("`listen`"), "{line}");
        for name in ["COUNTERSIGN_DATABASE_PATH", "COUNTERSIGN_DATABSE__PATH", "COUNTERSIGN_PIN"] {
            let line = faults(load_text("", &[(name, "x")]));
            assert!(line.contains(&format!("{name} is not a setting")), "{line}");
        }
        let both = load_text("[server]\na = 1\nb = 2\n", &[("COUNTERSIGN_X", "1")]).unwrap_err();
        assert_eq!(both.0.len(), 3);
    }

    #[test]
    fn wrong_types_are_refused_not_converted() {
        let cases = [
            (
                "[policy]\nmax_active_tokens = 4.6",
                "policy.max_active_tokens must be a whole number",
            ),
            ("[policy]\nmax_active_tokens = true", "whole number"),
            ("[policy]\nmax_active_tokens = \"4\"", "whole number"),
            ("[policy]\nmax_active_tokens = 6", "from 1 to 5, not 6"),
            ("[policy]\nmax_active_tokens = -1", "from 1 to 5, not -1"),
            ("[policy]\nmax_active_tokens = 4294967297", "from 1 to 5"),
            ("[policy]\npassphrase_iterations = 1000", "from 210000 to 10000000"),
            ("[policy]\notpauth = \"yes\"", "policy.otpauth must be true or false"),
            ("[policy]\nlaunch_seconds = 4", "policy.launch_seconds must be from 5 to 300, not 4"),
            ("[practice]\nsupport_phone = 800", "practice.support_phone must be a text in quotes"),
            ("[manufacturers]\nenabled = \"rsa\"", "must be a list"),
            ("[manufacturers]\nenabled = [1]", "must be a list"),
            ("[database]\nkind = \"mysql\"", "one of sqlite, postgres, not \"mysql\""),
            ("[log]\nlevel = \"loud\"", "one of error, warn"),
            ("[vip]\nenabled = \"true\"", "vip.enabled must be true or false"),
            ("[records]\nyears = 1", "records.years must be from 2 to 100, not 1"),
            ("[vip]\nenabled = 1", "vip.enabled must be true or false"),
            ("server = 3", "write [server]"),
            ("[server\n", "line 1"),
            ("[server]\nlisten = 1\nlisten = 2", "line 3"),
        ];
        for (text, expected) in cases {
            let line = faults(load_text(text, &[]));
            assert!(
                line.contains(expected) && line.contains("countersign.toml: "),
                "{text}: {line}"
            );
        }
        for (name, value, expected) in [
            ("COUNTERSIGN_POLICY__MAX_ACTIVE_TOKENS", "many", "whole number"),
            ("COUNTERSIGN_POLICY__MAX_ACTIVE_TOKENS", "", "whole number"),
            ("COUNTERSIGN_POLICY__MAX_ACTIVE_TOKENS", "9", "from 1 to 5"),
            ("COUNTERSIGN_DATABASE__KIND", "mysql", "one of sqlite"),
            ("COUNTERSIGN_VIP__ENABLED", "yes", "must be true or false"),
        ] {
            let line = faults(load_text("", &[(name, value)]));
            assert!(line.starts_with(&format!("{name}: ")) && line.contains(expected), "{line}");
        }
    }

    /// Shows: R-1311.305-b, A19
    #[test]
    fn a_state_asks_for_more_years_and_not_for_fewer() {
        for (states, expected) in [
            ("NE 5", "records.states: a state can ask for more years"),
            ("Nebraska", "records.states: \"Nebraska\": write the two letters"),
        ] {
            let line = faults(load_text(&format!("[records]\nstates = [\"{states}\"]\n"), &[]));
            assert!(line.contains(expected), "{line}");
        }
        let settings = load_text("[records]\nstates = [\"NE 7\", \"CT 8\"]\n", &[]).unwrap();
        assert_eq!(settings.retention().unwrap().years("NE".parse().ok()), 7);
    }

    #[test]
    fn every_listed_word_is_taken() {
        for entry in entries() {
            for word in entry.words() {
                // Some words need another setting beside them.
                let more = match *word {
                    "postgres" => "\nurl = \"postgres://h/d\"",
                    "proxy-protocol" => "\ntrusted_proxies = [\"127.0.0.1\"]",
                    _ => "",
                };
                let text = format!("[{}]\n{} = \"{word}\"{more}\n", entry.section, entry.name);
                load_text(&text, &[]).unwrap();
            }
        }
        assert_eq!(LogLevel::Trace.code(), "trace");
    }

    /// Shows: N-07, H-164.312-e1
    #[test]
    fn only_loopback_and_sockets_are_listened_on() {
        for good in ["127.0.0.1:8700", "127.1.2.3:1", "[::1]:8700", "unix:/run/c.sock"] {
            assert!(parse_listen(good).is_ok(), "{good}");
        }
        for open in ["0.0.0.0:8700", "[::]:8700", "192.0.2.7:8700", "[::ffff:127.0.0.1]:8700"] {
            assert!(parse_listen(open).unwrap_err().contains("TLS terminator"), "{open}");
        }
        let long = format!("unix:/{}", "x".repeat(107));
        for bad in ["", "localhost:8700", "127.0.0.1", "8700", "unix:", "unix:run/c.sock", &long] {
            assert!(parse_listen(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn proxies_are_read_or_named_as_wrong() {
        let text = "[server]\ntrusted_proxies = [\"127.0.0.1\", \"10.1.0.0/16\", \"unix\"]\nclient_address = \"proxy-protocol\"\n";
        load_text(text, &[]).unwrap().client_addresses().unwrap();
        let variable = [("COUNTERSIGN_SERVER__TRUSTED_PROXIES", "::1, fd00:1::/32")];
        assert_eq!(load_text("", &variable).unwrap().server.trusted_proxies.len(), 2);
        for (text, expected) in [
            ("trusted_proxies = [\"localhost\"]", "\"localhost\": give an address"),
            ("trusted_proxies = [\"10.1.2.3/8\"]", "begins at 10.0.0.0/8"),
            ("trusted_proxies = [\"0.0.0.0/0\"]", "every address"),
            ("client_address = \"proxy-protocol\"", "nobody may speak it"),
            ("client_address = \"x-real-ip\"", "one of x-forwarded-for, forwarded, proxy-protocol"),
        ] {
            let line = faults(load_text(&format!("[server]\n{text}\n"), &[]));
            assert!(line.contains(expected), "{text}: {line}");
        }
    }

    /// Shows: N-07
    #[test]
    fn the_public_address_is_an_origin_and_https() {
        for (text, origin) in [
            ("http://127.0.0.1:8700", "http://127.0.0.1:8700"),
            ("http://localhost:8700/", "http://localhost:8700"),
            ("http://[::1]:8700", "http://[::1]:8700"),
            ("https://Erx.Example.org:443", "https://erx.example.org"),
        ] {
            let mut settings = Settings::default();
            settings.server.public_url = text.into();
            settings.check().unwrap();
            assert_eq!(settings.public_origin().unwrap(), origin);
        }
        for bad in [
            "",
            "erx.example.org",
            "http://erx.example.org",
            "http://localhost.example.org",
            "http://127.0.0.1.example.org",
            "https://erx.example.org/portal",
            "https://erx.example.org/?a=b",
            "https://user@erx.example.org",
            "ftp://127.0.0.1",
        ] {
            assert!(parse_public_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn check_reports_every_fault() {
        let mut settings = Settings::default();
        settings.server.listen = "0.0.0.0:80".into();
        settings.database.path = PathBuf::new();
        settings.database.connections = 0;
        settings.keys.master_key_file = "data/".into();
        settings.practice.support_name = " ".into();
        settings.practice.support_email = "nobody".into();
        settings.manufacturers.enabled = vec!["rsa".into(), "rsa".into()];
        settings.manufacturers.symantec_prefix = "AVT".into();
        settings.policy.token_lock_from = 2;
        let error = settings.check().unwrap_err();
        assert_eq!(error.0.len(), 9, "{error}");
        settings = Settings::default();
        settings.policy.token_disable_at = 5;
        let line = settings.check().unwrap_err().to_string();
        assert!(line.contains("policy.token_disable_at"), "{line}");
        assert!(settings.policy().is_err());
    }

    #[test]
    fn the_bounds_shown_are_those_of_the_domain() {
        let at = |edge: fn((i64, i64)) -> i64| {
            let mut text = String::from("[policy]\n");
            for entry in entries().iter().filter(|entry| entry.section == "policy") {
                // A word has no bounds.
                let Some(bounds) = entry.bounds else { continue };
                text += &[entry.name, " = ", &edge(bounds).to_string(), "\n"].concat();
            }
            load_text(&text, &[])
        };
        at(|(low, _)| low).unwrap();
        at(|(_, high)| high).unwrap();
        assert_eq!(at(|(low, _)| low - 1).unwrap_err().0.len(), 20);
        assert_eq!(at(|(_, high)| high + 1).unwrap_err().0.len(), 20);
    }

    #[test]
    fn the_vip_path_is_its_own() {
        for good in ["/vip", "/a/b-c_D/9"] {
            check_vip_path(good).unwrap();
        }
        let long = "/x".repeat(51);
        for bad in ["", "/", "vip", "/vip/", "//vip", "/v p", "/{x}", "/..", "/v?x", &long] {
            assert!(check_vip_path(bad).unwrap_err().contains("is no path"), "{bad}");
        }
        for taken in ["/portal", "/api/vip", "/provision"] {
            assert!(check_vip_path(taken).unwrap_err().contains("used already"), "{taken}");
        }
        let alone = faults(load_text("[vip]\nenabled = true\n", &[]));
        assert!(alone.contains("manufacturers.enabled"), "{alone}");
        let variables = [
            ("COUNTERSIGN_VIP__ENABLED", "true"),
            ("COUNTERSIGN_MANUFACTURERS__ENABLED", "countersign,symantec"),
        ];
        assert!(load_text("", &variables).unwrap().vip.enabled);
        let prefix = check_symantec_prefix("UBHE").unwrap_err();
        assert!(prefix.contains("SYMC") && prefix.matches("UBHE").count() == 1, "{prefix}");
    }

    #[test]
    fn a_password_in_an_open_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        let text = |url: &str| format!("[database]\nkind = \"postgres\"\nurl = \"{url}\"\n");
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        for url in [
            "postgres://app:s3cret@db1:5432,db2:5432/erx",
            "postgres://app:s3/cret@db1/erx",
            "postgresql://db1/erx?user=app&password=s3cret",
            "host=db1,db2 user=app password=s3cret",
        ] {
            fs::write(&path, text(url)).unwrap();
            mode(0o644);
            let line = faults(load_path(&path, &[]));
            assert!(line.contains("chmod 600") && !line.contains("s3"), "{line}");
            mode(0o600);
            let settings = load_path(&path, &[]).unwrap();
            assert_eq!(settings.database.url.expose(), url);
            let shown = format!("{settings:?} {}", serde_json::to_string(&settings).unwrap());
            assert!(!shown.contains("s3"), "{shown}");
        }
        fs::write(&path, text("postgres://app@db1:5432/erx")).unwrap();
        mode(0o644);
        assert!(load_path(&path, &[]).is_ok());
        let secret = [("COUNTERSIGN_DATABASE__URL", "postgres://app:s3cret@db1/erx")];
        assert!(load_path(&path, &secret).is_ok());
        assert!(faults(load_text(&text(""), &[])).contains("database.url is empty"));
        let line = faults(load_text(&text("s3cret"), &[]));
        assert!(line.contains("not understood") && !line.contains("s3"), "{line}");
        let line = faults(load_text("[database]\nurl = \"postgres://h/d\"", &[]));
        assert!(line.contains("kind is sqlite"), "{line}");
        let line = faults(load_text("[database]\nurl = \"postgres://a:s3cret@h/d\" x", &[]));
        assert!(!line.contains("s3"), "{line}");
    }

    #[test]
    fn files_that_are_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no.toml");
        assert_eq!(load_path(&missing, &[]).unwrap(), Settings::default());
        let named = [("COUNTERSIGN_CONFIG", missing.to_str().unwrap())];
        assert!(faults(load_path(Path::new("x"), &named)).contains("no.toml"));
        let given = Settings::load_from(Some(&missing), Path::new("x"), std::iter::empty());
        assert!(faults(given).contains("correct the path"));
        assert!(faults(load_path(folder.path(), &[])).contains("is a folder"));
        assert_eq!(
            load_path(&missing, &[("COUNTERSIGN_CONFIG", "")]).unwrap(),
            Settings::default()
        );
        let file = folder.path().join("big.toml");
        fs::write(&file, "#".repeat(300_000)).unwrap();
        assert!(faults(load_path(&file, &[])).contains("larger"));
        fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(faults(load_path(&file, &[])).contains("UTF-8"));
    }
}
