//! Checks of the certification of the running build.

use countersign_domain::{
    Date,
    certification::{ReportFacts, RunningBuild},
};
use countersign_store::NoncomplianceNotice;

use super::{Finding, host::one_line};
use crate::told;

/// Whether the report that a release manifest names is on file and in force.
pub(crate) fn certification_finding(report: Option<ReportFacts>, today: Date) -> Finding {
    const NAME: &str = "certification";
    let enter = "enter the report with `countersign admin add-report`; no one can sign until then";
    match report {
        None => Finding::warn(
            NAME,
            "the report that the release manifest names is not on file".to_owned(),
            enter,
        ),
        Some(it) if !it.holds(today) => {
            Finding::warn(NAME, format!("report {} is no longer valid", it.name), enter)
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
        "correct the setting or the file; the server does not start until then",
    )
}

/// The notices of noncompliance that are open, or that stop this build although they have ended; nothing where there
/// is none. A notice stops a build whether a release manifest lists it or `signing.unlisted_build` lets it sign.
pub(crate) fn notices_finding(
    notices: &[NoncomplianceNotice],
    running: &RunningBuild,
) -> Option<Finding> {
    const NAME: &str = "noncompliance";
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
            format!("a notice about older versions stops signing: {}", all(&open)),
            "start the server: the notice ends two minutes after it was entered, once this listed build is running",
        ));
    }
    let version = running.version;
    let old = stopping.iter().any(|it| version <= it.through);
    let do_this = if old {
        "install a newer build (docs/operations.md, \"Notice of noncompliance\")".to_owned()
    } else {
        let id = stopping.first().map(|it| it.id.to_string()).unwrap_or_default();
        format!(
            "install a build that a release manifest lists; or, if the source of the notice states that version {version} is compliant, run `countersign admin end-noncompliance {id}`"
        )
    };
    let unlisted = if running.listed.is_none() && !old {
        ", also with signing.unlisted_build = true"
    } else {
        ""
    };
    Some(Finding::bad(
        NAME,
        one_line(&format!("this build can't sign{unlisted}: {}", all(&stopping))),
        do_this,
    ))
}
