//! Prescriptions: drafted by whoever the EHR sends, marked ready and signed by the practitioner alone.
//!
//! What signs is passphrase and passcode, given while all of it is shown, and bound to the digest of what
//! was shown (21 CFR 1311.140). The application then signs the record in the same transaction in which the
//! prescription becomes signed, its archive copy is written and the event appended: all or nothing.

mod changes;
mod chart;
mod drafts;
mod installation;
mod judgment;
mod practitioner;
mod records;
mod signing;
mod signing_set;

use countersign_domain::{Date, PracticeId, Timestamp};
use countersign_store::Tx;

pub use changes::RxRefusal;
pub use chart::{Chart, Sheet};
pub use countersign_domain::signing::SigningHindrance;
pub use drafts::Draft;
pub(super) use judgment::Ground;
pub use judgment::Judgment;
pub(super) use practitioner::{Practitioner, prescribers};
pub use records::OneRx;
pub(super) use signing::Signer;
pub use signing::{Signing, SigningForm, SigningRefusal};
pub use signing_set::SigningSet;
pub(super) use signing_set::{Which, signing_set};

pub(super) fn today(
    tx: &mut Tx<'_>,
    practice: PracticeId,
    now: Timestamp,
) -> Result<Date, countersign_store::Error> {
    let zone = tx.practice(practice)?.ok_or_else(|| Tx::broken("no practice"))?.zone;
    Ok(Date::at(now, &zone))
}
