//! The help article, step by step, and what can happen on the way.

mod adding;
mod disabling;
mod launches;
mod lockout;
mod managing;
mod passcodes;
mod passphrase;
mod sessions;
