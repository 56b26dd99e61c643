//! What keeps a prescription from being marked ready, field by field.

use std::borrow::Cow;

use super::{Content, LONGEST_NOTE, MOST_DAYS_SUPPLY, MOST_REFILLS, SERIES_DAYS, SERIES_NOTE};
use crate::{
    Date, RegistrantKind, Schedule, UsState,
    controlled::Table,
    one_script,
    state_rules::{MOST_REFILLS_OF_V, StateRules},
};

/// By what a prescription is judged besides its own words.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Today, in the time zone of the practice: the day of issue.
    pub today: Date,
    /// The drugs that are known, with their schedules.
    pub drugs: &'a Table,
    /// The stricter rules of states, as the operator entered them.
    pub states: &'a StateRules,
    /// The state in which the DEA number of the prescription is registered: the one that counts.
    pub state: Option<UsState>,
}

impl Rules<'_> {
    fn state_name(&self) -> String {
        self.state.map_or_else(|| "This state".to_owned(), |state| state.as_text())
    }

    /// Why a schedule is not the drug's; nothing where it is, or where the table does not know the drug. The state's own
    /// schedule counts, and no other: one that is looser breaks the law, and one that is stricter is a slip.
    pub fn wrong_schedule(&self, drug: &str, chosen: Schedule) -> Option<String> {
        let known = self.drugs.schedule_of(drug, self.state)?;
        if known == chosen {
            return None;
        }
        let code = known.label();
        let federal = self.drugs.schedule_of(drug, None);
        Some(if federal == Some(known) {
            format!("This drug is {code}.")
        } else {
            let state = self.state_name();
            format!("In {state}, where the DEA number is registered, this drug is {code}.")
        })
    }
}

/// Something that keeps a prescription from being marked ready: which field, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// Name of the field.
    pub field: &'static str,
    /// A sentence for the person who writes: what is wrong and what to do.
    pub text: Cow<'static, str>,
}

impl Content {
    /// What is missing or against the rules, field by field; nothing where it can be marked ready.
    pub fn lacking(&self, rules: &Rules<'_>) -> Vec<Lack> {
        let mut found = Vec::new();
        let mut lack = |on: bool, field, text: &'static str| {
            if on {
                found.push(Lack { field, text: text.into() });
            }
        };
        let empty = |text: &str| text.trim().is_empty();
        lack(empty(&self.patient.name), "patient", "No patient in the chart.");
        lack(
            empty(&self.patient.address),
            "address",
            "Enter the patient's full address, as required by law (21 CFR 1306.05).",
        );
        lack(empty(&self.drug), "drug", "Enter the drug.");
        lack(
            one_script(&self.drug).is_err(),
            "drug",
            "The name mixes letters from two alphabets. Enter it again.",
        );
        let measured = |text: &str| {
            let unit = |c: char| c.is_alphabetic() || c == '%';
            text.chars().any(|c| c.is_ascii_digit()) && text.chars().any(unit)
        };
        lack(
            !measured(&self.strength),
            "strength",
            "Enter the strength with its unit, such as 10 mg.",
        );
        lack(empty(&self.form), "form", "Enter the form, such as tablet.");
        lack(self.schedule.is_none(), "schedule", "Choose the schedule.");
        lack(self.quantity.is_none(), "quantity", "Enter the quantity, such as 30 or 2.5.");
        lack(empty(&self.unit), "unit", "Enter the unit, such as tablets.");
        lack(empty(&self.directions), "directions", "Enter the directions for use.");
        lack(self.pharmacy.is_none(), "pharmacy", "Choose the pharmacy.");
        lack(self.dea.is_none(), "dea", "Choose the DEA number for this prescription.");
        if let Some(schedule) = self.schedule {
            if let Some(text) = rules.wrong_schedule(&self.drug, schedule) {
                found.push(Lack { field: "schedule", text: text.into() });
            }
            self.lacking_of_schedule(schedule, rules, &mut found);
        }
        self.lacking_of_supervisor(rules, &mut found);
        found
    }

    /// What is missing or wrong in refills, days and dates.
    fn lacking_of_schedule(&self, schedule: Schedule, rules: &Rules<'_>, found: &mut Vec<Lack>) {
        let mut lack = |on: bool, field, text: Cow<'static, str>| {
            if on {
                found.push(Lack { field, text });
            }
        };
        let supply = self.days_supply.unwrap_or(1);
        lack(
            !(1..=MOST_DAYS_SUPPLY).contains(&supply),
            "days_supply",
            "Enter 1 to 999 days.".into(),
        );
        match schedule {
            Schedule::II | Schedule::IIN => {
                let text = "C-II prescriptions can't have refills (21 CFR 1306.12).";
                lack(self.refills > 0, "refills", text.into());
                if let Some(day) = self.earliest_fill {
                    let days = rules.today.days_until(day);
                    if self.series.is_none() {
                        let text = "Only a C-II series has an earliest fill date (21 CFR 1306.12). Add this prescription as the next in a series.";
                        lack(true, "earliest_fill", text.into());
                    } else if days < 0 {
                        lack(true, "earliest_fill", "This date is in the past.".into());
                    } else {
                        let text = "A series covers at most 90 days from today (21 CFR 1306.12).";
                        lack(days > i32::from(SERIES_DAYS), "earliest_fill", text.into());
                    }
                }
                if self.series.is_some() {
                    lack(
                        self.note.chars().count() > LONGEST_NOTE - SERIES_NOTE,
                        "note",
                        "In a series, the note can have at most 190 characters.".into(),
                    );
                    lack(
                        self.days_supply.is_none(),
                        "days_supply",
                        "In a series, enter the days' supply (21 CFR 1306.12).".into(),
                    );
                    let state = rules.state_name();
                    lack(
                        rules.states.forbids_series(rules.state),
                        "series",
                        format!("{state} does not allow a C-II series.").into(),
                    );
                }
            }
            Schedule::III | Schedule::IIIN | Schedule::IV => {
                lack(
                    self.refills > MOST_REFILLS,
                    "refills",
                    "At most five refills within six months (21 CFR 1306.22).".into(),
                );
            }
            Schedule::V => {
                let limit = rules.states.limit_of_v(rules.state);
                let most = limit.map_or(MOST_REFILLS_OF_V, |limit| limit.refills);
                let text: Cow<'static, str> = match limit {
                    Some(_) => {
                        let state = rules.state_name();
                        format!("In {state}, C-V prescriptions have at most {most} refills.").into()
                    }
                    None => "At most 99 refills.".into(),
                };
                lack(self.refills > most, "refills", text);
            }
        }
        if !schedule.is_two() {
            lack(
                self.earliest_fill.is_some(),
                "earliest_fill",
                "Only a C-II series has an earliest fill date (21 CFR 1306.12).".into(),
            );
            lack(
                self.series.is_some(),
                "series",
                "Only C-II drugs can be prescribed in a series (21 CFR 1306.12).".into(),
            );
        }
    }

    fn lacking_of_supervisor(&self, rules: &Rules<'_>, found: &mut Vec<Lack>) {
        let mid_level = self.dea.is_some_and(|dea| dea.kind() == RegistrantKind::MidLevel);
        match &self.supervisor {
            None if mid_level && rules.states.wants_supervisor(rules.state) => {
                let state = rules.state_name();
                let text = format!("{state} requires the supervisor of a mid-level practitioner.");
                found.push(Lack { field: "supervisor", text: text.into() });
            }
            Some(it) if it.name.trim().is_empty() => found.push(Lack {
                field: "supervisor",
                text: "Enter the name of the supervisor with this DEA number.".into(),
            }),
            Some(it) if it.dea.is_some() && it.dea == self.dea => found.push(Lack {
                field: "supervisor_dea",
                text: "This is the prescriber's DEA number. Enter the supervisor's own.".into(),
            }),
            _ => {}
        }
    }
}
