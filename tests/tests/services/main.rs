//! The real programs on real databases: what they promise to each other and to the people who run
//! them. One program for all of these tests, so that the long ones run beside the short ones.

mod descriptions;
mod dispatch;
mod integration_guide;
mod lifecycle;
mod newest_row;
mod outages;
mod programs;
mod race;
mod slow_calls;
mod tokens;
mod two_orderings;
mod verify;

use std::time::Duration;

/// For what happens at the next tick or pull, on a machine that compiles at the same time.
const SOON: Duration = Duration::from_secs(30);
