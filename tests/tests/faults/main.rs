//! The fault matrix: the real programs on both databases, while everything around them fails.
//!
//! A round is decided by its seed: which databases, one or two processes of each service, which
//! faults, when and for how long, and what each writer wants. What cannot be repeated is the moment
//! at which things meet in the machine, so a seed that failed once is worth several tries.
//!
//! | module | what it holds |
//! |---|---|
//! | `plan` | what a seed means |
//! | `round` | one round, from start to judgement |
//! | `world` | the processes of a round, and the faults that meet them |
//! | `node`, `database`, `clock` | a process; its database; its clock |
//! | `proxy`, `wire` | what stands between the parts, over HTTP and before PostgreSQL |
//! | `client`, `ledger` | who writes and who visits, and the book they keep |
//! | `feed_reader` | sees whether a number is ever given twice |
//! | `oracle` | what must be true in the end |

mod client;
mod clock;
mod database;
mod feed_reader;
mod ledger;
mod node;
mod oracle;
mod plan;
mod proxy;
mod round;
mod wire;
mod world;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use round::{Report, round};
use world::Servers;

/// Always the same, so that the test command says the same of the same program.
const NORMAL_SEEDS: RangeInclusive<u64> = 1..=20;
/// Rounds at a time, each with servers of its own.
const LANES: usize = 2;
/// Repeats one round, or is the first of a soak.
const SEED: &str = "LOCKSTEP_FAULT_SEED";
/// A round takes some seconds, and then up to a few minutes to catch up on a busy machine.
const ROUND_LIMIT: Duration = Duration::from_mins(5);
const SOAK_SECONDS: &str = "LOCKSTEP_SOAK_SECONDS";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_whatever_fails() {
    if let Some(seed) = number(SEED) {
        rounds(seed, |next| next == seed).await;
        return;
    }
    let met = rounds(*NORMAL_SEEDS.start(), |seed| NORMAL_SEEDS.contains(&seed)).await;
    // Else the rounds prove less than they say.
    for kind in NORMAL_SEEDS.flat_map(|seed| plan::Plan::of(seed).faults).map(|fault| fault.kind) {
        assert!(met.get(&kind.to_string()).is_some_and(|met| *met > 0), "{kind} was never met");
    }
}

/// For `scripts/soak.sh`.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "runs for as long as LOCKSTEP_SOAK_SECONDS says: use scripts/soak.sh"]
async fn soak() {
    let first = number(SEED).expect("scripts/soak.sh sets the first seed");
    let seconds = number(SOAK_SECONDS).expect("scripts/soak.sh sets the time");
    let end = Instant::now() + Duration::from_secs(seconds);
    rounds(first, |_| Instant::now() < end).await;
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// Runs rounds from the seed `first` on, as long as `wanted`; how often each kind of fault was met.
async fn rounds(first: u64, wanted: impl Fn(u64) -> bool) -> BTreeMap<String, usize> {
    let next = AtomicU64::new(first);
    let lane = async || {
        let mut reports = Vec::new();
        let mut servers = Servers::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !wanted(seed) {
                return reports;
            }
            let report = Box::pin(told(seed, round(seed, &mut servers))).await;
            println!("{report}");
            reports.push(report);
        }
    };
    let reports: Vec<_> =
        join_all((0..LANES).map(|_| lane())).await.into_iter().flatten().collect();
    let mut met = BTreeMap::new();
    for (kind, times) in reports.iter().flat_map(|report| &report.met) {
        *met.entry(kind.clone()).or_default() += times;
    }
    let accepted: usize = reports.iter().map(|report| report.accepted).sum();
    println!("{} rounds, {accepted} writes accepted; faults met: {met:#?}", reports.len());
    met
}

/// The report of a round; when it fails, how to repeat it.
async fn told(seed: u64, round: impl Future<Output = Report>) -> Report {
    let in_time = async { timeout(ROUND_LIMIT, round).await.expect("a round came to no end") };
    match AssertUnwindSafe(in_time).catch_unwind().await {
        Ok(report) => report,
        Err(panic) => {
            println!(
                "failed: seed {seed}\nrepeat it: {SEED}={seed} ./scripts/test.sh --only-tests -- \
                 -p e2e --test faults nothing_is_lost -- --nocapture"
            );
            resume_unwind(panic)
        }
    }
}
