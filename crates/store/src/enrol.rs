//! Enrollment: the terms that people accept. The submodules hold what people say of themselves, invitations, proofing
//! cases, proofing providers, and codes on their way.

pub(crate) mod invitations;
pub(crate) mod profile;
pub(crate) mod proofing_cases;
pub(crate) mod proofing_providers;
pub(crate) mod sent_codes;

use countersign_domain::{PersonId, Timestamp};

pub use invitations::{InvitationRow, Invited};
pub use profile::Profile;
pub use proofing_cases::{CasePurpose, CaseRow, EvidenceRow};
pub use proofing_providers::ProofingTry;
pub use sent_codes::SentCode;

use crate::{
    Error, Tx,
    statements::{sql, statements},
};

statements! {
    ACCEPT_TERMS = sql!(
        "INSERT INTO terms_accepted (person, version, at) VALUES ($1, $2, $3) "
        "ON CONFLICT (person, version) DO NOTHING"
    );
    TERMS_ACCEPTED = sql!("SELECT at FROM terms_accepted WHERE person = $1 AND version = $2");
}

impl Tx<'_> {
    /// Notes that somebody accepted the terms of a version.
    pub fn accept_terms(
        &mut self,
        person: PersonId,
        version: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.run(ACCEPT_TERMS, &[person.as_bytes().into(), version.into(), now.micros().into()])
            .map(drop)
    }

    /// Whether somebody accepted the terms of a version.
    pub fn terms_accepted(&mut self, person: PersonId, version: &str) -> Result<bool, Error> {
        let found = self.row(TERMS_ACCEPTED, &[person.as_bytes().into(), version.into()])?;
        Ok(found.is_some())
    }
}
