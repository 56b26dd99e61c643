//! `countersign admin add-report`, `reports`, `noncompliance` and `end-noncompliance`: what the operator enters of
//! audits and of notices that the program no longer meets the requirements (21 CFR 1311.300, 1311.302).

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::Args;
use countersign_app::{App, At, MOST_REASON_CHARS, NewNotice, NewReport, NoticeEnd};
use countersign_domain::{
    Date, Line, Name, NoticeId,
    certification::{
        BuildId, MOST_DOCUMENT_BYTES, MOST_NAME_CHARS, ReportFacts, ReportKind, Version,
    },
};
use countersign_store::{NoncomplianceNotice, Report};
use data_encoding::HEXLOWER;

use crate::{admin::given, release};

/// A report, as the command line has it.
#[derive(Debug, Args)]
pub(crate) struct AddReport {
    /// ID given by the auditor; the release manifest names it
    #[arg(long)]
    id: String,
    /// `audit` or `certification`
    #[arg(long)]
    kind: ReportKind,
    /// Auditor or certifying organization
    #[arg(long)]
    auditor: String,
    /// Date issued, such as 2026-03-01
    #[arg(long)]
    issued: Date,
    /// Expiration date: at most two years later
    #[arg(long)]
    expires: Date,
    /// The report: PDF or plain text, at most 4 MiB
    #[arg(long)]
    file: PathBuf,
    /// SHA-256 of a build it covers, in hexadecimal; can be given several times
    #[arg(long)]
    build: Vec<BuildId>,
    /// A binary it covers; can be given several times
    #[arg(long)]
    binary: Vec<PathBuf>,
    /// Your name, as the person who enters it
    #[arg(long)]
    by: String,
}

/// A notice of non-compliance, as the command line has it.
#[derive(Debug, Args)]
pub(crate) struct AddNotice {
    /// Source of the notice, such as the software provider or its auditor
    #[arg(long)]
    from: String,
    /// What is wrong; shown to all users
    #[arg(long)]
    reason: String,
    /// The last version affected [default: this version]
    #[arg(long)]
    through: Option<Version>,
    /// Your name, as the person who enters it
    #[arg(long)]
    by: String,
}

/// The end of a notice of non-compliance, as the command line has it.
#[derive(Debug, Args)]
pub(crate) struct EndNotice {
    /// ID of the notice, as `countersign admin reports` lists it
    notice: NoticeId,
    /// Who states that the software is compliant again, such as its provider or its auditor
    #[arg(long)]
    from: String,
    /// What was stated, and why signing may resume
    #[arg(long)]
    reason: String,
    /// Your name, as the person who records it
    #[arg(long)]
    by: String,
}

/// The document, never more of it than fits.
fn document(path: &Path) -> anyhow::Result<Vec<u8>> {
    let about = || path.display().to_string();
    let file = File::open(path).with_context(about)?;
    let most = u64::try_from(MOST_DOCUMENT_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).with_context(about)?;
    Ok(bytes)
}

pub(crate) async fn add_report(app: &App, it: AddReport, at: At) -> anyhow::Result<String> {
    let mut builds = it.build;
    for path in &it.binary {
        builds.push(release::build_of(path)?);
    }
    builds.sort();
    builds.dedup();
    let new = NewReport {
        facts: ReportFacts {
            name: given::<Line<MOST_NAME_CHARS>>(&it.id, "id")?,
            kind: it.kind,
            auditor: given::<Line<MOST_NAME_CHARS>>(&it.auditor, "auditor")?,
            issued: it.issued,
            expires: it.expires,
        },
        builds,
        document: document(&it.file)?,
        by: given::<Name<40>>(&it.by, "by")?,
    };
    let entered = app.enter_report(new, at).await?;
    let report = entered.done()?;
    Ok(format!(
        "Entered. Before the next signature, each practice must acknowledge it and each prescriber must read it.\n{}",
        report_line(&report)
    ))
}

fn report_line(report: &Report) -> String {
    let facts = &report.facts;
    let builds: Vec<String> =
        report.builds.iter().map(|build| format!("    build {build}\n")).collect();
    format!(
        "{}  {} of {}, {} to {}, document SHA-256 {}\n{}",
        facts.name,
        facts.kind.code(),
        facts.auditor,
        facts.issued,
        facts.expires,
        HEXLOWER.encode(&report.sha256),
        builds.concat()
    )
}

fn notice_line(it: &NoncomplianceNotice) -> String {
    let state = match it.ended {
        None => "open: signing is stopped".to_owned(),
        Some(at) => format!("ended {}", at.minute_text()),
    };
    format!(
        "noncompliance {} through version {}, entered {}, {state}. From {}: {}\n",
        it.id,
        it.through,
        it.entered.minute_text(),
        it.source,
        it.reason
    )
}

pub(crate) async fn reports(app: &App) -> anyhow::Result<String> {
    let reports: String = app.reports().await?.iter().map(report_line).collect();
    let notices: String = app.noncompliance().await?.iter().map(notice_line).collect();
    Ok(if reports.is_empty() && notices.is_empty() {
        "No reports or notices of noncompliance are entered.\n".to_owned()
    } else {
        format!("{reports}{notices}")
    })
}

pub(crate) async fn add_notice(app: &App, it: AddNotice, at: At) -> anyhow::Result<String> {
    let source = given::<Line<MOST_NAME_CHARS>>(&it.from, "from")?;
    let reason = given::<Line<MOST_REASON_CHARS>>(&it.reason, "reason")?;
    let by = given::<Name<40>>(&it.by, "by")?;
    let running = release::version()?;
    let through = it.through.unwrap_or(running);
    if through > running {
        bail!(
            "--through {through}: this is version {running}; a notice can't cover a newer version"
        );
    }
    let new = NewNotice { source, reason, through, by };
    let id = app.enter_noncompliance(new, at).await?.done()?;
    Ok(format!(
        "Recorded as {id}. Signing is stopped in every practice, in every version. To resume, run a newer build that a release manifest lists; for a newer build that is not listed, use `countersign admin end-noncompliance {id}`. Version {through} and older can never sign again.\n"
    ))
}

pub(crate) async fn end_notice(app: &App, it: EndNotice, at: At) -> anyhow::Result<String> {
    let end = NoticeEnd {
        notice: it.notice,
        source: given::<Line<MOST_NAME_CHARS>>(&it.from, "from")?,
        reason: given::<Line<MOST_REASON_CHARS>>(&it.reason, "reason")?,
        by: given::<Name<40>>(&it.by, "by")?,
    };
    let ended = app.end_noncompliance(end, at).await?.done()?;
    Ok(format!(
        "Ended. If no other notice is open, versions after {} can sign again; version {} and older never can. The practices are notified.\n",
        ended.through, ended.through
    ))
}
