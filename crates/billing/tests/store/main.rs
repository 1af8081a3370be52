//! The store's contract: every case is a test on SQLite and another on PostgreSQL.

mod approving;
mod checksums;
mod deciding;
mod dispatching;
mod expiring;
mod first_wins;
mod fixture;
mod following;
mod histories;
mod pages;
mod property;
mod pull_state;
mod quarantine;
mod races;
mod reading;
mod rereading;
mod schema;
