//! What an operator may set: `countersign.toml` and `COUNTERSIGN_*` variables.
//!
//! The sections below are the only list of settings. Defaults, checks, the documented default file
//! and `docs/configuration.md` are all made from it.

mod check;
mod convert;
mod entry;
mod load;
mod parse;
#[cfg(test)]
mod tests;
mod values;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use countersign_domain::{Policy as DomainPolicy, retention::STANDARD_YEARS};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::entry::Entry;
pub(crate) use self::values::{
    ClientAddress, DatabaseKind, DatabaseUrl, LogFormat, LogLevel, SameBrowser,
};

const PREFIX: &str = "COUNTERSIGN_";

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
