//! The loop: a bounded pool of attempts.

use std::sync::Arc;
use std::time::Duration;

use kit::db;
use kit::lifecycle::BoxError;
use kit::telemetry::{chain, gauge_value};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::dispatcher::Dispatcher;

/// How often the loop looks for what is due, unless it is woken: an approval in another process
/// rings no bell here, nor does a lease that runs out.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often the backlog is counted for the metrics.
const MEASURE_INTERVAL: Duration = Duration::from_secs(15);

impl Dispatcher {
    /// Carries out what is due, at most `workers` at a time, until `shutdown`; then lets those that
    /// are under way finish. One that is cut off is repeated when its lease has run out.
    ///
    /// # Errors
    /// When an attempt panicked; a loop that ends is a failure of the process.
    pub async fn run(
        self: Arc<Self>,
        workers: usize,
        shutdown: CancellationToken,
    ) -> Result<(), BoxError> {
        let mut under_way = JoinSet::new();
        let mut measuring = interval(MEASURE_INTERVAL);
        measuring.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_failing = false;
        loop {
            match self.begin(workers, &mut under_way, &shutdown).await {
                Ok(()) => {
                    self.heartbeat.beat();
                    is_failing = false;
                }
                // Once an outage.
                Err(error) if !is_failing => {
                    tracing::warn!(error = chain(&error), "the dispatch cannot go on, trying on");
                    is_failing = true;
                }
                Err(_) => {}
            }
            tokio::select! {
                // Rare things first: what is ready all the time must not keep them from their turn.
                biased;
                () = shutdown.cancelled() => break,
                _ = measuring.tick() => self.measure().await,
                Some(ended) = under_way.join_next() => ended?,
                () = self.bell.notified() => {}
                () = sleep(POLL_INTERVAL) => {}
            }
        }
        while let Some(ended) = under_way.join_next().await {
            ended?;
        }
        Ok(())
    }

    /// Begins what is due, as long as there is room and nobody wants the loop to end.
    async fn begin(
        self: &Arc<Self>,
        workers: usize,
        under_way: &mut JoinSet<()>,
        shutdown: &CancellationToken,
    ) -> db::Result<()> {
        while under_way.len() < workers && !shutdown.is_cancelled() {
            let Some(attempt) = self.claim().await? else { return Ok(()) };
            let dispatcher = Arc::clone(self);
            under_way.spawn(async move {
                if let Err(error) = dispatcher.carry_out(&attempt).await {
                    tracing::warn!(
                        invoice.id = attempt.invoice_id,
                        dispatch.attempt = attempt.number,
                        error = chain(&error),
                        "how an attempt ended could not be recorded: it is repeated"
                    );
                }
            });
        }
        Ok(())
    }

    /// Tells the metrics what there is still to do.
    async fn measure(&self) {
        // While the database is away, what was known last stays; the loop has logged it.
        let Ok(backlog) = self.store.dispatch_backlog().await else { return };
        let oldest = backlog.oldest.map(|approved_at| self.clock.now().since(approved_at));
        metrics::gauge!("billing_dispatch_pending").set(gauge_value(backlog.pending));
        metrics::gauge!("billing_dispatch_failed").set(gauge_value(backlog.failed));
        metrics::gauge!("billing_dispatch_oldest_pending_seconds")
            .set(oldest.unwrap_or_default().as_secs_f64());
    }
}
