//! The store suite: every rule is written once and holds on SQLite and on PostgreSQL.
//!
//! `scripts/with-postgres.sh cargo nextest run -p countersign-store` runs both halves.

#[cfg(test)]
#[macro_use]
mod support;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod lanes;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod one_step;
#[cfg(test)]
mod postgres_only;
#[cfg(test)]
mod round_trips;
#[cfg(test)]
mod round_trips_events;
#[cfg(test)]
mod round_trips_sessions;
#[cfg(test)]
mod round_trips_tokens;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod signing_locks;
#[cfg(test)]
mod statements;
#[cfg(test)]
mod transactions;
#[cfg(test)]
mod upkeep;
