//! One round: services, clients and faults, and the judgement at its end.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering as Atomic};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::join;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::feed_reader::FeedReader;
use crate::ledger::Ledger;
use crate::oracle;
use crate::plan::Plan;
use crate::world::{Servers, World};

const WRITERS: u64 = 4;
const VISITORS: u64 = 3;
/// The writers go on for so long when the last fault is over.
const AFTER: Duration = Duration::from_millis(300);

/// What a round was like.
#[derive(Debug)]
pub(crate) struct Report {
    plan: Plan,
    /// How often each kind of fault was met.
    pub(crate) met: BTreeMap<String, usize>,
    pub(crate) accepted: usize,
    unknown: usize,
    took: Duration,
}

/// Runs the round that `seed` stands for.
///
/// # Panics
/// When anything was lost, done twice or answered as it must not be.
pub(crate) async fn round(seed: u64, servers: &mut Servers) -> Report {
    let began = Instant::now();
    let plan = Plan::of(seed);
    let world = World::start(&plan, servers).await;
    let customer = world.orderings()[0].customer("Ada Yards").await.expect("no fault has begun");
    let ledger = Ledger::default();
    let stop = AtomicBool::new(false);
    let client = |id: u64| {
        let random = StdRng::seed_from_u64(seed.wrapping_add(id << 32));
        let (ordering, billing) = (world.ordering_front(), world.billing_front());
        Client::new(id, ordering, billing, &customer, &ledger, random)
    };
    let writers = join_all((0..WRITERS).map(|id| client(id).write(&stop)));
    let visitors = join_all((WRITERS..WRITERS + VISITORS).map(|id| client(id).visit(&stop)));
    let faults = async {
        join_all(plan.faults.iter().map(|fault| world.meet(fault))).await;
        sleep(AFTER).await;
        stop.store(true, Atomic::Relaxed);
    };
    let reader = FeedReader::default().run(world.orderings(), &stop);
    let (_, _, (), seen) = join!(writers, visitors, faults, reader);
    assert!(seen.is_empty(), "the feed: {seen:#?}");
    oracle::check(&world, &ledger).await;

    let met = world.met().await;
    world.end(servers).await;
    let (accepted, unknown) = (ledger.accepted(), ledger.unknown());
    Report { plan, met, accepted, unknown, took: began.elapsed() }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, met, accepted, unknown, took } = self;
        let twins = if plan.twins { "two of each" } else { "one of each" };
        write!(
            f,
            "seed {}: {:?} and {:?}, {twins}; {accepted} writes accepted, {unknown} unknown; \
             {met:?}; {:.1} s",
            plan.seed,
            plan.ordering,
            plan.billing,
            took.as_secs_f64()
        )
    }
}
