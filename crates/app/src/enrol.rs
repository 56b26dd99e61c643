//! From an invitation to somebody who may sign: the link, the steps, and the first token.

mod invitations;
mod links;
mod steps;

pub(super) use invitations::make_invitation;
pub use invitations::{Invite, Invitee};
pub(super) use links::enter;
pub use links::{Followed, Link};
pub(super) use steps::enrolment;
pub use steps::{Enrolment, PersonalData, Stepped, TERMS_VERSION, new_passphrase};
