//! Orders from files and made-up ones, kept in real stores: every case on both databases.

mod dirty;
mod made_up;
mod ndjson;
mod real;
mod world;
