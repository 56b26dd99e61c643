//! The pages of a practice: who may sign, changes that two people make, people and their tokens, rules.

mod context;
pub(super) mod deadlines;
pub(super) mod home;
pub(super) mod invitations;
pub(super) mod letters;
pub(super) mod people;
pub(super) mod permissions;
pub(super) mod proofing;
pub(super) mod registrations;
pub(super) mod requests;
pub(super) mod roles;
pub(super) mod rules;
pub(super) mod token_fleet;

pub(super) use self::{
    context::{Asking, Known, known},
    people::{person_page, person_wrong},
};
