//! A provider that has lost some of its history, or never had it: failovers, restores, standbys.
//! Real programs, real servers; a program of its own, because each test starts several of them.

mod copied_file;
mod dump;
mod failover;
mod other_database;
mod same_content;
mod scene;
mod standby_feed;

use std::time::Duration;

/// For what happens at the next tick or pull, on a machine that compiles at the same time.
const SOON: Duration = Duration::from_mins(1);
