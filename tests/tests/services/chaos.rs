//! Two ordering and two billing processes on the same databases, concurrent writers, and processes
//! that are killed at random: in the end both sides are equal, and nothing is lost or done twice.

mod ledger;
mod writer;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use e2e::billing::Billing;
use e2e::equal::until_equal;
use e2e::ordering::Ordering;
use e2e::pair::{Database, Engine, Node, billing_program, ordering_program};
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use testkit::net::free_port;
use tokio::time::{Instant, sleep};

use ledger::Ledger;
use writer::Writer;

const WRITERS: u64 = 5;
/// Both sides have to catch up with everything, on a machine that runs other tests beside.
const CATCHING_UP: Duration = Duration::from_mins(1);

#[tokio::test]
async fn nothing_is_lost_while_processes_are_killed_on_postgres() {
    let seconds = std::env::var("LOCKSTEP_CHAOS_SECONDS").ok();
    let seconds = seconds.map_or(60, |text| text.parse().expect("a number of seconds"));
    chaos(Engine::Postgres, Duration::from_secs(seconds)).await;
}

#[tokio::test]
async fn nothing_is_lost_while_processes_are_killed_on_sqlite() {
    chaos(Engine::Sqlite, Duration::from_secs(15)).await;
}

async fn chaos(engine: Engine, duration: Duration) {
    let seed = seed();
    // Shown when the test fails; the moments at which things happen are not repeated by it.
    println!("LOCKSTEP_CHAOS_SEED={seed}");
    let (ordering_db, billing_db) = (Database::new(engine).await, Database::new(engine).await);
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let (ordering_port, billing_port) = (free_port(), free_port());
        let ordering = ordering_program(ordering_db.url(), ordering_port, billing_port);
        nodes.push(Node::start(ordering).await);
        // Small pages, so that many a kill falls between two of them.
        let billing = billing_program(billing_db.url(), billing_port, ordering_port);
        nodes.push(Node::start(billing.args(["--pull-limit", "10"])).await);
    }
    let orderings: Vec<_> = nodes.iter().step_by(2).map(|node| Ordering(node.api())).collect();
    let billings: Vec<_> =
        nodes.iter().skip(1).step_by(2).map(|node| Billing(node.api())).collect();
    let customer = orderings[0].customer("Ada Yards").await.unwrap();

    let ledger = Arc::new(Ledger::default());
    let end = Instant::now() + duration;
    let writers: Vec<_> = (0..WRITERS)
        .map(|id| {
            let random = StdRng::seed_from_u64(seed.wrapping_add(1 + id));
            let (orderings, billings) = (orderings.clone(), billings.clone());
            let writer = Writer::new(id, orderings, billings, &customer, ledger.clone(), random);
            tokio::spawn(writer.run_until(end))
        })
        .collect();
    let kills = kill_at_random(&mut nodes, StdRng::seed_from_u64(seed), end).await;
    for writer in join_all(writers).await {
        writer.expect("a writer met an answer that it must not get");
    }

    for billing in &billings {
        until_equal(&orderings[0], billing, CATCHING_UP).await;
    }
    let orders = orderings[1].all_orders().await.unwrap();
    let invoices = billings[0].invoices("").await.unwrap();
    let wrong = ledger.contradictions(&orders, &invoices);
    assert!(wrong.is_empty(), "{wrong:#?}");
    let approved = invoices.iter().filter(|invoice| invoice.number.is_some()).count();
    println!("{kills} kills, {} orders, {approved} invoices approved; {ledger}", orders.len());
    assert!(kills > 0 && approved > 0 && ledger.accepted() > orders.len());
}

/// Kills one process after the other, each at a random moment, and lets it be away for a while.
/// How many it killed; at the end all are running.
async fn kill_at_random(nodes: &mut [Node], mut random: StdRng, end: Instant) -> usize {
    let mut kills = 0;
    while Instant::now() < end {
        sleep(Duration::from_millis(random.random_range(100..1500))).await;
        let victim = random.random_range(0..nodes.len());
        nodes[victim].kill();
        if random.random_bool(0.5) {
            sleep(Duration::from_millis(random.random_range(0..500))).await;
        }
        nodes[victim].start_again().await;
        kills += 1;
    }
    kills
}

fn seed() -> u64 {
    match std::env::var("LOCKSTEP_CHAOS_SEED") {
        Ok(seed) => seed.parse().expect("a seed is a number"),
        // The standard library's hasher starts from the system's randomness.
        Err(_) => RandomState::new().build_hasher().finish(),
    }
}
