//! Whether both sides are equal, asked of both: which orders differ, how, and what repairs them.
//!
//! | module | what it holds |
//! |---|---|
//! | `compare` | one pass over both sides by checksums, down to single orders where they differ |
//! | `look` | what a single order is like on either side, and whether it is merely on its way |
//! | `repair` | pulling the orders that differ |
//! | `report` | what was found, for people and programs |
//! | [`command`] | `billing verify` |
//! | `job` | a comparison in the background of a running service |
//!
//! A comparison writes nothing, and waits for nobody: it reads what is committed, in short
//! statements. So both sides change while it goes on, and what it finds first is only a suspicion.

pub mod command;

mod compare;
mod job;
mod look;
mod repair;
mod report;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use contract::feed::FeedIdentity;
use kit::clock::SharedClock;
use kit::db;
use kit::random::Random;
use kit::show;

pub use job::{Ended, Job, JobState, Running};
pub use report::{Difference, Kind, Report};

use crate::pull::{PullError, Puller, judge};
use crate::store::{PullState, Store};

/// How long to wait before each further look at what differs. Longer in all than a change usually
/// takes to be stamped and pulled by a service that pulls often; the first are short, because most
/// of what differs was changed in the very moment of the comparison.
pub const PATIENCE: &[Duration] = &[
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(3),
    Duration::from_secs(3),
];

/// Before the second and the third time that ordering is asked the same, after a fault that may pass.
const BACKOFF: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// Compares billing's copies with ordering's orders.
pub struct Verifier {
    store: Arc<dyn Store>,
    puller: Arc<Puller>,
    clock: SharedClock,
    random: Random,
    patience: &'static [Duration],
}

/// Why both sides could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// What is here is of an earlier history than what ordering answers from.
    #[error(
        "Ordering has begun a new epoch, {}: run `billing pull`, or wait for the next pull, and \
         compare again", .0.epoch
    )]
    NewEpoch(FeedIdentity),
    /// Ordering does not answer as agreed, is of the past or another one; or billing's own database
    /// failed.
    #[error(transparent)]
    Pull(PullError),
}

impl From<PullError> for VerifyError {
    fn from(error: PullError) -> Self {
        match error {
            PullError::Reset(identity) => Self::NewEpoch(identity),
            error => Self::Pull(error),
        }
    }
}

impl From<db::Error> for VerifyError {
    fn from(error: db::Error) -> Self {
        Self::Pull(error.into())
    }
}

/// What a comparison gives.
pub type Result<T> = std::result::Result<T, VerifyError>;

/// How far a comparison has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Going through both sides by rising order number.
    Comparing {
        /// How many of ordering's orders are compared.
        orders: i64,
        /// Up to which number both sides are compared.
        reached: i64,
        /// The highest number known so far.
        last: i64,
    },
    /// Looking again at what differs.
    LookingAgain {
        /// How many orders still differ.
        left: usize,
    },
    /// Pulling what differs.
    Repairing {
        /// How many orders are still to be pulled.
        left: usize,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |n: usize| show::count(i64::try_from(n).unwrap_or(i64::MAX));
        match *self {
            Self::Comparing { orders, .. } => write!(f, "{} compared", show::count(orders)),
            Self::LookingAgain { left } => write!(f, "looking again at {}", count(left)),
            Self::Repairing { left } => write!(f, "{} to repair", count(left)),
        }
    }
}

/// Is told how far a comparison has come.
pub type Watch<'a> = &'a (dyn Fn(Progress) + Send + Sync);

impl Verifier {
    /// Compares what `store` holds with what the ordering of `puller` answers. Looks again after
    /// each pause of `patience`.
    pub fn new(
        store: Arc<dyn Store>,
        puller: Arc<Puller>,
        clock: SharedClock,
        random: Random,
        patience: &'static [Duration],
    ) -> Self {
        Self { store, puller, clock, random, patience }
    }

    /// Compares all orders once, and looks again at those that differ. Changes nothing.
    ///
    /// # Errors
    /// Why both sides could not be compared.
    pub async fn compare(&self, watch: Watch<'_>) -> Result<Report> {
        let mut history = self.history().await?;
        let pass = self.pass(&mut history, watch).await?;
        let differences = self.differences(&mut history, &pass.suspects, watch).await?;
        Ok(Report::new(history.identity, pass.orders, pass.missing_at_source, differences))
    }

    async fn history(&self) -> Result<History> {
        Ok(History { identity: self.store.pull_state().await?.identity })
    }
}

/// The answer that `ask` gets, at the third attempt at the latest: a fault that passes must not undo a
/// comparison of everything.
async fn patiently<T, F>(ask: impl Fn() -> F) -> std::result::Result<T, PullError>
where
    F: Future<Output = std::result::Result<T, PullError>>,
{
    for pause in BACKOFF {
        match ask().await {
            Err(error) if error.may_pass() => tokio::time::sleep(pause).await,
            answer => return answer,
        }
    }
    ask().await
}

/// The history that is compared: the adopted one, or while there is none, the one that answers.
struct History {
    identity: Option<FeedIdentity>,
}

impl History {
    /// Checks that an answer of `identity` belongs to it.
    fn check(&mut self, identity: FeedIdentity) -> Result<()> {
        judge(&PullState { identity: self.identity.clone(), ..PullState::default() }, &identity)?;
        self.identity = Some(identity);
        Ok(())
    }
}
