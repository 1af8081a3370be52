//! Whether pulls get anywhere: for the readiness check and the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kit::clock::SharedClock;
use kit::http::health::Heartbeat;
use kit::telemetry::{self, gauge_value};

use super::{Counts, PullError, Puller};

/// Every outcome of a pull, as the metrics call it: [`PullError::kind`], but for the one that only a
/// single order has.
const OUTCOMES: [&str; 10] = [
    "success",
    "timeout",
    "unreachable",
    "refused",
    "invalid",
    "reset",
    "unknown-feed",
    "stale-provider",
    "lagging-standby",
    "database",
];

/// How the pulls of this process went. Time is taken from the clock that nobody can set.
pub(super) struct Watch {
    clock: SharedClock,
    /// Beats with every pull that reached the end of the feed.
    success: Heartbeat,
    /// Beats with every page that brought something, and with orders that were seen again.
    progress: Heartbeat,
    /// How old what is here was when `success` last beat, in microseconds: as long as that pull took.
    age_at_success: AtomicU64,
    /// What went wrong last; `None` when nothing did since.
    failure: Mutex<Option<String>>,
    /// How long pulls may fail; `None` for ever.
    pub(super) max_age: Option<Duration>,
}

impl Watch {
    /// Counts from now on.
    pub(super) fn starting(clock: SharedClock) -> Self {
        Self {
            success: Heartbeat::starting(clock.clone()),
            progress: Heartbeat::starting(clock.clone()),
            clock,
            age_at_success: AtomicU64::new(0),
            failure: Mutex::default(),
            max_age: None,
        }
    }

    /// A pull reached the end of the feed that began at `began`.
    pub(super) fn succeeded(&self, began: Duration) {
        self.was_complete_before(self.clock.monotonic().saturating_sub(began));
        self.success.beat();
        *self.lock_failure() = None;
        self.show_behind();
    }

    /// A pull has come further, and its end nearer.
    pub(super) fn progressed(&self) {
        self.progress.beat();
    }

    pub(super) fn failed(&self, error: &PullError) {
        *self.lock_failure() = Some(error.to_string());
    }

    fn was_complete_before(&self, age: Duration) {
        let micros = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
        self.age_at_success.store(micros, Ordering::Relaxed);
    }

    /// Why the service is not ready: no pull has reached the end of the feed for too long, nor come
    /// nearer to it. `None` when one has: a first load or a re-read takes as long as it takes.
    pub(super) fn overdue(&self) -> Option<String> {
        let age = self.success.age();
        self.max_age.filter(|max_age| age.min(self.progress.age()) > *max_age)?;
        let failure = self.lock_failure().clone();
        let failure =
            failure.map(|it| format!(": {}", it.trim_end_matches('.'))).unwrap_or_default();
        Some(format!("no pull has reached the end of the feed for {} s{failure}", age.as_secs()))
    }

    /// Shows how far behind ordering in time: what was stamped so long ago is here.
    pub(super) fn show_behind(&self) {
        let before = Duration::from_micros(self.age_at_success.load(Ordering::Relaxed));
        metrics::gauge!("billing_behind_seconds").set((self.success.age() + before).as_secs_f64());
    }

    fn lock_failure(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        // Only ever replaced as a whole, so that a panic elsewhere leaves it usable.
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Puller {
    /// Lets every metric of the pull be there from the start, and go on from what is known: until the
    /// first success of this process, the last one before it counts.
    pub(super) async fn begin_metrics(&self) {
        // What is counted before the recorder is there is lost.
        telemetry::metrics();
        for outcome in OUTCOMES {
            metrics::counter!("billing_pulls_total", "outcome" => outcome).increment(0);
        }
        count_orders(&Counts::default());
        let state = self.store.pull_state().await.unwrap_or_default();
        metrics::gauge!("billing_behind_orders")
            .set(gauge_value(state.behind().unwrap_or_default()));
        let last_success = state.last_success_at.map_or(0, contract::time::Timestamp::millis);
        metrics::gauge!("billing_last_success_timestamp_seconds")
            .set(gauge_value(last_success) / 1e3);
        if let Some(at) = state.last_success_at {
            self.watch.was_complete_before(self.clock.now().since(at));
        }
        metrics::gauge!("billing_quarantined_orders").set(0.0);
        self.measure().await;
    }

    /// Brings the metrics up to date that change as time goes by, or by what other processes do.
    pub(super) async fn measure(&self) {
        self.watch.show_behind();
        // While the database is away, what was known last stays.
        if let Ok(count) = self.store.quarantine_count().await {
            metrics::gauge!("billing_quarantined_orders").set(gauge_value(count));
        }
        if let Err(error) = self.measure_source().await {
            let error = telemetry::chain(&error);
            tracing::debug!(error, "what is missing at the source could not be counted");
        }
    }
}

/// Counts what became of the orders of an answer.
pub(super) fn count_orders(counts: &Counts) {
    for (kind, count) in [
        ("new", counts.new),
        ("changed", counts.changed),
        ("removed", counts.removed),
        ("unchanged", counts.unchanged),
        ("quarantined", counts.quarantined),
    ] {
        metrics::counter!("billing_pulled_orders_total", "kind" => kind)
            .increment(u64::try_from(count).unwrap_or(0));
    }
}
