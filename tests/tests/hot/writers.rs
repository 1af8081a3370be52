//! Those who change orders, and the book of what they committed and when.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::ordering::content;
use futures_util::future::join_all;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::stage::Stage;

/// Between two changes of a rare order.
const REST: Duration = Duration::from_secs(3);

/// What a writer of ordering does to an order; the database does the rest of what rule P1 asks for.
const CHANGE: &str = "update orders set version = version + 1, changed_at = $2, note = $3
    where number = $1 returning version";

/// When each version of each order was committed.
#[derive(Clone, Default, Debug)]
pub(super) struct Commits(Arc<Mutex<Made>>);

/// Moments by number and version.
#[derive(Clone, Default, Debug)]
pub(super) struct Made(pub(super) BTreeMap<(i64, i64), Instant>);

impl Commits {
    fn note(&self, number: i64, version: i64) {
        let mut made = self.0.lock().expect("no writer panics while it holds the book");
        made.0.insert((number, version), Instant::now());
    }

    /// What was committed since the last time.
    pub(super) fn take(&self) -> Made {
        std::mem::take(&mut self.0.lock().expect("no writer panics while it holds the book"))
    }
}

impl Made {
    /// Only what was made of these orders.
    pub(super) fn only(&self, numbers: &[i64]) -> Self {
        let of_these = self.0.iter().filter(|((number, _), _)| numbers.contains(number));
        Self(of_these.map(|(key, at)| (*key, *at)).collect())
    }
}

/// Change their orders through ordering's API, each order every few seconds.
pub(super) struct RareWriters {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl RareWriters {
    pub(super) fn start(stage: &Stage, commits: &Commits) -> Self {
        let stop = watch::Sender::new(false);
        let tasks = (0..).zip(&stage.rare).map(|(place, number)| {
            let (ordering, customer, number) =
                (stage.ordering.clone(), stage.customer.clone(), *number);
            let (commits, mut stopped) = (commits.clone(), stop.subscribe());
            // Evenly spread, so that each is alone with the system.
            let wait = REST * place / u32::try_from(stage.rare.len()).expect("a few");
            tokio::spawn(async move {
                let mut version = ordering.order(number).await.unwrap().version;
                let mut pause = wait;
                while timeout(pause, stopped.changed()).await.is_err() {
                    let content = content(&customer, &format!("rare {version}"), version);
                    version = ordering.replace(number, version, &content).await.unwrap().version;
                    commits.note(number, version);
                    pause = REST;
                }
            })
        });
        let tasks = tasks.collect();
        Self { stop, tasks }
    }

    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        for task in join_all(self.tasks).await {
            task.expect("every rare change is accepted");
        }
    }
}

/// Changes one order all the time, in a session of its own: another program that writes orders, as
/// fast as no API call of a debug build is, and that rings no bell of the sequencer.
pub(super) struct HotWriter {
    stop: watch::Sender<bool>,
    task: JoinHandle<f64>,
}

impl HotWriter {
    pub(super) async fn start(stage: &Stage, commits: &Commits, rate: u32) -> Self {
        let mut session = session(stage).await;
        let (number, commits) = (stage.hot, commits.clone());
        let stop = watch::Sender::new(false);
        let stopped = stop.subscribe();
        let task = tokio::spawn(async move {
            let mut ticks = interval(Duration::from_secs(1) / rate);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let (begun, mut changes) = (Instant::now(), 0_u32);
            while !*stopped.borrow() {
                ticks.tick().await;
                let version = change(&mut session, number, "hot").await;
                commits.note(number, version);
                changes += 1;
            }
            f64::from(changes) / begun.elapsed().as_secs_f64()
        });
        Self { stop, task }
    }

    /// Changes in a second.
    pub(super) async fn stop(self) -> f64 {
        self.stop.send_replace(true);
        self.task.await.expect("every hot change is accepted")
    }
}

/// Transactions that have changed an order and stay open.
pub(super) struct Held(Vec<JoinHandle<()>>);

impl Held {
    /// One of them on an order that rests; the other on an order with a change that is committed
    /// and not stamped, for which the sequencer will wait once it is overdue.
    pub(super) async fn start(stage: &Stage, commits: &Commits, how_long: Duration) -> Self {
        let [resting, waiting] = stage.held;
        Self(vec![
            tokio::spawn(hold(session(stage).await, None, resting, commits.clone(), how_long)),
            tokio::spawn(hold(
                session(stage).await,
                Some(session(stage).await),
                waiting,
                commits.clone(),
                how_long,
            )),
        ])
    }

    pub(super) async fn ended(self) {
        for task in join_all(self.0).await {
            task.expect("what was held is committed");
        }
    }
}

/// With a `second` session, it makes sure that nothing is stamped between the change that waits and
/// the one that is held.
async fn hold(
    mut session: PgConnection,
    mut second: Option<PgConnection>,
    number: i64,
    commits: Commits,
    how_long: Duration,
) {
    let counter = match &mut second {
        Some(second) => {
            let mut counter = second.begin().await.unwrap();
            let lock = "select last_sequence_nr from feed_state for update";
            sqlx::query(lock).fetch_one(&mut *counter).await.unwrap();
            change(&mut session, number, "waits").await;
            Some(counter)
        }
        None => None,
    };
    let mut transaction = session.begin().await.unwrap();
    let version = change(&mut transaction, number, "held").await;
    if let Some(counter) = counter {
        counter.rollback().await.unwrap();
    }
    sleep(how_long).await;
    transaction.commit().await.unwrap();
    commits.note(number, version);
}

/// Changes an order as ordering does; the version that it makes.
async fn change(session: &mut PgConnection, number: i64, note: &str) -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the clock that the services go by")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    let now = i64::try_from(now.as_micros()).expect("it is not that late");
    let change = sqlx::query(CHANGE).bind(number).bind(now).bind(note);
    change.fetch_one(session).await.expect("the change is accepted").get("version")
}

async fn session(stage: &Stage) -> PgConnection {
    PgConnection::connect(stage.ordering_database.url()).await.unwrap()
}
