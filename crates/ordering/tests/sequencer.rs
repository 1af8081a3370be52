//! The sequencer's loop: what wakes it, what it tells, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use contract::feed::SequenceNr;
use contract::time::Timestamp;
use kit::clock::ManualClock;
use kit::lifecycle::BoxError;
use kit::random::Random;
use ordering::news::Bulletin;
use ordering::order::{CustomerInput, LineInput, OrderInput};
use ordering::scope::ImportedOrder;
use ordering::sequencer::{Bell, Sequencer};
use ordering::store::{Store, open};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Long enough never to come in a test.
const NEVER: Duration = Duration::from_hours(24);
/// How long something may take that should happen at once.
const SOON: Duration = Duration::from_secs(20);

struct Running {
    store: Arc<dyn Store>,
    bell: Bell,
    news: watch::Receiver<Bulletin>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), BoxError>>,
    _file: testkit::sqlite::TestFile,
}

/// A sequencer that looks every `interval`, on a database with so many orders that wait.
async fn running(orders: usize, interval: Duration) -> Running {
    let file = testkit::sqlite::file();
    let clock = ManualClock::at(Timestamp::from_micros(1_777_629_600_000_000));
    let url = file.url().parse().unwrap();
    let store = open(&url, &Random::seeded(1), Timestamp::from_micros(0)).await.unwrap();
    import(&store, 0..orders).await;
    let sequencer = Sequencer::new(store.clone(), clock, interval);
    let (bell, news) = (sequencer.bell(), sequencer.news().subscribe());
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(sequencer.run(shutdown.clone()));
    Running { store, bell, news, shutdown, task, _file: file }
}

async fn import(store: &Arc<dyn Store>, numbers: std::ops::Range<usize>) {
    let line = LineInput { sku: "BOLT-8".into(), quantity: 1, ..LineInput::default() };
    let order = |n| ImportedOrder {
        external_customer_id: "C-1".into(),
        new_customer_id: "ada".into(),
        customer: CustomerInput {
            name: "Ada".into(),
            email: "ada@example.com".into(),
            address: None,
        },
        input: OrderInput {
            currency: "EUR".into(),
            reference: Some(format!("R-{n}")),
            lines: vec![line.clone()],
            ..OrderInput::default()
        },
        confirmed_at: Timestamp::from_micros(0),
    };
    store.import_orders(numbers.map(order).collect(), Timestamp::from_micros(0)).await.unwrap();
}

impl Running {
    async fn told(&mut self, last: i64) {
        let told = self.news.wait_for(|news| news.last >= SequenceNr(last));
        tokio::time::timeout(SOON, told).await.expect("told soon").expect("still running");
    }

    async fn stop(self) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(SOON, self.task).await.expect("ends soon");
        ended.unwrap().unwrap();
    }
}

#[tokio::test]
async fn it_begins_at_once_and_a_full_batch_is_followed_by_the_next() {
    let mut running = running(2_500, NEVER).await;
    running.told(2_500).await;
    running.stop().await;
}

#[tokio::test]
async fn the_bell_wakes_it() {
    let mut running = running(1, NEVER).await;
    running.told(1).await;
    import(&running.store, 1..3).await;
    running.bell.ring().await;
    running.told(3).await;
    running.stop().await;
}

#[tokio::test]
async fn the_interval_is_enough_when_nobody_rings() {
    let mut running = running(1, Duration::from_millis(20)).await;
    running.told(1).await;
    import(&running.store, 1..3).await;
    running.told(3).await;
    running.stop().await;
}

#[tokio::test]
async fn it_ends_while_it_waits() {
    let mut running = running(1, NEVER).await;
    running.told(1).await;
    running.stop().await;
}
