//! By which rules a practice works.

use askama::Template;

use crate::views::{ASSET_VERSION, ChoiceField, Menu, NavTab, Page, Problem, TextField, problems};

/// By which rules a practice works.
#[derive(Clone, Debug, Template)]
#[template(path = "practice_rules.html")]
pub struct RulesPage {
    /// Frame.
    pub page: Page,
    /// Address of this console.
    pub base: String,
    /// Name of the practice.
    pub name: String,
    /// How identities are proofed.
    pub rule: &'static str,
    /// Whoever looks sets access control.
    pub can_set: bool,
    /// Whoever looks looks after the practice.
    pub can_enter: bool,
    /// Accepted providers: issuer, values.
    pub listed: Vec<(String, String)>,
    /// Sends `provider`.
    pub provider: ChoiceField,
    /// Sends `give`.
    pub give: ChoiceField,
    /// Sends `accepted`.
    pub accepted: TextField,
    /// Sends `provider_reason`.
    pub provider_reason: TextField,
    /// Models: name, how it stands, why.
    pub models: Vec<(String, &'static str, String)>,
    /// Sends `model`.
    pub model: ChoiceField,
    /// Sends `refuse`.
    pub refuse: ChoiceField,
    /// Sends `model_reason`.
    pub model_reason: TextField,
    /// Sends `zone`.
    pub zone: TextField,
    /// Sends `zone_reason`.
    pub zone_reason: TextField,
}

impl RulesPage {
    fn problems(&self) -> Vec<Problem<'_>> {
        problems([
            ("provider", "Provider", &self.provider.error),
            ("accepted", "Accepted values", &self.accepted.error),
            ("provider_reason", "Reason", &self.provider_reason.error),
            ("model", "Model", &self.model.error),
            ("model_reason", "Reason", &self.model_reason.error),
            ("zone", "Time zone", &self.zone.error),
            ("zone_reason", "Reason", &self.zone_reason.error),
        ])
    }
}
