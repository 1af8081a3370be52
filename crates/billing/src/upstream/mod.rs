//! Asking other systems, and what their faults are for our caller. Both of billing's clients are
//! built on it: the pull asks ordering, the dispatch tells the customer's system.
//!
//! | module | what it holds |
//! |---|---|
//! | `send` | a request and its answer, read within bounds |
//! | `fault` | [`Fault`], and the one table that says what an answer is for our caller |
//! | `said` | the most specific message of a body, whatever its form |
//! | `json` | … of problem documents and their relatives |
//! | `soap` | … of SOAP faults |
//! | `unknown` | what a body is that has no form we know, in a few words of our own |

mod fault;
mod json;
mod said;
mod send;
mod soap;
mod unknown;

pub use fault::{AtFault, Fault};
pub(crate) use said::one_line;
pub use send::{Answer, Upstream, client};
