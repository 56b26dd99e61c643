use countersign_crypto::{VerifyingKey, sha256};
use countersign_domain::{
    Actor, EhrId, Event, EventKind, Outcome, PersonId, PracticeId, SessionRowId, StaffId, Timestamp,
};
use countersign_protocol::launch::{LaunchClaims, peek_issuer, verify_launch};
use countersign_store::{Identity, Patient, Session, Stage};

use super::{App, At, Error, SessionSecret, new_session, session_end};

/// Why a launch from an EHR was refused; a stable code for the audit event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaunchRefusal(pub &'static str);

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
        self.store
            .write("end_before_launch", move |tx| {
                for session in &sessions {
                    // Two requests at once end it once.
                    if tx.end_session(session.id)? {
                        let event = session_end(session, Actor::Unknown, at.support);
                        tx.append(&event.reason("launch_began"), at.now)?;
                    }
                }
                Ok(())
            })
            .await?;
        Ok(())
    }

    /// Takes a signed launch: checks it, uses it up and begins a session for who it names.
    pub async fn accept_launch(
        &self,
        token: &str,
        at: At,
    ) -> Result<Result<SessionSecret, LaunchRefusal>, Error> {
        let (claims, ehr) = match self.check_launch(token, at).await? {
            Ok(found) => found,
            Err(refusal) => {
                let mut event = Event::success(EventKind::EhrLaunched, Actor::Unknown, at.support);
                event.outcome = Outcome::Refused;
                let event = event.reason(refusal.0);
                self.store.write("accept_launch", move |tx| tx.append(&event, at.now)).await?;
                return Ok(Err(refusal));
            }
        };
        let expires = Timestamp::from_seconds(claims.exp);
        // With the EHR's own id, so that none can use up another's launch.
        let jti = [ehr.id.as_bytes().as_slice(), claims.jti.as_bytes()].concat();
        let patient = Patient {
            id: claims.patient.id,
            name: claims.patient.name,
            birth_date: claims.patient.birth_date,
            mrn: claims.patient.mrn,
            address: String::new(),
        };
        let once = (sha256(&jti), expires);
        self.open_launch((ehr.id, ehr.practice), claims.sub, once, patient, at).await
    }

    /// Begins the session of a launch that was checked: for the user whom the EHR names, with the patient
    /// whose chart is open, and once.
    pub(super) async fn open_launch(
        &self,
        (ehr, practice): (EhrId, PracticeId),
        user: String,
        (once, expires): ([u8; 32], Timestamp),
        patient: Patient,
        at: At,
    ) -> Result<Result<SessionSecret, LaunchRefusal>, Error> {
        let policy = self.options.policy;
        let answer = self
            .store
            .write("accept_launch", move |tx| {
                let identity = tx.ehr_user(ehr, &user)?;
                let fresh = tx.use_launch(&once, expires)?;
                let refusal = match identity {
                    _ if !fresh => Some("launch_used"),
                    None => Some("launch_unknown_user"),
                    Some(Identity::Prescriber(id)) if !tx.lock_open_account(id)? => {
                        Some("account_closed")
                    }
                    Some(_) => None,
                };
                let mut event = Event::success(EventKind::EhrLaunched, Actor::Ehr(ehr), at.support);
                event.practice = Some(practice);
                if let Some(Identity::Prescriber(id)) = identity {
                    event.prescriber = Some(id);
                }
                if let Some(code) = refusal {
                    event.outcome = Outcome::Refused;
                    tx.append(&event.reason(code), at.now)?;
                    return Ok(Err(LaunchRefusal(code)));
                }
                tx.append(&event, at.now)?;
                let context = Session {
                    id: SessionRowId::new(at.now, tx.rng())?,
                    practice,
                    stage: Stage::Launched,
                    launched_as: identity,
                    patient: Some(patient.clone()),
                    created: at.now,
                    seen: at.now,
                    expires: at.now,
                };
                new_session(tx, Some(&context), practice, Stage::Launched, &policy, at.now).map(Ok)
            })
            .await?;
        Ok(answer)
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
