//! `countersign doctor`: looks at this machine and says what to do.

use std::{
    fs::{self, Metadata},
    io::ErrorKind,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use countersign_crypto::{FipsError, FipsStatus, fips_status};
use countersign_domain::{
    Date, Timestamp,
    certification::{ReportFacts, RunningBuild},
};
use countersign_store::NoncomplianceNotice;

use crate::{
    key_file::{self, KeyFileError},
    private_file::explain,
    settings::{DatabaseKind, Listen, Settings, is_loopback},
    told, vip_keys,
};

/// A clock this far from the database's is fine: milliseconds.
const CLOCK_GOOD_MS: i64 = 1_000;
/// A clock further than this from the database's refuses right passcodes: milliseconds.
const CLOCK_BAD_MS: i64 = 10_000;
/// Before this the clock was never set. A build of this program can't be older.
const EARLIEST_YEAR: i64 = 2025;
const LATEST_YEAR: i64 = 2100;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// As it should be.
    Good,
    /// It works, and somebody should look at it.
    Warn,
    /// The server does not start, or does not do its work.
    Bad,
}

/// One line of the doctor's report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) name: &'static str,
    /// How it is.
    pub(crate) state: State,
    /// What was found.
    pub(crate) says: String,
    /// What to do, where something is to be done.
    pub(crate) do_this: Option<String>,
}

impl Finding {
    fn good(name: &'static str, says: impl Into<String>) -> Self {
        Self { name, state: State::Good, says: says.into(), do_this: None }
    }

    fn warn(name: &'static str, says: impl Into<String>, do_this: impl Into<String>) -> Self {
        Self { name, state: State::Warn, says: says.into(), do_this: Some(do_this.into()) }
    }

    fn bad(name: &'static str, says: impl Into<String>, do_this: impl Into<String>) -> Self {
        Self { name, state: State::Bad, says: says.into(), do_this: Some(do_this.into()) }
    }
}

/// Every check that needs no database.
pub(crate) fn host_findings(settings: &Settings, now: Timestamp) -> Vec<Finding> {
    let mut findings = vec![
        fips_finding(fips_status()),
        time_finding(now),
        config_file_finding(settings.file.as_deref()),
        key_file_finding(&settings.keys.master_key_file),
    ];
    if settings.database.kind == DatabaseKind::Sqlite {
        findings.push(data_folder_finding(&settings.database.path));
    }
    findings.push(listen_finding(settings));
    findings.push(host_name_finding(settings));
    findings.push(proxy_finding(settings));
    findings.push(support_finding(settings));
    findings.push(signing_finding(settings));
    if settings.vip.enabled {
        findings.push(vip_keys_finding(&settings.vip.hmac_key_file, &settings.vip.token_key_file));
    }
    findings
}

/// The FIPS module: in its mode, and of the certified line.
pub(crate) fn fips_finding(status: Result<FipsStatus, FipsError>) -> Finding {
    const NAME: &str = "FIPS module";
    match status {
        Ok(status) => {
            let module = status.module.map(|n| format!(", module version {n}")).unwrap_or_default();
            Finding::good(NAME, format!("AWS-LC FIPS {}{module}, in FIPS mode", status.library))
        }
        Err(error) => Finding::bad(
            NAME,
            error.to_string(),
            "use a binary built as docs/fips.md says (AWS_LC_FIPS_SYS_USE_SYSTEM=0); the server does not start with this one",
        ),
    }
}

/// Whether the clock of this machine can be true at all.
pub(crate) fn time_finding(now: Timestamp) -> Finding {
    const NAME: &str = "time";
    let (year, ..) = now.civil();
    let says = format!("this machine says {}", now.minute_text());
    if (EARLIEST_YEAR..LATEST_YEAR).contains(&year) {
        return Finding::good(NAME, says);
    }
    Finding::bad(NAME, says, "set the clock and keep it right with chrony or systemd-timesyncd")
}

/// The configuration file: readable, and not writable by others.
pub(crate) fn config_file_finding(path: Option<&Path>) -> Finding {
    const NAME: &str = "configuration file";
    let Some(path) = path else {
        return Finding::good(NAME, "none; defaults and variables are used");
    };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return Finding::bad(NAME, explain(path, &error), "put the file right"),
    };
    let says = format!("{}, mode {:04o}", path.display(), mode(&metadata));
    if mode(&metadata) & 0o022 != 0 {
        let do_this = format!("other accounts may change it: run `chmod go-w {}`", path.display());
        return Finding::bad(NAME, says, do_this);
    }
    Finding::good(NAME, says)
}

/// The master key: there, whole, and closed to others.
pub(crate) fn key_file_finding(path: &Path) -> Finding {
    const NAME: &str = "master key file";
    match key_file::read(path) {
        Ok(_) => Finding::good(NAME, format!("{}, closed to other accounts", path.display())),
        Err(KeyFileError::Missing(path)) => Finding::bad(
            NAME,
            format!("{} is missing", path.display()),
            "restore it from your backup; only an installation without data gets a new one, at its first start",
        ),
        Err(error) => {
            Finding::bad(NAME, error.to_string(), "put the file right, then run this again")
        }
    }
}

/// The keys of the VIP Access protocol: there, whole, and closed to others.
pub(crate) fn vip_keys_finding(hmac: &Path, token: &Path) -> Finding {
    const NAME: &str = "VIP Access keys";
    match vip_keys::read(hmac, token) {
        Ok(_) => Finding::good(
            NAME,
            format!("{} and {}, closed to other accounts", hmac.display(), token.display()),
        ),
        Err(error) => Finding::bad(
            NAME,
            one_line(&told(&error)),
            "make or restore the file (docs/operations.md, \"VIP Access protocol\"), or set vip.enabled = false",
        ),
    }
}

/// The folder of the database file, and the file: there, writable, closed to others.
pub(crate) fn data_folder_finding(database: &Path) -> Finding {
    const NAME: &str = "data folder";
    let folder = match database.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let metadata = match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => {
            let says = format!("{} is a file", folder.display());
            return Finding::bad(NAME, says, "correct database.path");
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Finding::warn(
                NAME,
                format!("{} does not exist yet", folder.display()),
                "nothing, before the first start; otherwise correct database.path",
            );
        }
        Err(error) => return Finding::bad(NAME, explain(folder, &error), "correct the folder"),
    };
    // Mode bits tell nothing about a read-only disk or another owner; the system's answer does.
    if let Err(error) = probe(folder) {
        return Finding::bad(
            NAME,
            explain(folder, &error),
            "make the folder writable for this account",
        );
    }
    let says = format!("{}, mode {:04o}, writable", folder.display(), mode(&metadata));
    if mode(&metadata) & 0o022 != 0 {
        let do_this =
            format!("other accounts may replace the data: run `chmod 700 {}`", folder.display());
        return Finding::bad(NAME, says, do_this);
    }
    match fs::metadata(database) {
        Ok(file) if mode(&file) & 0o022 != 0 => {
            let says = format!("{} may be changed by other accounts", database.display());
            Finding::bad(NAME, says, format!("run `chmod 600 {}`", database.display()))
        }
        // Where nobody else may enter the folder, the mode of the file does not matter.
        Ok(file) if mode(&metadata) & 0o077 != 0 && mode(&file) & 0o044 != 0 => Finding::warn(
            NAME,
            format!("{} may be read by other accounts", database.display()),
            format!("run `chmod 700 {}`", folder.display()),
        ),
        _ => Finding::good(NAME, says),
    }
}

/// Where the server listens, and what browsers are told.
pub(crate) fn listen_finding(settings: &Settings) -> Finding {
    const NAME: &str = "listen address";
    let addresses = settings.listen().and_then(|listen| Ok((listen, settings.public_origin()?)));
    let (listen, origin) = match addresses {
        Ok(addresses) => addresses,
        Err(error) => return Finding::bad(NAME, error.to_string(), "correct the setting"),
    };
    let says = format!("{}, for browsers {origin}", settings.server.listen);
    if let Listen::Unix(path) = &listen
        && !path.parent().is_some_and(Path::is_dir)
    {
        let do_this = format!("create the folder of {}", path.display());
        return Finding::bad(NAME, says, do_this);
    }
    if !origin.starts_with("https:") {
        return Finding::warn(
            NAME,
            says,
            "good for a trial on this machine; for prescribers, put a validated TLS terminator in front and set server.public_url",
        );
    }
    Finding::good(NAME, says)
}

/// The name under which browsers ask: browsers send a cookie to every port of its host (RFC 6265, 8.5), so that
/// whatever else listens there gets the session of a prescriber.
pub(crate) fn host_name_finding(settings: &Settings) -> Finding {
    const NAME: &str = "host name";
    let url = match settings.public_url() {
        Ok(url) => url,
        Err(error) => return Finding::bad(NAME, error.to_string(), "correct the setting"),
    };
    let host = url.host_str().unwrap_or_default().to_owned();
    let do_this = "give it a host name of its own, on which nothing else is served at any port: browsers send the session cookie to all ports of a host";
    if is_loopback(&url) {
        return Finding::warn(NAME, format!("{host} is shared with all that runs here"), do_this);
    }
    if url.domain().is_none() {
        return Finding::warn(NAME, format!("{host} is an address and no name"), do_this);
    }
    if url.port().is_some() {
        return Finding::warn(NAME, format!("{host} is asked at a port of its own"), do_this);
    }
    Finding::good(NAME, format!("{host}; nothing else may be served there, at any port"))
}

/// Whether limits know clients apart: behind a proxy only where it is trusted.
pub(crate) fn proxy_finding(settings: &Settings) -> Finding {
    const NAME: &str = "proxy";
    let found = settings.listen().and_then(|listen| Ok((listen, settings.client_addresses()?)));
    let (listen, addresses) = match found {
        Ok(found) => found,
        Err(error) => return Finding::bad(NAME, error.to_string(), "correct the setting"),
    };
    let trusted = match &listen {
        Listen::Unix(_) => addresses.trusts_unix(),
        Listen::Tcp(address) => addresses.trusts_address(address.ip()),
    };
    if trusted {
        return Finding::good(NAME, "it says whom it speaks for (server.trusted_proxies)");
    }
    if settings.public_url().is_ok_and(|url| is_loopback(&url)) {
        return Finding::good(NAME, "none is trusted, and none is needed on this machine alone");
    }
    let wanted = match &listen {
        Listen::Unix(_) => "unix".to_owned(),
        Listen::Tcp(address) => address.ip().to_string(),
    };
    Finding::warn(
        NAME,
        "it is not trusted: all clients share the limits of one address",
        format!(
            "put \"{wanted}\" into server.trusted_proxies, and let the proxy say whom it speaks for (docs/operations.md, \"Reverse proxy\")"
        ),
    )
}

/// Whom the pages name where a prescriber can't go on.
pub(crate) fn support_finding(settings: &Settings) -> Finding {
    const NAME: &str = "support contact";
    let practice = &settings.practice;
    if practice.support_phone.is_empty() && practice.support_email.is_empty() {
        return Finding::warn(
            NAME,
            "neither telephone nor email is set",
            "set practice.support_phone or practice.support_email: a prescriber without a token needs it",
        );
    }
    Finding::good(NAME, practice.support_name.clone())
}

/// What keeps everybody from signing prescriptions here.
pub(crate) fn signing_finding(settings: &Settings) -> Finding {
    const NAME: &str = "prescriptions";
    let signing = &settings.signing;
    let mut missing = Vec::new();
    if settings.transmission.gateway_url.is_empty() {
        missing.push("transmission.gateway_url");
    }
    if settings.transmission.pharmacies.is_empty() {
        missing.push("transmission.pharmacies");
    }
    if signing.time_server.is_empty() {
        missing.push("signing.time_server");
    }
    if signing.release_manifest_file.is_empty() && !signing.unlisted_build {
        missing.push("signing.release_manifest_file");
    }
    if missing.is_empty() {
        return Finding::good(NAME, "gateway, time server and build are set".to_owned());
    }
    let says = format!("not set: {}", missing.join(", "));
    Finding::warn(NAME, says, "set them (docs/operations.md): until then nobody can sign")
}

/// Whether the report that a release manifest names is on file and in force.
pub(crate) fn certification_finding(report: Option<ReportFacts>, today: Date) -> Finding {
    const NAME: &str = "certification";
    let enter = "enter the report with `countersign admin add-report`: until then nobody can sign";
    match report {
        None => Finding::warn(
            NAME,
            "the report that the release manifest names is not on file".to_owned(),
            enter,
        ),
        Some(it) if !it.holds(today) => {
            Finding::warn(NAME, format!("the report {} holds no more", it.name), enter)
        }
        Some(it) => Finding::good(
            NAME,
            format!("report {} of {}, until {}", it.name, it.auditor, it.expires),
        ),
    }
}

/// The release manifest can't be read, or does not hold.
pub(crate) fn manifest_finding(error: &anyhow::Error) -> Finding {
    Finding::bad(
        "certification",
        one_line(&told(error)),
        "correct the setting or the file: the server does not start with it",
    )
}

/// The notices of non-compliance that are open, or that stop this build although they have ended; nothing where there
/// is none. A notice stops a build whether a release manifest lists it or `signing.unlisted_build` lets it sign.
pub(crate) fn notices_finding(
    notices: &[NoncomplianceNotice],
    running: &RunningBuild,
) -> Option<Finding> {
    const NAME: &str = "non-compliance";
    let said = |it: &NoncomplianceNotice| {
        let ended = if it.ended.is_some() { " (ended)" } else { "" };
        format!(
            "{}{ended}, through version {}, from {}: {}",
            it.id, it.through, it.source, it.reason
        )
    };
    let all = |notices: &[&NoncomplianceNotice]| {
        notices.iter().map(|it| said(it)).collect::<Vec<_>>().join("; ")
    };
    let stopping: Vec<_> = notices.iter().filter(|it| running.is_stopped_by(it.scope())).collect();
    let open: Vec<_> = notices.iter().filter(|it| it.ended.is_none()).collect();
    if stopping.is_empty() && open.is_empty() {
        return None;
    }
    if stopping.is_empty() {
        return Some(Finding::warn(
            NAME,
            format!("a notice about older versions pauses signing: {}", all(&open)),
            "start the server: a notice ends two minutes after it was entered, once this listed build runs",
        ));
    }
    let version = running.version;
    let old = stopping.iter().any(|it| version <= it.through);
    let do_this = if old {
        "install a newer build (docs/operations.md, \"Notice of non-compliance\")".to_owned()
    } else {
        let id = stopping.first().map(|it| it.id.to_string()).unwrap_or_default();
        format!(
            "install a build that a release manifest lists; or, when whoever gave the notice says that version {version} is compliant, run `countersign admin end-noncompliance {id}`"
        )
    };
    let unlisted = if running.listed.is_none() && !old {
        ", also with signing.unlisted_build = true"
    } else {
        ""
    };
    Some(Finding::bad(
        NAME,
        one_line(&format!("nothing is signed by this build{unlisted}: {}", all(&stopping))),
        do_this,
    ))
}

/// The clock against the database's. `offset_ms` is the database's time less ours, in milliseconds.
pub(crate) fn clock_finding(offset_ms: i64) -> Finding {
    const NAME: &str = "clock";
    let distance = offset_ms.saturating_abs();
    let side = if offset_ms > 0 { "behind" } else { "ahead of" };
    #[expect(clippy::cast_precision_loss, reason = "a number for people, with one decimal")]
    let seconds = distance as f64 / 1_000.0;
    let says = format!("{seconds:.1} s {side} the database's");
    let do_this = "keep both machines' clocks right with chrony or systemd-timesyncd";
    if distance <= CLOCK_GOOD_MS {
        Finding::good(NAME, says)
    } else if distance <= CLOCK_BAD_MS {
        Finding::warn(NAME, says, do_this)
    } else {
        let do_this = format!("{do_this}: right passcodes are refused while they differ this much");
        Finding::bad(NAME, says, do_this)
    }
}

/// The schema version in the database (none: empty) against the one that this binary knows.
pub(crate) fn schema_finding(found: Option<i64>, wanted: i64) -> Finding {
    const NAME: &str = "schema";
    match found {
        Some(found) if found == wanted => Finding::good(NAME, format!("version {found}")),
        Some(found) if found > wanted => Finding::bad(
            NAME,
            format!("version {found}, newer than this binary knows ({wanted})"),
            "use the newer binary that the database was migrated with",
        ),
        Some(found) => Finding::warn(
            NAME,
            format!("version {found}; this binary wants {wanted}"),
            "back up, then run `countersign migrate` (a start does the same)",
        ),
        None => Finding::warn(
            NAME,
            "the database is empty",
            "run `countersign migrate` (a start does the same); if it should hold data, correct [database]",
        ),
    }
}

/// How many models of tokens may sign.
pub(crate) fn models_finding(allowed: usize) -> Finding {
    const NAME: &str = "token models";
    if allowed == 0 {
        return Finding::warn(
            NAME,
            "none is allowed: no token can be added, and no passcode signs",
            "look at each model you want, then run `countersign admin models set` (docs/operations.md, \"Token models\")",
        );
    }
    Finding::good(NAME, format!("{allowed} allowed for signing"))
}

/// Whether the database answered: its name and version, or the fault.
pub(crate) fn database_finding<E: std::fmt::Display>(answer: Result<String, E>) -> Finding {
    const NAME: &str = "database";
    match answer {
        Ok(says) => Finding::good(NAME, says),
        Err(error) => Finding::bad(
            NAME,
            one_line(&error.to_string()),
            "start the database, or correct [database] in the configuration; then run this again",
        ),
    }
}

/// The report as text, a finding to a line, and below it what to do.
pub(crate) fn render(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.name.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for finding in findings {
        let state = match finding.state {
            State::Good => "ok  ",
            State::Warn => "look",
            State::Bad => "BAD ",
        };
        lines.push(format!("{state}  {:width$}  {}", finding.name, finding.says));
        let advice = finding.do_this.as_ref();
        lines.extend(advice.map(|do_this| format!("      {:width$}  To do: {do_this}", "")));
    }
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    lines.push(match (count(State::Bad), count(State::Warn)) {
        (0, 0) => "Everything looks good.".to_owned(),
        (0, warn) => format!("It works; {warn} to look at."),
        (bad, warn) => format!("{bad} bad, {warn} to look at."),
    });
    lines.push(String::new());
    lines.join("\n")
}

/// The exit code of the command: 1 where something is bad.
pub(crate) fn exit_code(findings: &[Finding]) -> u8 {
    u8::from(findings.iter().any(|finding| finding.state == State::Bad))
}

fn mode(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o7777
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Makes and removes an empty file.
pub(crate) fn probe(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".countersign-doctor-{}", std::process::id()));
    fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_crypto::SystemRng;
    use countersign_domain::{
        NoticeId,
        certification::{BuildId, Version},
    };

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn says_what_to_do(finding: &Finding) -> bool {
        !finding.says.contains('\n')
            && (finding.state == State::Good) == finding.do_this.is_none()
            && finding.do_this.as_ref().is_none_or(|text| text.len() > 10 && !text.contains('\n'))
    }

    #[test]
    fn a_host_that_is_well() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.database.path = folder.path().join("c.db");
        settings.keys.master_key_file = folder.path().join("master.key");
        settings.server.public_url = "https://erx.example.org".into();
        settings.server.trusted_proxies = vec!["127.0.0.1".into()];
        settings.practice.support_phone = "555 0100".into();
        key_file::create(&settings.keys.master_key_file, &mut SystemRng).unwrap();
        let now = Timestamp::from_seconds(1_800_000_000);
        settings.transmission.gateway_url = "https://gateway.example/rx".to_owned();
        settings.transmission.pharmacies = vec!["1234567 Corner Pharmacy".to_owned()];
        settings.signing.time_server = "time.nist.gov:123".to_owned();
        settings.signing.unlisted_build = true;
        let findings = host_findings(&settings, now);
        assert_eq!(findings.len(), 10);
        assert!(findings.iter().all(|f| f.state == State::Good), "{findings:#?}");
        assert_eq!(exit_code(&findings), 0);
        let text = render(&findings);
        assert!(text.contains("FIPS 3") && text.ends_with("Everything looks good.\n"), "{text}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the probe is removed");
    }

    #[test]
    fn keys_of_the_vip_access_protocol() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        let (hmac, token) = (folder.path().join("hmac"), folder.path().join("token"));
        settings.vip.hmac_key_file = hmac.clone();
        settings.vip.token_key_file = token.clone();
        let named = |settings: &Settings| {
            let findings = host_findings(settings, Timestamp::from_seconds(1_800_000_000));
            findings.into_iter().find(|f| f.name == "VIP Access keys")
        };
        assert_eq!(named(&settings), None, "it is off");
        settings.vip.enabled = true;
        let missing = named(&settings).unwrap();
        assert!(missing.state == State::Bad && says_what_to_do(&missing), "{missing:?}");
        vip_keys::read_or_create(&hmac, &token, &mut SystemRng).unwrap();
        assert_eq!(named(&settings).unwrap().state, State::Good);
        set_mode(&token, 0o644);
        let open = named(&settings).unwrap();
        assert!(open.state == State::Bad && open.says.contains("chmod 600"), "{open:?}");
        set_mode(&token, 0o600);
        fs::write(&token, "too short").unwrap();
        let short = named(&settings).unwrap();
        assert!(short.state == State::Bad && !short.says.contains("too short"), "{short:?}");
    }

    #[test]
    fn a_host_that_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.database.path = folder.path().join("no/c.db");
        settings.keys.master_key_file = folder.path().join("master.key");
        let findings = host_findings(&settings, Timestamp::from_seconds(0));
        assert!(findings.iter().all(says_what_to_do), "{findings:#?}");
        let bad: Vec<_> =
            findings.iter().filter(|f| f.state == State::Bad).map(|f| f.name).collect();
        assert_eq!(bad, ["time", "master key file"]);
        assert_eq!(exit_code(&findings), 1);
        let text = render(&findings);
        assert!(text.contains("BAD   time") && text.contains("To do: set the clock"), "{text}");
        assert!(text.ends_with("2 bad, 5 to look at.\n"), "{text}");
    }

    #[test]
    fn modes_of_files_and_folders() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("data");
        fs::create_dir(&inner).unwrap();
        let database = inner.join("c.db");
        fs::write(&database, "").unwrap();
        let state = |folder_mode, file_mode| {
            set_mode(&inner, folder_mode);
            set_mode(&database, file_mode);
            let finding = data_folder_finding(&database);
            assert!(says_what_to_do(&finding), "{finding:?}");
            finding.state
        };
        assert_eq!(state(0o700, 0o644), State::Good);
        assert_eq!(state(0o755, 0o600), State::Good);
        assert_eq!(state(0o755, 0o644), State::Warn);
        assert_eq!(state(0o777, 0o600), State::Bad);
        assert_eq!(state(0o755, 0o666), State::Bad);
        assert_eq!(data_folder_finding(&database.join("c.db")).state, State::Bad);

        let config = folder.path().join("c.toml");
        fs::write(&config, "").unwrap();
        for (mode, state) in [(0o600, State::Good), (0o644, State::Good), (0o664, State::Bad)] {
            set_mode(&config, mode);
            assert_eq!(config_file_finding(Some(&config)).state, state, "{mode:o}");
        }
        assert_eq!(config_file_finding(None).state, State::Good);
        assert_eq!(config_file_finding(Some(&folder.path().join("no"))).state, State::Bad);

        let key = folder.path().join("master.key");
        key_file::create(&key, &mut SystemRng).unwrap();
        assert_eq!(key_file_finding(&key).state, State::Good);
        set_mode(&key, 0o640);
        let finding = key_file_finding(&key);
        assert!(finding.state == State::Bad && finding.says.contains("chmod 600"), "{finding:?}");
    }

    #[test]
    fn clocks_schemas_and_databases() {
        for (offset, state) in [
            (0, State::Good),
            (-1_000, State::Good),
            (1_001, State::Warn),
            (-10_000, State::Warn),
            (10_001, State::Bad),
            (i64::MIN, State::Bad),
        ] {
            let finding = clock_finding(offset);
            assert_eq!(finding.state, state, "{offset}");
            assert!(says_what_to_do(&finding));
        }
        assert_eq!(clock_finding(2_500).says, "2.5 s behind the database's");
        for (found, state) in [
            (Some(3), State::Good),
            (Some(2), State::Warn),
            (None, State::Warn),
            (Some(4), State::Bad),
        ] {
            let finding = schema_finding(found, 3);
            assert_eq!(finding.state, state);
            assert!(says_what_to_do(&finding));
        }
        assert_eq!(database_finding::<String>(Ok("PostgreSQL 15.4".into())).state, State::Good);
        let finding = database_finding(Err("refused\n  by host"));
        assert!(finding.says == "refused by host" && finding.state == State::Bad);
        let missing = FipsError::NotInFipsMode("off".into());
        assert_eq!(fips_finding(Err(missing)).state, State::Bad);
    }

    #[test]
    fn an_open_notice_is_shown_for_every_build_and_an_ended_one_for_those_it_stops() {
        let (old, newer) = (Version::new(0, 9, 0), Version::new(0, 9, 1));
        let build = |version: Version, listed: bool| RunningBuild {
            version,
            id: BuildId::unlisted(version),
            listed: listed.then(|| "R-1".to_owned()),
        };
        let now = Timestamp::from_seconds(1_800_000_000);
        let mut notice = NoncomplianceNotice {
            id: NoticeId::new(now, &mut SystemRng).unwrap(),
            source: "Provider".to_owned(),
            reason: "refills".to_owned(),
            through: old,
            entered: now,
            entered_by: "Ops".to_owned(),
            ended: None,
        };
        assert_eq!(notices_finding(&[], &build(old, false)), None);
        for (version, listed, open, state, do_this) in [
            (newer, false, true, Some(State::Bad), "end-noncompliance"),
            (newer, true, true, Some(State::Warn), "two minutes"),
            (old, true, true, Some(State::Bad), "a newer build"),
            (old, false, false, Some(State::Bad), "a newer build"),
            (newer, false, false, None, ""),
            (newer, true, false, None, ""),
        ] {
            notice.ended = (!open).then_some(now);
            let found = notices_finding(std::slice::from_ref(&notice), &build(version, listed));
            assert_eq!(found.as_ref().map(|it| it.state), state, "{version} {listed} {open}");
            let Some(found) = found else { continue };
            assert!(says_what_to_do(&found), "{found:?}");
            assert!(found.says.contains("from Provider: refills"), "{found:?}");
            assert!(found.do_this.as_ref().is_some_and(|it| it.contains(do_this)), "{found:?}");
        }
    }

    #[test]
    fn a_host_name_of_its_own_and_a_proxy_that_is_trusted() {
        let of = |url: &str, listen: &str, trusted: &[&str]| {
            let mut settings = Settings::default();
            settings.server.public_url = url.into();
            settings.server.listen = listen.into();
            settings.server.trusted_proxies = trusted.iter().map(|it| (*it).into()).collect();
            let both = [host_name_finding(&settings), proxy_finding(&settings)];
            assert!(both.iter().all(says_what_to_do), "{both:?}");
            both.map(|finding| finding.state)
        };
        let (tcp, unix) = ("127.0.0.1:8700", "unix:/run/c.sock");
        let good = "https://erx.example.org";
        assert_eq!(of(good, tcp, &["127.0.0.1"]), [State::Good; 2]);
        assert_eq!(of(good, unix, &["unix"]), [State::Good; 2]);
        assert_eq!(of(good, tcp, &["127.0.0.0/8"])[1], State::Good);
        // Another one than that which speaks here.
        assert_eq!(of(good, tcp, &["unix", "10.0.0.1"])[1], State::Warn);
        assert_eq!(of(good, unix, &["127.0.0.1"])[1], State::Warn);
        assert_eq!(of(good, tcp, &[])[1], State::Warn);
        assert_eq!(of(good, tcp, &["everybody"])[1], State::Bad);
        for shared in ["https://erx.example.org:8443", "https://192.0.2.7", "https://[2001:db8::1]"]
        {
            assert_eq!(of(shared, tcp, &["127.0.0.1"]), [State::Warn, State::Good], "{shared}");
        }
        assert_eq!(of("http://127.0.0.1:8700", tcp, &[]), [State::Warn, State::Good]);
        assert_eq!(of("nonsense", tcp, &[])[0], State::Bad);
    }

    #[test]
    fn a_socket_needs_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.server.public_url = "https://erx.example.org".into();
        settings.server.listen = format!("unix:{}/c.sock", folder.path().display());
        assert_eq!(listen_finding(&settings).state, State::Good);
        settings.server.listen = format!("unix:{}/no/c.sock", folder.path().display());
        assert_eq!(listen_finding(&settings).state, State::Bad);
        settings.server.listen = "0.0.0.0:1".into();
        assert!(says_what_to_do(&listen_finding(&settings)));
    }
}
