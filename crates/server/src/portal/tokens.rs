//! Token management: the dashboard, the table, and what can be done to a token.

pub(super) mod add;
pub(super) mod check;
mod context;
pub(super) mod dashboard;
pub(super) mod disable;
pub(super) mod enable;
pub(super) mod list;
pub(super) mod one;
mod step_up;

pub(super) use self::{
    add::{add_refused, empty_add, plain_add, read_add},
    context::{Theirs, frame, frame_of, known, known_token, most_active},
    dashboard::signing,
    step_up::{confirm, step_up, step_up_refused},
};
