//! The billing service: keeps its own copy of the orders that ordering publishes, and turns each
//! into an invoice that somebody approves.
//!
//! | module | what it holds |
//! |---|---|
//! | [`invoice`] | the pure model: what a change of an order means for its invoice |
//! | [`dispatch`] | handing approved invoices over to the customer's system |
//! | [`pull`] | fetching pages and single orders, the loop that keeps both sides equal |
//! | [`expiry`] | the loop that lets invoices expire which nobody approves |
//! | [`store`] | everything that is kept, behind one trait; SQL for both databases |
//! | [`upstream`] | asking other systems, and the one table of what their faults are for our caller |
//! | [`verify`] | whether both sides are equal, and repairing what differs |
//! | [`http`] | the API, the deep link, the pages |
//! | [`app`] | puts the parts together |
//! | [`settings`], [`error`] | flags; the only mapping from faults to problems |

pub mod app;
pub mod dispatch;
pub mod error;
pub mod expiry;
pub mod http;
pub mod invoice;
pub mod pull;
pub mod settings;
pub mod store;
pub mod upstream;
pub mod verify;
