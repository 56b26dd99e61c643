use countersign_crypto::{VerifyingKey, sha256};
use countersign_domain::{
    Actor, EhrId, PersonId, PracticeId, Refusal, SessionRowId, StaffId, Timestamp,
    command::commands,
};
use countersign_protocol::launch::{LaunchClaims, peek_issuer, verify_launch};
use countersign_store::{Identity, Patient, Session, Stage};

use super::{
    Answer, App, At, Error, RefusalCode, SessionSecret,
    command::{Caller, Decision},
    new_session, session_end,
};

/// Why a launch from an EHR was refused; a stable code for the audit event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaunchRefusal(pub &'static str);

impl RefusalCode for LaunchRefusal {
    fn refusal_code(&self) -> &'static str {
        self.0
    }
}

/// A launch whose proof holds: what it asks for.
pub(super) struct CheckedLaunch {
    /// The user, as the EHR names them.
    pub(super) user: String,
    /// SHA-256 of what makes it work once.
    pub(super) once: [u8; 32],
    /// Until when that is remembered.
    pub(super) expires: Timestamp,
    /// The patient whose chart is open.
    pub(super) patient: Patient,
}

impl App {
    /// Ends what is open in a browser in which a launch begins, whatever becomes of the launch: chart, user and a log-in
    /// to Token Management. `open` are the SHA-256 of the secrets of its sessions.
    pub async fn end_before_launch(&self, open: Vec<[u8; 32]>, at: At) -> Result<(), Error> {
        let found = self
            .store
            .read("open_before_launch", move |tx| {
                let sessions = open.iter().map(|hash| tx.session(hash));
                sessions.collect::<Result<Vec<Option<Session>>, _>>()
            })
            .await?;
        let sessions: Vec<Session> = found.into_iter().flatten().collect();
        if sessions.is_empty() {
            return Ok(());
        }
        self.run(commands::END_BEFORE_LAUNCH, Caller::Anybody, at, move |cx| {
            let mut events = Vec::new();
            for session in &sessions {
                // Two requests at once end it once.
                if cx.tx.end_session(session.id)? {
                    let event = session_end(session, Actor::Unknown, at.support);
                    events.push(event.reason("launch_began"));
                }
            }
            // One record for each; the last is the event of the command.
            let Some(last) = events.pop() else { return Ok(Decision::Refused(Refusal::NoChange)) };
            for event in events {
                cx.tx.append(&event, at.now)?;
            }
            cx.event = last;
            Ok(Decision::Done(()))
        })
        .await?;
        Ok(())
    }

    /// Takes a signed launch: checks it, uses it up and begins a session for who it names.
    pub async fn accept_launch(
        &self,
        token: &str,
        at: At,
    ) -> Result<Answer<SessionSecret, LaunchRefusal>, Error> {
        let (claims, ehr) = match self.check_launch(token, at).await? {
            Ok(found) => found,
            Err(refusal) => return self.open_launch(None, Err(refusal), at).await,
        };
        // With the EHR's own id, so that none can use up another's launch.
        let jti = [ehr.id.as_bytes().as_slice(), claims.jti.as_bytes()].concat();
        let patient = Patient {
            id: claims.patient.id,
            name: claims.patient.name,
            birth_date: claims.patient.birth_date,
            mrn: claims.patient.mrn,
            address: String::new(),
        };
        let checked = CheckedLaunch {
            user: claims.sub,
            once: sha256(&jti),
            expires: Timestamp::from_seconds(claims.exp),
            patient,
        };
        self.open_launch(Some((ehr.id, ehr.practice)), Ok(checked), at).await
    }

    /// Begins the session of a launch that was checked: for the user whom the EHR names, with the patient whose chart is
    /// open, and once. A launch that the check has refused goes on record the same way. `ehr` is the EHR that it comes
    /// from, and its practice; nothing where that is not known.
    pub(super) async fn open_launch(
        &self,
        ehr: Option<(EhrId, PracticeId)>,
        checked: Result<CheckedLaunch, LaunchRefusal>,
        at: At,
    ) -> Result<Answer<SessionSecret, LaunchRefusal>, Error> {
        self.run(commands::OPEN_LAUNCH, Caller::Ehr, at, move |cx| {
            if let Some((ehr, practice)) = ehr {
                (cx.event.actor, cx.event.practice) = (Actor::Ehr(ehr), Some(practice));
            }
            let launch = match &checked {
                Ok(launch) => launch,
                Err(refusal) => return Ok(Decision::Refused(*refusal)),
            };
            let Some((ehr, practice)) = ehr else { return Ok(Decision::NotFound) };
            let identity = cx.tx.ehr_user(ehr, &launch.user)?;
            if let Some(Identity::Prescriber(id)) = identity {
                cx.about(id);
            }
            let fresh = cx.tx.use_launch(&launch.once, launch.expires)?;
            let refusal = match identity {
                _ if !fresh => Some("launch_used"),
                None => Some("launch_unknown_user"),
                Some(Identity::Prescriber(id)) if !cx.tx.lock_open_account(id)? => {
                    Some("account_closed")
                }
                Some(_) => None,
            };
            if let Some(code) = refusal {
                return Ok(Decision::Refused(LaunchRefusal(code)));
            }
            let context = Session {
                id: SessionRowId::new(at.now, cx.tx.rng())?,
                practice,
                stage: Stage::Launched,
                launched_as: identity,
                patient: Some(launch.patient.clone()),
                created: at.now,
                seen: at.now,
                expires: at.now,
            };
            let (stage, policy) = (Stage::Launched, cx.policy);
            let secret = new_session(cx.tx, Some(&context), practice, stage, &policy, at.now)?;
            Ok(Decision::Done(secret))
        })
        .await
    }

    async fn check_launch(
        &self,
        token: &str,
        at: At,
    ) -> Result<Result<(LaunchClaims, countersign_store::EhrRow), LaunchRefusal>, Error> {
        let ehr = match peek_issuer(token) {
            Ok(id) => self.store.read("ehr", move |tx| tx.ehr(id)).await?,
            Err(error) => return Ok(Err(LaunchRefusal(error.code()))),
        };
        let Some(ehr) = ehr else { return Ok(Err(LaunchRefusal("launch_unknown_ehr"))) };
        let Ok(key) = VerifyingKey::from_point(&ehr.public_key) else {
            return Ok(Err(LaunchRefusal("launch_bad_key")));
        };
        let seconds = self.options.policy.launch_seconds;
        Ok(match verify_launch(token, &key, &self.options.public_url, at.now, seconds) {
            Ok(claims) => Ok((claims, ehr)),
            Err(error) => Err(LaunchRefusal(error.code())),
        })
    }

    /// The name of who the EHR said it is.
    pub async fn launched_name(&self, session: &Session) -> Result<Option<String>, Error> {
        let who = session.launched_as;
        Ok(self
            .store
            .read("launched_name", move |tx| match who {
                Some(Identity::Prescriber(id)) => {
                    let id: PersonId = id;
                    Ok(tx.person(id)?.map(|p| p.name))
                }
                Some(Identity::Staff(id)) => {
                    let id: StaffId = id;
                    Ok(tx.staff(id)?.map(|s| s.name))
                }
                None => Ok(None),
            })
            .await?)
    }
}
