//! The pages of the stand-ins, as plain display data.

use askama::Template;

/// Appended to the address of every static file, so that an upgrade is not met by a stale cache.
pub const ASSET_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What every page of the stand-in EHR shows on top.
#[derive(Clone, Debug, Default)]
pub struct EhrFrame {
    /// Title of the window.
    pub title: String,
    /// Name of the person signed in.
    pub user_name: String,
    /// What that person is: "Prescriber", "Nurse".
    pub user_role: String,
    /// Name of the other person.
    pub other_name: String,
    /// Address that switches to the other person.
    pub switch_href: String,
}

/// A synthetic patient.
#[derive(Clone, Debug, Default)]
pub struct EhrPatient {
    /// ID in the address of the chart.
    pub id: String,
    /// Given name and family name.
    pub name: String,
    /// Date of birth, `YYYY-MM-DD`, as in the launch.
    pub born: String,
    /// Age in full years in UTC, and sex, such as "54, female".
    pub age_and_sex: String,
    /// Medical record number.
    pub mrn: String,
    /// Known allergies; empty if none.
    pub allergies: Vec<String>,
    /// Open problems; empty if none.
    pub problems: Vec<String>,
    /// What the patient takes now; empty if nothing.
    pub medications: Vec<EhrMedication>,
    /// Notes, newest first.
    pub notes: Vec<EhrNote>,
    /// Day of the last visit, `YYYY-MM-DD`.
    pub last_visit: String,
}

/// A medication in a chart.
#[derive(Clone, Debug, Default)]
pub struct EhrMedication {
    /// Name and strength.
    pub name: String,
    /// How it is taken.
    pub directions: String,
    /// Day since when it is taken, `YYYY-MM-DD`.
    pub since: String,
}

/// A note in a chart.
#[derive(Clone, Debug, Default)]
pub struct EhrNote {
    /// Day on which it was written, `YYYY-MM-DD`.
    pub date: String,
    /// Where it comes from, such as "Visit note" or "Nurse's note".
    pub author: String,
    /// The note in full, one paragraph.
    pub text: String,
}

/// Tabs of a chart; e-Prescribing is a link out of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EhrTab {
    /// Allergies, problems and last visit.
    #[default]
    Summary,
    /// All that the patient takes now.
    Medications,
    /// All notes, newest first.
    Notes,
}

impl EhrTab {
    /// The tab named by the `tab` parameter of the address; anything unknown is the summary.
    pub fn from_query(tab: Option<&str>) -> Self {
        match tab {
            Some("medications") => Self::Medications,
            Some("notes") => Self::Notes,
            _ => Self::Summary,
        }
    }

    /// The heading of the tab.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Summary => "Summary",
            Self::Medications => "Medications",
            Self::Notes => "Notes",
        }
    }
}

/// The list of patients.
#[derive(Clone, Debug, Template)]
#[template(path = "ehr_patients.html")]
pub struct EhrPatientsPage {
    /// What the page shows on top.
    pub ehr: EhrFrame,
    /// All charts, in the order of their IDs.
    pub patients: Vec<EhrPatient>,
}

/// A message in the mailbox of the demonstration.
#[derive(Clone, Debug, Default)]
pub struct EhrMessage {
    /// How it went: "E-mail" or "Text message".
    pub way: String,
    /// Address or number that it went to.
    pub to: String,
    /// Subject line.
    pub subject: String,
    /// Text of the message, in full.
    pub text: String,
}

/// The mailbox of the demonstration.
#[derive(Clone, Debug, Template)]
#[template(path = "ehr_mailbox.html")]
pub struct EhrMailboxPage {
    /// What the page shows on top.
    pub ehr: EhrFrame,
    /// The messages, newest first.
    pub messages: Vec<EhrMessage>,
}

/// Which patient an app is opened for, where it was not opened from a chart.
#[derive(Clone, Debug, Template)]
#[template(path = "ehr_choice.html")]
pub struct EhrChoicePage {
    /// What the page shows on top.
    pub ehr: EhrFrame,
    /// The app that asks.
    pub app: String,
    /// Where a choice leads, and the name.
    pub choices: Vec<(String, String)>,
}

/// A patient's chart.
#[derive(Clone, Debug, Template)]
#[template(path = "ehr_chart.html")]
pub struct EhrChartPage {
    /// What the page shows on top.
    pub ehr: EhrFrame,
    /// The patient whose chart it is.
    pub patient: EhrPatient,
    /// The tab that is open.
    pub tab: EhrTab,
}

/// A message in place of a page of the stand-in EHR: not found, cannot launch.
#[derive(Clone, Debug, Template)]
#[template(path = "ehr_message.html")]
pub struct EhrMessagePage {
    /// What the page shows on top.
    pub ehr: EhrFrame,
    /// What happened, as the heading of the page.
    pub heading: String,
    /// What to do.
    pub text: String,
}

/// One prescription at the made-up pharmacy.
#[derive(Clone, Debug, Default)]
pub struct PharmacyLine {
    /// Drug and strength.
    pub drug: String,
    /// Name of the patient.
    pub patient: String,
    /// Name of the practitioner who signed.
    pub practitioner: String,
    /// DEA number under which it was signed.
    pub dea: String,
    /// When it was signed, as the signed record has it: UTC, RFC 3339.
    pub signed_at: String,
    /// When it came, to the minute in UTC, such as "2026-05-25 14:03 UTC".
    pub taken_at: String,
}

/// The made-up pharmacy of the demonstration.
#[derive(Clone, Debug, Template)]
#[template(path = "pharmacy.html")]
pub struct PharmacyPage {
    /// What was accepted, newest first.
    pub lines: Vec<PharmacyLine>,
}

/// A page of the demonstration's proofing provider.
#[derive(Clone, Debug, Template)]
#[template(path = "proofer.html")]
pub struct ProoferPage {
    /// What the page is about.
    pub heading: &'static str,
    /// What to do.
    pub text: &'static str,
    /// Made-up people: where a choice leads, the name, a note.
    pub choices: Vec<(String, String, &'static str)>,
}
