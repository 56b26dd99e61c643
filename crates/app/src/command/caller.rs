//! Who runs a command, and whether they may.

use countersign_domain::{
    Actor, PersonId, PracticeId, SessionRowId,
    command::{Command, Guard},
};
use countersign_store::{ApiKey, Identity, Session, Stage, Tx};

use crate::{Act, Confirm, access::membership};

/// Who runs a command.
pub(crate) enum Caller {
    /// Somebody in the administration of a practice.
    Member(Box<Act>),
    /// Whoever a session belongs to, with a passcode where one was given.
    Session(Box<Session>, Option<Confirm>),
    /// Whom an EHR has sent with the chart of a patient, whoever else has signed in in that session since.
    Chart(Box<Session>),
    /// A system with a key of a practice.
    Api(ApiKey),
    /// An EHR that has proved itself.
    Ehr,
    /// Whoever holds a secret link.
    Link,
    /// Anybody.
    Anybody,
    /// Somebody with a shell on the host.
    Operator,
    /// The server itself.
    System,
}

impl Caller {
    /// Whoever a session belongs to.
    pub(crate) fn of(session: &Session) -> Self {
        Self::Session(Box::new(session.clone()), None)
    }

    /// Whoever a session belongs to, with a passcode where one was given.
    pub(crate) fn confirmed(session: &Session, confirm: Option<Confirm>) -> Self {
        Self::Session(Box::new(session.clone()), confirm)
    }

    /// Whose account is locked before anything else, and in which session.
    pub(super) fn locks(&self) -> (Option<PersonId>, Option<SessionRowId>) {
        match self {
            Self::Member(act) => (Some(act.membership.person), Some(act.session.id)),
            Self::Session(session, _) => (person_of(session), Some(session.id)),
            Self::Chart(session) => (sent_by_ehr(session), Some(session.id)),
            _ => (None, None),
        }
    }

    pub(super) const fn confirm(&self) -> Option<&Confirm> {
        match self {
            Self::Member(act) => act.confirm.as_ref(),
            Self::Session(_, confirm) => confirm.as_ref(),
            _ => None,
        }
    }

    /// In which practice its event stands, and about whom it is unless the command says otherwise.
    pub(super) fn subject(&self) -> (Option<PracticeId>, Option<PersonId>) {
        match self {
            Self::Member(act) => (Some(act.membership.practice.id), None),
            Self::Session(session, _) => (Some(session.practice), person_of(session)),
            Self::Chart(session) => (Some(session.practice), sent_by_ehr(session)),
            Self::Api(key) => (Some(key.practice), None),
            _ => (None, None),
        }
    }

    /// Who did it, for the event.
    pub(super) fn actor(&self) -> Actor {
        match self {
            Self::Member(act) => Actor::Person(act.membership.person),
            Self::Session(session, _) => person_of(session).map_or(Actor::Unknown, Actor::Person),
            Self::Chart(session) => match session.launched_as {
                Some(Identity::Prescriber(id)) => Actor::Person(id),
                Some(Identity::Staff(id)) => Actor::Staff(id),
                None => Actor::Unknown,
            },
            Self::Api(key) => Actor::ApiKey(key.id),
            Self::Ehr | Self::Link | Self::Anybody => Actor::Unknown,
            Self::Operator => Actor::Operator,
            Self::System => Actor::System,
        }
    }

    /// Whether this caller may run a command. Roles are read in the transaction of the command, so that one that was
    /// taken meanwhile does nothing any more.
    pub(super) fn may(
        &self,
        command: &Command,
        tx: &mut Tx<'_>,
    ) -> Result<bool, countersign_store::Error> {
        Ok(match (self, command.may) {
            (Self::Member(act), Guard::Roles(_)) if !session_may(&act.session, Guard::Full) => {
                false
            }
            (Self::Member(act), Guard::Roles(_)) => {
                let (person, practice) = (act.membership.person, act.membership.practice.id);
                membership(tx, person, practice)?.is_some_and(|it| command.allows(&it.roles))
            }
            (Self::Session(session, _), guard) => session_may(session, guard),
            (Self::Chart(session), Guard::Chart) => {
                session.launched_as.is_some() && session.patient.is_some()
            }
            (Self::Api(_), Guard::Api)
            | (Self::Ehr, Guard::Ehr)
            | (Self::Link, Guard::Link)
            | (Self::Operator, Guard::Operator)
            | (Self::System, Guard::System)
            | (_, Guard::Anybody) => true,
            _ => false,
        })
    }
}

/// Whose session it is; nobody of a member of staff whom an EHR has sent.
pub(crate) const fn person_of(session: &Session) -> Option<PersonId> {
    match session.stage {
        Stage::Passphrase { prescriber }
        | Stage::Enrolling { prescriber }
        | Stage::Resetting { prescriber }
        | Stage::Full { prescriber, .. } => Some(prescriber),
        Stage::Launched => sent_by_ehr(session),
    }
}

/// The prescriber whom an EHR has sent; nobody where it has sent a member of staff, or nobody.
const fn sent_by_ehr(session: &Session) -> Option<PersonId> {
    match session.launched_as {
        Some(Identity::Prescriber(person)) => Some(person),
        Some(Identity::Staff(_)) | None => None,
    }
}

/// What a session opens, by its stage.
const fn session_may(session: &Session, guard: Guard) -> bool {
    match guard {
        Guard::Full => matches!(session.stage, Stage::Full { .. }),
        Guard::Passphrase => {
            matches!(session.stage, Stage::Passphrase { .. } | Stage::Full { .. })
        }
        Guard::Enrolling => matches!(session.stage, Stage::Enrolling { .. }),
        Guard::Proofing => matches!(
            session.stage,
            Stage::Enrolling { .. } | Stage::Passphrase { .. } | Stage::Full { .. }
        ),
        Guard::Resetting => matches!(session.stage, Stage::Resetting { .. }),
        Guard::Session | Guard::Anybody => true,
        Guard::Roles(_)
        | Guard::Chart
        | Guard::Api
        | Guard::Ehr
        | Guard::Link
        | Guard::Operator
        | Guard::System => false,
    }
}

#[cfg(test)]
mod tests {
    use countersign_crypto::SystemRng;
    use countersign_domain::{SessionRowId, Timestamp, command::COMMANDS};
    use countersign_store::Patient;

    use super::*;

    fn session(stage: Stage, chart: bool) -> Session {
        let (now, rng) = (Timestamp::from_seconds(1), &mut SystemRng);
        let text = String::new;
        let patient =
            Patient { id: text(), name: text(), birth_date: text(), mrn: text(), address: text() };
        Session {
            id: SessionRowId::new(now, rng).unwrap(),
            practice: PracticeId::new(now, rng).unwrap(),
            stage,
            launched_as: chart.then(|| Identity::Prescriber(PersonId::new(now, rng).unwrap())),
            patient: chart.then_some(patient),
            created: now,
            seen: now,
            expires: now,
        }
    }

    /// Every command with a session of every stage: what it may is what the table says, and nothing else.
    #[test]
    fn a_session_opens_what_its_stage_says_and_nothing_more() {
        let (now, rng) = (Timestamp::from_seconds(1), &mut SystemRng);
        let prescriber = PersonId::new(now, rng).unwrap();
        let stages: [(Session, &[Guard]); 6] = [
            (session(Stage::Launched, true), &[Guard::Session]),
            (session(Stage::Launched, false), &[Guard::Session]),
            (
                session(Stage::Passphrase { prescriber }, false),
                &[Guard::Passphrase, Guard::Proofing, Guard::Session],
            ),
            (
                session(Stage::Enrolling { prescriber }, false),
                &[Guard::Enrolling, Guard::Proofing, Guard::Session],
            ),
            (session(Stage::Resetting { prescriber }, false), &[Guard::Resetting, Guard::Session]),
            (
                session(Stage::Full { prescriber, passcode_at: now }, false),
                &[Guard::Full, Guard::Passphrase, Guard::Proofing, Guard::Session],
            ),
        ];
        for (session, opens) in &stages {
            for command in COMMANDS {
                let may = opens.contains(&command.may) || command.may == Guard::Anybody;
                assert_eq!(session_may(session, command.may), may, "{command:?}");
            }
        }
    }
}
