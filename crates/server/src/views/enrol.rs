//! The link of an invitation, the steps of an enrolment, a case of proofing for whom it is about, a
//! forgotten passphrase, and one's own addresses.

use askama::Template;

use super::{
    ANY_TOKEN, ASSET_VERSION, AddToken, ChoiceField, Lock, LockSubject, Menu, NavTab, Page,
    Problem, ReportLine, SecretField, StepUp, TextField, When, problems, step_up_problems,
};

/// Where the link of an invitation leads.
#[derive(Clone, Debug, Template)]
#[template(path = "invitation.html")]
pub struct InvitationPage {
    /// Frame.
    pub page: Page,
    /// Address of this page; forms go there.
    pub here: String,
    /// The practice that invites; empty where the link does not work.
    pub practice: String,
    /// Whom it invites.
    pub name: String,
    /// They have an account and log in to accept.
    pub account: bool,
    /// They are logged in, and can accept at once.
    pub signed_in: bool,
    /// Why the link does not work.
    pub closed: Option<String>,
    /// Where a new link would go, masked.
    pub again: Option<String>,
}

/// A step in the list of all.
#[derive(Clone, Debug)]
pub struct StepLine {
    /// Words for it.
    pub label: &'static str,
    /// It is done.
    pub done: bool,
    /// It is the one that is due.
    pub current: bool,
}

/// What the step that is due asks for.
#[derive(Clone, Debug)]
pub enum EnrolBody {
    /// The terms.
    Terms(Box<TermsForm>),
    /// Personal data.
    Data(Box<DataForm>),
    /// Identity proofing.
    Proofing(Box<CaseBox>),
    /// The quarter of an hour for tokens and passphrase is over: a code opens it again.
    Closed(Box<CaseBox>),
    /// A token.
    Token(Box<AddToken>),
    /// The passphrase.
    Passphrase(PassphraseForm),
    /// Two people grant the permission.
    Access(AccessLine),
    /// All is done, but for the activation of a token, where none is activated: its address.
    Done(Option<String>),
}

/// How the approval of somebody's access stands.
#[derive(Clone, Debug, Default)]
pub struct AccessLine {
    /// Why the permission that they had is suspended.
    pub suspended: Option<String>,
    /// Who acts next.
    pub next: String,
    /// Where a token is activated, where none is activated for signing.
    pub activate: Option<String>,
}

/// The terms.
#[derive(Clone, Debug, Default)]
pub struct TermsForm {
    /// Sends `keep`.
    pub keep: TextField,
    /// Sends `report`.
    pub report: TextField,
    /// Sends `audit`.
    pub audit: TextField,
    /// The report of the build that runs, where one is on file.
    pub certification: Option<ReportLine>,
    /// The ID of that report. Sends `certification`.
    pub certification_id: String,
}

impl TermsForm {
    /// What is said of the report (21 CFR 1311.102(d), (e)): nobody has read what is not there.
    fn audit_words(&self) -> String {
        match &self.certification {
            Some(it) => format!(
                "I have read report {} by {}, and will not sign any prescription type that it says is not handled correctly.",
                it.name, it.auditor
            ),
            None => "Before I sign, I will read the audit or certification report for this application, and I will not sign any prescription type that it says is not handled correctly."
                .to_owned(),
        }
    }
}

/// Personal data.
#[derive(Clone, Debug, Default)]
pub struct DataForm {
    /// The name, as it was invited.
    pub name: String,
    /// Of a prescriber more is asked.
    pub prescribes: bool,
    /// Registrations and licences that are there.
    pub papers: Vec<String>,
    /// A registration is missing.
    pub asks_dea: bool,
    /// A licence is missing.
    pub asks_licence: bool,
    /// Date of birth. Sends `born`.
    pub born: TextField,
    /// Sends `email`.
    pub email: TextField,
    /// Sends `email2`.
    pub email2: TextField,
    /// Sends `phone`.
    pub phone: TextField,
    /// Sends `address`.
    pub address: TextField,
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

/// A new passphrase.
#[derive(Clone, Debug, Default)]
pub struct PassphraseForm {
    /// Sends `new`.
    pub new: SecretField,
    /// Sends `again`.
    pub again: SecretField,
    /// Until when it can be set.
    pub until: Option<When>,
    /// How many tokens there are; one alone is one too few.
    pub tokens: usize,
    /// A second token can be added first.
    pub can_add: bool,
}

/// What a case still needs, and who can act.
#[derive(Clone, Debug)]
pub struct MissingLine {
    /// What is missing.
    pub what: String,
    /// Who can do it.
    pub who: String,
}

/// A case of proofing, for whom it is about.
#[derive(Clone, Debug, Default)]
pub struct CaseBox {
    /// Where its forms go: `/enrol` or `/portal/recovery`.
    pub action: &'static str,
    /// What is missing.
    pub missing: Vec<MissingLine>,
    /// Everything is there.
    pub complete: bool,
    /// Providers: issuer and name. Sends `issuer`.
    pub providers: Vec<(String, String)>,
    /// A code is asked for.
    pub asks_code: bool,
    /// Ways of a code. Sends `channel`.
    pub channel: ChoiceField,
    /// The code on its way: how, and until when it is good.
    pub sent: Option<(String, When)>,
    /// The code as typed.
    pub code: TextField,
}

impl CaseBox {
    pub(super) fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("channel", "Send the code by", &self.channel.error),
            ("code", "Code", &self.code.error),
        ])
    }
}

/// The enrolment: the list of steps, and the one that is due.
#[derive(Clone, Debug, Template)]
#[template(path = "enrol.html")]
pub struct EnrolPage {
    /// Frame.
    pub page: Page,
    /// Who.
    pub name: String,
    /// All steps.
    pub steps: Vec<StepLine>,
    /// The one that is due.
    pub body: EnrolBody,
}

impl EnrolPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        match &self.body {
            EnrolBody::Terms(it) => problems([
                ("keep", "Token and passphrase", &it.keep.error),
                ("report", "Loss", &it.report.error),
                ("audit", "Report", &it.audit.error),
            ]),
            EnrolBody::Data(it) => problems([
                ("born", "Date of birth", &it.born.error),
                ("email", "Email address", &it.email.error),
                ("email2", "Second email address", &it.email2.error),
                ("phone", "Mobile phone", &it.phone.error),
                ("address", "Mailing address", &it.address.error),
                ("dea", "DEA number", &it.dea.error),
                ("dea_state", "State", &it.dea_state.error),
                ("schedules", "Schedules", &it.schedules.error),
                ("dea_expires", "Expiration date", &it.dea_expires.error),
                ("licence_state", "State", &it.licence_state.error),
                ("licence", "License number", &it.licence.error),
                ("licence_expires", "Expiration date", &it.licence_expires.error),
            ]),
            EnrolBody::Proofing(it) | EnrolBody::Closed(it) => it.problems(),
            EnrolBody::Token(it) => it.problems(),
            EnrolBody::Passphrase(it) => problems([
                ("new", "Passphrase", &it.new.error),
                ("again", "Confirm passphrase", &it.again.error),
            ]),
            EnrolBody::Access(_) | EnrolBody::Done(_) => Vec::new(),
        }
    }

    fn step(&self) -> usize {
        self.steps.iter().position(|step| step.current).map_or(self.steps.len(), |at| at + 1)
    }
}

/// A forgotten passphrase: two tokens first. Sends `npi`, `first`, `second`, `channel`.
#[derive(Clone, Debug, Template)]
#[template(path = "forgot.html")]
pub struct ForgotPage {
    /// Frame.
    pub page: Page,
    /// NPI or e-mail address.
    pub npi: TextField,
    /// A code of one token.
    pub first: SecretField,
    /// A code of another.
    pub second: SecretField,
    /// How the third code comes.
    pub channel: ChoiceField,
    /// A pause after several wrong tries.
    pub lock: Option<Lock>,
}

impl ForgotPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("npi", "NPI", &self.npi.error),
            ("first", "Passcode from one token", &self.first.error),
            ("second", "Passcode from another token", &self.second.error),
            ("channel", "Send a verification code by", &self.channel.error),
        ])
    }
}

/// The third code, and the new passphrase. Sends `code`, `new`, `again`.
#[derive(Clone, Debug, Template)]
#[template(path = "forgot_code.html")]
pub struct ForgotCodePage {
    /// Frame.
    pub page: Page,
    /// How the code was sent.
    pub how: &'static str,
    /// The code.
    pub code: TextField,
    /// The new passphrase.
    pub new: SecretField,
    /// Again.
    pub again: SecretField,
}

impl ForgotCodePage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("code", "Code", &self.code.error),
            ("new", "New passphrase", &self.new.error),
            ("again", "Confirm new passphrase", &self.again.error),
        ])
    }
}

/// A way on which codes go.
#[derive(Clone, Debug)]
pub struct WayLine {
    /// Its word, as in the address.
    pub channel: &'static str,
    /// Name of the field of its code.
    pub field: &'static str,
    /// Words for it.
    pub label: String,
    /// A code came back.
    pub confirmed: bool,
    /// Until when a code that is on its way is good.
    pub sent: Option<When>,
    /// The code as typed.
    pub code: TextField,
}

/// One's own addresses. Sends `email`, `email2`, `phone`, `address`, and a fresh passcode.
#[derive(Clone, Debug, Template)]
#[template(path = "contact.html")]
pub struct ContactPage {
    /// Frame.
    pub page: Page,
    /// E-mail address.
    pub email: TextField,
    /// Another one.
    pub email2: TextField,
    /// Telephone.
    pub phone: TextField,
    /// Postal address.
    pub address: TextField,
    /// A fresh passcode.
    pub step_up: Option<StepUp>,
    /// A lock on the token whose passcode was asked for.
    pub lock: Option<Lock>,
    /// Telephone and post, and how far each is confirmed.
    pub ways: Vec<WayLine>,
}

impl ContactPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        let mut all = problems([
            ("email", "Email address", &self.email.error),
            ("email2", "Second email address", &self.email2.error),
            ("phone", "Mobile phone", &self.phone.error),
            ("address", "Mailing address", &self.address.error),
        ]);
        all.extend(step_up_problems(self.step_up.as_ref()));
        for way in &self.ways {
            if let Some(text) = &way.code.error {
                all.push(Problem { anchor: way.field, label: "Code", text });
            }
        }
        all
    }
}

/// Whether somebody may sign, on the first page.
#[derive(Clone, Debug)]
pub struct SigningLine {
    /// They may.
    pub allowed: bool,
    /// That they can't, in a few words.
    pub heading: &'static str,
    /// What is missing, in words.
    pub text: String,
    /// Where it is done.
    pub href: String,
    /// Words of that link.
    pub link: &'static str,
}
