//! Invoices that nobody approves in time expire.

use std::sync::Arc;
use std::time::Duration;

use contract::time::Timestamp;
use kit::clock::SharedClock;
use kit::db;
use kit::http::health::Heartbeat;
use kit::lifecycle::BoxError;
use tokio_util::sync::CancellationToken;

use crate::store::Store;

/// How many invoices one transaction expires: it holds them so long.
const BATCH: i64 = 500;
/// Between two looks: nobody minds a minute who was given days.
const INTERVAL: Duration = Duration::from_mins(1);
/// How long a look may take before something is wrong with it.
const GRACE: Duration = Duration::from_mins(2);

/// Expires invoices that have awaited approval for too long. Several processes may do so at once:
/// they share the work.
pub struct Expiry {
    store: Arc<dyn Store>,
    clock: SharedClock,
    after: Duration,
    heartbeat: Heartbeat,
}

impl Expiry {
    /// Invoices expire when they have awaited approval for longer than `after`. The time begins
    /// anew with each change of the order, for what is to be approved is then something else.
    pub fn new(store: Arc<dyn Store>, clock: SharedClock, after: Duration) -> Self {
        let heartbeat = Heartbeat::starting(Arc::clone(&clock));
        Self { store, clock, after, heartbeat }
    }

    /// When an invoice expires whose content was computed then.
    pub fn expires_at(&self, computed_at: Timestamp) -> Timestamp {
        computed_at + self.after
    }

    /// Expires one batch; how many, fewer than a whole batch when there are no more.
    ///
    /// # Errors
    /// When the database fails; then none has expired.
    pub async fn tick(&self) -> db::Result<i64> {
        let now = self.clock.now();
        let expired = self.store.expire(now - self.after, BATCH, now).await?;
        self.heartbeat.beat();
        if expired > 0 {
            tracing::info!(invoices = expired, "expired: nobody had approved them in time");
        }
        metrics::counter!("billing_expired_invoices_total")
            .increment(u64::try_from(expired).unwrap_or(0));
        Ok(expired)
    }

    /// Expires until `shutdown`. A full batch is followed by the next at once. While the database
    /// is away it goes on trying.
    ///
    /// # Errors
    /// Never so far; a loop that ends is a failure of the process.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) -> Result<(), BoxError> {
        let mut failing = false;
        while !shutdown.is_cancelled() {
            let ticked = self.tick().await;
            if let Err(error) = &ticked
                && !failing
            {
                // Said once, not every minute of an outage.
                tracing::error!(error = kit::telemetry::chain(error), "invoices cannot expire");
            }
            failing = ticked.is_err();
            if ticked.is_ok_and(|expired| expired >= BATCH) {
                continue;
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(self.pause()) => {}
            }
        }
        Ok(())
    }

    /// Why the loop seems to hang, for the readiness check; `None` when it does not.
    pub fn blocked(&self) -> Option<String> {
        let silence = self.heartbeat.age();
        (silence > self.pause() + GRACE)
            .then(|| format!("the expiry loop has not moved for {} s", silence.as_secs()))
    }

    /// Somebody who lets invoices expire within seconds, to try it out, wants to see it.
    fn pause(&self) -> Duration {
        self.after.min(INTERVAL)
    }
}
