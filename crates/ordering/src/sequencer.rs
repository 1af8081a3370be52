//! The sequencer: gives every committed change its place in the feed.
//!
//! A change sets its order's number to −1 and says nothing about its place, because it becomes
//! visible only when its transaction commits, and transactions commit in another order than they
//! began. The sequencer sees only what is committed, so a number, once visible to a consumer, has
//! no smaller one still to come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use contract::feed::Epoch;
use contract::problem::ProblemCode;
use kit::clock::SharedClock;
use kit::db;
use kit::http::health::Heartbeat;
use kit::lifecycle::BoxError;
use kit::telemetry::{self, gauge_value};
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::news::News;
use crate::store::{Begun, EpochReason, Stamped, Store};

/// How many changes one transaction stamps: it holds the counter for less than a tenth of a second. With
/// fewer of them, waiting for commits takes a notable part of stamping many.
const BATCH: i64 = 8_000;

/// How often what waits is counted for the metrics.
const MEASURE_INTERVAL: Duration = Duration::from_secs(15);

/// How often runs of numbers that nothing has any more are forgotten: few come to be in that time.
const TIDY_INTERVAL: Duration = Duration::from_hours(1);

/// Gives committed changes their numbers, in batches.
pub struct Sequencer {
    store: Arc<dyn Store>,
    clock: SharedClock,
    interval: Duration,
    bell: Bell,
    news: News,
    heartbeat: Heartbeat,
}

/// Tells the sequencer that this process has committed a change, so that it need not wait for its
/// interval. Only a hint: the interval is the guarantee.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Rung>);

#[derive(Debug, Default)]
struct Rung {
    rung: Notify,
    /// Whether the sequencer of this process has begun to listen.
    is_heard: AtomicBool,
}

impl Bell {
    /// A change was committed. The sequencer, if there is one, goes first: while the database stamps what it
    /// has asked for, the caller goes on, and writes the answer.
    pub async fn ring(&self) {
        self.0.rung.notify_one();
        if self.0.is_heard.load(Ordering::Relaxed) {
            yield_now().await;
        }
    }
}

impl Sequencer {
    /// A sequencer that looks at least every `interval`.
    pub fn new(store: Arc<dyn Store>, clock: SharedClock, interval: Duration) -> Self {
        let heartbeat = Heartbeat::starting(Arc::clone(&clock));
        Self { store, clock, interval, bell: Bell::default(), news: News::default(), heartbeat }
    }

    /// What wakes it.
    pub fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// What it tells those who wait for something new.
    pub fn news(&self) -> News {
        self.news.clone()
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
        let stamping = self.news.stamping();
        let mut stamped = self.store.stamp(BATCH, now).await?;
        self.heartbeat.beat();
        if let Some(begun) = &stamped.begun {
            announce(begun);
        }
        self.news.stamped(stamped.last, stamped.begun.is_some(), stamped.page.take());
        drop(stamping);
        metrics::gauge!("ordering_last_sequence_nr").set(gauge_value(stamped.last.0));
        metrics::counter!("ordering_stamped_orders_total")
            .increment(u64::try_from(stamped.count).unwrap_or(0));
        Ok(stamped)
    }

    /// Tells the metrics what waits to be stamped, and which epoch it is.
    async fn measure(&self) {
        let now = self.clock.now();
        // While the database is away, what was known last stays; the loop has logged it.
        let Ok(status) = self.store.feed_status(now).await else { return };
        metrics::gauge!("ordering_unstamped_orders").set(gauge_value(status.unstamped));
        metrics::gauge!("ordering_oldest_unstamped_seconds")
            .set(status.oldest_unstamped_seconds.unwrap_or_default());
        metrics::gauge!("ordering_epoch").set(gauge_value(status.epoch.0));
    }

    /// Forgets what is of no more use.
    async fn tidy(&self) {
        if let Err(error) = self.store.forget_empty_runs().await {
            // The next time will do as well; what keeps it from it shows elsewhere.
            let error = telemetry::chain(&error);
            tracing::debug!(error, "empty runs of numbers stay for now");
        }
    }

    /// Stamps until `shutdown`. A full batch is followed by the next at once; otherwise it waits
    /// for the bell or the interval. While the database is away it goes on trying.
    ///
    /// # Errors
    /// Never so far; a loop that ends is a failure of the process.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), BoxError> {
        begin_metrics();
        self.bell.0.is_heard.store(true, Ordering::Relaxed);
        let mut measuring = interval(MEASURE_INTERVAL);
        measuring.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tidying = interval(TIDY_INTERVAL);
        tidying.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        while !shutdown.is_cancelled() {
            let more = match self.tick().await {
                Ok(stamped) => {
                    if failing {
                        tracing::info!("the sequencer goes on");
                    }
                    failing = false;
                    stamped.is_full
                }
                Err(error) => {
                    // Said once, not every second of an outage.
                    if !failing {
                        let error = telemetry::chain(&error);
                        tracing::error!(error, "the sequencer cannot stamp, trying on");
                    }
                    failing = true;
                    false
                }
            };
            if more {
                // What waits is of interest just then.
                tokio::select! {
                    biased;
                    _ = measuring.tick() => self.measure().await,
                    () = std::future::ready(()) => {}
                }
                continue;
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                _ = measuring.tick() => self.measure().await,
                _ = tidying.tick() => self.tidy().await,
                // An outage is not hurried by more changes.
                () = self.bell.0.rung.notified(), if !failing => {}
                () = tokio::time::sleep(self.interval) => {}
            }
        }
        Ok(())
    }
}

/// Lets what is counted here be there from the start, at 0, rather than with the first event.
fn begin_metrics() {
    // What is counted before the recorder is there is lost.
    telemetry::metrics();
    metrics::counter!("ordering_stamped_orders_total").increment(0);
    for reason in EpochReason::NOTICED {
        metrics::counter!("ordering_epochs_begun_total", "reason" => reason.as_str()).increment(0);
    }
    for code in [ProblemCode::FeedReset, ProblemCode::FeedUnknown, ProblemCode::StaleProvider] {
        metrics::counter!("ordering_refused_tokens_total", "code" => code.as_str()).increment(0);
    }
}

/// Says that an epoch has begun: consumers read again from the beginning.
pub(crate) fn announce(begun: &Begun) {
    metrics::counter!("ordering_epochs_begun_total", "reason" => begun.reason.as_str())
        .increment(1);
    let why = match begun.reason {
        EpochReason::Created | EpochReason::ByHand => "an operator said so",
        EpochReason::Failover => "another server has taken over, which may lack the last changes",
        EpochReason::Restored => "the database is a restored copy, which may lack the last changes",
        EpochReason::LostHistory => "a consumer has read further than this database goes",
    };
    tracing::warn!(
        epoch.replaced = begun.replaced.0,
        epoch.begun = begun.epoch.0,
        "a new epoch has begun: {why}"
    );
    warn_of_the_clock(begun.replaced, begun.epoch);
}

/// An epoch is named by the time at which it begins, so that two restores of one backup do not get one
/// name; with a clock that is behind it can only be counted.
pub(crate) fn warn_of_the_clock(replaced: Epoch, begun: Epoch) {
    if begun.0 == replaced.0 + 1 {
        tracing::warn!(
            "the clock is behind the epoch before: set it right, and run `ordering new-epoch`, before \
             the same backup is restored once more"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_rings_lets_the_sequencer_go_first() {
        let (bell, has_asked) = (Bell::default(), Arc::new(AtomicBool::new(false)));
        let (heard, asks) = (bell.clone(), Arc::clone(&has_asked));
        tokio::spawn(async move {
            heard.0.is_heard.store(true, Ordering::Relaxed);
            heard.0.rung.notified().await;
            asks.store(true, Ordering::Relaxed);
        });
        yield_now().await;
        assert!(!has_asked.load(Ordering::Relaxed));
        bell.ring().await;
        assert!(has_asked.load(Ordering::Relaxed));
    }
}
