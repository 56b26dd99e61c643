//! The first page of the console of a practice, and the choice among several.

use askama::Template;

use crate::views::{ASSET_VERSION, DueLine, Menu, NavTab, Page, RequestLine, When};

/// A practice that somebody may work in.
#[derive(Clone, Debug, Default)]
pub struct PracticeLink {
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
    pub memberships: Vec<PracticeLink>,
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
