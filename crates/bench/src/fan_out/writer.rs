//! Confirms orders at a steady rate, on a thread of its own: what it notes must not depend on how
//! busy the consumers are.

use std::time::{Duration, Instant};

use e2e::api::Api;
use e2e::ordering::Ordering;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::Result;
use crate::latency::content;
use crate::services::refused;

/// An order, and when the answer to its confirmation was there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Confirmed {
    /// Its place in the feed.
    pub(super) sequence_nr: i64,
    /// When.
    pub(super) at: Instant,
}

/// Makes drafts, waits `pause` and confirms them, `rate` a second for so many seconds.
pub(super) fn confirm_all(
    address: &str,
    rate: u32,
    seconds: u32,
    pause: Duration,
) -> oneshot::Receiver<Result<Vec<Confirmed>>> {
    let client = Ordering(Api::new(format!("http://{address}")));
    on_a_thread(async move {
        let drafts = drafts(&client, rate * seconds).await?;
        sleep(pause).await;
        confirm(&client, drafts, rate).await
    })
}

/// Confirms on a thread of its own.
pub(super) fn on_a_thread<F>(work: F) -> oneshot::Receiver<Result<Vec<Confirmed>>>
where
    F: Future<Output = Result<Vec<Confirmed>>> + Send + 'static,
{
    let (done, confirmed) = oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let result = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(work));
        let _ = done.send(result); // nobody waits when the measurement has failed
    });
    confirmed
}

async fn drafts(client: &Ordering, count: u32) -> Result<Vec<i64>> {
    let customer = client.customer("Fan-out").await.map_err(refused)?;
    let content = content(&customer);
    let mut numbers = Vec::new();
    for _ in 0..count {
        numbers.push(client.create(&content, None).await.map_err(refused)?.number);
    }
    Ok(numbers)
}

async fn confirm(client: &Ordering, drafts: Vec<i64>, rate: u32) -> Result<Vec<Confirmed>> {
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut confirming = JoinSet::new();
    for number in drafts {
        ticks.tick().await;
        let client = client.clone();
        confirming.spawn(async move {
            let confirmed = client.confirm(number, None).await;
            (number, Instant::now(), confirmed.map(drop).map_err(refused))
        });
    }
    let mut orders = Vec::new();
    for (number, at, confirmed) in confirming.join_all().await {
        confirmed?;
        orders.push((number, at));
    }
    let mut confirmed = Vec::new();
    for (number, at) in orders {
        let sequence_nr = stamped(client, number).await?;
        confirmed.push(Confirmed { sequence_nr, at });
    }
    Ok(confirmed)
}

/// The order's place in the feed, once it has one.
async fn stamped(client: &Ordering, number: i64) -> Result<i64> {
    loop {
        let order = client.order(number).await.map_err(refused)?;
        if order.confirmed_sequence_nr.0 > 0 {
            return Ok(order.confirmed_sequence_nr.0);
        }
        sleep(Duration::from_millis(20)).await;
    }
}
