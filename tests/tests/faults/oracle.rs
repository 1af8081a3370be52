//! What must be true when the faults have ended and the writers have stopped.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::equal::differences;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::ledger::Ledger;
use crate::world::World;

/// Both sides have to catch up with everything, on a machine that runs other tests beside.
const CATCHING_UP: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(100);
/// No fault here loses history: processes die, and what they have written stays.
const NOTHING_LOST: BTreeSet<i64> = BTreeSet::new();

/// What no service may ever say, whatever happens around it: a panic; a statement or data that is
/// wrong in itself, which a caller would be told with a 500.
const NEVER: &[&str] = &["panicked", "the database refused a statement", "stored data is damaged"];

/// Asserts that nothing was lost, nothing was done twice, and nobody fell.
pub(crate) async fn check(world: &World, ledger: &Ledger) {
    for side in [&world.ordering, &world.billing] {
        for node in &side.nodes {
            let mut node = node.lock().await;
            node.assert_running();
            let log = node.log();
            let said = log.lines().find(|line| NEVER.iter().any(|words| line.contains(words)));
            assert_eq!(said, None, "must never be said; all of it:\n{log}");
        }
    }
    until_equal(world).await;
    let orders = world.orderings()[0].all_orders().await.expect("no fault is left");
    let invoices = world.billings()[0].invoices("").await.expect("no fault is left");
    let wrong = ledger.contradictions(&orders, &invoices);
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Nor is any order to blame for a fault of the moment.
    let aside: Value =
        world.billings()[0].get("/api/v1/quarantine").await.expect("no fault is left");
    assert_eq!(aside["quarantined"], json!([]));
    // And billing's own comparison says so too.
    let verified = world.verification().await.run().await;
    assert!(verified.status.success(), "billing verify: {verified:?}");
}

/// Waits until billing has everything. It is asked to pull at once: after failures it would wait
/// for up to half a minute by itself.
async fn until_equal(world: &World) {
    let ordering = &world.orderings()[0];
    let deadline = Instant::now() + CATCHING_UP;
    for billing in world.billings() {
        loop {
            let pulled = billing.pull().await;
            let found = differences(ordering, &billing, &NOTHING_LOST).await;
            match found {
                Ok(differences) if differences.is_empty() => break,
                found => assert!(
                    Instant::now() < deadline,
                    "not equal after {CATCHING_UP:?}; the last pull: {pulled:?}; {found:#?}"
                ),
            }
            sleep(PAUSE).await;
        }
    }
}
