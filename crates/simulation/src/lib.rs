//! Both services in one process under a seeded scheduler: a run is decided by its seed alone, so
//! that what went wrong in one of thousands can be looked at again and again.
//!
//! Writers, sequencers, pulls, deep links, clerks and operators are actors that stand at gates. The
//! scheduler lets exactly one go on to its next gate, chosen by the dice. There is a gate before
//! every call of a store, and on both ways of the network. So the calls of all actors, each of which
//! is one transaction, come in any order, questions and answers are late, and whoever is killed is
//! killed between any two of them.
//!
//! Real are the stores with their databases, ordering's router, the sequencer, the puller and the
//! client with all its checks. Made up are the network, the time, and randomness.
//!
//! | module | what it holds |
//! |---|---|
//! | `scheduler`, `gates` | who goes on, and where everybody waits |
//! | `sim` | dice, clock and trace |
//! | `actors` | who does what |
//! | `world`, `processes` | the services, put together as they are put together for real |
//! | `network` | the way between billing and ordering, and what happens on it |
//! | `stores` | a gate before every call; a broken rule, where one is asked for |
//! | `database` | databases of a run; backup, restore, dump |
//! | `witness` | what must hold at any moment |
//! | `oracle` | what must hold in the end |

mod actors;
mod database;
mod gates;
mod network;
mod oracle;
mod processes;
mod scheduler;
mod sim;
mod stores;
mod witness;
mod world;

use std::sync::Arc;

pub use database::Kind;
use scheduler::Scheduler;
use sim::Sim;
pub use stores::Rule;
use world::World;

/// How a run is to be.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What both services keep their data in.
    pub database: Kind,
    /// For how many steps the weather is stormy.
    pub steps: usize,
    /// Which rule is broken; `None` in a run that is to succeed.
    pub broken: Option<Rule>,
}

impl Options {
    /// A run that is to succeed.
    pub const fn on(database: Kind) -> Self {
        Self { database, steps: 200, broken: None }
    }
}

/// What a run was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// What decided it.
    pub seed: u64,
    /// One line a step, and what came of it.
    pub trace: Vec<String>,
    /// Every row of both databases in the end.
    pub rows: Vec<String>,
    /// What happened and must not; empty when all is well.
    pub violations: Vec<String>,
    /// How often ordering was restored from a backup.
    pub restores: u64,
}

/// Runs a seed to its end, on a thread of its own: a run that another thread's work could delay would
/// still be the same, but this one decides what runs next.
///
/// # Panics
/// When something cannot be made that a run needs, and when the services panic.
pub fn run(seed: u64, options: Options) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    // Without the runtime's own idea of whose turn it is.
    let report = runtime.block_on(tokio::task::unconstrained(run_seed(seed, options)));
    runtime.shutdown_background();
    report
}

async fn run_seed(seed: u64, options: Options) -> Report {
    let sim = Sim::new(seed);
    let world = World::new(&sim, options).await;
    let mut scheduler = Scheduler::new(Arc::clone(&sim));
    scheduler.add("writer 1", 6, actors::writer(Arc::clone(&world)));
    scheduler.add("writer 2", 6, actors::writer(Arc::clone(&world)));
    for (place, name) in ["sequencer 1", "sequencer 2"].into_iter().enumerate() {
        scheduler.add(name, 3, actors::sequencer(Arc::clone(&world), place));
    }
    for (place, name) in ["pull 1", "pull 2"].into_iter().enumerate() {
        scheduler.add(name, 12, actors::puller(Arc::clone(&world), place));
    }
    scheduler.add("link user", 8, actors::link_user(Arc::clone(&world)));
    scheduler.add("clerk", 2, actors::clerk(Arc::clone(&world)));
    scheduler.add("operator", 2, actors::operator(Arc::clone(&world)));

    let mut goes_on = true;
    for _ in 0..options.steps {
        goes_on = goes_on && scheduler.step().await;
    }
    sim.calm_down();
    sim.end();
    while goes_on {
        goes_on = scheduler.step().await;
    }
    if !sim.has_violation() {
        let draining = Arc::clone(&world);
        scheduler.add("drain", 1, async move { oracle::drain(&draining).await });
        while scheduler.step().await {}
    }
    if !sim.has_violation() {
        let found = oracle::compare(&world).await.expect("both databases answer");
        for difference in found {
            sim.violation(difference);
        }
    }
    report(&sim, &world, seed).await
}

async fn report(sim: &Sim, world: &World, seed: u64) -> Report {
    world.kill_all();
    let mut rows = database::dump(&world.databases.ordering()).await;
    rows.extend(database::dump(&world.databases.billing()).await);
    let trace = sim.take_trace();
    let witness = sim.witness();
    Report { seed, trace, rows, violations: witness.violations.clone(), restores: witness.restores }
}
