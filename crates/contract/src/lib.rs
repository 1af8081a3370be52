//! What the ordering and billing services agree on: the order document, the feed
//! and its continuation token, and problem documents.
//!
//! The two services share nothing else. This crate does no I/O and knows neither
//! the web framework nor the database.
//!
//! | module | what it holds |
//! |---|---|
//! | [`order`] | the order document and its parts |
//! | [`money`] | line and order totals, the one place where tax is rounded |
//! | [`checksum`] | checksums over ranges of orders, to compare two sides |
//! | [`feed`] | pages, continuation tokens, sequence numbers, epochs |
//! | [`problem`] | problem codes and the problem document (RFC 9457) |
//! | [`time`] | points in time as both sides store and write them |

pub mod checksum;
pub mod feed;
pub mod money;
pub mod order;
pub mod problem;
pub mod time;
