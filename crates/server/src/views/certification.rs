//! The audit or certification report of the build that runs, and who has acknowledged it.

use askama::Template;

use super::{
    ANY_TOKEN, ASSET_VERSION, Lock, LockSubject, Menu, NavTab, Page, Problem, StepUp, When,
    step_up_problems,
};

/// A report in a list.
#[derive(Clone, Debug, Default)]
pub struct ReportLine {
    /// Address of its document.
    pub href: String,
    /// The ID that the auditor gave it.
    pub name: String,
    /// Audit or certification.
    pub kind: &'static str,
    /// Who has audited or certified.
    pub auditor: String,
    /// The day on which it was issued.
    pub issued: String,
    /// The last day on which it holds.
    pub expires: String,
    /// How its document is served, and how large it is.
    pub format: &'static str,
    /// SHA-256 of the document in hexadecimal.
    pub sha256: String,
}

/// A notice of non-compliance.
#[derive(Clone, Debug, Default)]
pub struct NoticeLine {
    /// Who has given notice.
    pub source: String,
    /// What is wrong.
    pub reason: String,
    /// The last version that it concerns.
    pub through: String,
    /// When it was entered.
    pub entered: When,
}

/// Certification of the running build: for a practice, or for a practitioner.
/// Sends `report`, `stepup_token`, `stepup_passcode`.
#[derive(Clone, Debug, Template)]
#[template(path = "certification.html")]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact that the page shows by itself")]
pub struct CertificationPage {
    /// Frame.
    pub page: Page,
    /// Where Back leads: address and words.
    pub back: (String, String),
    /// Where the form is sent.
    pub action: String,
    /// The page is that of a practice: its form acknowledges the report for the practice.
    pub of_practice: bool,
    /// Version of the running build.
    pub version: String,
    /// Which build it is.
    pub build: String,
    /// A release manifest lists it.
    pub listed: bool,
    /// Its report, where one is on file.
    pub report: Option<ReportLine>,
    /// The ID of that report.
    pub report_id: String,
    /// The report holds today.
    pub holds: bool,
    /// Who has acknowledged it for the practice, and when.
    pub acknowledged: Option<(String, When)>,
    /// When whoever looks has read it.
    pub reviewed: Option<When>,
    /// Whoever looks can acknowledge it for the practice, or prescribes.
    pub may: bool,
    /// Notices that concern this build.
    pub notices: Vec<NoticeLine>,
    /// Older reports.
    pub older: Vec<ReportLine>,
    /// A fresh passcode, where one is asked for.
    pub step_up: Option<StepUp>,
    /// A pause after several wrong tries.
    pub lock: Option<Lock>,
}

impl CertificationPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        step_up_problems(self.step_up.as_ref())
    }

    /// The form is of use: there is a report that holds, and it was not acknowledged by whom it is for.
    fn asks(&self) -> bool {
        let done =
            if self.of_practice { self.acknowledged.is_some() } else { self.reviewed.is_some() };
        self.may && self.holds && self.notices.is_empty() && !done
    }
}
