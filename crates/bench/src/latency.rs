//! How soon an order is seen on the other side, while nothing else happens.

use std::time::{Duration, Instant};

use e2e::api::Api;
use e2e::ordering::Ordering;
use kit::random::Random;
use serde_json::{Value, json};
use testkit::process::Service;
use tokio::time::sleep;

use crate::cli::Latency;
use crate::database::Database;
use crate::replication::Replication;
use crate::report::{Figure, Section, Target};
use crate::servers::{self, Servers};
use crate::services::{self, Pair, refused};
use crate::{Result, catch_up, orders, verify};

const OURS: &str = "lockstep";
const THEIRS: &str = "logical replication";
/// How long a sample may take before something is wrong.
const PATIENCE: Duration = Duration::from_secs(90);
/// What is there before the first sample.
const ORDERS: u32 = 1_000;
const ARRIVED: &str = "select count(*) from orders where number = $1";

/// Samples of both, taking turns.
pub(crate) async fn measure(settings: Latency) -> Result<Section> {
    let servers = Servers::start().await?;
    let pair = Pair::on(&servers, "").await?;
    pair.migrate().await?;
    // The first of each is for connections and caches.
    let orders = ORDERS.max(settings.samples + 1);
    orders::seed(&pair.ordering_url, orders).await?;
    let mut theirs = Theirs::start(&servers, &pair).await?;
    let mut ours = Ours::start(&pair, orders).await?;
    let random = Random::from_os();
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for sample in 0..=settings.samples {
        pause(&random).await;
        let our_time = ours.sample().await?;
        pause(&random).await;
        let their_time = theirs.sample(i64::from(sample)).await?;
        if sample > 0 {
            our_times.push(our_time);
            their_times.push(their_time);
        }
    }
    let title = format!("Latency of {} orders, one at a time, idle system", settings.samples);
    let mut section = Section::new("latency", title);
    section.postgres = Some(servers::version(&servers.source).await?);
    for percent in [50, 99] {
        let what = format!("committed → visible, p{percent}");
        for (who, times) in [(OURS, &our_times), (THEIRS, &their_times)] {
            section.figures.push(Figure::percentile(&what, who, "ms", percent, times));
        }
        section.compare((&what, OURS), (&what, THEIRS), Some(Target::AtMost(8.0)));
    }
    Ok(section)
}

async fn pause(random: &Random) {
    sleep(Duration::from_millis(20) + Duration::from_millis(40).mul_f64(random.fraction())).await;
}

/// Between two looks. Looking without a pause would keep one of a few processors busy, and hinder the
/// four processes of the pair more than the two of replication.
const LOOK: Duration = Duration::from_micros(100);

/// Looks until the order is there: milliseconds since `since`.
async fn visible(database: &mut Database, number: i64, since: Instant) -> Result<f64> {
    while database.number_of(ARRIVED, number).await? == 0 {
        verify(since.elapsed() < PATIENCE, || format!("order {number} does not arrive"))?;
        // Nothing else runs in this process, and the timer of tokio knows no less than a millisecond.
        std::thread::sleep(LOOK);
    }
    Ok(since.elapsed().as_secs_f64() * 1e3)
}

/// The pair, with waiting pulls.
struct Ours {
    customer: String,
    client: Ordering,
    billing: Database,
    _processes: [Service; 2],
}

impl Ours {
    async fn start(pair: &Pair, orders: u32) -> Result<Self> {
        let through = i64::from(orders);
        let (ordering, _) = orders::stamp(&pair.ordering(), &pair.ordering_url, through).await?;
        let program = services::waiting(pair.billing(&ordering));
        let (billing, _) = catch_up::catch_up(&program, &pair.billing_url, through).await?;
        let client = Ordering(Api::new(ordering.url()));
        let customer = client.customer("Latency").await.map_err(refused)?;
        let database = Database::connect(&pair.billing_url).await?;
        Ok(Self { customer, client, billing: database, _processes: [ordering, billing] })
    }

    /// From the answer to the confirmation until the order is in billing's database.
    async fn sample(&mut self) -> Result<f64> {
        let draft = self.client.create(&content(&self.customer), None).await.map_err(refused)?;
        // The draft's own commit is over before the clock starts.
        sleep(Duration::from_millis(5)).await;
        self.client.confirm(draft.number, None).await.map_err(refused)?;
        visible(&mut self.billing, draft.number, Instant::now()).await
    }
}

/// Publisher and subscriber.
struct Theirs<'a>(Replication<'a>);

impl<'a> Theirs<'a> {
    async fn start(servers: &'a Servers, pair: &Pair) -> Result<Self> {
        let mut replication = Replication::with_content_of(servers, &pair.ordering_url).await?;
        replication.subscribe("").await?;
        Ok(Self(replication))
    }

    /// From the commit of an order with its lines until the order is in the subscriber's database.
    async fn sample(&mut self, place: i64) -> Result<f64> {
        let number = self.0.numbers.0 + place;
        let insert = format!(
            "begin; insert into orders select * from staged_orders where number = {number}; \
             insert into order_lines select * from staged_order_lines \
               where order_number = {number}; commit"
        );
        self.0.publisher.execute(&insert).await?;
        visible(&mut self.0.subscriber, number, Instant::now()).await
    }
}

/// An order of three lines.
pub(crate) fn content(customer: &str) -> Value {
    let mut content = e2e::ordering::content(customer, "measured", 7);
    if let Some(lines) = content["lines"].as_array_mut() {
        lines.push(json!({
            "sku": "WASHER-8", "description": "Washer M8", "quantity": 20,
            "unitPriceMinor": 4, "taxBasisPoints": 2100,
        }));
    }
    content
}
