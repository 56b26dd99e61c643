//! What is due in a practice.

use askama::Template;

use crate::views::{ASSET_VERSION, Menu, NavTab, Page, RequestLine, When};

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
