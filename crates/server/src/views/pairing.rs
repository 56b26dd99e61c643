//! The pairing of a device, and the way to the app.

use askama::Template;

use super::{ASSET_VERSION, Menu, NavTab, Page};

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

/// Brings a phone to the app.
#[derive(Clone, Debug, Template)]
#[template(path = "get.html")]
pub struct GetPage {
    /// Frame.
    pub page: Page,
    /// Where the app is.
    pub address: String,
}
