//! Logical access control: who may sign, decided by two people (21 CFR 1311.125, 1311.130), and taken
//! away at once on one report.

mod execute;
mod matter;
mod membership;
mod papers;
mod phrase;
mod preconditions;
mod requests;
mod revocation;
mod upkeep;

use countersign_domain::{Event, Refusal, access::AccessRefusal};

pub use execute::Execution;
pub use matter::{ChangeRequestView, still_waits};
pub use membership::{Membership, PracticeOverview};
pub(super) use membership::{RECORD_ROLES, membership};
pub use papers::{NewPaper, PaperDone, paper_in_words};
pub use requests::Wanted;
pub(super) use requests::{overtake_if_gone, put_request};
pub(super) use revocation::{leave, suspend};
pub use upkeep::{deadline_advice, deadline_label};

/// What became of something that access control decides on.
#[derive(Debug)]
pub enum Asked<T> {
    /// It was done.
    Done(T),
    /// Access control says no.
    Refused(AccessRefusal),
    /// The passphrase or the passcode was refused; nothing was done.
    NotConfirmed(Refusal),
}

/// What access control says of a change, with its record; nothing where it is about nobody of the practice.
type Decided<T> = Option<(Result<T, AccessRefusal>, Event)>;

/// What the console says of something that access control decides on.
fn asked_of<T>(asked: Result<Result<T, AccessRefusal>, Refusal>) -> Asked<T> {
    match asked {
        Ok(Ok(done)) => Asked::Done(done),
        Ok(Err(refusal)) => Asked::Refused(refusal),
        Err(refusal) => Asked::NotConfirmed(refusal),
    }
}
