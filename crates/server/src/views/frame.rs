//! The frame around every page: header, tabs, menu, patient, notice and footer.

use countersign_domain::{TimeZone, Timestamp};

use super::{SigningLine, When};

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
    /// Time zone of the practice; none where nobody's practice is known, and times are then in UTC.
    pub zone: Option<TimeZone>,
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

    /// A moment as this page shows it: `Nov 27, 2026, 4:00 PM CST`.
    pub(super) fn time(&self, when: &When) -> String {
        self.zone.as_ref().unwrap_or(&TimeZone::UTC).moment_text(when.0)
    }

    /// A time of today as this page shows it: `4:00:44 PM CST`.
    pub(super) fn clock(&self, at: &Timestamp) -> String {
        self.zone.as_ref().unwrap_or(&TimeZone::UTC).clock_text(*at)
    }

    /// Whether whoever is signed in prescribes.
    pub(super) fn prescribes(&self) -> bool {
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
    pub(super) fn failed(&self) -> bool {
        self.notice.as_ref().is_some_and(|notice| notice.kind == NoticeKind::Error)
    }

    /// The support code, unless the notice shows one already.
    pub(super) fn footer_code(&self) -> Option<&str> {
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
            Self::Warning => "Warning",
            Self::Error => "Error",
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
