//! Keeping both sides equal: fetching pages and single orders, and the loop around it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`client`] | asks ordering; every fault becomes the [`PullError`] that it is |
//! | `transport` | how its questions get there |
//! | [`answer`], `ranges` | whether an answer is what was agreed |
//! | `entry` | one order of an answer: taken as it is, or unfit to be taken in |
//! | `puller` | the steps: drain the feed, fetch one order |
//! | `ahead` | asking for pages before their turn |
//! | `intake` | taking in what came: pages that are here by then are taken in like one |
//! | `sweep` | after a new epoch: asking for the orders that its feed did not bring |
//! | `news` | between two pulls: waiting until there is something behind the token |
//! | `run` | the loop: waits, backs off, stops |
//! | `watch` | whether pulls get anywhere, for the readiness check and the metrics |
//! | `retry` | pulling an order in quarantine again |

mod ahead;
pub mod answer;
pub mod client;
mod entry;
mod error;
mod intake;
mod news;
mod puller;
mod ranges;
mod retry;
mod run;
mod sweep;
mod transport;
mod watch;

pub use answer::{Page, Single};
pub use error::PullError;
pub use puller::Puller;
pub(crate) use puller::judge;
pub use retry::Retried;
pub use transport::Transport;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a pull did, counted in orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// Pages that were read.
    pub pages: i64,
    /// Orders that were not known before.
    pub new: i64,
    /// Orders with a newer version than the one known.
    pub changed: i64,
    /// Orders that were deleted since.
    pub removed: i64,
    /// Orders that were known already, in this version or a newer one.
    pub unchanged: i64,
    /// Orders that could not be taken in and were put aside, now or before in the same version.
    pub quarantined: i64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.pages += other.pages;
        self.new += other.new;
        self.changed += other.changed;
        self.removed += other.removed;
        self.unchanged += other.unchanged;
        self.quarantined += other.quarantined;
    }
}

impl Counts {
    /// Whether anything was changed here.
    pub fn changed_something(&self) -> bool {
        self.new + self.changed + self.removed + self.quarantined > 0
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { pages, new, changed, removed, unchanged, quarantined } = self;
        write!(
            f,
            "pages {pages}, new {new}, changed {changed}, removed {removed}, \
             unchanged {unchanged}, quarantined {quarantined}"
        )
    }
}
