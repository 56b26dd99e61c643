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
    /// How many changes wait there for a second person.
    pub waiting: usize,
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

/// Asks for a fresh passcode before a change in the console; what was typed goes along unseen. Sends that again, and
/// `stepup_token`, `stepup_passcode`.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_confirm.html")]
pub struct ConfirmPage {
    /// Frame.
    pub page: Page,
    /// Where the crumb and "Cancel" lead.
    pub back: String,
    /// Where the form is sent.
    pub action: String,
    /// What is to be done.
    pub what: &'static str,
    /// Whom and what it is about.
    pub about: Vec<(&'static str, String)>,
    /// What was typed: name and value.
    pub fields: Vec<(String, String)>,
    /// A fresh passcode.
    pub step_up: Option<StepUp>,
    /// A pause after several wrong tries.
    pub lock: Option<Lock>,
}

impl ConfirmPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        step_up_problems(self.step_up.as_ref())
    }
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
    /// What is to be done.
    pub advice: &'static str,
    /// Where the record is that it is about.
    pub record: Option<String>,
    /// What is wrong with what was typed of it.
    pub error: Option<String>,
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

/// Somebody who is invited and not done.
#[derive(Clone, Debug, Default)]
pub struct InvitationLine {
    /// Its ID.
    pub id: String,
    /// Whom.
    pub name: String,
    /// How far it is.
    pub state: &'static str,
    /// What is waited for.
    pub waits: String,
    /// When it was sent.
    pub when: When,
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
    /// Cases of proofing that are open.
    pub cases: usize,
    /// People who are invited and not done.
    pub invitations: Vec<InvitationLine>,
    /// Whoever looks may search the signed records.
    pub sees_records: bool,
    /// Whoever looks may invite.
    pub can_invite: bool,
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
    /// Whoever looks may note that something was done.
    pub can_close: bool,
    /// Changes, newest first.
    pub decided: Vec<RequestLine>,
}

impl DuePage {
    fn is_wrong(&self) -> bool {
        self.due.iter().any(|it| it.error.is_some())
    }
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
    /// What is odd about the name; empty where nothing is.
    pub odd_name: &'static str,
    /// What they sign in with: an NPI in full for whoever sets access control, else masked.
    pub sign_in: String,
    /// Their roles.
    pub roles: String,
    /// Registrations and licences.
    pub papers: Vec<PaperLine>,
    /// How many active tokens they have.
    pub tokens: usize,
    /// The step that is waited for, and what it is a step of.
    pub waits: Option<(&'static str, &'static str)>,
    /// Whoever looks may send them a link to prove their identity again.
    pub can_prove: bool,
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
    /// The internal code behind the institution's DEA number, where it has one. Sends `code`.
    pub code: Option<TextField>,
    /// Who entered it, and when.
    pub code_entered: Option<(String, When)>,
    /// DEA number. Sends `dea`.
    pub dea: TextField,
    /// Its state. Sends `dea_state`.
    pub dea_state: TextField,
    /// Its schedules. Sends `schedules`.
    pub schedules: TextField,
    /// Its last day. Sends `dea_expires`.
    pub dea_expires: TextField,
    /// Why it is entered. Sends `dea_reason`.
    pub dea_reason: TextField,
    /// State of a licence. Sends `licence_state`.
    pub licence_state: TextField,
    /// Its number. Sends `licence`.
    pub licence: TextField,
    /// Its last day. Sends `licence_expires`.
    pub licence_expires: TextField,
    /// Why it is entered. Sends `licence_reason`.
    pub licence_reason: TextField,
    /// A registration or licence that ends. Sends `ended`.
    pub ended: ChoiceField,
    /// Why. Sends `end_reason`.
    pub end_reason: TextField,
    /// A role. Sends `role`.
    pub role: ChoiceField,
    /// Given or taken. Sends `give`.
    pub give: ChoiceField,
    /// The unit of the role. Sends `unit`.
    pub unit: TextField,
    /// Why. Sends `role_reason`.
    pub role_reason: TextField,
    /// A token to disable. Sends `token`.
    pub token: ChoiceField,
    /// Why, of the reasons there are. Sends `why`.
    pub why: ChoiceField,
    /// In words. Sends `disable_reason`.
    pub disable_reason: TextField,
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
            ("code", "Internal code", self.code.as_ref().map_or(&None, |it| &it.error)),
            ("dea", "DEA number", &self.dea.error),
            ("dea_state", "State", &self.dea_state.error),
            ("schedules", "Schedules", &self.schedules.error),
            ("dea_expires", "Last day", &self.dea_expires.error),
            ("dea_reason", "Reason", &self.dea_reason.error),
            ("licence_state", "State", &self.licence_state.error),
            ("licence", "Licence number", &self.licence.error),
            ("licence_expires", "Last day", &self.licence_expires.error),
            ("licence_reason", "Reason", &self.licence_reason.error),
            ("ended", "Registration or licence", &self.ended.error),
            ("end_reason", "Reason", &self.end_reason.error),
            ("role", "Role", &self.role.error),
            ("unit", "Unit", &self.unit.error),
            ("role_reason", "Reason", &self.role_reason.error),
            ("token", "Token", &self.token.error),
            ("why", "Why", &self.why.error),
            ("disable_reason", "In words", &self.disable_reason.error),
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
    /// What is odd about the name of whom it is about; empty where nothing is.
    pub odd_name: &'static str,
    /// What whom it is about signs in with: an NPI in full for whoever decides, else masked.
    pub sign_in: String,
    /// State and schedules of the registration.
    pub registration: String,
    /// The unit of a role, the values of a provider; empty where there is nothing more.
    pub more: String,
    /// The day on which registration and licence were looked at; empty where it is no grant.
    pub verified: String,
    /// Digest of all this, in hexadecimal: what a passcode is bound to.
    pub digest: String,
    /// It waits for a decision.
    pub open: bool,
    /// Why whoever looks can't execute it.
    pub hindrance: Option<String>,
    /// Why it is turned down, for whoever may. Sends `reject_reason`.
    pub reject: Option<TextField>,
    /// They entered it, and may withdraw it.
    pub can_withdraw: bool,
    /// It works already: a permission that was taken away.
    pub works: bool,
    /// What a registration or licence said, and what it is to say; none where it is about something else.
    pub paper: Option<(String, String)>,
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
        if let Some(it) = &self.reject {
            all.extend(problems([("reject_reason", "Why", &it.error)]));
        }
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
    /// Whoever looks may open letters.
    pub can_print: bool,
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

/// Invites somebody.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "practice_invite.html")]
pub struct InvitePage {
    /// Frame.
    pub page: Page,
    /// Address of this console.
    pub base: String,
    /// What they do here. Sends `role`.
    pub role: ChoiceField,
    /// Sends `given`.
    pub given: TextField,
    /// Sends `middle`.
    pub middle: TextField,
    /// Sends `family`.
    pub family: TextField,
    /// Sends `suffix`.
    pub suffix: TextField,
    /// Sends `email`.
    pub email: TextField,
    /// Sends `email2`.
    pub email2: TextField,
    /// Sends `phone`.
    pub phone: TextField,
    /// Sends `address`.
    pub address: TextField,
    /// Sends `npi`.
    pub npi: TextField,
    /// Sends `dea`.
    pub dea: TextField,
    /// Sends `dea_state`.
    pub dea_state: TextField,
    /// Sends `schedules`.
    pub schedules: TextField,
    /// Sends `dea_expires`.
    pub dea_expires: TextField,
    /// Sends `licence_state`.
    pub licence_state: TextField,
    /// Sends `licence`.
    pub licence: TextField,
    /// Sends `licence_expires`.
    pub licence_expires: TextField,
}

impl InvitePage {
    pub(crate) fn problems_are_none(&self) -> bool {
        self.problems().is_empty()
    }

    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("role", "What they do here", &self.role.error),
            ("given", "Given name", &self.given.error),
            ("middle", "Middle name", &self.middle.error),
            ("family", "Family name", &self.family.error),
            ("suffix", "Suffix", &self.suffix.error),
            ("email", "E-mail address", &self.email.error),
            ("email2", "Second e-mail address", &self.email2.error),
            ("phone", "Mobile phone", &self.phone.error),
            ("address", "Postal address", &self.address.error),
            ("npi", "NPI", &self.npi.error),
            ("dea", "DEA number", &self.dea.error),
            ("dea_state", "State", &self.dea_state.error),
            ("schedules", "Schedules", &self.schedules.error),
            ("dea_expires", "Last day", &self.dea_expires.error),
            ("licence_state", "Licence of the state", &self.licence_state.error),
            ("licence", "Licence number", &self.licence.error),
            ("licence_expires", "Last day of the licence", &self.licence_expires.error),
        ])
    }
}

/// A case of proofing in a list.
#[derive(Clone, Debug, Default)]
pub struct CaseLine {
    /// Address of its page.
    pub href: String,
    /// Whose.
    pub name: String,
    /// Why it was opened.
    pub purpose: &'static str,
    /// How far it is.
    pub state: &'static str,
    /// What is missing, in short.
    pub missing: String,
    /// When it was opened.
    pub when: When,
}

/// The cases of a practice.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_cases.html")]
pub struct CasesPage {
    /// Frame.
    pub page: Page,
    /// Address of this console.
    pub base: String,
    /// Newest first.
    pub cases: Vec<CaseLine>,
}

/// A case, for whoever decides in it. Sends `decision`, what was seen, and a fresh passcode.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_case.html")]
pub struct CasePage {
    /// Frame.
    pub page: Page,
    /// Address of this console.
    pub base: String,
    /// Address of this page.
    pub here: String,
    /// The case.
    pub line: CaseLine,
    /// What is odd about the name of whom it is about; empty where nothing is.
    pub odd_name: &'static str,
    /// What there is.
    pub facts: Vec<(&'static str, String)>,
    /// What is missing, and who can act.
    pub missing: Vec<super::MissingLine>,
    /// A near match, part by part: ours, the provider's.
    pub compared: Vec<(&'static str, String, String)>,
    /// How they differ, in words.
    pub differences: Vec<&'static str>,
    /// Whoever looks decides on the near match.
    pub can_near: bool,
    /// Whoever looks proofs in person.
    pub can_proof: bool,
    /// Whoever looks authorizes.
    pub can_issue: bool,
    /// Kind of photo ID. Sends `id_kind`.
    pub id_kind: ChoiceField,
    /// Sends `id_last_four`.
    pub id_last_four: TextField,
    /// Sends `id_expires`.
    pub id_expires: TextField,
    /// Sends `licence`.
    pub licence: TextField,
    /// Sends `registration`.
    pub registration: TextField,
    /// Sends `privileges`.
    pub privileges: TextField,
    /// Sends `va`.
    pub va: ChoiceField,
    /// A fresh passcode.
    pub step_up: Option<StepUp>,
    /// A lock on the token whose passcode was asked for.
    pub lock: Option<Lock>,
}

impl CasePage {
    pub(crate) fn problems_are_none(&self) -> bool {
        self.problems().is_empty()
    }

    fn problems(&self) -> Vec<Problem<'_>> {
        let mut all = problems([
            ("id_kind", "Photo ID", &self.id_kind.error),
            ("id_last_four", "Last four characters", &self.id_last_four.error),
            ("id_expires", "Valid until", &self.id_expires.error),
            ("licence", "State authority", &self.licence.error),
            ("registration", "DEA registration", &self.registration.error),
        ]);
        all.extend(step_up_problems(self.step_up.as_ref()));
        all
    }
}

/// By which rules a practice works.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_rules.html")]
pub struct RulesPage {
    /// Frame.
    pub page: Page,
    /// Address of this console.
    pub base: String,
    /// Name of the practice.
    pub name: String,
    /// How identities are proofed.
    pub rule: &'static str,
    /// Whoever looks sets access control.
    pub can_set: bool,
    /// Whoever looks looks after the practice.
    pub can_enter: bool,
    /// Accepted providers: issuer, values.
    pub listed: Vec<(String, String)>,
    /// Sends `provider`.
    pub provider: ChoiceField,
    /// Sends `give`.
    pub give: ChoiceField,
    /// Sends `accepted`.
    pub accepted: TextField,
    /// Sends `provider_reason`.
    pub provider_reason: TextField,
    /// Models: name, how it stands, why.
    pub models: Vec<(String, &'static str, String)>,
    /// Sends `model`.
    pub model: ChoiceField,
    /// Sends `refuse`.
    pub refuse: ChoiceField,
    /// Sends `model_reason`.
    pub model_reason: TextField,
    /// Sends `zone`.
    pub zone: TextField,
    /// Sends `zone_reason`.
    pub zone_reason: TextField,
}

impl RulesPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("provider", "Provider", &self.provider.error),
            ("accepted", "Values", &self.accepted.error),
            ("provider_reason", "Reason", &self.provider_reason.error),
            ("model", "Model", &self.model.error),
            ("model_reason", "Reason", &self.model_reason.error),
            ("zone", "Time zone", &self.zone.error),
            ("zone_reason", "Reason", &self.zone_reason.error),
        ])
    }
}

/// Somebody and their tokens.
#[derive(Clone, Debug, Default)]
pub struct FleetLine {
    /// Address of their page.
    pub href: String,
    /// Full name.
    pub name: String,
    /// How many active tokens.
    pub active: usize,
    /// What to look at.
    pub attention: String,
    /// When a token was last used.
    pub last_used: Option<When>,
}

/// The tokens of everybody.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_fleet.html")]
pub struct FleetPage {
    /// Frame.
    pub page: Page,
    /// Address of this console.
    pub base: String,
    /// How many of each kind that needs a look.
    pub sums: Vec<(usize, &'static str)>,
    /// Everybody, those that need a look first.
    pub lines: Vec<FleetLine>,
    /// The fobs of the practice, by the end of their life.
    pub fobs: Vec<FobLine>,
    /// Whoever looks may note that one was sent.
    pub can_enter: bool,
    /// A fob that is free. Sends `fob`.
    pub fob: ChoiceField,
    /// To whom. Sends `person`.
    pub person: ChoiceField,
    /// How. Sends `how`.
    pub how: TextField,
}

impl FleetPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("fob", "Fob", &self.fob.error),
            ("person", "To", &self.person.error),
            ("how", "How", &self.how.error),
        ])
    }
}

/// A fob of the stock.
#[derive(Clone, Debug, Default)]
pub struct FobLine {
    /// Serial number, masked.
    pub serial: String,
    /// Model.
    pub model: String,
    /// Where it is: in the drawer, sent, in use, at its end.
    pub state: String,
    /// With which delivery it came.
    pub batch: String,
    /// How many months of its life are left, in words.
    pub left: String,
    /// The end of its life.
    pub ends: When,
}
