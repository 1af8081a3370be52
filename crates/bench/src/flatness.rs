//! Whether the cost stays the same as the data grows: the same steps with few and with many orders.

use std::sync::Arc;
use std::time::Instant;

use contract::feed::FeedStatus;
use e2e::api::Api;
use e2e::billing::Billing;
use e2e::ordering::Ordering;
use kit::clock::{Clock, SystemClock};
use kit::http::etag::IfMatch;
use ordering::store::{Change, Store};
use reqwest::Client;
use testkit::process::Service;
use testkit::wait;

use crate::cli::Flatness;
use crate::orders::{self, LIMIT};
use crate::report::{Figure, Section, Target};
use crate::servers::{self, Servers};
use crate::services::{self, Pair, refused};
use crate::statistics::median;
use crate::{Result, catch_up, verify};

const PAGE: &str = "page of 1,000";
const TICK: &str = "sequencer tick with one order";
const PULL: &str = "pull of one changed order";
const LINK: &str = "deep link";
/// How much more may be asked of many orders than of few.
const TARGET: Option<Target> = Some(Target::AtMost(1.15));

/// All four steps, few and many orders taking turns.
pub(crate) async fn measure(settings: Flatness) -> Result<Section> {
    let servers = Servers::start().await?;
    let sizes = [settings.small, settings.large];
    let mut worlds = Vec::new();
    for (suffix, size) in ["_small", "_large"].into_iter().zip(sizes) {
        worlds.push(World::fill(&servers, suffix, size).await?);
    }
    servers.settle().await?;
    let names = sizes.map(orders::called);
    let title = format!("Flatness: {} and {}", names[0], names[1]);
    let mut section = Section::new("flatness", title);
    section.postgres = Some(servers::version(&servers.source).await?);

    // Before anything is served: no other sequencer is to take the order away.
    let ticks =
        in_turns(&mut worlds, settings.samples, async |world, _| world.tick().await).await?;
    tell(&mut section, TICK, &names, ticks);

    for world in &mut worlds {
        world.serve().await?;
    }
    let ends = [(0, "at the beginning"), (1, "near the end")];
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..=settings.samples {
        for (end, _) in ends {
            times[end].push(worlds[1].page(end == 1).await?);
        }
    }
    tell(&mut section, PAGE, &ends.map(|(_, name)| name.to_owned()), times);

    let pulls =
        in_turns(&mut worlds, settings.samples, async |world, _| world.pull().await).await?;
    tell(&mut section, PULL, &names, pulls);
    let links =
        in_turns(&mut worlds, settings.samples, async |world, turn| world.link(turn).await).await?;
    tell(&mut section, LINK, &names, links);
    Ok(section)
}

/// Milliseconds of each world's turns, without the first, which is for connections and caches.
async fn in_turns(
    worlds: &mut [World],
    turns: u32,
    mut step: impl AsyncFnMut(&mut World, i64) -> Result<f64>,
) -> Result<[Vec<f64>; 2]> {
    let mut times = [Vec::new(), Vec::new()];
    for turn in 0..=i64::from(turns) {
        for (world, times) in worlds.iter_mut().zip(&mut times) {
            times.push(step(world, turn).await?);
        }
    }
    Ok(times)
}

fn tell(section: &mut Section, what: &str, names: &[String; 2], times: [Vec<f64>; 2]) {
    let values = times.map(|times| times[1..].to_vec()); // there was a first turn
    section.hold(
        format!("{what}: {} ÷ {}", names[1], names[0]),
        median(&values[1]) / median(&values[0]),
        TARGET,
    );
    for (name, values) in names.iter().zip(values) {
        section.figures.push(Figure::of(what, name, "ms", values));
    }
}

/// A pair with so many orders, all of them stamped and invoiced.
struct World {
    pair: Pair,
    orders: i64,
    store: Arc<dyn Store>,
    http: Client,
    serving: Option<Serving>,
}

/// What runs.
struct Serving {
    processes: [Service; 2],
    billing: Billing,
    status: FeedStatus,
}

impl World {
    async fn fill(servers: &Servers, suffix: &str, orders: u32) -> Result<Self> {
        eprintln!("filling in {orders} orders");
        let pair = Pair::on(servers, suffix).await?;
        catch_up::pair_round(&pair, orders, false, Some(servers)).await?;
        let store = orders::store(&pair.ordering_url).await?;
        let http = Client::builder().no_proxy().no_gzip().tls_certs_only([]).build()?;
        Ok(Self { pair, orders: i64::from(orders), store, http, serving: None })
    }

    /// Starts both services and waits until billing has everything.
    async fn serve(&mut self) -> Result<()> {
        let through = self.store.feed_status(SystemClock.now()).await?.last_sequence_nr.0;
        let url = &self.pair.ordering_url;
        let (ordering, _) = orders::stamp(&self.pair.ordering(), url, through).await?;
        let program = services::without_waiting(self.pair.billing(&ordering));
        let (billing, _) = catch_up::catch_up(&program, &self.pair.billing_url, through).await?;
        let status = Ordering(Api::new(ordering.url())).status().await.map_err(refused)?;
        let client = Billing(Api::new(billing.url()));
        self.serving = Some(Serving { processes: [ordering, billing], billing: client, status });
        Ok(())
    }

    fn serving(&self) -> Result<&Serving> {
        Ok(self.serving.as_ref().ok_or("the services are not started")?)
    }

    /// Changes an order in the middle, behind the back of the sequencer.
    async fn change(&self) -> Result<()> {
        let number = 1_000 + self.orders / 2;
        let order = self.store.order(number).await?.ok_or("there is no such order")?;
        let input = orders::changed(&order);
        match self.store.replace_order(number, &IfMatch::Any, &input, SystemClock.now()).await? {
            Change::Done(_) => Ok(()),
            refused => Err(format!("an order could not be changed: {refused:?}").into()),
        }
    }

    /// A tick of the sequencer when one order waits.
    async fn tick(&self) -> Result<f64> {
        self.change().await?;
        let started = Instant::now();
        let stamped = self.store.stamp(1_000, SystemClock.now()).await?;
        let took = millis(started);
        verify(stamped.count == 1, || format!("one order waited, {} stamped", stamped.count))?;
        Ok(took)
    }

    /// A page of 1,000 orders at the beginning or near the end of the feed.
    async fn page(&self, near_end: bool) -> Result<f64> {
        let Serving { processes, status, .. } = self.serving()?;
        let after = if near_end { status.last_sequence_nr.0 - 1_100 } else { 0 };
        let token = format!("{}-{}-{after}", status.feed_id, status.epoch);
        let url = format!("{}/feed/v1/orders?limit=1000&after={token}", processes[0].url());
        let started = Instant::now();
        let body = self.http.get(url).send().await?.error_for_status()?.bytes().await?;
        let took = millis(started);
        verify(body.len() > 100_000, || "a page is too short".into())?;
        Ok(took)
    }

    /// A pull when one order has changed.
    async fn pull(&self) -> Result<f64> {
        self.change().await?;
        wait::until("the change is stamped", LIMIT, async || {
            // In the service or here, whoever is quicker.
            let _ = self.store.stamp(1_000, SystemClock.now()).await;
            self.store.unstamped_since().await.is_ok_and(|since| since.is_none())
        })
        .await;
        let started = Instant::now();
        let counts = self.serving()?.billing.pull().await.map_err(refused)?;
        let took = millis(started);
        verify(counts.changed == 1, || format!("one order was changed, {counts:?} pulled"))?;
        Ok(took)
    }

    /// A deep link to an order, another one each turn.
    async fn link(&self, turn: i64) -> Result<f64> {
        let number = 1_001 + turn * 7_919 % self.orders;
        let started = Instant::now();
        let response = self.serving()?.billing.follow_link(number).await.map_err(refused)?;
        let took = millis(started);
        verify(response.status().is_redirection(), || format!("{response:?} for a deep link"))?;
        Ok(took)
    }
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
