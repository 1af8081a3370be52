//! What the end-to-end tests share: the two real programs as a pair, clients of their APIs, and the
//! checks that say whether both sides are equal.
//!
//! | module | gives |
//! |---|---|
//! | [`pair`] | ordering and billing as processes that can be killed and started again |
//! | [`api`] | one HTTP exchange: an answer, a problem, or no answer at all |
//! | [`ordering`], [`billing`] | typed clients of the two services |
//! | [`receiver`] | a customer's system, to which billing hands invoices over |
//! | [`equal`] | both sides compared over HTTP: orders, feed, invoices |
//!
//! The types of billing's answers are written here anew instead of taken from its crate: the tests
//! read what is on the wire, as any other program would.

pub mod api;
pub mod billing;
pub mod equal;
pub mod ordering;
pub mod pair;
pub mod receiver;
