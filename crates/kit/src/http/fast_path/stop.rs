//! That the service stops, for connections that look at it with each request.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};

use tokio_util::sync::CancellationToken;

/// Told once. To wait for it takes no lock but for the first time, where the service's own token takes two
/// whenever a task is woken by anything else.
#[derive(Debug)]
pub(super) struct Stop {
    service: CancellationToken,
    is_told: AtomicBool,
    told: CancellationToken,
}

impl Stop {
    /// Of the service that this token stops.
    pub(super) fn of(service: CancellationToken) -> Self {
        Self { service, is_told: AtomicBool::new(false), told: CancellationToken::new() }
    }

    /// Until it is so; whoever waits for this has to tell it.
    pub(super) async fn begun(&self) {
        self.service.cancelled().await;
    }

    pub(super) fn tell(&self) {
        // First, so that whoever is woken sees it.
        self.is_told.store(true, Ordering::Release);
        self.told.cancel();
    }

    /// Whether it is so, told already or not.
    pub(super) fn is_so(&self) -> bool {
        self.service.is_cancelled()
    }

    /// Until it is told.
    pub(super) async fn told(&self) {
        let mut cancelled = pin!(self.told.cancelled());
        let mut known: Option<Waker> = None;
        poll_fn(|context| {
            if self.is_told.load(Ordering::Acquire) {
                return Poll::Ready(());
            }
            if known.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
                return Poll::Pending;
            }
            known = Some(context.waker().clone());
            cancelled.as_mut().poll(context)
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::{Duration, timeout};
    use tokio_util::sync::CancellationToken;

    use super::Stop;

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn whoever_waits_is_woken_and_whoever_comes_later_does_not_wait() {
        let service = CancellationToken::new();
        let stop = Arc::new(Stop::of(service.clone()));
        let told = |stop: &Arc<Stop>| {
            let stop = Arc::clone(stop);
            Box::pin(async move { stop.told().await })
        };
        let mut moved = told(&stop);
        assert!(timeout(Duration::from_millis(1), &mut moved).await.is_err());
        // To another task than the one that has waited first.
        let waiting = [moved, told(&stop), told(&stop)].map(tokio::spawn);
        tokio::task::yield_now().await;
        assert!(!stop.is_so() && waiting.iter().all(|waiting| !waiting.is_finished()));

        service.cancel();
        assert!(stop.is_so());
        stop.begun().await;
        stop.tell();
        for waiting in waiting {
            timeout(SOON, waiting).await.unwrap().unwrap();
        }
        timeout(SOON, told(&stop)).await.unwrap();
    }
}
