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
        /// TLS is terminated by a validated TLS terminator in front, on the same machine.
        listen: String = "127.0.0.1:8700".to_owned();
        /// The address that browsers use, without a path. `https`, except for use on this machine only.
        public_url: String = "http://127.0.0.1:8700".to_owned();
        /// Proxies that report client addresses: addresses, networks such as `10.1.0.0/16`, and `unix` for
        /// clients of the Unix socket. Reports from others are ignored. Empty: every client counts as
        /// the proxy, and all share the limits of one address.
        trusted_proxies: Vec<String> = Vec::new();
        /// How they report it: `x-forwarded-for`, `forwarded` (RFC 7239), or `proxy-protocol` (version 2, at the
        /// beginning of each connection). The client is the rightmost address that is not a trusted proxy.
        client_address: ClientAddress = ClientAddress::XForwardedFor;
    }
    /// Where the data is stored.
    database: Database {
        /// `sqlite` (one file, one server) or `postgres` (PostgreSQL 15 or newer, several servers).
        kind: DatabaseKind = DatabaseKind::Sqlite;
        /// The SQLite file, with `kind = "sqlite"`.
        path: PathBuf = "data/countersign.db".into();
        /// The connection string, with `kind = "postgres"`: `postgres://user@127.0.0.1:5432/name`, or a
        /// Unix socket as `%2Frun%2Fpostgresql`. Other machines only through a tunnel that ends here.
        /// A password in it is accepted only from a file of mode 0600 or from the variable.
        url: DatabaseUrl = DatabaseUrl::default();
        /// Number of connections kept open.
        connections: u32 = 8, 1..=200;
    }
    /// Where the keys that protect the seeds are stored.
    keys: Keys {
        /// The master key, a file of mode 0600. Keep a copy separate from the data: without it,
        /// stored seeds can't be decrypted.
        master_key_file: PathBuf = "data/master.key".into();
    }
    /// The support contact for prescribers; shown on pages.
    practice: Practice {
        /// Name of the person or desk.
        support_name: String = "the support desk of your practice".to_owned();
        /// Phone number; empty for none.
        support_phone: String = String::new();
        /// Email address; empty for none.
        support_email: String = String::new();
    }
    /// Manufacturers whose tokens may be added.
    manufacturers: Manufacturers {
        /// Any of `countersign`, `symantec`, `onespan`, `rsa`, in the order of the form.
        enabled: Vec<String> = vec!["countersign".to_owned()];
        /// Prefix of the IDs that the built-in authority assigns to Symantec soft tokens.
        symantec_prefix: String = "SYMC".to_owned();
    }
    /// Limits on people, tokens and sessions.
    policy: Policy {
        /// Maximum number of active tokens per prescriber.
        max_active_tokens: u32 = STANDARD.max_active_tokens, 1..=5;
        /// Seconds after which a new passcode is required to change tokens or anything in Practice administration.
        step_up_seconds: i64 = STANDARD.step_up_seconds, 0..=900;
        /// Seconds without a request after which a session ends.
        session_idle_seconds: i64 = STANDARD.session_idle_seconds, 60..=3_600;
        /// Seconds after which a session ends in any case.
        session_absolute_seconds: i64 = STANDARD.session_absolute_seconds, 300..=86_400;
        /// Seconds for which a launch from the EHR is valid.
        launch_seconds: i64 = STANDARD.launch_seconds, 5..=300;
        /// Seconds after which a new credential is discarded if no one has added it.
        unassociated_seconds: i64 = STANDARD.unassociated_seconds, 60..=86_400;
        /// Whether the secret of a new token may be shown once, for another authenticator
        /// app. Anyone who copies it can generate passcodes; the token is permanently marked. The model
        /// `other-authenticator` must be allowed too (`countersign admin models`).
        otpauth: bool = STANDARD.otpauth;
        /// Incorrect passcodes in a row on one token, from which on each one is followed by a delay.
        token_throttle_from: u32 = STANDARD.token.throttle_from, 1..=100;
        /// Seconds of that delay.
        token_throttle_seconds: i64 = STANDARD.token.throttle_seconds, 1..=3_600;
        /// Incorrect passcodes in a row on one token, from which on each one is followed by a lockout.
        token_lock_from: u32 = STANDARD.token.lock_from, 1..=100;
        /// Seconds of that lockout.
        token_lock_seconds: i64 = STANDARD.token.lock_seconds, 60..=86_400;
        /// Incorrect passcodes in a row at which a token is permanently disabled (SP 800-63B-4 allows 100).
        token_disable_at: u32 = STANDARD.token.disable_at.unwrap_or(30), 1..=100;
        /// Incorrect passcodes in a row of one prescriber, on any token, from which on each one is followed by a delay.
        prescriber_throttle_from: u32 = STANDARD.prescriber.throttle_from, 1..=100;
        /// Seconds of that delay.
        prescriber_throttle_seconds: i64 = STANDARD.prescriber.throttle_seconds, 1..=3_600;
        /// Incorrect passcodes in a row of one prescriber, on any token, from which on each one is followed by a lockout.
        prescriber_lock_from: u32 = STANDARD.prescriber.lock_from, 1..=100;
        /// Seconds of that lockout.
        prescriber_lock_seconds: i64 = STANDARD.prescriber.lock_seconds, 60..=86_400;
        /// Incorrect passphrases in a row from one source (docs/states.md), from which on each one is followed by a delay.
        passphrase_throttle_from: u32 = STANDARD.passphrase.throttle_from, 1..=100;
        /// Seconds of that delay.
        passphrase_throttle_seconds: i64 = STANDARD.passphrase.throttle_seconds, 1..=3_600;
        /// Incorrect passphrases in a row from one source, from which on each one is followed by a lockout.
        passphrase_lock_from: u32 = STANDARD.passphrase.lock_from, 1..=100;
        /// Seconds of that lockout.
        passphrase_lock_seconds: i64 = STANDARD.passphrase.lock_seconds, 60..=86_400;
        /// PBKDF2-HMAC-SHA-512 iterations for passphrases; older hashes are upgraded at the next sign-in.
        passphrase_iterations: u32 = 210_000, 210_000..=10_000_000;
        /// A token used from the browser it is in: `deny` rejects it, and new ones in a browser
        /// with a session; `warn` allows it, shows a warning and records it (21 CFR 1311.115(a)(3)).
        same_browser: SameBrowser = SameBrowser::Deny;
    }
    /// Limits on requests.
    limits: Limits {
        /// New credentials per minute for one network address. One that belongs to a pairing code of the portal does
        /// not count; the same number of invalid codes is allowed.
        provisioning_per_minute: u32 = 10, 1..=10_000;
        /// New credentials per minute for all network addresses together. One that belongs to a pairing
        /// code of the portal does not count.
        provisioning_all_per_minute: u32 = 120, 1..=100_000;
        /// Failed sign-ins per minute for one network address. Successful ones don't count: a clinic may share an
        /// address. An IPv6 address counts by its /64 network, here and below.
        login_per_minute: u32 = 60, 1..=10_000;
        /// Failed launches from EHRs per minute for one network address; a SMART launch counts from its start
        /// until it succeeds.
        launch_per_minute: u32 = 120, 1..=10_000;
        /// Invalid links of invitations and of "this was not me", and requests for new invitation links, per
        /// minute for one network address.
        invitation_per_minute: u32 = 60, 1..=10_000;
        /// Failed passphrase resets per minute for one network address.
        forgotten_passphrase_per_minute: u32 = 60, 1..=10_000;
        /// Rejected client assertions of the API per minute for one network address.
        api_token_per_minute: u32 = 60, 1..=10_000;
        /// Seconds after which a request times out.
        request_seconds: i64 = 30, 1..=300;
    }
    /// The VIP Access protocol, for its free clients to get a Symantec ID here. Needs `symantec`
    /// among the manufacturers, and two keys that server and clients share.
    vip: Vip {
        /// Whether it is served.
        enabled: bool = false;
        /// Path below which `prov`, `otpCheck` and `otpSync` are served.
        path: String = "/vip".to_owned();
        /// The key of the requests' MAC: 64 hexadecimal digits in a file of mode 0600.
        hmac_key_file: PathBuf = "data/vip-hmac.key".into();
        /// The key that encrypts seeds in transit: 32 hexadecimal digits in a file of mode 0600.
        token_key_file: PathBuf = "data/vip-token.key".into();
        /// Seconds a client's clock may be off when it requests a credential.
        clock_tolerance_seconds: i64 = 300, 1..=86_400;
        /// New credentials per minute for all clients of this protocol together. Those of one network
        /// address have a limit of `limits.provisioning_per_minute`, counted separately.
        provisioning_per_minute: u32 = 60, 1..=10_000;
        /// Checks and syncs per minute for one network address. One credential has 10 per minute.
        checks_per_minute: u32 = 60, 1..=10_000;
    }
    /// How notices and activation codes are sent. They wait in the database until they can be.
    notices: Notices {
        /// Address and port of a mail relay (SMTP) on this machine, such as `127.0.0.1:25`; empty for
        /// none. The relay uses TLS to other hosts; mail to it stays on this machine.
        smtp: String = String::new();
        /// The sender of emails; required with `smtp`.
        from: String = String::new();
        /// Where requests for text messages and calls are posted as signed JSON. `https`, or this
        /// machine; empty for none.
        webhook_url: String = String::new();
        /// The key of that signature (HMAC-SHA-256): 64 hexadecimal digits in a file of mode 0600.
        webhook_key_file: PathBuf = "data/webhook.key".into();
    }
    /// What is required before anyone can sign a prescription here.
    signing: Signing {
        /// Host and port of a time server (NTP) traceable to NIST, such as `time.nist.gov:123`. It is
        /// queried every 10 minutes; no one can sign while this clock is off by more than 5
        /// minutes or was not checked for an hour (21 CFR 1311.120(b)(8)). Empty: no one can sign.
        time_server: String = String::new();
        /// The release manifest that lists certified builds (`docs/operations.md`); empty for none.
        release_manifest_file: String = String::new();
        /// The keys that sign release manifests, as a JSON Web Key Set.
        release_keys_file: String = String::new();
        /// Allows signing with a build that no manifest lists. Every start is recorded, and pages show it.
        unlisted_build: bool = false;
        /// A drug table that replaces the built-in one: lines such as `4 | Zolpidem tartrate`. A line such as
        /// `2N | Testosterone | NY` gives the schedule in one state; it can't be less strict than the federal schedule.
        drug_table_file: String = String::new();
        /// States that limit refills of C-V drugs, each as the two letters of the state in which the DEA number is
        /// registered, the most refills, and the most days after the day of issue on which it may be filled (`-` for no
        /// limit), such as `KY 5 180`. Elsewhere C-V drugs have the refills that the prescriber authorizes.
        schedule_v_states: Vec<String> = Vec::new();
        /// States that prohibit a C-II series (21 CFR 1306.12(b)), each as its two letters.
        no_series_states: Vec<String> = Vec::new();
        /// States that require a supervisor for mid-level practitioners, each as its two letters. Under an institution's
        /// DEA number, this applies unless the prescriber has a DEA number that is not a mid-level practitioner's.
        supervisor_states: Vec<String> = Vec::new();
    }
    /// How long signed prescriptions are kept. `countersign admin expired-records` removes older ones; nothing
    /// is removed automatically, nor while under a legal hold.
    records: Records {
        /// Years after the day of the signature (21 CFR 1311.305(b) requires at least two).
        years: u32 = u32::from(STANDARD_YEARS), 2..=100;
        /// Longer retention in states, each as the two letters of the state in which the DEA number is registered, a
        /// space, and years, such as `NE 7`.
        states: Vec<String> = Vec::new();
    }
    /// How signed prescriptions are sent. Without a gateway, no one can sign.
    transmission: Transmission {
        /// Where each is posted as signed JSON, with an `Idempotency-Key` (`docs/transmission.md`).
        /// `https`, or this machine; empty for none.
        gateway_url: String = String::new();
        /// The key of that signature (HMAC-SHA-256): 64 hexadecimal digits in a file of mode 0600.
        gateway_key_file: PathBuf = "data/gateway.key".into();
        /// The pharmacies it reaches, each as its NCPDP number, a space, and name and address, such
        /// as `1234567 Corner Pharmacy, 3 Oak Street`. Only in the file: in an environment variable, a comma ends an entry.
        pharmacies: Vec<String> = Vec::new();
    }
    /// Outside identity proofing providers (21 CFR 1311.105). Two people at each practice decide in
    /// Practice administration which ones it accepts.
    proofing: Proofing {
        /// One JSON file of mode 0600 for each, with the strings `name`, `issuer`, `client_id`,
        /// `client_secret` and `acr_values` (what is requested; may be empty).
        provider_files: Vec<String> = Vec::new();
    }
    /// What the server writes to its standard output.
    log: Log {
        /// `text` for people, `json` for a log collector.
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
