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

use countersign_domain::{Event, access::AccessRefusal};

pub use execute::Execution;
pub use matter::{ChangeRequestView, still_waits};
pub use membership::{Membership, PracticeOverview};
pub(super) use membership::{RECORD_ROLES, membership};
pub use papers::{NewPaper, PaperDone, paper_in_words};
pub use requests::Wanted;
pub(super) use requests::{overtake_if_gone, put_request};
pub(super) use revocation::{leave, suspend};
pub use upkeep::{deadline_advice, deadline_label};

/// What came of something that access control decides on.
pub type Asked<T> = crate::Answer<T, AccessRefusal>;

/// What access control says of a change, with its record; nothing where it is about nobody of the practice.
type Decided<T> = Option<(Result<T, AccessRefusal>, Event)>;
