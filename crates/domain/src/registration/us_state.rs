//! States, the District of Columbia and territories.

use std::str::FromStr;

use thiserror::Error;

/// The text is no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("Enter the two-letter state code, such as NE.")]
pub struct UsStateError;

/// A state, the District of Columbia or a territory, by its two letters (USPS).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UsState([u8; 2]);

impl UsState {
    pub(super) const ALL: &str = "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT \
        NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY AS GU MP PR VI";

    /// The two capital letters of the postal service, such as `NE`.
    pub fn as_text(&self) -> String {
        self.0.iter().map(|b| char::from(*b)).collect()
    }
}

impl FromStr for UsState {
    type Err = UsStateError;

    fn from_str(text: &str) -> Result<Self, UsStateError> {
        let upper = text.trim().to_ascii_uppercase();
        let known = upper.len() == 2 && Self::ALL.split(' ').any(|state| state == upper);
        match (known, upper.as_bytes()) {
            (true, [first, second]) => Ok(Self([*first, *second])),
            _ => Err(UsStateError),
        }
    }
}
