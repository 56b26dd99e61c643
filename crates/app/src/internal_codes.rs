//! The internal codes with which an institution lets people prescribe under its DEA registration (21 CFR 1301.22(c)).

use countersign_domain::{InternalCode, PersonId, command::commands};

use super::{
    Act, Answer, App, At, Error, RefusalCode,
    command::{Caller, Decision},
};

/// Why an internal code is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InternalCodeRefusal {
    /// It is, or was, somebody else's here: what was signed with it names that person.
    Taken,
    /// The person does not prescribe here.
    NoPrescriber,
}

impl RefusalCode for InternalCodeRefusal {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::Taken => "internal_code_taken",
            Self::NoPrescriber => "not_a_prescriber",
        }
    }
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
    ) -> Result<Answer<(), InternalCodeRefusal>, Error> {
        let (by, practice) = (act.membership.person, act.membership.practice.id);
        self.run(commands::SET_INTERNAL_CODE, Caller::Member(Box::new(act)), at, move |cx| {
            if !cx.tx.is_member(person, practice)? {
                return Ok(Decision::NotFound);
            }
            cx.about(person);
            let said = match &code {
                Some(code) => format!("internal code {code}"),
                None => "no internal code".to_owned(),
            };
            cx.detail(&said);
            if code.is_some() && !cx.tx.prescribes(person, practice)? {
                return Ok(Decision::Refused(InternalCodeRefusal::NoPrescriber));
            }
            let given = cx.tx.set_internal_code(practice, person, code.as_ref(), by, at.now)?;
            Ok(Decision::of(given.then_some(()).ok_or(InternalCodeRefusal::Taken)))
        })
        .await
    }
}
