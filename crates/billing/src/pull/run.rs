//! The loop: pulls on a timer, and goes on trying for ever.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use kit::lifecycle::BoxError;
use tokio::time::{MissedTickBehavior, interval as ticks, sleep};
use tokio_util::sync::CancellationToken;

use super::ahead::Ahead;
use super::news::Waiting;
use super::{PullError, Puller};

/// Before the second try after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Between any two tries, jitter not counted, which makes it at most twice as long.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How often metrics are brought up to date that change by themselves.
const MEASURE_INTERVAL: Duration = Duration::from_secs(15);
/// How far ordering's own wish is followed: a wrong `Retry-After` must not stop the pull for a day.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(5);

impl Puller {
    /// Pulls now and then every `interval`, until `shutdown`; with `wait`, also as soon as ordering
    /// has something new, which it is asked to say within that time. After a failure, whatever it was,
    /// it tries again with the same token: soon, then with growing pauses.
    ///
    /// # Errors
    /// Never so far; a loop that ends is a failure of the process.
    pub async fn run(
        self: Arc<Self>,
        interval: Duration,
        wait: Option<Duration>,
        shutdown: CancellationToken,
    ) -> Result<(), BoxError> {
        let mut outage: Option<Outage> = None;
        let mut waiting = wait.map(|wait| Waiting::new(wait, self.random.bits()));
        let mut ahead: Option<Ahead> = None;
        let mut measuring = ticks(MEASURE_INTERVAL);
        measuring.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.begin_metrics().await;
        loop {
            let pulled = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                pulled = self.pull(ahead.take()) => pulled,
            };
            let pause = match pulled {
                Ok(_) => {
                    if outage.take().is_some() {
                        tracing::info!("the pull goes on");
                    }
                    interval
                }
                Err(error) => outage
                    .get_or_insert_with(|| Outage::new(self.random.bits()))
                    .pause(&error)
                    .unwrap_or(interval),
            };
            self.expect_silence(pause);
            let mut over = pin!(sleep(pause));
            // After a failure, the pauses decide.
            let waiting = waiting.as_mut().filter(|_| outage.is_none());
            let mut news = pin!(async {
                match waiting {
                    Some(waiting) => waiting.news(&self).await,
                    None => pending().await,
                }
            });
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return Ok(()),
                    () = self.bell.notified() => break,
                    () = &mut over => break,
                    news = &mut news => {
                        ahead = news;
                        break;
                    }
                    _ = measuring.tick() => self.measure().await,
                }
            }
        }
    }
}

/// Growing pauses without end; `seed` draws their jitter.
pub(super) fn backoff(seed: u64) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .with_jitter_seed(seed)
        .build()
}

/// Failures without a success in between.
struct Outage {
    backoff: ExponentialBackoff,
    /// What was logged last.
    reason: String,
}

impl Outage {
    fn new(seed: u64) -> Self {
        Self { backoff: backoff(seed), reason: String::new() }
    }

    /// How long to wait after `error`; `None` when hurrying does not help and the next turn is
    /// soon enough. Logs the error unless it is still the same.
    fn pause(&mut self, error: &PullError) -> Option<Duration> {
        let reason = kit::telemetry::chain(error);
        if reason != self.reason {
            error.warn("the pull fails, trying on");
            self.reason = reason;
        }
        if matches!(error, PullError::UnknownFeed(_)) {
            return None;
        }
        let backoff = self.backoff.next()?;
        let asked = error.retry_after().unwrap_or_default().min(LONGEST_RETRY_AFTER);
        Some(backoff.max(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Fault;

    #[test]
    fn pauses_grow_to_their_limit_and_never_end() {
        let mut outage = Outage::new(7);
        let pauses: Vec<_> = (0..100).filter_map(|_| outage.pause(&PullError::timeout())).collect();
        assert_eq!(pauses.len(), 100);
        let mut floor = FIRST_PAUSE;
        for pause in pauses {
            assert!(pause >= floor && pause <= floor * 2, "{pause:?} after {floor:?}");
            floor = (floor * 2).min(LONGEST_PAUSE);
        }
    }

    #[test]
    fn retry_after_is_followed_within_reason() {
        let asks = |seconds| {
            let fault = Fault::unreachable("Ordering", "");
            PullError::from(Fault { retry_after: Some(Duration::from_secs(seconds)), ..fault })
        };
        assert_eq!(Outage::new(7).pause(&asks(40)), Some(Duration::from_secs(40)));
        assert_eq!(Outage::new(7).pause(&asks(86_400)), Some(LONGEST_RETRY_AFTER));
        assert!(Outage::new(7).pause(&asks(0)) >= Some(FIRST_PAUSE));
    }
}
