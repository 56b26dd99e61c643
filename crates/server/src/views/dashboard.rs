//! The dashboard of the portal.

use askama::Template;

use super::{
    ASSET_VERSION, EventRow, Menu, NavTab, Page, PracticeLink, SigningLine, TokenRow, TokenStatus,
};

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
    pub memberships: Vec<PracticeLink>,
    /// They log in with an e-mail address, and prescribe nothing.
    pub staff: bool,
    /// Whether they may sign, in words, and what is missing.
    pub signing: Option<SigningLine>,
    /// How many prescriptions of theirs could not be sent.
    pub not_sent: i64,
}
