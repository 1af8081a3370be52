//! The ordering service: owns customers and orders, and publishes every change of a confirmed order
//! on a feed that loses none.
//!
//! | module | what it holds |
//! |---|---|
//! | [`order`] | the pure model: what a request may contain, limits, totals |
//! | [`document`], [`nested`] | JSON documents read as the model's inputs, and as scopes |
//! | [`scope`] | the unit of work behind every write: all of it or nothing |
//! | [`store`] | everything that is kept, behind one trait; SQL for both databases |
//! | [`sequencer`] | gives committed changes their place in the feed |
//! | [`feed`] | how a continuation token is judged |
//! | [`news`], [`listen`] | what requests that wait for something new hear, from other processes too |
//! | [`http`] | the feed, the API, the pages |
//! | [`import`], [`seed`] | real orders from a file, made-up ones in bulk |
//! | [`app`] | puts the parts together |
//! | [`settings`], [`error`] | flags; the only mapping from faults to problems |

pub mod app;
pub mod document;
pub mod error;
pub mod feed;
pub mod http;
pub mod import;
pub mod listen;
pub mod nested;
pub mod news;
pub mod order;
pub mod scope;
pub mod seed;
pub mod sequencer;
pub mod settings;
pub mod store;
