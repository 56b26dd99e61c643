//! The console of a practice.

mod confirm;
mod deadlines;
mod fleet;
mod home;
mod invitations;
mod letters;
mod person;
mod proofing;
mod requests;
mod rules;

pub use confirm::*;
pub use deadlines::*;
pub use fleet::*;
pub use home::*;
pub use invitations::*;
pub use letters::*;
pub use person::*;
pub use proofing::*;
pub use requests::*;
pub use rules::*;
