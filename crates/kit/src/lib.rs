//! What both services are built with: nothing here knows orders or invoices.
//!
//! | module | what it holds |
//! |---|---|
//! | [`clock`], [`random`] | time and randomness as arguments |
//! | [`compare`] | two versions of the same thing side by side, for people |
//! | [`db`] | one way to write SQL for SQLite and PostgreSQL |
//! | [`http`] | problem documents, request reading, security headers, health, API docs |
//! | [`lifecycle`] | background tasks, signals, draining |
//! | [`settings`] | values of flags and environment variables |
//! | [`show`] | money, times and addresses for people |
//! | [`telemetry`] | logs and metrics |

pub mod clock;
pub mod compare;
pub mod db;
pub mod http;
pub mod lifecycle;
pub mod random;
pub mod settings;
pub mod show;
pub mod telemetry;
