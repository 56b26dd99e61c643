//! The help article, step by step, and what can happen on the way.

pub(crate) mod adding;
pub(crate) mod disabling;
mod launches;
mod lockout;
pub(crate) mod managing;
pub(crate) mod passcodes;
pub(crate) mod passphrase;
pub(crate) mod sessions;
