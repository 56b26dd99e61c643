//! The e-prescribing app: the prescriptions of the patient in context, and signing them.

mod context;
pub(super) mod drafts;
pub(super) mod home;
pub(super) mod paper;
pub(super) mod prescription;
pub(super) mod signed_record;
pub(super) mod signing;
