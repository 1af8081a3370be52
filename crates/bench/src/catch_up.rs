//! The catch-up: billing was off, and reads everything there is.

use std::time::Instant;

use contract::feed::ContinuationToken;
use kit::lifecycle::BoxError;
use testkit::process::{Program, Service};
use tokio::time::{sleep, timeout};

use crate::Result;
use crate::cli::CatchUp;
use crate::database::Database;
use crate::orders::{self, LIMIT, PAUSE};
use crate::process::peak_memory;
use crate::replication::Replication;
use crate::report::{Figure, Section, Target};
use crate::servers::{self, Servers};
use crate::services::Pair;
use crate::statistics::rate;

const OURS: &str = "lockstep";
const ON_SQLITE: &str = "lockstep on SQLite";
const THEIRS: &str = "logical replication";
const DURABLE: &str = "logical replication, durable";

const NEW: &str = "catch-up, new orders";
const CHANGED: &str = "catch-up, changed orders";
const STAMP_NEW: &str = "stamping, new orders";
const STAMP_CHANGED: &str = "stamping, changed orders";
const MEMORY: [&str; 2] = ["peak memory of ordering", "peak memory of billing"];

/// What one round of the pair came to: orders a second, and MiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    /// Stamping and catching up with new orders.
    pub(crate) new: Leg,
    /// The same with changed ones.
    pub(crate) changed: Option<Leg>,
    /// The peaks of ordering and billing.
    pub(crate) memory: [f64; 2],
}

/// A way from −1 to an invoice, in orders a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leg {
    /// Ordering alone.
    pub(crate) stamped: f64,
    /// The catch-up.
    pub(crate) caught_up: f64,
}

/// All rounds, contenders taking turns.
pub(crate) async fn measure(settings: CatchUp) -> Result<Section> {
    let CatchUp { orders, rounds, sqlite, alone } = settings;
    let servers = Servers::start().await?;
    let (mut ours, mut on_sqlite) = (Vec::new(), Vec::new());
    let (mut theirs, mut durable) = (Vec::new(), Vec::new());
    let mut replication = None;
    // What a server does for the first time, such as touching its memory and making files for its log, takes
    // longer, and the pair begins each round.
    eprintln!("a round that does not count");
    pair_round(&Pair::on(&servers, "").await?, orders, false, Some(&servers)).await?;
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        let pair = Pair::on(&servers, "").await?;
        ours.push(pair_round(&pair, orders, true, Some(&servers)).await?);
        if !alone {
            let replication = match &mut replication {
                Some(replication) => replication,
                None => replication
                    .insert(Replication::with_content_of(&servers, &pair.ordering_url).await?),
            };
            pair.discard(&servers).await?;
            theirs.push(replication_round(replication, "").await?);
            durable.push(replication_round(replication, "synchronous_commit = on").await?);
        }
        if sqlite {
            on_sqlite.push(pair_round(&Pair::on_sqlite(), orders, true, None).await?);
        }
    }
    let mut section =
        Section::new("catch-up", format!("Catch-up of {} of 3 lines", orders::called(orders)));
    section.postgres = Some(servers::version(&servers.source).await?);
    tell_pair(&mut section, OURS, &ours);
    tell_replication(&mut section, THEIRS, &theirs);
    tell_replication(&mut section, DURABLE, &durable);
    tell_pair(&mut section, ON_SQLITE, &on_sqlite);
    compare(&mut section, alone, sqlite);
    Ok(section)
}

/// One round of the pair on empty databases. With `servers`, they are given time to write before
/// each clock starts.
pub(crate) async fn pair_round(
    pair: &Pair,
    orders: u32,
    with_changes: bool,
    servers: Option<&Servers>,
) -> Result<Round> {
    let count = i64::from(orders);
    pair.migrate().await?;
    orders::seed(&pair.ordering_url, orders).await?;
    let (new, mut memory) = leg(pair, count, 1, servers).await?;
    let mut changed = None;
    if with_changes {
        orders::change_all(&pair.ordering_url).await?;
        let (leg, again) = leg(pair, count, 2, servers).await?;
        changed = Some(leg);
        memory = [memory[0].max(again[0]), memory[1].max(again[1])];
    }
    Ok(Round { new, changed, memory })
}

/// Stamps all orders, which are of this version by now, then lets billing catch up. Both services run
/// only in here.
async fn leg(
    pair: &Pair,
    count: i64,
    version: i64,
    servers: Option<&Servers>,
) -> Result<(Leg, [f64; 2])> {
    let settle = async || match servers {
        Some(servers) => servers.settle().await,
        None => Ok(()),
    };
    settle().await?;
    let through = count * version;
    let (mut ordering, stamped) =
        orders::stamp(&pair.ordering(), &pair.ordering_url, through).await?;
    settle().await?;
    let program = pair.billing(&ordering).args(["--pull-interval", "60s"]);
    let (mut billing, took) = catch_up(&program, &pair.billing_url, through).await?;
    let memory = [peak_memory(&ordering)?, peak_memory(&billing)?];
    billing.terminate(LIMIT).await;
    ordering.terminate(LIMIT).await;
    check(&pair.billing_url, count, version).await?;
    Ok((Leg { stamped, caught_up: rate(count, took) }, memory))
}

/// Starts billing, and waits until its token has reached the number `through`: the seconds from the
/// start of its process.
pub(crate) async fn catch_up(
    program: &Program,
    billing_url: &str,
    through: i64,
) -> Result<(Service, f64)> {
    let mut database = Database::connect(billing_url).await?;
    let started = Instant::now();
    let arrived = async {
        while token(&mut database).await? < through {
            sleep(PAUSE).await;
        }
        Ok::<_, BoxError>(started.elapsed().as_secs_f64())
    };
    let (service, took) = tokio::join!(program.start(), timeout(LIMIT, arrived));
    Ok((service, took.map_err(|_| "billing does not get to the end of the feed")??))
}

/// How far billing has read; 0 before the first page.
pub(crate) async fn token(billing: &mut Database) -> Result<i64> {
    let tokens = billing.texts("select continuation_token from pull_state").await?;
    let Some(token) = tokens.first() else { return Ok(0) };
    Ok(token.parse::<ContinuationToken>()?.sequence_nr.0)
}

/// Whether billing has every order in this version, and one open invoice for each.
async fn check(billing_url: &str, count: i64, version: i64) -> Result<()> {
    let mut billing = Database::connect(billing_url).await?;
    for (table, condition) in [
        ("orders", format!("version = {version}")),
        ("orders", "true".into()),
        ("all_invoices", format!("order_version = {version} and state = 'awaiting_approval'")),
        ("all_invoices", "true".into()),
    ] {
        billing.expect(count, &format!("select count(*) from {table} where {condition}")).await?;
    }
    Ok(())
}

async fn replication_round(replication: &mut Replication<'_>, options: &str) -> Result<[f64; 2]> {
    replication.subscribe(options).await?;
    let rates = [replication.new_orders().await?, replication.changed_orders().await?];
    replication.begin_again().await?;
    Ok(rates)
}

fn tell_pair(section: &mut Section, who: &str, rounds: &[Round]) {
    if rounds.is_empty() {
        return;
    }
    let changed = || rounds.iter().filter_map(|round| round.changed);
    let mut tell = |what, unit, values| section.figures.push(Figure::of(what, who, unit, values));
    tell(NEW, "orders/s", rounds.iter().map(|round| round.new.caught_up).collect());
    tell(CHANGED, "orders/s", changed().map(|leg| leg.caught_up).collect());
    tell(STAMP_NEW, "orders/s", rounds.iter().map(|round| round.new.stamped).collect());
    tell(STAMP_CHANGED, "orders/s", changed().map(|leg| leg.stamped).collect());
    for (service, what) in MEMORY.iter().enumerate() {
        tell(what, "MiB", rounds.iter().map(|round| round.memory[service]).collect());
    }
}

fn tell_replication(section: &mut Section, who: &str, rounds: &[[f64; 2]]) {
    if rounds.is_empty() {
        return;
    }
    for (leg, what) in [NEW, CHANGED].iter().enumerate() {
        let rates = rounds.iter().map(|round| round[leg]).collect();
        section.figures.push(Figure::of(what, who, "orders/s", rates));
    }
}

fn compare(section: &mut Section, alone: bool, sqlite: bool) {
    if !alone {
        section.compare((NEW, OURS), (NEW, THEIRS), Some(Target::AtLeast(1.2)));
        section.compare((CHANGED, OURS), (CHANGED, THEIRS), Some(Target::AtLeast(1.5)));
        section.compare((NEW, OURS), (NEW, DURABLE), None);
        section.compare((CHANGED, OURS), (CHANGED, DURABLE), None);
    }
    section.compare((STAMP_NEW, OURS), (NEW, OURS), Some(Target::AtLeast(2.0)));
    section.compare((STAMP_CHANGED, OURS), (CHANGED, OURS), Some(Target::AtLeast(2.0)));
    if sqlite {
        section.compare((NEW, ON_SQLITE), (NEW, OURS), Some(Target::AtLeast(0.5)));
        section.compare((CHANGED, ON_SQLITE), (CHANGED, OURS), Some(Target::AtLeast(0.5)));
    }
}
