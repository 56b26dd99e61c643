//! A request that one person enters and another executes, rejects or lets run out.

use std::fmt;

use countersign_crypto::sha256;

use super::{AccessRefusal, Acting, Change, Matter, Permission, REQUEST_DAYS, Review, Setting};
use crate::{PersonId, RequestId, Timestamp};

/// The state of a request; every state but `Entered` is final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestState {
    /// A first person has entered it, and no second person has decided.
    Entered,
    /// A second person has executed it.
    Executed {
        /// The second person.
        by: PersonId,
        /// The time of the execution.
        at: Timestamp,
    },
    /// A second person has rejected it.
    Rejected {
        /// The second person.
        by: PersonId,
        /// The time of the rejection.
        at: Timestamp,
    },
    /// The person who entered it has withdrawn it.
    Withdrawn {
        /// The time of the withdrawal.
        at: Timestamp,
    },
    /// A newer decision about the same subject has closed it.
    Overtaken,
}

/// A change that two people make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Identifier of the request; it is part of what the second person confirms.
    pub id: RequestId,
    /// The subject of the request.
    pub matter: Matter,
    /// The reason that was typed when it was entered: one line, not empty.
    pub reason: String,
    /// The first person, who entered it.
    pub entered_by: Acting,
    /// The time of the entry; the request lapses [`REQUEST_DAYS`] days later.
    pub entered: Timestamp,
    /// The state of the request.
    pub state: RequestState,
    /// What it is about was changed since it was entered: a newer decision is not undone by an older one.
    pub overtaken: bool,
}

/// What somebody has just confirmed with passphrase and passcode: the digest of what was shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Confirmed(pub [u8; 32]);

impl fmt::Debug for Confirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Confirmed")
    }
}

/// Enters a request. Who enters must be designated here, and never gives anything to themselves.
pub fn enter(
    id: RequestId,
    matter: Matter,
    reason: &str,
    by: Acting,
    now: Timestamp,
) -> Result<Request, AccessRefusal> {
    if !by.designated {
        return Err(AccessRefusal::NotDesignated);
    }
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(AccessRefusal::NoReason);
    }
    // Of their own registration somebody may say that it was renewed; another approves it.
    let paper = matches!(matter, Matter::Paper { .. });
    if matter.gives() && !paper && matter.person().is_some_and(|person| by.is(person)) {
        return Err(AccessRefusal::OwnPermission);
    }
    if matter.gives() && !by.confirmed {
        return Err(AccessRefusal::Unconfirmed);
    }
    if let Matter::Permission { subject, change: Change::Grant { verified } } = &matter {
        if verified.is_none() {
            return Err(AccessRefusal::NotVerified);
        }
        if !subject.in_force {
            return Err(AccessRefusal::NotInForce);
        }
    }
    Ok(Request {
        id,
        matter,
        reason: reason.chars().take(200).collect(),
        entered_by: by,
        entered: now,
        state: RequestState::Entered,
        overtaken: false,
    })
}

impl Request {
    /// Whether it can still be executed.
    pub fn is_open(&self, now: Timestamp) -> bool {
        let runs_out = self.entered.plus_seconds(REQUEST_DAYS * 86_400);
        self.state == RequestState::Entered && (self.matter.works_at_once() || now < runs_out)
    }

    /// The digest of all that it says: what the passcode of whoever executes it is bound to
    /// (1311.120(b)(5)). Every part has its length before it, so that no two requests read alike.
    pub fn digest(&self) -> [u8; 32] {
        let mut parts = vec!["countersign access request".to_owned(), self.id.to_string()];
        parts.extend(self.matter.parts());
        parts.extend([
            self.reason.clone(),
            self.entered_by.person.to_string(),
            self.entered.micros().to_string(),
        ]);
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        sha256(&bytes)
    }

    fn another(&self, by: &Acting, now: Timestamp) -> Result<(), AccessRefusal> {
        if !self.is_open(now) {
            return Err(AccessRefusal::NotOpen);
        }
        if !by.designated {
            return Err(AccessRefusal::NotDesignated);
        }
        if by.is(&self.entered_by) {
            return Err(AccessRefusal::SamePerson);
        }
        Ok(())
    }

    /// Turns it down, for a reason. Of a permission that was taken away this says that the report was a mistake:
    /// the permission stays away, and a new grant takes two. A newer decision is left as it is. Of anything else
    /// `permission` is none, and stays so.
    pub fn reject(
        &mut self,
        permission: &mut Permission,
        by: &Acting,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), AccessRefusal> {
        self.another(by, now)?;
        if reason.trim().is_empty() {
            return Err(AccessRefusal::NoReason);
        }
        if self.matter.works_at_once() {
            if self.matter.person().is_some_and(|person| by.is(person)) {
                return Err(AccessRefusal::OwnReport);
            }
            if let Permission::Revoked { since, review, .. } = permission
                && *review == Review::Waiting
                && *since <= self.entered
            {
                *review = Review::Mistaken;
            }
        }
        self.state = RequestState::Rejected { by: by.person, at: now };
        Ok(())
    }

    /// Whoever entered it withdraws it, as long as it has done nothing.
    pub fn withdraw(&mut self, by: &Acting, now: Timestamp) -> Result<(), AccessRefusal> {
        if !self.is_open(now) {
            return Err(AccessRefusal::NotOpen);
        }
        if by.person != self.entered_by.person {
            return Err(AccessRefusal::NotYours);
        }
        if self.matter.works_at_once() {
            return Err(AccessRefusal::WorksAlready);
        }
        self.state = RequestState::Withdrawn { at: now };
        Ok(())
    }

    /// Whether this person may execute it: another designated person, with two factors bound to its
    /// digest; outside institutions a DEA registrant. Says whether they give something to themselves.
    ///
    /// `solo` is whether the practice has one registrant only, who then may execute the own grant that
    /// another person has entered and verified (question A9).
    fn judge(
        &self,
        by: &Acting,
        confirmed: Confirmed,
        setting: Setting,
        solo: bool,
        now: Timestamp,
    ) -> Result<bool, AccessRefusal> {
        self.another(by, now)?;
        if !by.confirmed || self.matter.gives() && !self.entered_by.confirmed {
            return Err(AccessRefusal::Unconfirmed);
        }
        // A renewal grants nothing by itself, and in a solo practice the one registrant is its holder.
        let paper = matches!(self.matter, Matter::Paper { .. });
        if setting == Setting::Practitioners && !by.registrant && !paper {
            return Err(AccessRefusal::NotRegistrant);
        }
        let own = self.matter.person().is_some_and(|person| by.is(person));
        let grant = matches!(self.matter, Matter::Permission { change: Change::Grant { .. }, .. });
        if own && paper {
            return Err(AccessRefusal::OwnPaper);
        }
        if own && self.matter.gives() && !(solo && grant) {
            return Err(AccessRefusal::OwnPermission);
        }
        if self.overtaken {
            return Err(AccessRefusal::Overtaken);
        }
        if let Matter::Permission { subject, change: Change::Grant { .. } } = &self.matter
            && !subject.in_force
        {
            return Err(AccessRefusal::NotInForce);
        }
        if confirmed != Confirmed(self.digest()) {
            return Err(AccessRefusal::Changed);
        }
        Ok(own)
    }

    /// Executes a request about a permission, which changes accordingly.
    pub fn execute(
        &mut self,
        permission: &mut Permission,
        by: &Acting,
        confirmed: Confirmed,
        setting: Setting,
        solo: bool,
        now: Timestamp,
    ) -> Result<(), AccessRefusal> {
        let own = self.judge(by, confirmed, setting, solo, now)?;
        let Matter::Permission { change, .. } = &self.matter else {
            return Err(AccessRefusal::NoChange);
        };
        *permission = match (*change, *permission) {
            // It was taken away after this was entered: the newer decision stands.
            (Change::Grant { .. }, Permission::Revoked { since, .. }) if since > self.entered => {
                return Err(AccessRefusal::Overtaken);
            }
            (Change::Grant { .. }, Permission::None | Permission::Revoked { .. }) => {
                Permission::Granted { since: now, self_executed: own }
            }
            // It was taken away at once; this is the second person's confirmation.
            (Change::Revoke(_), Permission::Revoked { cause, since, review })
                if since <= self.entered && review != Review::Confirmed =>
            {
                Permission::Revoked { cause, since, review: Review::Confirmed }
            }
            (Change::Revoke(cause), Permission::Granted { since, .. }) if since < self.entered => {
                Permission::Revoked { cause, since: now, review: Review::Confirmed }
            }
            // Somebody has decided anew since: the record is confirmed, and the newer decision stands.
            (
                Change::Revoke(_),
                newer @ (Permission::Revoked { .. } | Permission::Granted { .. }),
            ) => newer,
            _ => return Err(AccessRefusal::NoChange),
        };
        self.state = RequestState::Executed { by: by.person, at: now };
        Ok(())
    }

    /// Executes a request about a role, a provider, a registration or a licence: what it says is then to be done.
    pub fn carry_out(
        &mut self,
        by: &Acting,
        confirmed: Confirmed,
        setting: Setting,
        now: Timestamp,
    ) -> Result<(), AccessRefusal> {
        self.judge(by, confirmed, setting, false, now)?;
        if matches!(self.matter, Matter::Permission { .. }) {
            return Err(AccessRefusal::NoChange);
        }
        self.state = RequestState::Executed { by: by.person, at: now };
        Ok(())
    }
}
