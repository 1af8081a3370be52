//! Waiting for something to become true, instead of sleeping and hoping.

use std::time::Duration;

use tokio::time::{sleep, timeout};

/// Between two looks: short, so that tests are quick, and not so short that looking is the load.
const PAUSE: Duration = Duration::from_millis(20);

/// Returns as soon as `holds` answers true.
///
/// # Panics
/// With `what` when that takes longer than `limit`; a look that hangs counts as well.
///
/// ```no_run
/// # async fn orders_in_billing() -> usize { 1 }
/// # async fn example() {
/// use std::time::Duration;
/// testkit::wait::until("the order arrives", Duration::from_secs(10), async || {
///     orders_in_billing().await == 1
/// })
/// .await;
/// # }
/// ```
#[track_caller]
pub fn until(
    what: &str,
    limit: Duration,
    mut holds: impl AsyncFnMut() -> bool,
) -> impl Future<Output = ()> {
    value(what, limit, async move || holds().await.then_some(()))
}

/// Returns the first value that `look` finds.
///
/// # Panics
/// With `what` when that takes longer than `limit`; a look that hangs counts as well.
#[track_caller]
pub fn value<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    // An async fn would report a line of this file: the caller's is the one that helps.
    let caller = std::panic::Location::caller();
    async move {
        let found = timeout(limit, async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                sleep(PAUSE).await;
            }
        });
        found.await.unwrap_or_else(|_| panic!("waited {limit:?} in vain, at {caller}: {what}"))
    }
}
