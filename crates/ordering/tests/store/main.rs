//! The store's contract: every case is a test on SQLite and another on PostgreSQL.

mod checksums;
mod customers;
mod epoch;
mod feed;
mod fixture;
mod idempotency;
mod import;
mod list;
mod orders;
mod plans;
mod property;
mod schema;
mod scope;
mod sequencer;
mod two_sequencers;
