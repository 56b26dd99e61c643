//! The pages, as plain display data.
//!
//! One struct a page, each an askama template under `templates/`. Nothing here decides anything:
//! handlers fill in text that is ready to be shown, the templates lay it out and escape it.
//!
//! What was typed is kept in [`TextField`] and [`ChoiceField`]. Passphrases and passcodes have a
//! [`SecretField`], which has no room for a value, so a page can't send a secret back.

mod certification;
mod enrol;
mod practice;
mod prescribing;

use askama::Template;

pub use certification::*;
pub use enrol::*;
pub use practice::*;
pub use prescribing::*;

/// Appended to the address of every static file, so that an upgrade is not met by a stale cache.
pub const ASSET_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The word that is typed to disable the last active token.
pub const DISABLE_WORD: &str = "DISABLE";

/// The value of the choice "Any of my tokens" in a [`TokenField`].
pub const ANY_TOKEN: &str = "any";

// ---------------------------------------------------------------------------------------------
// The frame around every page
// ---------------------------------------------------------------------------------------------

/// What the frame of a page shows: header, menu, patient, notice and footer.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Title of the window, without the product's name.
    pub title: String,
    /// Which half of the product the page belongs to.
    pub area: Area,
    /// Who is signed in.
    pub user: Option<SignedIn>,
    /// Name of the practice.
    pub practice: Option<String>,
    /// The tab that is marked as current; [`NavTab::Hidden`] shows no tabs.
    pub nav: NavTab,
    /// The menu at the top left.
    pub menu: Menu,
    /// The patient whose chart the launch came from.
    pub patient: Option<PatientBanner>,
    /// A message on top of the page.
    pub notice: Option<Notice>,
    /// Code that names this request in the log; shown in the footer unless the notice has one.
    pub support_code: Option<String>,
    /// Seconds until the session ends if nothing is done.
    pub session_expires_in: Option<u64>,
    /// Whom to ask for help; shown in the footer.
    pub support: Option<SupportContact>,
    /// Shows that the data are made up.
    pub demonstration: bool,
    /// Shows that nobody certified this build.
    pub unlisted: bool,
    /// Shows that this build no longer meets the requirements, and that nothing is signed.
    pub noncompliant: bool,
    /// In the e-prescribing app: why the prescriber can't sign now.
    pub signing: Option<SigningLine>,
}

impl Page {
    /// A page with a title and nothing else in its frame.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// Whether whoever is signed in prescribes.
    fn prescribes(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.prescribes)
    }

    /// Where the product's name and "Stay signed in" lead.
    pub fn home(&self) -> &'static str {
        match self.area {
            Area::Portal => "/portal",
            Area::EPrescribing => "/e-prescribing",
        }
    }

    /// Something was not done, and the notice on top says why: the title says so too, for those who hear it first.
    fn failed(&self) -> bool {
        self.notice.as_ref().is_some_and(|notice| notice.kind == NoticeKind::Error)
    }

    /// The support code, unless the notice shows one already.
    fn footer_code(&self) -> Option<&str> {
        match &self.notice {
            Some(Notice { code: Some(_), .. }) => None,
            _ => self.support_code.as_deref(),
        }
    }
}

/// The two halves of the product on the portal's origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Area {
    /// Token management.
    #[default]
    Portal,
    /// The e-prescribing app.
    EPrescribing,
}

impl Area {
    /// The name beside the product's in the header.
    pub fn label(self) -> &'static str {
        match self {
            Self::Portal => "Token Management",
            Self::EPrescribing => "e-Prescribing",
        }
    }
}

/// The person named in the header.
#[derive(Clone, Debug, Default)]
pub struct SignedIn {
    /// Full name.
    pub name: String,
    /// One or two letters.
    pub initials: String,
    /// They prescribe: with a tab for what they signed.
    pub prescribes: bool,
}

/// The tabs of the portal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NavTab {
    /// No tabs: before the passcode is proved.
    #[default]
    Hidden,
    /// The dashboard.
    Overview,
    /// Token management.
    Tokens,
    /// What was signed.
    Prescriptions,
}

/// The menu at the top left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Menu {
    /// Not shown: the portal was reached without an EHR, or nobody is signed in.
    #[default]
    Hidden,
    /// With Token Management.
    Prescriber,
    /// With a line that Token Management is for prescribers.
    Staff,
}

/// The patient in context.
#[derive(Clone, Debug, Default)]
pub struct PatientBanner {
    /// Full name.
    pub name: String,
    /// Date of birth, ready to be shown.
    pub born: String,
    /// Medical record number.
    pub mrn: String,
}

/// Whom to ask for help.
#[derive(Clone, Debug, Default)]
pub struct SupportContact {
    /// A person or a desk.
    pub name: String,
    /// Phone number, as it is to be read.
    pub phone: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// When somebody answers.
    pub hours: Option<String>,
}

impl SupportContact {
    /// The phone number as a `tel:` address wants it (RFC 3966: digits and a leading plus).
    pub fn dial(&self) -> String {
        self.phone
            .iter()
            .flat_map(|phone| phone.chars())
            .enumerate()
            .filter(|(at, c)| c.is_ascii_digit() || (*at == 0 && *c == '+'))
            .map(|(_, c)| c)
            .collect()
    }
}

/// A message on top of a page.
#[derive(Clone, Debug)]
pub struct Notice {
    /// How it is marked.
    pub kind: NoticeKind,
    /// What happened and what to do.
    pub text: String,
    /// Code that names this event in the log.
    pub code: Option<String>,
}

impl Notice {
    /// A notice without a support code.
    pub fn new(kind: NoticeKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), code: None }
    }
}

/// How a notice is marked, always by a word as well as a color.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoticeKind {
    /// Something was done.
    Success,
    /// Good to know.
    #[default]
    Info,
    /// Needs attention.
    Warning,
    /// Something was not done.
    Error,
}

impl NoticeKind {
    /// Class of the box.
    pub fn class(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// The word that goes with the color.
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "Done",
            Self::Info => "Note",
            Self::Warning => "Attention",
            Self::Error => "Problem",
        }
    }

    /// ARIA role: only problems interrupt.
    pub fn role(self) -> &'static str {
        match self {
            Self::Error => "alert",
            Self::Success | Self::Info | Self::Warning => "status",
        }
    }
}

// ---------------------------------------------------------------------------------------------
// Fields of forms
// ---------------------------------------------------------------------------------------------

/// A text field: what was typed and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct TextField {
    /// What was typed.
    pub value: String,
    /// What is wrong and what to do about it.
    pub error: Option<String>,
}

/// A passphrase or passcode: never holds a value.
#[derive(Clone, Debug, Default)]
pub struct SecretField {
    /// What is wrong and what to do about it.
    pub error: Option<String>,
}

/// A drop-down or a list of radio buttons.
#[derive(Clone, Debug, Default)]
pub struct ChoiceField {
    /// The value of the chosen option; empty if none.
    pub value: String,
    /// What can be chosen, in this order.
    pub options: Vec<Choice>,
    /// What is wrong and what to do about it.
    pub error: Option<String>,
}

impl ChoiceField {
    /// What is shown of the chosen option; empty if none is chosen.
    pub fn chosen(&self) -> &str {
        self.options.iter().find(|it| it.value == self.value).map_or("", |it| it.label.as_str())
    }
}

/// One option of a [`ChoiceField`].
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is shown.
    pub label: String,
}

impl Choice {
    /// An option.
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self { value: value.into(), label: label.into() }
    }
}

/// A reason for disabling a token.
#[derive(Clone, Debug, Default)]
pub struct Reason {
    /// What is sent.
    pub value: String,
    /// What is shown.
    pub label: String,
    /// A line of explanation.
    pub help: Option<String>,
    /// The token can be turned back on.
    pub reversible: bool,
}

/// A list of reasons and the chosen one.
#[derive(Clone, Debug, Default)]
pub struct ReasonField {
    /// The value of the chosen reason; empty if none.
    pub value: String,
    /// What can be chosen, in this order.
    pub options: Vec<Reason>,
    /// What is wrong and what to do about it.
    pub error: Option<String>,
}

/// Which token is meant: fixed by the address of the page, or chosen from a list.
#[derive(Clone, Debug, Default)]
pub struct TokenField {
    /// The token, where it can't be chosen. Nothing is sent then.
    pub fixed: Option<TokenLabel>,
    /// The tokens that can be chosen.
    pub options: Vec<TokenChoice>,
    /// Offers "Any of my tokens" ([`ANY_TOKEN`]) first.
    pub any: bool,
    /// The chosen token's ID, [`ANY_TOKEN`], or empty.
    pub value: String,
    /// What is wrong and what to do about it.
    pub error: Option<String>,
}

impl TokenField {
    /// The token that stands there as a text: fixed, or the only one there is.
    fn shown(&self) -> Option<&TokenLabel> {
        self.fixed.as_ref().or(self.only().map(|only| &only.label))
    }

    /// The only one that could be chosen; it is sent without asking.
    fn only(&self) -> Option<&TokenChoice> {
        match self.options.as_slice() {
            [only] if self.fixed.is_none() => Some(only),
            _ => None,
        }
    }
}

/// One token in a [`TokenField`].
#[derive(Clone, Debug, Default)]
pub struct TokenChoice {
    /// The token's ID, as it stands in addresses.
    pub id: String,
    /// Name and masked credential ID.
    pub label: TokenLabel,
    /// A word behind its name, such as "locked".
    pub note: Option<String>,
}

/// A token's name and masked credential ID.
#[derive(Clone, Debug, Default)]
pub struct TokenLabel {
    /// The name its owner gave it.
    pub name: String,
    /// Its credential ID, masked.
    pub credential: MaskedId,
}

/// A credential ID of which only both ends are shown.
#[derive(Clone, Debug, Default)]
pub struct MaskedId {
    /// The first characters, such as `CNST`; may be empty.
    pub head: String,
    /// The last characters.
    pub tail: String,
}

impl MaskedId {
    /// A masked ID from both of its ends.
    pub fn new(head: impl Into<String>, tail: impl Into<String>) -> Self {
        Self { head: head.into(), tail: tail.into() }
    }
}

/// A fresh passcode of an active token, asked for again before a change.
///
/// Sent as `stepup_token` and `stepup_passcode`.
#[derive(Clone, Debug, Default)]
pub struct StepUp {
    /// The active token whose code is typed.
    pub token: TokenField,
    /// Its passcode.
    pub passcode: SecretField,
}

/// A lock that ends by itself.
#[derive(Clone, Debug)]
pub struct Lock {
    /// What is locked.
    pub subject: LockSubject,
    /// When it ends, as a time of day in UTC; `portal.js` puts the reader's own time in its place.
    pub until: String,
    /// Seconds left.
    pub seconds: u64,
}

impl Lock {
    /// The time left, in words.
    pub fn left(&self) -> String {
        span(self.seconds)
    }
}

/// What a [`Lock`] is on.
#[derive(Clone, Debug)]
pub enum LockSubject {
    /// Sign-in as a whole.
    Account,
    /// Every active token; what ends is the first of their locks.
    AllTokens,
    /// One token.
    Token {
        /// Its name.
        name: String,
        /// There are other active tokens, and they are not locked.
        others_usable: bool,
    },
}

/// The code that was typed can't be used (again); the next one can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextCode {
    /// Seconds until the token shows the next code.
    pub seconds: u64,
}

impl NextCode {
    /// The time left, in words.
    pub fn left(self) -> String {
        span(self.seconds)
    }
}

/// A moment, for people and for programs.
#[derive(Clone, Debug, Default)]
pub struct When {
    /// As it is shown, in UTC.
    pub text: String,
    /// RFC 3339, for the `datetime` attribute; `portal.js` shows it in the reader's own time zone.
    pub machine: String,
}

impl When {
    /// A moment.
    pub fn new(text: impl Into<String>, machine: impl Into<String>) -> Self {
        Self { text: text.into(), machine: machine.into() }
    }
}

/// One line of the summary of errors.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// ID of the field's element.
    pub anchor: &'static str,
    /// The field's name on the page.
    pub label: &'static str,
    /// The error of the field.
    pub text: &'a str,
}

/// A span of time in words. `portal.js` writes the same form while it counts down.
pub fn span(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, 1) => "1 second".to_owned(),
        (0, s) => format!("{s} seconds"),
        (m, 0) => format!("{m} min"),
        (m, s) => format!("{m} min {s} s"),
    }
}

fn problems<'a, const N: usize>(
    fields: [(&'static str, &'static str, &'a Option<String>); N],
) -> Vec<Problem<'a>> {
    fields
        .into_iter()
        .filter_map(|(anchor, label, error)| {
            let text = error.as_deref()?;
            Some(Problem { anchor, label, text })
        })
        .collect()
}

fn step_up_problems(step_up: Option<&StepUp>) -> Vec<Problem<'_>> {
    step_up.map_or_else(Vec::new, |it| {
        problems([
            ("stepup_token", "Active token", &it.token.error),
            ("stepup_passcode", "Passcode of the active token", &it.passcode.error),
        ])
    })
}

// ---------------------------------------------------------------------------------------------
// Tokens in tables and lists
// ---------------------------------------------------------------------------------------------

/// State of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenStatus {
    /// Can be used.
    #[default]
    Active,
    /// Active, but locked for some minutes.
    Locked,
    /// Disabled, and can be enabled again.
    Disabled,
    /// Disabled for good.
    Ended,
}

impl TokenStatus {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Locked => "Locked",
            Self::Disabled => "Disabled",
            Self::Ended => "Disabled for good",
        }
    }

    /// Class of the mark.
    pub fn class(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Locked => "locked",
            Self::Disabled => "disabled",
            Self::Ended => "ended",
        }
    }

    /// Counts as active, locked or not.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Active | Self::Locked)
    }

    /// Can be enabled again.
    pub fn can_enable(self) -> bool {
        self == Self::Disabled
    }
}

/// A token in a table.
#[derive(Clone, Debug, Default)]
pub struct TokenRow {
    /// The token's ID, as it stands in addresses.
    pub id: String,
    /// Name and masked credential ID.
    pub label: TokenLabel,
    /// Manufacturer, as it is shown.
    pub manufacturer: String,
    /// Type, as it is shown.
    pub kind: String,
    /// State.
    pub status: TokenStatus,
    /// More about the state: "14 min left", "Lost".
    pub status_detail: Option<String>,
    /// When it was added.
    pub added: When,
    /// When one of its codes was last accepted.
    pub last_used: Option<When>,
    /// When it was disabled.
    pub disabled: Option<When>,
    /// It waits to be activated for signing.
    pub to_activate: bool,
}

/// Something that happened to a token or an account.
#[derive(Clone, Debug, Default)]
pub struct EventRow {
    /// When.
    pub when: When,
    /// What, in a few words.
    pub what: String,
    /// The token's name, where it is not clear from the page.
    pub token: Option<String>,
    /// Who did it.
    pub by: Option<String>,
    /// The word before an attempt that was refused or failed.
    pub outcome: Option<&'static str>,
}

// ---------------------------------------------------------------------------------------------
// The e-prescribing app
// ---------------------------------------------------------------------------------------------

/// Between the EHR and the app.
///
/// The browser leaves out `SameSite=Strict` cookies on the request that comes from the EHR's
/// origin; the refresh of this page starts from our own origin and carries them.
#[derive(Clone, Debug, Template)]
#[template(path = "launch.html")]
pub struct LaunchPage {
    /// Frame.
    pub page: Page,
    /// Where it goes on: on this origin, or at a proofing provider that the operator has set up. Never
    /// taken from the request.
    pub continue_href: String,
}

// ---------------------------------------------------------------------------------------------
// Login
// ---------------------------------------------------------------------------------------------

/// Step 1: NPI and passphrase. Sends `npi`, `passphrase`.
#[derive(Clone, Debug, Template)]
#[template(path = "login.html")]
pub struct LoginPage {
    /// Frame.
    pub page: Page,
    /// The NPI.
    pub npi: TextField,
    /// Name of the prescriber whose NPI the EHR's launch has fixed. The NPI is still sent, from a
    /// read-only field: take it from the session, not from the form.
    pub launched_as: Option<String>,
    /// The passphrase.
    pub passphrase: SecretField,
    /// A pause after several wrong tries.
    pub lock: Option<Lock>,
    /// They come to report a lost phone.
    pub lost: bool,
}

impl LoginPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("npi", "NPI", &self.npi.error),
            ("passphrase", "Passphrase", &self.passphrase.error),
        ])
    }
}

/// Changes the passphrase. Sends `current`, `new`, `again`, `stepup_token`, `stepup_passcode`.
#[derive(Clone, Debug, Template)]
#[template(path = "passphrase.html")]
pub struct PassphrasePage {
    /// Frame.
    pub page: Page,
    /// The present passphrase.
    pub current: SecretField,
    /// The new one.
    pub new: SecretField,
    /// The new one once more.
    pub again: SecretField,
    /// A fresh passcode.
    pub step_up: Option<StepUp>,
    /// A pause after several wrong tries.
    pub lock: Option<Lock>,
}

impl PassphrasePage {
    fn problems(&self) -> Vec<Problem<'_>> {
        let mut all = problems([
            ("current", "Present passphrase", &self.current.error),
            ("new", "New passphrase", &self.new.error),
            ("again", "New passphrase again", &self.again.error),
        ]);
        all.extend(step_up_problems(self.step_up.as_ref()));
        all
    }
}

/// Step 2: a passcode of an active token. Sends `token`, `passcode`.
#[derive(Clone, Debug, Template)]
#[template(path = "passcode.html")]
pub struct PasscodePage {
    /// Frame.
    pub page: Page,
    /// The token; set `any`.
    pub token: TokenField,
    /// Its passcode.
    pub passcode: SecretField,
    /// A lock on the chosen token or on sign-in.
    pub lock: Option<Lock>,
    /// The code that was typed has been used.
    pub wait: Option<NextCode>,
}

impl PasscodePage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("token", "Token", &self.token.error),
            ("passcode", "Passcode", &self.passcode.error),
        ])
    }
}

/// Two consecutive codes bring a token's clock back in step. Sends `token` (unless fixed),
/// `passcode1`, `passcode2`.
#[derive(Clone, Debug, Template)]
#[template(path = "resync.html")]
pub struct ResyncPage {
    /// Frame.
    pub page: Page,
    /// Where the form is sent.
    pub action: String,
    /// Where Cancel leads.
    pub back: String,
    /// The token.
    pub token: TokenField,
    /// The code shown first.
    pub passcode1: SecretField,
    /// The code shown after it.
    pub passcode2: SecretField,
    /// A lock on the chosen token or on sign-in.
    pub lock: Option<Lock>,
}

impl ResyncPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("token", "Token", &self.token.error),
            ("passcode1", "First code", &self.passcode1.error),
            ("passcode2", "Second code", &self.passcode2.error),
        ])
    }
}

/// Reports a token lost at login. Sends `token`, `reason`, `confirmation`.
#[derive(Clone, Debug, Template)]
#[template(path = "lost.html")]
pub struct LostPage {
    /// Frame.
    pub page: Page,
    /// The lost token.
    pub token: TokenField,
    /// Lost, stolen or compromised.
    pub reason: ReasonField,
    /// It is the only active token: the page says what follows, and its one button means it.
    pub last_active: bool,
    /// They prescribe: a loss suspends their permission to sign.
    pub prescribes: bool,
}

impl LostPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("token", "Token", &self.token.error),
            ("reason", "What happened", &self.reason.error),
        ])
    }
}

/// Enables a disabled token by its own passcode, at login or in token management. Sends `token`
/// (unless fixed) and `passcode`.
#[derive(Clone, Debug, Template)]
#[template(path = "enable.html")]
pub struct EnablePage {
    /// Frame.
    pub page: Page,
    /// Where the form is sent.
    pub action: String,
    /// Where Cancel leads.
    pub back: String,
    /// At login, with no active token left.
    pub at_login: bool,
    /// The token.
    pub token: TokenField,
    /// Its passcode.
    pub passcode: SecretField,
    /// A fresh passcode of another, active token, where the policy asks for one.
    pub step_up: Option<StepUp>,
    /// A lock on the token or on sign-in.
    pub lock: Option<Lock>,
    /// The code that was typed has been used.
    pub wait: Option<NextCode>,
}

impl EnablePage {
    fn problems(&self) -> Vec<Problem<'_>> {
        let mut all = problems([
            ("token", "Token", &self.token.error),
            ("passcode", "Passcode of this token", &self.passcode.error),
        ]);
        all.extend(step_up_problems(self.step_up.as_ref()));
        all
    }
}

/// No active token is left; `page.support` says whom to ask.
#[derive(Clone, Debug, Template)]
#[template(path = "no_token.html")]
pub struct NoTokenPage {
    /// Frame.
    pub page: Page,
    /// Where a disabled token can be enabled with its own code, if there is one.
    pub enable_href: Option<String>,
    /// The proofing that is under way.
    pub case: Option<CaseBox>,
    /// The form for a new token, while the proofing lets one be added.
    pub add: Option<AddToken>,
}

impl NoTokenPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        let mut all = self.case.as_ref().map(CaseBox::problems).unwrap_or_default();
        all.extend(self.add.as_ref().map(AddToken::problems).unwrap_or_default());
        all
    }
}

// ---------------------------------------------------------------------------------------------
// The portal
// ---------------------------------------------------------------------------------------------

/// The prescriber dashboard, tab Overview.
#[derive(Clone, Debug, Template)]
#[template(path = "dashboard.html")]
pub struct DashboardPage {
    /// Frame.
    pub page: Page,
    /// Full name.
    pub name: String,
    /// NPI, masked.
    pub npi: String,
    /// Name of the practice.
    pub practice: String,
    /// The active tokens.
    pub active: Vec<TokenRow>,
    /// How many active tokens are allowed.
    pub limit: usize,
    /// What happened lately, newest first.
    pub activity: Vec<EventRow>,
    /// The practices whose console opens to them.
    pub desks: Vec<DeskLink>,
    /// They log in with an e-mail address, and prescribe nothing.
    pub staff: bool,
    /// Whether they may sign, in words, and what is missing.
    pub signing: Option<SigningLine>,
    /// How many prescriptions of theirs could not be sent.
    pub not_sent: i64,
}

/// A pairing: the code that a device makes a token with.
#[derive(Clone, Debug, Template)]
#[template(path = "pairing.html")]
pub struct PairingPage {
    /// Frame.
    pub page: Page,
    /// Where the token is added that a phone makes with it.
    pub onward: &'static str,
    /// Where Cancel leads.
    pub back: &'static str,
    /// The pairing, as in its address.
    pub id: String,
    /// The code in groups; none when its time is over.
    pub code: Option<String>,
    /// How long it can be used.
    pub seconds_left: u64,
    /// Where the app is.
    pub app_address: String,
    /// The token in whose place the new one comes; may be empty.
    pub replaces: String,
}

impl PairingPage {
    /// What every address on the way carries along.
    fn along(&self, sign: char) -> String {
        match self.replaces.as_str() {
            "" => String::new(),
            id => format!("{sign}replaces={id}"),
        }
    }
}

/// Token management: the table, and the section that adds a token.
#[derive(Clone, Debug, Template)]
#[template(path = "tokens.html")]
pub struct TokensPage {
    /// Frame.
    pub page: Page,
    /// Active tokens whose codes two devices may be showing.
    pub twins: Vec<TokenChoice>,
    /// Tokens that are active or can be enabled again; ended ones are in the history.
    pub tokens: Vec<TokenRow>,
    /// How many active tokens are allowed.
    pub limit: usize,
    /// Prescriptions of the open chart that wait for a signature.
    pub waiting: usize,
    /// The section "Add Two Factor Authentication Token", if it is open.
    pub add: Option<AddToken>,
}

impl TokensPage {
    /// How many tokens are active.
    pub fn active_count(&self) -> usize {
        self.tokens.iter().filter(|token| token.status.is_active()).count()
    }

    fn limit_reached(&self) -> bool {
        self.active_count() >= self.limit
    }

    fn problems(&self) -> Vec<Problem<'_>> {
        self.add.as_ref().map_or_else(Vec::new, AddToken::problems)
    }
}

/// The section that adds a token. Sends `manufacturer` (empty: go by the ID), `issuer`,
/// `token_type` (empty: go by the ID), `name`, `credential_id`, `otp` and, if asked for, the two
/// fields of [`StepUp`].
#[derive(Clone, Debug, Default)]
pub struct AddToken {
    /// Where the form is sent.
    pub action: String,
    /// Where Cancel leads; nowhere if empty.
    pub back: String,
    /// Token Manufacturer. The choice that is left to the ID is added by the template.
    pub manufacturer: ChoiceField,
    /// A small note on the models that are allowed.
    pub models_note: Option<String>,
    /// A seed may be handed to an app of another maker.
    pub other_app: bool,
    /// The token that goes when this one comes. Sends `replaces`.
    pub replaces: Option<Gone>,
    /// A line under the manufacturer, such as which of them the built-in authority serves.
    pub manufacturer_help: Option<String>,
    /// Token Issuer.
    pub issuer: ChoiceField,
    /// Token Type. The choice that is left to the ID is added by the template.
    pub token_type: ChoiceField,
    /// Token Name.
    pub name: TextField,
    /// Serial Number / Credential ID.
    pub credential_id: TextField,
    /// A device has just been paired: its credential ID is filled in.
    pub paired: bool,
    /// Whether a phone can be paired by picture.
    pub can_pair: bool,
    /// How the ID looks, per manufacturer.
    pub formats: Vec<IdFormat>,
    /// What was found from the ID, after it was sent.
    pub inferred: Option<String>,
    /// The code the new token shows.
    pub otp: SecretField,
    /// A fresh passcode of an active token, where the last one is too old.
    pub step_up: Option<StepUp>,
    /// What a prefix says about manufacturer and type, for `portal.js`.
    pub prefixes: Vec<PrefixRule>,
    /// The code that was typed has been used.
    pub wait: Option<NextCode>,
    /// A lock on the token whose passcode was asked for.
    pub lock: Option<Lock>,
}

impl AddToken {
    fn problems(&self) -> Vec<Problem<'_>> {
        let mut all = problems([
            ("manufacturer", "Token Manufacturer", &self.manufacturer.error),
            ("issuer", "Token Issuer", &self.issuer.error),
            ("token_type", "Token Type", &self.token_type.error),
            ("name", "Token Name", &self.name.error),
            ("credential_id", "Serial Number / Credential ID", &self.credential_id.error),
            ("otp", "OTP", &self.otp.error),
        ]);
        all.extend(step_up_problems(self.step_up.as_ref()));
        all
    }

    /// The prefix rules as a JSON array, for the form's `data-prefixes` attribute.
    fn prefixes_json(&self) -> String {
        let mut json = String::from("[");
        for (at, rule) in self.prefixes.iter().enumerate() {
            if at > 0 {
                json.push(',');
            }
            json.push_str("{\"prefix\":");
            push_json(&mut json, &rule.prefix);
            json.push_str(",\"manufacturer\":");
            push_json(&mut json, &rule.manufacturer);
            json.push_str(",\"type\":");
            push_json(&mut json, &rule.token_type);
            json.push('}');
        }
        json.push(']');
        json
    }
}

/// A JSON string (RFC 8259 section 7).
fn push_json(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c.is_control() => json.extend(format!("\\u{:04x}", u32::from(c)).chars()),
            c => json.push(c),
        }
    }
    json.push('"');
}

/// The token that goes when another is added.
#[derive(Clone, Debug, Default)]
pub struct Gone {
    /// Its ID, as it stands in addresses.
    pub token: String,
    /// Name and masked credential ID.
    pub label: TokenLabel,
}

/// A model of tokens, as the operator has judged it.
#[derive(Clone, Debug, Default)]
pub struct ModelFacts {
    /// Maker and name.
    pub name: String,
    /// FIPS certificate, or "none".
    pub fips: String,
    /// Its codes may sign.
    pub allowed: bool,
    /// The operator's note; may be empty.
    pub note: String,
}

/// A new phone: begins with what the person has in mind. Sends `intent` and `token`.
#[derive(Clone, Debug, Template)]
#[template(path = "phone.html")]
pub struct PhonePage {
    /// Frame.
    pub page: Page,
    /// What the person has in mind.
    pub intent: ChoiceField,
    /// The token on the old phone.
    pub token: TokenField,
    /// What to do, once that was said and no form follows.
    pub steps: Option<PhoneSteps>,
    /// They prescribe: a loss suspends their permission to sign.
    pub prescribes: bool,
}

impl PhonePage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("intent", "Your phones", &self.intent.error),
            ("token", "Token on the old phone", &self.token.error),
        ])
    }
}

/// What a person with a new phone is to do where no form follows.
#[derive(Clone, Debug)]
pub enum PhoneSteps {
    /// The new phone is not there yet.
    Getting,
    /// The old phone is gone; its token is named before it is reported lost.
    Report {
        /// The token's ID, as it stands in addresses.
        id: String,
        /// The token.
        token: TokenLabel,
    },
    /// The old phone is gone, and no other token is active.
    NoOther {
        /// The token's ID, as it stands in addresses.
        id: String,
        /// The token.
        token: TokenLabel,
    },
}

/// Before a seed is shown for an app of another maker. Sends `id` and, if asked for, the fields of
/// [`StepUp`].
#[derive(Clone, Debug, Template)]
#[template(path = "other_app.html")]
pub struct OtherAppPage {
    /// Frame.
    pub page: Page,
    /// The ID of the token to be made.
    pub id: String,
    /// A fresh passcode, where the last one is too old.
    pub step_up: Option<StepUp>,
    /// Why it was not done.
    pub problem: Option<String>,
    /// A lock on the token whose passcode was asked for.
    pub lock: Option<Lock>,
}

impl OtherAppPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        step_up_problems(self.step_up.as_ref())
    }
}

/// Shows a seed, once, and takes the first code. Sends what the form that adds a token sends.
#[derive(Clone, Template)]
#[template(path = "other_app_shown.html")]
pub struct OtherAppShownPage {
    /// Frame.
    pub page: Page,
    /// The QR code as SVG markup of our own making; nothing that was typed is in it.
    pub picture: Option<String>,
    /// The secret, in groups of four.
    pub secret: String,
    /// The credential ID, in groups of four.
    pub credential: String,
    /// The credential ID, as it is sent.
    pub id: String,
}

/// How a manufacturer's credential IDs look.
#[derive(Clone, Debug, Default)]
pub struct IdFormat {
    /// Manufacturer, as it is shown.
    pub manufacturer: String,
    /// The format in words: "SYMC and 8 digits".
    pub text: String,
}

/// What the beginning of a credential ID says.
#[derive(Clone, Debug, Default)]
pub struct PrefixRule {
    /// The first characters, upper case.
    pub prefix: String,
    /// Value of the manufacturer's option.
    pub manufacturer: String,
    /// Value of the type's option; empty if the prefix does not say.
    pub token_type: String,
}

/// One token: facts, name, actions and history. The rename form sends `name`.
#[derive(Clone, Debug, Template)]
#[template(path = "token.html")]
pub struct TokenPage {
    /// Frame.
    pub page: Page,
    /// The token.
    pub token: TokenRow,
    /// Issuer, as it is shown.
    pub issuer: String,
    /// Who added it.
    pub added_by: String,
    /// A word on its clock: "12 seconds fast, allowed for".
    pub clock: Option<String>,
    /// Its model.
    pub model: ModelFacts,
    /// The device it lives on and how that is known: "Phone, checked by the app".
    pub device: String,
    /// It waits for its activation code.
    pub activate: bool,
    /// When its seed was handed to an app of another maker.
    pub seed_left: Option<When>,
    /// The name being changed.
    pub name: TextField,
    /// There is an active token, whose passcode can confirm a change.
    pub can_confirm: bool,
    /// A fresh passcode, where the last one is too old for a change.
    pub step_up: Option<StepUp>,
    /// A lock on the token whose passcode was asked for.
    pub lock: Option<Lock>,
    /// What happened to it, newest first.
    pub events: Vec<EventRow>,
}

impl TokenPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        let mut all = problems([("name", "Token Name", &self.name.error)]);
        all.extend(step_up_problems(self.step_up.as_ref()));
        all
    }
}

/// Disables a token. Sends `reason`, `confirmation` and, if asked for, the fields of [`StepUp`].
#[derive(Clone, Debug, Template)]
#[template(path = "disable.html")]
pub struct DisablePage {
    /// Frame.
    pub page: Page,
    /// The token's ID, as it stands in addresses.
    pub id: String,
    /// The token.
    pub token: TokenLabel,
    /// The reasons.
    pub reason: ReasonField,
    /// It is the only active token, so [`DISABLE_WORD`] must be typed.
    pub last_active: bool,
    /// The word as typed.
    pub confirmation: TextField,
    /// A fresh passcode, where the last one is too old.
    pub step_up: Option<StepUp>,
    /// A lock on the token whose passcode was asked for.
    pub lock: Option<Lock>,
}

impl DisablePage {
    fn problems(&self) -> Vec<Problem<'_>> {
        let mut all = problems([
            ("reason", "Reason", &self.reason.error),
            ("confirmation", "Confirmation", &self.confirmation.error),
        ]);
        all.extend(step_up_problems(self.step_up.as_ref()));
        all
    }
}

/// Tests a token without costing a try. Sends `passcode`.
#[derive(Clone, Debug, Template)]
#[template(path = "test.html")]
pub struct TestPage {
    /// Frame.
    pub page: Page,
    /// The token's ID, as it stands in addresses.
    pub id: String,
    /// The token.
    pub token: TokenLabel,
    /// The code.
    pub passcode: SecretField,
    /// What came out.
    pub result: Option<TestResult>,
    /// A lock on the token.
    pub lock: Option<Lock>,
    /// The code that was typed has been used.
    pub wait: Option<NextCode>,
}

impl TestPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([("passcode", "Passcode", &self.passcode.error)])
    }
}

/// What a test of a token found.
#[derive(Clone, Debug, Default)]
pub struct TestResult {
    /// Works, works with a remark, does not work.
    pub kind: NoticeKind,
    /// In a few words: "This token works."
    pub heading: String,
    /// What it means and what to do.
    pub text: String,
    /// Offers to resynchronize.
    pub offer_resync: bool,
}

/// All tokens ever bound to the prescriber.
#[derive(Clone, Debug, Template)]
#[template(path = "history.html")]
pub struct HistoryPage {
    /// Frame.
    pub page: Page,
    /// All tokens, newest first.
    pub tokens: Vec<TokenRow>,
}

// ---------------------------------------------------------------------------------------------
// Ends
// ---------------------------------------------------------------------------------------------

/// After signing out.
#[derive(Clone, Debug, Template)]
#[template(path = "signed_out.html")]
pub struct SignedOutPage {
    /// Frame.
    pub page: Page,
}

/// Brings a phone to the app.
#[derive(Clone, Debug, Template)]
#[template(path = "get.html")]
pub struct GetPage {
    /// Frame.
    pub page: Page,
    /// Where the app is.
    pub address: String,
}

/// Something went wrong.
#[derive(Clone, Debug, Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    /// Frame.
    pub page: Page,
    /// HTTP status.
    pub status: u16,
    /// What happened.
    pub heading: String,
    /// What to do.
    pub what_to_do: String,
    /// A way on: address and words.
    pub onward: Option<(String, String)>,
}

impl ErrorPage {
    /// The page for a status, in our standard words. `page.title` is set from them.
    pub fn for_status(status: u16, page: Page) -> Self {
        let (heading, what_to_do) = match status {
            400 | 422 => (
                "This request could not be read",
                "Go back, check what you typed and send it again.",
            ),
            401 => ("Please log in", "Log in, then try again."),
            403 => (
                "This page is not open to you",
                "If you think it should be, ask your practice's support.",
            ),
            404 => {
                ("There is no such page", "Check the address, or start again from the first page.")
            }
            405 => ("This page can't be used that way", "Start again from the first page."),
            413 => {
                ("That was too much to send", "Go back, shorten what you typed and send it again.")
            }
            415 => (
                "This kind of request is not understood",
                "Go back and send the form from the page itself.",
            ),
            429 => (
                "Too many tries in a short time",
                "Wait a little, then try again. Your account and tokens are not changed by this.",
            ),
            503 => (
                "The service is not available right now",
                "Nothing was changed. Wait a minute, then try again.",
            ),
            504 => (
                "It is not certain whether this was done",
                "Look whether it was done before you try again. A code that you typed counts as used.",
            ),
            _ => (
                "Something went wrong on our side",
                "Look whether your change was made before you try again. If it happens again, give the support code to your practice's support.",
            ),
        };
        Self {
            page: Page { title: heading.to_owned(), ..page },
            status,
            heading: heading.to_owned(),
            what_to_do: what_to_do.to_owned(),
            onward: Some(("/portal".to_owned(), "Go to the first page".to_owned())),
        }
    }
}
