//! An order that never rests must not keep others from arriving, nor stay behind itself.
//!
//! Alone in its program, because it measures. Everything is held against the same system at rest:
//! the same writers, without the order that never rests.

mod latency;
mod stage;
mod watch;
mod writers;

use std::time::Duration;

use e2e::equal::until_equal;

use latency::Latency;
use stage::Stage;
use watch::Watch;
use writers::{Commits, Held, HotWriter, RareWriters};

/// How long the system is watched at rest, which is what the rest is compared with.
const QUIET: Duration = Duration::from_secs(10);
/// How long the hot order is changed.
const BUSY: Duration = Duration::from_secs(30);
/// Changes of the hot order in a second.
const RATE: u32 = 300;
/// How long transactions are held open that have changed further orders.
const HELD: Duration = Duration::from_secs(10);
/// How far behind billing may be with an order that is hot or was held.
const BEHIND: Duration = Duration::from_secs(2);
/// How much later than at rest the others may arrive: so many times, and so much on top, which
/// is what a busy machine takes now and then.
const SLOWER: u32 = 3;
const ON_TOP: Duration = Duration::from_millis(250);
/// Both sides have to catch up, on a machine that may do other things beside.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_order_and_held_ones_keep_nobody_from_arriving() {
    let stage = Stage::set().await;
    let commits = Commits::default();

    let watch = Watch::start(&stage).await;
    let rare = RareWriters::start(&stage, &commits);
    tokio::time::sleep(QUIET).await;
    rare.stop().await;
    until_equal(&stage.ordering, &stage.billing, SOON).await;
    let quiet = Latency::of(&commits.take(), &watch.stop().await);

    let watch = Watch::start(&stage).await;
    let rare = RareWriters::start(&stage, &commits);
    let hot = HotWriter::start(&stage, &commits, RATE).await;
    let held = Held::start(&stage, &commits, HELD).await;
    tokio::time::sleep(BUSY).await;
    held.ended().await;
    rare.stop().await;
    let rate = hot.stop().await;
    until_equal(&stage.ordering, &stage.billing, SOON).await;
    let (made, seen) = (commits.take(), watch.stop().await);
    let (of_rare, of_held, of_hot) = (
        Latency::of(&made.only(&stage.rare), &seen),
        Latency::of(&made.only(&stage.held), &seen),
        seen.behind(&made.only(&[stage.hot])),
    );

    println!("changes of the hot order: {rate:.0}/s; billing behind on it: {of_hot}");
    println!("rare ones at rest:      {quiet}");
    println!("rare ones beside it:    {of_rare}");
    println!("held ones after commit: {of_held}");
    assert!(rate > f64::from(RATE) * 0.9, "the hot order was not hot: {rate:.0} changes/s");
    assert!(quiet.count() > 50 && of_rare.count() > 150, "too few to compare");
    assert_eq!(of_held.count(), stage.held.len());
    assert!(of_hot.worst() <= BEHIND, "billing was behind on the hot order: {of_hot}");
    assert!(of_held.worst() <= BEHIND, "those held came late: {of_held}");
    for share in [50, 95] {
        let (quiet, busy) = (quiet.percentile(share), of_rare.percentile(share));
        let allowed = quiet * SLOWER + ON_TOP;
        assert!(busy <= allowed, "p{share} of the rare ones: {busy:?}, at rest {quiet:?}");
    }
}
