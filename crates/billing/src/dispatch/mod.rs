//! Handing approved invoices over to the customer's system, asynchronously and at least once.
//!
//! | module | what it holds |
//! |---|---|
//! | `task` | how a dispatch stands, its attempts, how they end |
//! | `message` | what is sent |

mod message;
mod task;

pub use message::{body, webhook_id};
pub use task::{Attempt, Backlog, DispatchDetail, DispatchFault, DispatchState, Ending};
