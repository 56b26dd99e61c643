//! From an invitation to somebody who may sign: the link, the steps, and the first token.

mod invitations;
mod links;
mod steps;

pub use invitations::{InviteRefusal, Invitee};
pub(super) use invitations::{MadeInvitation, make_invitation};
pub(super) use links::enter;
pub use links::{Followed, Link};
pub(super) use steps::enrolment;
pub use steps::{Enrolment, PersonalData, StepRefusal, TERMS_VERSION, new_passphrase};
