//! `countersign doctor`: looks at this machine and says what to do.

mod certification;
mod configuration;
mod database;
mod host;
#[cfg(test)]
mod tests;

use countersign_crypto::fips_status;
use countersign_domain::Timestamp;

pub(crate) use self::certification::{certification_finding, manifest_finding, notices_finding};
pub(crate) use self::configuration::{
    host_name_finding, listen_finding, proxy_finding, signing_finding, support_finding,
};
pub(crate) use self::database::{clock_finding, database_finding, models_finding, schema_finding};
pub(crate) use self::host::{
    config_file_finding, data_folder_finding, fips_finding, key_file_finding, probe, time_finding,
    vip_keys_finding,
};
use crate::settings::{DatabaseKind, Settings};

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

/// The report as text, a finding to a line, and below it what to do.
pub(crate) fn render(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.name.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for finding in findings {
        let state = match finding.state {
            State::Good => "ok  ",
            State::Warn => "warn",
            State::Bad => "FAIL",
        };
        lines.push(format!("{state}  {:width$}  {}", finding.name, finding.says));
        let advice = finding.do_this.as_ref();
        lines.extend(advice.map(|do_this| format!("      {:width$}  To do: {do_this}", "")));
    }
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    lines.push(match (count(State::Bad), count(State::Warn)) {
        (0, 0) => "All checks passed.".to_owned(),
        (0, warn) => format!("No failures; {warn} warnings."),
        (bad, warn) => format!("{bad} failed, {warn} warnings."),
    });
    lines.push(String::new());
    lines.join("\n")
}

/// The exit code of the command: 1 where something is bad.
pub(crate) fn exit_code(findings: &[Finding]) -> u8 {
    u8::from(findings.iter().any(|finding| finding.state == State::Bad))
}
