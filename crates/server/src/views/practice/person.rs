//! Somebody of a practice, with registrations and licenses.

use askama::Template;

use crate::views::{
    ASSET_VERSION, ChoiceField, Menu, NavTab, Page, Problem, TextField, When, problems,
};

/// A registration or a licence.
#[derive(Clone, Debug, Default)]
pub struct PaperLine {
    /// "DEA registration" or "State licence".
    pub what: String,
    /// Its number, masked.
    pub number: String,
    /// State.
    pub state: String,
    /// Schedules; empty for a licence.
    pub schedules: String,
    /// Last day.
    pub expires: String,
    /// How it stands.
    pub standing: String,
    /// How a permission under it stands; empty for a licence.
    pub permission: String,
    /// Class of the mark of that.
    pub class: &'static str,
}

/// Somebody of a practice.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_person.html")]
pub struct PersonPage {
    /// Frame.
    pub page: Page,
    /// Address of this console.
    pub base: String,
    /// Address of this page.
    pub here: String,
    /// Full name.
    pub name: String,
    /// What is odd about the name; empty where nothing is.
    pub odd_name: &'static str,
    /// What they sign in with: an NPI in full for whoever sets access control, else masked.
    pub sign_in: String,
    /// Their roles.
    pub roles: String,
    /// Registrations and licences.
    pub papers: Vec<PaperLine>,
    /// How many active tokens they have.
    pub tokens: usize,
    /// The step that is waited for, and what it is a step of.
    pub waits: Option<(&'static str, &'static str)>,
    /// Whoever looks may send them a link to prove their identity again.
    pub can_prove: bool,
    /// Whoever looks may enter changes of access control.
    pub can_set: bool,
    /// Whoever looks may enter registrations.
    pub can_enter: bool,
    /// The registration of a grant. Sends `registration`.
    pub grant: ChoiceField,
    /// The day on which it was looked at. Sends `verified`.
    pub verified: TextField,
    /// Why it is granted. Sends `grant_reason`.
    pub grant_reason: TextField,
    /// The registration of a revocation. Sends `revoked`.
    pub revoke: ChoiceField,
    /// Why, of the causes that the rule names. Sends `cause`.
    pub cause: ChoiceField,
    /// More on it. Sends `revoke_reason`.
    pub revoke_reason: TextField,
    /// The internal code behind the institution's DEA number, where it has one. Sends `code`.
    pub code: Option<TextField>,
    /// Who entered it, and when.
    pub code_entered: Option<(String, When)>,
    /// DEA number. Sends `dea`.
    pub dea: TextField,
    /// Its state. Sends `dea_state`.
    pub dea_state: TextField,
    /// Its schedules. Sends `schedules`.
    pub schedules: TextField,
    /// Its last day. Sends `dea_expires`.
    pub dea_expires: TextField,
    /// Why it is entered. Sends `dea_reason`.
    pub dea_reason: TextField,
    /// State of a licence. Sends `licence_state`.
    pub licence_state: TextField,
    /// Its number. Sends `licence`.
    pub licence: TextField,
    /// Its last day. Sends `licence_expires`.
    pub licence_expires: TextField,
    /// Why it is entered. Sends `licence_reason`.
    pub licence_reason: TextField,
    /// A registration or licence that ends. Sends `ended`.
    pub ended: ChoiceField,
    /// Why. Sends `end_reason`.
    pub end_reason: TextField,
    /// A role. Sends `role`.
    pub role: ChoiceField,
    /// Given or taken. Sends `give`.
    pub give: ChoiceField,
    /// The unit of the role. Sends `unit`.
    pub unit: TextField,
    /// Why. Sends `role_reason`.
    pub role_reason: TextField,
    /// A token to disable. Sends `token`.
    pub token: ChoiceField,
    /// Why, of the reasons there are. Sends `why`.
    pub why: ChoiceField,
    /// In words. Sends `disable_reason`.
    pub disable_reason: TextField,
}

impl PersonPage {
    /// Whether nothing is wrong with any field.
    pub(crate) fn problems_are_none(&self) -> bool {
        self.problems().is_empty()
    }

    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("registration", "Registration", &self.grant.error),
            ("verified", "Verified on", &self.verified.error),
            ("grant_reason", "Reason", &self.grant_reason.error),
            ("revoked", "Registration", &self.revoke.error),
            ("cause", "Cause", &self.cause.error),
            ("revoke_reason", "Reason", &self.revoke_reason.error),
            ("code", "Internal code", self.code.as_ref().map_or(&None, |it| &it.error)),
            ("dea", "DEA number", &self.dea.error),
            ("dea_state", "State", &self.dea_state.error),
            ("schedules", "Schedules", &self.schedules.error),
            ("dea_expires", "Expiration date", &self.dea_expires.error),
            ("dea_reason", "Reason", &self.dea_reason.error),
            ("licence_state", "State", &self.licence_state.error),
            ("licence", "License number", &self.licence.error),
            ("licence_expires", "Expiration date", &self.licence_expires.error),
            ("licence_reason", "Reason", &self.licence_reason.error),
            ("ended", "Registration or license", &self.ended.error),
            ("end_reason", "Reason", &self.end_reason.error),
            ("role", "Role", &self.role.error),
            ("unit", "Department", &self.unit.error),
            ("role_reason", "Reason", &self.role_reason.error),
            ("token", "Token", &self.token.error),
            ("why", "Reason", &self.why.error),
            ("disable_reason", "Details", &self.disable_reason.error),
        ])
    }
}
