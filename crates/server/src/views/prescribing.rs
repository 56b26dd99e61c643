//! The e-prescribing app: the chart, a prescription, and the act of signing.

use askama::Template;

use super::{
    ANY_TOKEN, ASSET_VERSION, ChoiceField, Lock, LockSubject, Menu, NavTab, Page, Problem,
    SecretField, StepUp, TextField, When, problems, step_up_problems,
};

/// A prescription in a list, and all that it says.
#[derive(Clone, Debug, Default)]
pub struct RxLine {
    /// Address of its page.
    pub href: String,
    /// Drug and strength.
    pub what: String,
    /// How far it is.
    pub state: &'static str,
    /// Class of that word's mark.
    pub class: &'static str,
    /// In whose name.
    pub by: String,
    /// Who wrote it last, where that is somebody else.
    pub writer: Option<String>,
    /// When it was last changed.
    pub when: When,
    /// Everything that it says (21 CFR 1311.120(b)(9)).
    pub facts: Vec<(&'static str, String)>,
    /// All of it in one line, beside the fields that sign it.
    pub short: String,
    /// Why it can't be signed; empty where it can.
    pub hindrance: String,
}

/// Home of the e-prescribing app: the prescriptions of the patient in context.
#[derive(Clone, Debug, Template)]
#[template(path = "e_prescribing.html")]
pub struct EPrescribingPage {
    /// Frame; `page.menu` tells prescribers from staff.
    pub page: Page,
    /// Newest first.
    pub rows: Vec<RxLine>,
    /// How many the one who looks can sign.
    pub ready: usize,
}

/// Writes a prescription.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "rx_edit.html")]
pub struct RxEditPage {
    /// Frame.
    pub page: Page,
    /// The EHR's identifier of the patient whose chart it is. Sent as `patient`.
    pub patient: String,
    /// Where the form is sent.
    pub action: String,
    /// Title.
    pub heading: &'static str,
    /// For staff: in whose name. Sends `prescriber`.
    pub prescriber: ChoiceField,
    /// Sends `drug`.
    pub drug: TextField,
    /// Drugs of the table.
    pub drugs: Vec<String>,
    /// Sends `strength`.
    pub strength: TextField,
    /// Sends `form`.
    pub form: TextField,
    /// Sends `schedule`.
    pub schedule: ChoiceField,
    /// Sends `quantity`.
    pub quantity: TextField,
    /// Sends `unit`.
    pub unit: TextField,
    /// Sends `refills`.
    pub refills: TextField,
    /// Sends `directions`.
    pub directions: TextField,
    /// Sends `days_supply`.
    pub days_supply: TextField,
    /// Sends `earliest_fill`.
    pub earliest_fill: TextField,
    /// The prescription after which it comes in a series; empty for none. Sent as `after`.
    pub after: String,
    /// Sends `supervisor`.
    pub supervisor: TextField,
    /// Sends `supervisor_dea`.
    pub supervisor_dea: TextField,
    /// The prescriber who looks has no number that could be chosen.
    pub no_number: bool,
    /// Sends `address`.
    pub address: TextField,
    /// Sends `note`.
    pub note: TextField,
    /// Where it goes. Sends `pharmacy`.
    pub pharmacy: ChoiceField,
    /// For the prescriber: the number. Sends `dea`.
    pub dea: ChoiceField,
}

impl RxEditPage {
    pub(crate) fn problems_are_none(&self) -> bool {
        self.problems().is_empty()
    }

    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("prescriber", "Prescriber", &self.prescriber.error),
            ("drug", "Drug", &self.drug.error),
            ("strength", "Strength", &self.strength.error),
            ("form", "Form", &self.form.error),
            ("schedule", "Schedule", &self.schedule.error),
            ("quantity", "Quantity", &self.quantity.error),
            ("unit", "Unit", &self.unit.error),
            ("refills", "Refills", &self.refills.error),
            ("directions", "Directions for use", &self.directions.error),
            ("days_supply", "Days' supply", &self.days_supply.error),
            ("earliest_fill", "Earliest fill date", &self.earliest_fill.error),
            ("supervisor", "Supervisor", &self.supervisor.error),
            ("supervisor_dea", "Supervisor's DEA number", &self.supervisor_dea.error),
            ("address", "Patient's address", &self.address.error),
            ("note", "Note to the pharmacist", &self.note.error),
            ("pharmacy", "Pharmacy", &self.pharmacy.error),
            ("dea", "DEA number", &self.dea.error),
        ])
    }
}

/// Whether a prescription could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No.
    None,
    /// It could not, and whoever looks decides what becomes of it.
    Mine,
    /// It could not, and somebody else decides.
    Theirs,
}

/// One prescription.
#[derive(Clone, Debug, Template)]
#[template(path = "rx_view.html")]
pub struct RxViewPage {
    /// Frame.
    pub page: Page,
    /// The prescription.
    pub it: RxLine,
    /// What keeps it from being marked ready: in which field, and what to do.
    pub lacking: Vec<(&'static str, String)>,
    /// What stands in the way besides, for its practitioner.
    pub hindrances: Vec<String>,
    /// Its ID, where another one can be written that comes after it in a series.
    pub next: Option<String>,
    /// When it was signed, and by whom.
    pub signed: Option<(When, String)>,
    /// When its practitioner said that it is not theirs.
    pub disowned: Option<When>,
    /// Whom to call to stop it.
    pub call: Option<String>,
    /// It can be changed.
    pub open: bool,
    /// Whoever looks can mark it ready.
    pub can_mark: bool,
    /// Where it is on its way: words, when that was, and more words.
    pub sending: Option<(String, Option<When>, String)>,
    /// Whether it could not be sent, and whose that is to mend.
    pub failure: Failure,
    /// What its paper is called, where it has one.
    pub paper: Option<&'static str>,
    /// The key of its signed record.
    pub key_id: Option<String>,
}

/// One prescription on paper.
#[derive(Clone, Debug, Template)]
#[template(path = "rx_paper.html")]
pub struct RxPaperPage {
    /// Frame.
    pub page: Page,
    /// Back to its page.
    pub href: String,
    /// Everything that it says.
    pub facts: Vec<(&'static str, String)>,
    /// That it could not be sent, as the law wants it said; without this it is a copy.
    pub failure: Option<String>,
}

/// A signed record in a list.
#[derive(Clone, Debug, Default)]
pub struct RecordLine {
    /// Of which prescription.
    pub id: String,
    /// When it was signed.
    pub signed: When,
    /// For whom.
    pub patient: String,
    /// What.
    pub drug: String,
    /// Directions, schedule, refills and pharmacy.
    pub more: String,
    /// The pharmacy that has it or will: whom to call to stop it.
    pub call: Option<String>,
    /// In which practice.
    pub practice: String,
    /// By whom.
    pub by: String,
    /// Under which DEA number.
    pub dea: String,
    /// What became of it.
    pub state: &'static str,
    /// When its practitioner said that it is not theirs.
    pub disowned: Option<When>,
    /// Until when it is kept: a day, or that it is held. Where that is shown.
    pub kept: String,
}

/// A log that was given out.
#[derive(Clone, Debug)]
pub struct LogLink {
    /// Of which practice.
    pub practice: String,
    /// Its name.
    pub name: String,
    /// The month.
    pub month: String,
    /// Nobody has looked at it yet.
    pub new: bool,
}

/// What a practitioner has signed in a month.
#[derive(Clone, Debug, Template)]
#[template(path = "own_records.html")]
pub struct OwnRecordsPage {
    /// Frame.
    pub page: Page,
    /// The month, such as `2027-05`.
    pub month: String,
    /// The month before.
    pub before: Option<String>,
    /// The month after.
    pub after: Option<String>,
    /// By what it is sorted: `date`, `patient`, `drug`.
    pub sort: &'static str,
    /// What was signed.
    pub lines: Vec<RecordLine>,
    /// There may be more than these.
    pub full: bool,
    /// What could not be sent, whenever it was signed.
    pub not_sent: Vec<RecordLine>,
    /// The monthly logs that were given out, newest first.
    pub logs: Vec<LogLink>,
}

/// The archive of a practice.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_records.html")]
pub struct RecordsPage {
    /// Frame.
    pub page: Page,
    /// Address of the practice.
    pub base: String,
    /// By whom. Sends `person`.
    pub person: ChoiceField,
    /// Sends `patient`.
    pub patient: TextField,
    /// Sends `drug`.
    pub drug: TextField,
    /// Sends `from`.
    pub from: TextField,
    /// Sends `to`.
    pub to: TextField,
    /// How many records one search looks at.
    pub most: i64,
    /// There may be more than that.
    pub full: bool,
    /// What was found, newest first; nothing where nothing was looked for.
    pub lines: Option<Vec<RecordLine>>,
    /// How many holds are in force.
    pub holds: usize,
}

impl RecordsPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("patient", "Patient", &self.patient.error),
            ("drug", "Drug", &self.drug.error),
            ("from", "From", &self.from.error),
            ("to", "To", &self.to.error),
        ])
    }
}

/// A legal hold.
#[derive(Clone, Debug)]
pub struct HoldLine {
    /// Its ID.
    pub id: String,
    /// Whose prescriptions.
    pub whose: String,
    /// Why.
    pub reason: String,
    /// When it was placed.
    pub placed: When,
    /// By whom.
    pub by: String,
    /// When it was lifted, by whom, and why.
    pub lifted: Option<(When, String, String)>,
    /// Name of the field that says why it is lifted.
    pub field: String,
    /// That field.
    pub why: TextField,
    /// The passcode that lifts it, once that is wanted.
    pub step_up: Option<StepUp>,
}

/// The legal holds of a practice.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_holds.html")]
pub struct HoldsPage {
    /// Frame.
    pub page: Page,
    /// Address of the practice.
    pub base: String,
    /// For how many years records are kept.
    pub years: u8,
    /// Some states ask for more.
    pub longer: bool,
    /// The one that is being lifted: the passcode is asked for.
    pub lifting: Option<HoldLine>,
    /// A pause after several wrong tries.
    pub lock: Option<Lock>,
    /// The other holds.
    pub lines: Vec<HoldLine>,
    /// Whose prescriptions a new one is for. Sends `person`.
    pub person: ChoiceField,
    /// Sends `reason`.
    pub reason: TextField,
}

impl HoldsPage {
    pub(crate) fn is_wrong(&self) -> bool {
        !self.problems().is_empty()
    }

    fn problems(&self) -> Vec<Problem<'_>> {
        if let Some(it) = &self.lifting {
            let mut all = problems([("lifting", "Reason for lifting", &it.why.error)]);
            all.extend(step_up_problems(it.step_up.as_ref()));
            return all;
        }
        problems([
            ("person", "Prescriptions by", &self.person.error),
            ("reason", "Reason", &self.reason.error),
        ])
    }
}

/// The act of signing. Sends `shown`, `shown_at`, `passphrase`, `stepup_token`, `stepup_passcode`.
#[derive(Clone, Debug, Template)]
#[template(path = "rx_sign.html")]
pub struct RxSignPage {
    /// Frame.
    pub page: Page,
    /// What is signed together.
    pub rows: Vec<RxLine>,
    /// What is marked ready and can't be signed now, with the reason.
    pub held: Vec<RxLine>,
    /// There is something to sign, and a token that can.
    pub can_sign: bool,
    /// No token of the practitioner can sign: the prescriptions wait until one can.
    pub no_token: bool,
    /// The statement of the law (21 CFR 1311.140(a)(3)).
    pub statement: &'static str,
    /// Digest of all that is shown.
    pub digest: String,
    /// When this page was made, in microseconds since 1970.
    pub shown_at: i64,
    /// The passphrase.
    pub passphrase: SecretField,
    /// A fresh passcode.
    pub step_up: Option<StepUp>,
    /// For those who have our app: a picture of what is signed, where it fits in one, and eight digits in place of
    /// it. A code can be bound to them.
    pub bound: Option<(Option<String>, String)>,
    /// A pause after several wrong tries.
    pub lock: Option<Lock>,
}

impl RxSignPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        let mut all = problems([("passphrase", "Passphrase", &self.passphrase.error)]);
        all.extend(step_up_problems(self.step_up.as_ref()));
        all
    }
}
