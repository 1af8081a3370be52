//! What the test suites share: databases of their own, the real programs as processes, and waiting
//! for something to become true. Everything here panics rather than returns an error: a test that
//! cannot get what it needs has failed, and is never skipped.
//!
//! | module | gives |
//! |---|---|
//! | [`postgres`] | a fresh database on the shared server, or a server that may be killed |
//! | [`sqlite`] | a database file in a directory of its own |
//! | [`process`] | `ordering`, `billing` or `lockstep` as a real process |
//! | [`disk`] | a disk so small that a test can fill it |
//! | [`statements`] | how many statements a store runs |
//! | [`net`] | a free port that stays free |
//! | [`wait`] | polling for a condition, with a deadline |
//!
//! The shared server and the paths come from `scripts/test.sh`; for a narrow test run, start them
//! with `scripts/test.sh --services` in another terminal.

#![expect(
    clippy::disallowed_methods,
    reason = "databases and ports of tests are to differ from run to run: nothing here is decided"
)]

pub mod disk;
pub mod net;
pub mod postgres;
pub mod process;
pub mod sqlite;
pub mod statements;
pub mod wait;
