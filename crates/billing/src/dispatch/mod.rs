//! Handing approved invoices over to the customer's system, asynchronously and at least once.
//!
//! The task is written in the approving transaction. An attempt is claimed in a short transaction,
//! carried out with none open, and recorded in another: a process that is killed at any point leaves
//! a lease behind, and when that has run out the same message is sent again. The receiver tells
//! repetitions by the `webhook-id`, which is the same in every attempt, as is the body.
//!
//! | module | what it holds |
//! |---|---|
//! | `task` | how a dispatch stands, its attempts, how they end |
//! | `message`, `signer` | what is sent, and its signature |
//! | [`receiver`] | the customer's system: one call |
//! | `schedule` | when a failed attempt is followed by another, and when by none |
//! | `dispatcher` | the steps: begin an attempt, carry it out |
//! | `run` | the loop: a bounded pool of attempts |

mod dispatcher;
mod message;
pub mod receiver;
mod run;
mod schedule;
mod signer;
mod task;

pub use dispatcher::Dispatcher;
pub use message::{body, webhook_id};
pub use task::{Attempt, Backlog, DispatchDetail, DispatchFault, DispatchState, Ending};
