//! The internal codes with which an institution lets people prescribe under its DEA registration (21 CFR 1301.22(c)).

use countersign_domain::{InternalCode, Outcome, PersonId, Refusal, console::ConsoleChange};

use super::{Act, App, At, Error};

/// What became of a code that was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeEntered {
    /// It is the person's from now on, or they have none any more.
    Done,
    /// It is, or was, somebody else's here: what was signed with it names that person.
    Taken,
    /// The person does not prescribe here.
    NoPrescriber,
}

impl App {
    /// Gives somebody of the practice a code in place of the one that they have, or takes it. Without a code nobody signs
    /// under the institution's registration, from that moment on.
    pub async fn set_internal_code(
        &self,
        act: Act,
        person: PersonId,
        code: Option<InternalCode>,
        at: At,
    ) -> Result<Result<CodeEntered, Refusal>, Error> {
        let (by, practice) = (act.membership.person, act.membership.practice.id);
        self.console(act, ConsoleChange::SetInternalCode, at, move |tx, event| {
            if !tx.is_member(person, practice)? {
                return Ok(None);
            }
            let said = match &code {
                Some(code) => format!("internal code {code}"),
                None => "no internal code".to_owned(),
            };
            let mut event = event.about(practice, person).detail(&said);
            let prescribes = tx.prescribes(person, practice)?;
            let done = if code.is_some() && !prescribes {
                CodeEntered::NoPrescriber
            } else if tx.set_internal_code(practice, person, code.as_ref(), by, at.now)? {
                CodeEntered::Done
            } else {
                CodeEntered::Taken
            };
            let refused = match done {
                CodeEntered::Done => None,
                CodeEntered::Taken => Some("internal_code_taken"),
                CodeEntered::NoPrescriber => Some("not_a_prescriber"),
            };
            if let Some(reason) = refused {
                event.outcome = Outcome::Refused;
                event = event.reason(reason);
            }
            Ok(Some((done, event)))
        })
        .await
    }
}
