//! What billing has, and since when: looked up in its own database, so that looking is no load on
//! the service.

use std::time::Duration;

use sqlx::{Connection, PgConnection, Row};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::latency::Latency;
use super::stage::Stage;
use super::writers::Made;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks again and again.
pub(super) struct Watch {
    stop: watch::Sender<bool>,
    task: JoinHandle<Seen>,
}

/// What billing had at each look: number and version of every order.
pub(super) struct Seen(Vec<(Instant, Vec<(i64, i64)>)>);

impl Watch {
    pub(super) async fn start(stage: &Stage) -> Self {
        let mut database = PgConnection::connect(stage.billing_database.url()).await.unwrap();
        let stop = watch::Sender::new(false);
        let stopped = stop.subscribe();
        let task = tokio::spawn(async move {
            let mut looks = Vec::new();
            while !*stopped.borrow() {
                let select = sqlx::query("select number, version from orders");
                let rows = select.fetch_all(&mut database).await.unwrap();
                let versions = rows.iter().map(|row| (row.get("number"), row.get("version")));
                looks.push((Instant::now(), versions.collect()));
                sleep(PAUSE).await;
            }
            Seen(looks)
        });
        Self { stop, task }
    }

    pub(super) async fn stop(self) -> Seen {
        self.stop.send_replace(true);
        self.task.await.expect("billing's database answers")
    }
}

impl Seen {
    /// When billing first had this version of this order, or a later one.
    ///
    /// # Panics
    /// When it never had.
    pub(super) fn arrival(&self, number: i64, version: i64) -> Instant {
        let has = |have: &[(i64, i64)]| have.iter().any(|(n, v)| *n == number && *v >= version);
        let look = self.0.iter().find(|(_, have)| has(have));
        look.unwrap_or_else(|| panic!("version {version} of {number} did not arrive")).0
    }

    /// At each look, for how long what billing had was not what ordering had: since the first
    /// version that it lacked was committed.
    pub(super) fn behind(&self, made: &Made) -> Latency {
        let behind = self.0.iter().flat_map(|(look, have)| {
            have.iter().filter_map(|(number, version)| {
                let lacked = made.0.get(&(*number, version + 1))?;
                Some(look.saturating_duration_since(*lacked))
            })
        });
        Latency::new(behind.collect())
    }
}
