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
                "Go back, check what you entered, and submit it again.",
            ),
            401 => ("Please sign in", "Sign in, then try again."),
            403 => (
                "You don't have access to this page",
                "If you need access, contact your practice's support.",
            ),
            404 => ("Page not found", "Check the address, or start from the home page."),
            405 => ("This action isn't available here", "Start again from the home page."),
            413 => (
                "The submitted data is too large",
                "Go back, shorten what you entered, and submit it again.",
            ),
            415 => (
                "This type of request is not supported",
                "Go back and submit the form from its own page.",
            ),
            429 => (
                "Too many attempts",
                "Wait a moment, then try again. Your account and tokens are not affected.",
            ),
            503 => (
                "The service is not available right now",
                "Nothing was changed. Wait a minute, then try again.",
            ),
            504 => (
                "We can't tell whether this was completed",
                "Check whether it was completed before you try again. A passcode you entered counts as used.",
            ),
            _ => (
                "Something went wrong on our end",
                "Check whether your change was made before you try again. If this happens again, give the support code to your practice's support.",
            ),
        };
        Self {
            page: Page { title: heading.to_owned(), ..page },
            status,
            heading: heading.to_owned(),
            what_to_do: what_to_do.to_owned(),
            onward: Some(("/portal".to_owned(), "Go to the home page".to_owned())),
        }
    }
}
