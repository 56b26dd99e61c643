//! The console of a practice, the activation of a token, and "this was not me".

use askama::Template;

use super::{
    ANY_TOKEN, ASSET_VERSION, ChoiceField, Lock, LockSubject, Menu, NavTab, Page, Problem,
    SecretField, StepUp, TextField, TokenLabel, When, problems, step_up_problems,
};

/// A practice that somebody may work in.
#[derive(Clone, Debug, Default)]
pub struct DeskLink {
    /// Address of its console.
    pub href: String,
    /// Its name.
    pub name: String,
}

/// The choice of a practice, where somebody works in several.
#[derive(Clone, Debug, Template)]
#[template(path = "practices.html")]
pub struct PracticesPage {
    /// Frame.
    pub page: Page,
    /// The practices.
    pub desks: Vec<DeskLink>,
}

/// A change that waits for a second person, or was decided on.
#[derive(Clone, Debug, Default)]
pub struct RequestLine {
    /// Address of its page.
    pub href: String,
    /// What it does: "Grant: Dr. Ada Moreno may sign".
    pub what: String,
    /// The DEA number, masked.
    pub dea: String,
    /// Why.
    pub reason: String,
    /// Who entered it.
    pub by: String,
    /// When.
    pub when: When,
    /// How far it is.
    pub state: String,
}

/// Something that is due.
#[derive(Clone, Debug, Default)]
pub struct DueLine {
    /// Its ID.
    pub id: String,
    /// What.
    pub what: String,
    /// About whom; may be empty.
    pub whom: String,
    /// When it was discovered.
    pub discovered: When,
    /// By when.
    pub due: When,
    /// Its time is over.
    pub overdue: bool,
    /// When it was done, and by whom.
    pub done: Option<(When, String)>,
    /// What was noted.
    pub note: String,
}

/// Somebody in the list of a practice.
#[derive(Clone, Debug, Default)]
pub struct PersonLine {
    /// Address of their page.
    pub href: String,
    /// Full name.
    pub name: String,
    /// What they sign in with, masked.
    pub sign_in: String,
    /// Their roles, in words.
    pub roles: String,
    /// How their permission stands.
    pub signing: String,
    /// Class of that word's mark.
    pub class: &'static str,
}

/// The first page of the console.
#[derive(Clone, Debug, Template)]
#[template(path = "practice.html")]
pub struct PracticePage {
    /// Frame.
    pub page: Page,
    /// Address of this console, without a slash at the end.
    pub base: String,
    /// Name of the practice.
    pub name: String,
    /// By which rule access is controlled.
    pub rule: String,
    /// Changes that wait for a second person.
    pub waiting: Vec<RequestLine>,
    /// What is due.
    pub due: Vec<DueLine>,
    /// Everybody.
    pub people: Vec<PersonLine>,
    /// Letters that wait for a printer.
    pub letters: usize,
    /// What keeps this practice from granting anything; empty if nothing.
    pub lacking: Vec<String>,
}

/// What is due, and all changes that were decided on.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_due.html")]
pub struct DuePage {
    /// Frame.
    pub page: Page,
    /// Address of this console.
    pub base: String,
    /// Time zone in which the deadlines are counted.
    pub zone: String,
    /// What is due, the open ones first.
    pub due: Vec<DueLine>,
    /// Changes, newest first.
    pub decided: Vec<RequestLine>,
}

/// A registration or a licence.
#[derive(Clone, Debug, Default)]
pub struct PaperLine {
    /// "DEA registration" or "State licence".
    pub what: String,
    /// Its number, masked.
    pub number: String,
    /// State.
    pub state: String,
    /// Schedules; empty for a licence.
    pub schedules: String,
    /// Last day.
    pub expires: String,
    /// How it stands.
    pub standing: String,
    /// How a permission under it stands; empty for a licence.
    pub permission: String,
    /// Class of the mark of that.
    pub class: &'static str,
}

/// Somebody of a practice.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_person.html")]
pub struct PersonPage {
    /// Frame.
    pub page: Page,
    /// Address of this console.
    pub base: String,
    /// Address of this page.
    pub here: String,
    /// Full name.
    pub name: String,
    /// What they sign in with, masked.
    pub sign_in: String,
    /// Their roles.
    pub roles: String,
    /// Registrations and licences.
    pub papers: Vec<PaperLine>,
    /// How many active tokens they have.
    pub tokens: usize,
    /// Whoever looks may enter changes of access control.
    pub can_set: bool,
    /// Whoever looks may enter registrations.
    pub can_enter: bool,
    /// The registration of a grant. Sends `registration`.
    pub grant: ChoiceField,
    /// The day on which it was looked at. Sends `verified`.
    pub verified: TextField,
    /// Why it is granted. Sends `grant_reason`.
    pub grant_reason: TextField,
    /// The registration of a revocation. Sends `revoked`.
    pub revoke: ChoiceField,
    /// Why, of the causes that the rule names. Sends `cause`.
    pub cause: ChoiceField,
    /// More on it. Sends `revoke_reason`.
    pub revoke_reason: TextField,
    /// DEA number. Sends `dea`.
    pub dea: TextField,
    /// Its state. Sends `dea_state`.
    pub dea_state: TextField,
    /// Its schedules. Sends `schedules`.
    pub schedules: TextField,
    /// Its last day. Sends `dea_expires`.
    pub dea_expires: TextField,
    /// State of a licence. Sends `licence_state`.
    pub licence_state: TextField,
    /// Its number. Sends `licence`.
    pub licence: TextField,
    /// Its last day. Sends `licence_expires`.
    pub licence_expires: TextField,
}

impl PersonPage {
    /// Whether nothing is wrong with any field.
    pub(crate) fn problems_are_none(&self) -> bool {
        self.problems().is_empty()
    }

    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("registration", "Registration", &self.grant.error),
            ("verified", "Looked at on", &self.verified.error),
            ("grant_reason", "Reason", &self.grant_reason.error),
            ("revoked", "Registration", &self.revoke.error),
            ("cause", "Cause", &self.cause.error),
            ("revoke_reason", "Reason", &self.revoke_reason.error),
            ("dea", "DEA number", &self.dea.error),
            ("dea_state", "State", &self.dea_state.error),
            ("schedules", "Schedules", &self.schedules.error),
            ("dea_expires", "Last day", &self.dea_expires.error),
            ("licence_state", "State", &self.licence_state.error),
            ("licence", "Licence number", &self.licence.error),
            ("licence_expires", "Last day", &self.licence_expires.error),
        ])
    }
}

/// A change, for the second person. Sends `shown`, `passphrase`, `stepup_token`, `stepup_passcode`.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_request.html")]
pub struct RequestPage {
    /// Frame.
    pub page: Page,
    /// Address of this console.
    pub base: String,
    /// Address of this page.
    pub here: String,
    /// The change.
    pub line: RequestLine,
    /// The NPI or e-mail address of whom it is about, masked.
    pub sign_in: String,
    /// State and schedules of the registration.
    pub registration: String,
    /// The day on which registration and licence were looked at; empty where it is no grant.
    pub verified: String,
    /// Digest of all this, in hexadecimal: what a passcode is bound to.
    pub digest: String,
    /// It waits for a decision.
    pub open: bool,
    /// Why whoever looks can't execute it.
    pub hindrance: Option<String>,
    /// They may turn it down.
    pub can_reject: bool,
    /// It gives a permission, rather than takes it.
    pub gives: bool,
    /// The passphrase.
    pub passphrase: SecretField,
    /// A fresh passcode.
    pub step_up: Option<StepUp>,
    /// A pause after several wrong tries.
    pub lock: Option<Lock>,
}

impl RequestPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        let mut all = problems([("passphrase", "Passphrase", &self.passphrase.error)]);
        all.extend(step_up_problems(self.step_up.as_ref()));
        all
    }
}

/// A letter that waits for a printer.
#[derive(Clone, Debug, Default)]
pub struct LetterLine {
    /// Its ID.
    pub id: String,
    /// To whom: the name.
    pub to: String,
    /// When it was written.
    pub when: When,
}

/// The letters of a practice, and how other messages fared.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_letters.html")]
pub struct LettersPage {
    /// Frame.
    pub page: Page,
    /// Address of this console.
    pub base: String,
    /// Letters that wait.
    pub letters: Vec<LetterLine>,
    /// Other messages: when, what, how it ended.
    pub messages: Vec<(When, String, String)>,
}

/// A letter, to be printed.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_letter.html")]
pub struct LetterPage {
    /// Frame.
    pub page: Page,
    /// Address of this console.
    pub base: String,
    /// Name and address, in lines.
    pub to: String,
    /// What it says.
    pub text: String,
}

/// Activates a token for signing. Sends `channel`, or `code`.
#[derive(Clone, Debug, Template)]
#[template(path = "activate.html")]
pub struct ActivatePage {
    /// Frame.
    pub page: Page,
    /// Its ID.
    pub id: String,
    /// The token.
    pub token: TokenLabel,
    /// Ways on which a code can go.
    pub channel: ChoiceField,
    /// The code on its way: how, and until when it is good.
    pub sent: Option<(String, When)>,
    /// The code as typed.
    pub code: TextField,
}

impl ActivatePage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("channel", "Send it by", &self.channel.error),
            ("code", "Activation code", &self.code.error),
        ])
    }
}

/// "This was not me."
#[derive(Clone, Debug, Template)]
#[template(path = "not_me.html")]
pub struct NotMePage {
    /// Frame.
    pub page: Page,
    /// Whose account it is; none where the link does not work.
    pub name: Option<String>,
    /// It was done just now.
    pub done: bool,
    /// Where the form is sent.
    pub action: String,
}
