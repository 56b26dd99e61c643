//! Servers of the demonstration and of tests, each on an origin of its own: an EHR, a proofing provider and a
//! pharmacy. Everybody in them is made up, and no build that is certified has them.

pub mod ehr;
pub mod pharmacy;
pub mod proofer;
pub mod views;
