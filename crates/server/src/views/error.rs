//! Something went wrong: the page for a status.

use askama::Template;

use super::{ASSET_VERSION, Menu, NavTab, Page};

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
