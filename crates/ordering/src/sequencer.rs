//! The sequencer: gives every committed change its place in the feed.
//!
//! A change sets its order's number to −1 and says nothing about its place, because it becomes
//! visible only when its transaction commits, and transactions commit in another order than they
//! began. The sequencer sees only what is committed, so a number, once visible to a consumer, has
//! no smaller one still to come.

use std::sync::Arc;
use std::time::Duration;

use contract::feed::SequenceNr;
use kit::clock::SharedClock;
use kit::db;
use kit::http::health::Heartbeat;
use kit::lifecycle::BoxError;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::store::{Stamped, Store};

/// How many orders one transaction stamps: it holds the counter, and the orders, so long.
const BATCH: i64 = 1_000;

/// Gives committed changes their numbers, in batches.
pub struct Sequencer {
    store: Arc<dyn Store>,
    clock: SharedClock,
    interval: Duration,
    bell: Bell,
    news: watch::Sender<SequenceNr>,
    heartbeat: Heartbeat,
}

/// Tells the sequencer that this process has committed a change, so that it need not wait for its
/// interval. Only a hint: the interval is the guarantee.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// A change was committed.
    pub fn ring(&self) {
        self.0.notify_one();
    }
}

impl Sequencer {
    /// A sequencer that looks at least every `interval`.
    pub fn new(store: Arc<dyn Store>, clock: SharedClock, interval: Duration) -> Self {
        let heartbeat = Heartbeat::starting(Arc::clone(&clock));
        let news = watch::Sender::new(SequenceNr::BEGINNING);
        Self { store, clock, interval, bell: Bell::default(), news, heartbeat }
    }

    /// What wakes it.
    pub fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// The newest number that this process has given. Only a hint: another process may have given
    /// a newer one.
    pub fn news(&self) -> watch::Receiver<SequenceNr> {
        self.news.subscribe()
    }

    /// Beats with every tick.
    pub fn heartbeat(&self) -> Heartbeat {
        self.heartbeat.clone()
    }

    /// Stamps one batch.
    ///
    /// # Errors
    /// When the database fails; then nothing is stamped.
    pub async fn tick(&self) -> db::Result<Stamped> {
        let now = self.clock.now();
        let stamped = self.store.stamp(BATCH, now).await?;
        self.heartbeat.beat();
        self.news.send_if_modified(|last| {
            let newer = stamped.last > *last;
            *last = stamped.last.max(*last);
            newer
        });
        metrics::counter!("ordering_stamped_orders_total")
            .increment(u64::try_from(stamped.count).unwrap_or(0));
        Ok(stamped)
    }

    /// Stamps until `shutdown`. A full batch is followed by the next at once; otherwise it waits
    /// for the bell or the interval. While the database is away it goes on trying.
    ///
    /// # Errors
    /// Never so far; a loop that ends is a failure of the process.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), BoxError> {
        let mut failing = false;
        while !shutdown.is_cancelled() {
            let more = match self.tick().await {
                Ok(stamped) => {
                    if failing {
                        tracing::info!("the sequencer goes on");
                    }
                    failing = false;
                    stamped.count >= BATCH
                }
                Err(error) => {
                    // Said once, not every second of an outage.
                    if !failing {
                        let error = kit::telemetry::chain(&error);
                        tracing::error!(error, "the sequencer cannot stamp, trying on");
                    }
                    failing = true;
                    false
                }
            };
            if more {
                continue;
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                // An outage is not hurried by more changes.
                () = self.bell.0.notified(), if !failing => {}
                () = tokio::time::sleep(self.interval) => {}
            }
        }
        Ok(())
    }
}
