//! The form that invites somebody.

use askama::Template;

use crate::views::{ASSET_VERSION, ChoiceField, Menu, NavTab, Page, Problem, TextField, problems};

/// Invites somebody.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "practice_invite.html")]
pub struct InvitePage {
    /// Frame.
    pub page: Page,
    /// Address of this console.
    pub base: String,
    /// What they do here. Sends `role`.
    pub role: ChoiceField,
    /// Sends `given`.
    pub given: TextField,
    /// Sends `middle`.
    pub middle: TextField,
    /// Sends `family`.
    pub family: TextField,
    /// Sends `suffix`.
    pub suffix: TextField,
    /// Sends `email`.
    pub email: TextField,
    /// Sends `email2`.
    pub email2: TextField,
    /// Sends `phone`.
    pub phone: TextField,
    /// Sends `address`.
    pub address: TextField,
    /// Sends `npi`.
    pub npi: TextField,
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

impl InvitePage {
    pub(crate) fn problems_are_none(&self) -> bool {
        self.problems().is_empty()
    }

    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("role", "Role", &self.role.error),
            ("given", "First name", &self.given.error),
            ("middle", "Middle name", &self.middle.error),
            ("family", "Last name", &self.family.error),
            ("suffix", "Suffix", &self.suffix.error),
            ("email", "Email address", &self.email.error),
            ("email2", "Second email address", &self.email2.error),
            ("phone", "Mobile phone", &self.phone.error),
            ("address", "Mailing address", &self.address.error),
            ("npi", "NPI", &self.npi.error),
            ("dea", "DEA number", &self.dea.error),
            ("dea_state", "State", &self.dea_state.error),
            ("schedules", "Schedules", &self.schedules.error),
            ("dea_expires", "Expiration date", &self.dea_expires.error),
            ("licence_state", "License state", &self.licence_state.error),
            ("licence", "License number", &self.licence.error),
            ("licence_expires", "License expiration date", &self.licence_expires.error),
        ])
    }
}
