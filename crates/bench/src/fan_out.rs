//! Many consumers at the end of the feed: how soon each of them has each new order.

mod consumer;
pub(crate) mod floor;
mod writer;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use e2e::api::Api;
use e2e::ordering::Ordering;
use tokio::time::sleep;

use crate::cli::FanOut;
use crate::orders;
use crate::report::{Figure, Section, Target};
use crate::servers::{self, Servers};
use crate::services::{Pair, refused};
use crate::statistics::percentile;
use crate::{Result, verify};
use consumer::{Arrival, Consumers};
use writer::{Confirmed, confirm_all};

/// Until all consumers wait.
const SETTLE: Duration = Duration::from_secs(2);
/// What is counted on `/metrics`; what a version does not count is left out.
const COUNTERS: [&str; 3] = [
    "ordering_feed_pages_read_total",
    "ordering_feed_pages_served_total",
    "ordering_stamped_orders_total",
];

/// First one consumer, then many.
pub(crate) async fn measure(settings: FanOut) -> Result<Section> {
    let servers = Servers::start().await?;
    let pair = Pair::on(&servers, "").await?;
    pair.migrate().await?;
    let (ordering, _) = orders::stamp(&pair.ordering(), &pair.ordering_url, 0).await?;
    let title = format!("Fan-out: {} orders a second for {} s", settings.rate, settings.seconds);
    let mut section = Section::new("fan-out", title);
    section.postgres = Some(servers::version(&servers.source).await?);
    let mut slowest = Vec::new();
    for consumers in [1, settings.consumers] {
        eprintln!("{consumers} waiting");
        let run = Run::of(ordering.address(), settings, consumers).await?;
        let who =
            if consumers == 1 { "1 consumer".into() } else { format!("{consumers} consumers") };
        slowest.push(tell_delivery(&mut section, &who, &run.millis));
        run.tell(&mut section, &who);
    }
    drop(ordering);
    eprintln!("{} waiting for HTTP alone", settings.consumers);
    let who = format!("{} consumers of HTTP alone", settings.consumers);
    tell_delivery(&mut section, &who, &floor::measure(settings).await?);
    section.notes.push(
        "HTTP alone: a server with one page for all who wait, without a database, routes or a log."
            .into(),
    );
    let ratio = slowest[1] / slowest[0]; // of the two runs above
    section.hold("p99 of many ÷ of one".into(), ratio, Some(Target::AtMost(10.0)));
    Ok(section)
}

/// Tells percentiles of how long orders took; the 99th.
fn tell_delivery(section: &mut Section, who: &str, millis: &[f64]) -> f64 {
    // A million samples are no help to anybody: the percentiles of them are.
    let told: Vec<_> = (1..=100).map(|percent| percentile(millis, percent)).collect();
    for percent in [50, 99] {
        let what = format!("confirmed → received, p{percent}");
        section.figures.push(Figure::percentile(&what, who, "ms", percent, &told));
    }
    percentile(millis, 99)
}

/// What came of so many consumers.
struct Run {
    /// Of each order and each consumer: how long after the confirmation it was there.
    millis: Vec<f64>,
    /// How many pages differ.
    distinct_pages: usize,
    /// How many orders a second were confirmed.
    rate: f64,
    /// What [`COUNTERS`] rose by.
    counted: Vec<(&'static str, f64)>,
}

impl Run {
    async fn of(address: &str, settings: FanOut, consumers: u32) -> Result<Self> {
        let client = Ordering(Api::new(format!("http://{address}")));
        let status = client.status().await.map_err(refused)?;
        let start = status.last_sequence_nr.0;
        let feed = format!("{}-{}", status.feed_id, status.epoch);
        // Each order is confirmed once, and so has one number.
        let last = start + i64::from(settings.rate * settings.seconds);
        let waiting = Consumers::start(address, &feed, &(start..last), consumers)?;
        let writer = confirm_all(address, settings.rate, settings.seconds, SETTLE);
        // Counted from when all wait: the first look of each is its own.
        sleep(SETTLE).await;
        let before = counters(&client).await?;
        let confirmed = writer.await.map_err(|_| "the writer has ended")??;
        let arrivals = waiting.received().await?;
        let after = counters(&client).await?;
        let counted = COUNTERS.iter().zip(before.into_iter().zip(after));
        let counted = counted.filter_map(|(name, (before, after))| Some((*name, after? - before?)));
        let pages = arrivals.iter().flatten().map(|page| (page.asked, page.through));
        let distinct_pages = pages.collect::<HashSet<_>>().len();
        let rate = orders_per_second(&confirmed);
        Ok(Self {
            millis: delivery(&confirmed, &arrivals)?,
            distinct_pages,
            rate,
            counted: counted.collect(),
        })
    }

    fn tell(&self, section: &mut Section, who: &str) {
        let mut note = format!(
            "{who}: {:.1} orders a second were confirmed; {} different pages were received",
            self.rate, self.distinct_pages
        );
        for (name, count) in &self.counted {
            let _ = write!(note, ", {name} rose by {count}"); // writing to a text cannot fail
            if *name == COUNTERS[0] {
                #[expect(clippy::cast_precision_loss, reason = "counts of pages are small")]
                let ratio = count / self.distinct_pages.max(1) as f64;
                let what = format!("{who}: pages read ÷ different pages");
                // Once, not once for each consumer. A look at intervals reads one now and then that is
                // empty.
                section.hold(what, ratio, Some(Target::AtMost(1.2)));
            }
        }
        section.notes.push(note + ".");
    }
}

/// Milliseconds from each confirmation until each consumer had the order; 0 when that was before
/// the answer.
fn delivery(confirmed: &[Confirmed], arrivals: &[Vec<Arrival>]) -> Result<Vec<f64>> {
    let mut millis = Vec::with_capacity(confirmed.len() * arrivals.len());
    for pages in arrivals {
        for order in confirmed {
            let page = pages.partition_point(|page| page.through < order.sequence_nr);
            let page = pages.get(page).ok_or("a consumer has not received every order")?;
            let took = page.at.saturating_duration_since(order.at);
            millis.push(took.as_secs_f64() * 1e3);
        }
    }
    verify(!millis.is_empty(), || "nothing was delivered".into())?;
    Ok(millis)
}

fn orders_per_second(confirmed: &[Confirmed]) -> f64 {
    let times = confirmed.iter().map(|order| order.at);
    let (first, last) = (times.clone().min(), times.max());
    let seconds = first.zip(last).map_or(0.0, |(first, last)| (last - first).as_secs_f64());
    crate::statistics::rate(i64::try_from(confirmed.len()).unwrap_or(i64::MAX) - 1, seconds)
}

/// What stands behind each of [`COUNTERS`]; `None` when it does not stand there.
async fn counters(ordering: &Ordering) -> Result<Vec<Option<f64>>> {
    let text = ordering.raw("/metrics").await.error_for_status()?.text().await?;
    let value = |name: &&str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(*name)?.strip_prefix(' ')?.parse().ok())
    };
    Ok(COUNTERS.iter().map(value).collect())
}
