//! The sequencer's stamp: one sequencer, and writers beside it.

use std::sync::Arc;
use std::time::Duration;

use contract::feed::{ContinuationToken, FeedIdentity, SequenceNr};
use contract::time::Timestamp;
use ordering::store::{FeedAnswer, Stamped, Store};
use testkit::wait;

use crate::fixture::{
    ALL, ANY_SIZE, Fixture, Outsider, at, bolts, done, on_both_databases, page_of,
};

on_both_databases! {
    those_waiting_longest_come_first,
    a_batch_leaves_the_rest_for_the_next,
    an_order_changed_while_it_waits_gets_one_number,
    an_order_changed_before_each_batch_has_its_turn,
    few_orders_are_told_with_their_stamp,
    runs_of_changes_are_continued,
    runs_without_changes_are_forgotten,
    the_newest_order_changed_again_gets_a_newer_number,
    nothing_to_stamp_changes_nothing,
    an_idle_look_writes_nothing_and_is_told_all_the_same,
    an_earlier_version_is_refused,
    whoever_writes_an_exposed_order_lets_it_wait,
}

/// How many numbers were given, and the newest one.
async fn stamp(fixture: &Fixture, limit: i64, when: Timestamp) -> (i64, i64) {
    told(&fixture.store.stamp(limit, when).await.unwrap())
}

fn told(stamped: &Stamped) -> (i64, i64) {
    (stamped.count, stamped.last.0)
}

async fn those_waiting_longest_come_first(fixture: Fixture) {
    fixture.customer().await;
    let [late, early] = [fixture.draft().await.number, fixture.draft().await.number];
    done(fixture.store.confirm_order(early, None, at(2)).await.unwrap());
    done(fixture.store.confirm_order(late, None, at(3)).await.unwrap());
    let same_time = fixture.draft().await.number;
    done(fixture.store.confirm_order(same_time, None, at(3)).await.unwrap());
    assert_eq!(stamp(&fixture, ALL, at(4)).await, (3, 3));
    assert_eq!(fixture.feed().await, [(early, 1), (late, 2), (same_time, 3)]);
}

async fn a_batch_leaves_the_rest_for_the_next(fixture: Fixture) {
    fixture.customer().await;
    for _ in 0..5 {
        fixture.confirmed().await;
    }
    for (expected, is_full) in [((2, 2), true), ((2, 4), true), ((1, 5), false), ((0, 5), false)] {
        let stamped = fixture.store.stamp(2, at(10)).await.unwrap();
        assert_eq!((told(&stamped), stamped.is_full), (expected, is_full));
    }
    let numbers: Vec<_> = fixture.feed().await.into_iter().map(|(_, nr)| nr).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
}

async fn an_order_changed_while_it_waits_gets_one_number(fixture: Fixture) {
    fixture.customer().await;
    let hot = fixture.confirmed().await.number;
    let other = fixture.draft().await.number;
    done(fixture.store.confirm_order(other, None, at(3)).await.unwrap());
    fixture.replace(hot, &bolts(), at(4)).await;
    assert_eq!(stamp(&fixture, ALL, at(5)).await, (2, 2));
    assert_eq!(fixture.feed().await, [(other, 1), (hot, 2)]);
    // A batch is full of what it takes, whatever gets a number.
    fixture.replace(hot, &bolts(), at(6)).await;
    fixture.replace(hot, &bolts(), at(6)).await;
    let stamped = fixture.store.stamp(2, at(7)).await.unwrap();
    assert_eq!((told(&stamped), stamped.is_full), ((1, 3), true));
}

/// Its change that has waited longest comes first, however many there are by then.
async fn an_order_changed_before_each_batch_has_its_turn(fixture: Fixture) {
    fixture.customer().await;
    let hot = fixture.confirmed().await.number;
    let others = [fixture.confirmed().await.number, fixture.confirmed().await.number];
    for (batch, feed) in [
        vec![(hot, 1)],
        vec![(hot, 1), (others[0], 2)],
        vec![(hot, 1), (others[0], 2), (others[1], 3)],
        vec![(others[0], 2), (others[1], 3), (hot, 4)],
    ]
    .into_iter()
    .enumerate()
    {
        let when = at(3 + i64::try_from(batch).unwrap());
        fixture.replace(hot, &bolts(), when).await;
        assert_eq!(fixture.store.stamp(1, when).await.unwrap().count, 1);
        assert_eq!(fixture.feed().await, feed);
    }
}

/// Just as whoever asks for them reads them. Not many, nor large ones.
async fn few_orders_are_told_with_their_stamp(fixture: Fixture) {
    fixture.customer().await;
    let hot = fixture.confirmed().await.number;
    let mut last = tells_page(&fixture, SequenceNr::BEGINNING, ALL, true).await;
    fixture.confirmed().await;
    fixture.replace(hot, &bolts(), at(4)).await;
    fixture.replace(hot, &bolts(), at(5)).await;
    last = tells_page(&fixture, last, ALL, true).await;
    assert_eq!(last, SequenceNr(3));
    // Of a batch that leaves some for the next, too.
    fixture.confirmed().await;
    fixture.confirmed().await;
    for _ in 0..2 {
        last = tells_page(&fixture, last, 1, true).await;
    }
    // What an order says by now belongs to a change that waits for the next batch.
    fixture.replace(hot, &bolts(), at(6)).await;
    fixture.replace(hot, &bolts(), at(7)).await;
    for is_told in [false, true] {
        last = tells_page(&fixture, last, 1, is_told).await;
    }
    for count in [16, 17] {
        for _ in 0..count {
            fixture.confirmed().await;
        }
        last = tells_page(&fixture, last, ALL, count == 16).await;
    }
    let mut large = bolts();
    large.lines = vec![large.lines[0].clone(); 200];
    fixture.replace(hot, &large, at(8)).await;
    tells_page(&fixture, last, ALL, false).await;
    assert_eq!(fixture.store.stamp(ALL, at(11)).await.unwrap().page, None, "nothing was stamped");
}

/// Whoever reads the page meets the damage; whoever is stamped with it does not wait for its mending.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_damaged_is_stamped_all_the_same() {
    let fixture = Fixture::postgres().await;
    fixture.customer().await;
    fixture.confirmed().await;
    let mut outsider = fixture.outsider().await;
    outsider.execute("update feed_documents set document = '{}'").await.unwrap();
    let stamped = fixture.store.stamp(ALL, at(3)).await.unwrap();
    assert_eq!((told(&stamped), stamped.page), ((1, 1), None));
}

/// Stamps, and asserts that what is behind `last` is told with it, or that nothing is; the newest number.
async fn tells_page(fixture: &Fixture, last: SequenceNr, limit: i64, is_told: bool) -> SequenceNr {
    let stamped = fixture.store.stamp(limit, at(10)).await.unwrap();
    let FeedIdentity { feed_id, epoch } = fixture.store.identity().await.unwrap();
    let token = ContinuationToken { feed_id, epoch, sequence_nr: last };
    let page = fixture.store.feed_page(Some(&token), ALL, ANY_SIZE).await.unwrap();
    assert!(stamped.count > 0);
    match stamped.page {
        Some(told) => {
            assert!(is_told);
            assert_eq!(FeedAnswer::Page(told), page);
        }
        None => assert!(!is_told || !fixture.is_postgres(), "{stamped:?}"),
    }
    stamped.last
}

/// One row for all of them; another one where a change in between is not there yet, or has gone.
async fn runs_of_changes_are_continued(fixture: Fixture) {
    fixture.customer().await;
    let numbers = [
        fixture.confirmed().await.number,
        fixture.confirmed().await.number,
        fixture.confirmed().await.number,
    ];
    for expected in ["1 1 1", "1 1 2", "1 1 3"] {
        assert_eq!(fixture.store.stamp(1, at(3)).await.unwrap().count, 1);
        assert_eq!(fixture.runs().await, [expected]);
    }
    // The fourth change is replaced by the sixth while both wait.
    for number in [numbers[0], numbers[1], numbers[0], numbers[2]] {
        fixture.replace(number, &bolts(), at(4)).await;
    }
    assert_eq!(stamp(&fixture, ALL, at(5)).await, (3, 6));
    assert_eq!(fixture.runs().await, ["1 1 3", "4 5 3"]);
    assert_eq!(fixture.feed().await, [(numbers[1], 4), (numbers[0], 5), (numbers[2], 6)]);
}

/// All but the newest one, which is continued.
async fn runs_without_changes_are_forgotten(fixture: Fixture) {
    fixture.customer().await;
    let [one, two] = [fixture.confirmed().await.number, fixture.confirmed().await.number];
    assert_eq!(fixture.stamp_all().await, 2);
    // Each time the first change is replaced while it waits, and a new run begins behind it.
    for _ in 0..2 {
        for number in [one, two, one, two] {
            fixture.replace(number, &bolts(), at(4)).await;
        }
        assert_eq!(fixture.stamp_all().await, 2);
    }
    assert_eq!(fixture.runs().await, ["1 1 2", "3 5 2", "5 9 2"]);
    let feed = fixture.feed().await;
    assert_eq!(fixture.store.forget_empty_runs().await.unwrap(), 2);
    assert_eq!(fixture.runs().await, ["5 9 2"]);
    assert_eq!(fixture.feed().await, feed);
    fixture.replace(one, &bolts(), at(5)).await;
    assert_eq!(stamp(&fixture, ALL, at(11)).await, (1, 7));
    assert_eq!(fixture.store.forget_empty_runs().await.unwrap(), 0);
    assert_eq!(fixture.runs().await, ["5 9 3"]);
    assert_eq!(fixture.feed().await, [(two, 6), (one, 7)]);
}

/// With "the table's maximum plus one" it would get its old number again, and nobody who has read
/// that far would see the change.
async fn the_newest_order_changed_again_gets_a_newer_number(fixture: Fixture) {
    fixture.customer().await;
    let [first, newest] = [fixture.confirmed().await.number, fixture.confirmed().await.number];
    fixture.stamp_all().await;
    let read = fixture.page(None, ALL).await.continuation_token;
    let changed = fixture.replace(newest, &bolts(), at(11)).await;
    assert_eq!(stamp(&fixture, ALL, at(12)).await, (1, 3));
    assert_eq!(fixture.feed().await, [(first, 1), (newest, 3)]);
    let news = fixture.page(Some(&read), ALL).await.orders;
    assert_eq!(news.len(), 1);
    assert_eq!((news[0].number, news[0].version), (newest, changed.version));
}

async fn nothing_to_stamp_changes_nothing(fixture: Fixture) {
    assert_eq!(stamp(&fixture, ALL, at(1)).await, (0, 0));
    fixture.customer().await;
    fixture.confirmed().await;
    fixture.stamp_all().await;
    let before = fixture.feed().await;
    assert_eq!(stamp(&fixture, ALL, at(11)).await, (0, 1));
    assert_eq!(fixture.feed().await, before);
}

async fn an_idle_look_writes_nothing_and_is_told_all_the_same(fixture: Fixture) {
    fixture.customer().await;
    fixture.confirmed().await;
    fixture.stamp_all().await;
    let before = fixture.dump().await;
    assert_eq!(stamp(&fixture, ALL, at(60)).await, (0, 1));
    assert_eq!(fixture.dump().await, before);
    let told = async |store: Arc<dyn Store>| store.feed_status(at(61)).await.unwrap().last_tick_at;
    assert_eq!(told(fixture.store.clone()).await, Some(at(60)));
    assert_eq!(told(fixture.another().await).await, Some(at(10)), "which has not looked itself");
}

/// On SQLite nobody writes while the sequencer works, so the following is for PostgreSQL alone.
const HOLD: &str = "begin; update orders set note = 'held' where number = ";

/// Not empty when somebody waits for a lock.
const WAITS: &str = "select 'yes' from pg_locks l join pg_stat_activity a using (pid) \
    where not l.granted and a.datname = current_database()";

#[tokio::test]
async fn what_is_committed_is_stamped_whoever_holds_the_order() {
    let fixture = Fixture::postgres().await;
    fixture.customer().await;
    let [held, free] = [fixture.confirmed().await.number, fixture.confirmed().await.number];
    let mut writer = fixture.outsider().await;
    writer.execute(&format!("{HOLD}{held}")).await.unwrap();
    assert_eq!(stamp(&fixture, ALL, at(100)).await, (2, 2));
    fixture.replace(free, &bolts(), at(101)).await;
    assert_eq!(stamp(&fixture, ALL, at(101)).await, (1, 3));
    assert_eq!(fixture.feed().await, [(held, 1), (free, 3)]);
    writer.execute("commit").await.unwrap();
    assert_eq!(stamp(&fixture, ALL, at(102)).await, (1, 4));
    assert_eq!(fixture.feed().await, [(free, 3), (held, 4)]);
}

/// Nor does a writer wait for the sequencer: a stamp that is not committed yet holds no order.
#[tokio::test]
async fn an_order_can_be_written_while_it_is_stamped() {
    let fixture = Fixture::postgres().await;
    fixture.customer().await;
    let [kept, changed] = [fixture.confirmed().await.number, fixture.confirmed().await.number];
    let mut sequencer = fixture.outsider().await;
    let begun = "begin; update feed_state set last_sequence_nr = 2; delete from feed_queue; \
        insert into feed_runs values (1, 1, 2)";
    sequencer.execute(begun).await.unwrap();
    fixture.replace(changed, &bolts(), at(3)).await;
    sequencer.execute("commit").await.unwrap();
    assert_eq!(fixture.feed().await, [(kept, 1), (changed, 2)]);
    assert_eq!(stamp(&fixture, ALL, at(4)).await, (1, 3));
    assert_eq!(fixture.feed().await, [(kept, 1), (changed, 3)]);
}

/// What the statement saw before it had the counter is of the past: a change that the other sequencer has
/// stamped, and an order that a writer has changed once more.
#[tokio::test]
async fn a_stamp_that_waits_for_another_sequencer_goes_on_behind_it() {
    let fixture = Fixture::postgres().await;
    fixture.customer().await;
    let first = fixture.confirmed().await.number;
    assert_eq!(stamp(&fixture, ALL, at(3)).await, (1, 1));
    let [theirs, ours] = [fixture.confirmed().await.number, fixture.confirmed().await.number];
    let mut other = fixture.outsider().await;
    let begun = format!(
        "begin; update feed_state set last_sequence_nr = 2; \
         delete from feed_queue where number = {theirs}; \
         update feed_runs set length = length + 1"
    );
    other.execute(&begun).await.unwrap();
    let store = fixture.store.clone();
    let stamping = tokio::spawn(async move { store.stamp(ALL, at(3)).await.unwrap() });
    wait::until("it waits for the counter", Duration::from_secs(30), async || {
        !other.texts(WAITS).await.is_empty()
    })
    .await;
    fixture.replace(ours, &bolts(), at(3)).await;
    assert!(!stamping.is_finished());
    other.execute("commit").await.unwrap();
    assert_eq!(told(&stamping.await.unwrap()), (1, 3));
    assert_eq!(fixture.feed().await, [(first, 1), (theirs, 2), (ours, 3)]);
    assert_eq!(stamp(&fixture, ALL, at(3)).await, (1, 4));
    assert_eq!(fixture.feed().await, [(first, 1), (theirs, 2), (ours, 4)]);
    assert_eq!(stamp(&fixture, ALL, at(3)).await, (0, 4));
}

/// A process of an earlier version, which knows no changes beside the orders.
async fn an_earlier_version_is_refused(fixture: Fixture) {
    fixture.customer().await;
    let number = fixture.confirmed().await.number;
    let mut earlier = fixture.outsider().await;
    for set in [
        "confirmed_sequence_nr = 1, feed_sequence_nr = 1, unstamped_since = null",
        "version = version + 1, confirmed_sequence_nr = -1",
    ] {
        let sql = format!("update orders set {set} where number = {number}");
        earlier.execute(&sql).await.unwrap_err();
    }
    assert_eq!(fixture.stamp_all().await, 1);
}

/// Somebody who knows nothing of the feed, and writes whatever it may be.
async fn whoever_writes_an_exposed_order_lets_it_wait(fixture: Fixture) {
    fixture.customer().await;
    let [stamped, waiting] = [fixture.confirmed().await.number, fixture.confirmed().await.number];
    let [draft, kept] = [fixture.draft().await.number, fixture.draft().await.number];
    fixture.store.stamp(1, at(10)).await.unwrap();
    assert_eq!(fixture.feed().await, [(stamped, 1)]);
    let mut somebody = fixture.outsider().await;
    let confirm = "state = 'confirmed', version = 2, changed_at = changed_at + 7000000, \
        confirmed_at = changed_at, customer_name = 'Ada', customer_email = 'ada@example.com'";
    for (set, number) in
        [("note = note", stamped), ("note = 'x'", waiting), (confirm, draft), ("note = 'x'", kept)]
    {
        let sql = format!("update orders set {set} where number = {number}");
        assert_eq!(somebody.execute(&sql).await.unwrap(), 1);
    }
    assert_eq!(fixture.store.feed_status(at(20)).await.unwrap().unstamped, 3);
    assert_eq!(fixture.stamp_all().await, 3);
    assert_eq!(fixture.feed().await, [(stamped, 2), (waiting, 3), (draft, 4)]);
    // A page shows what they have written, although the documents of the feed do not.
    for told in page_of(fixture.store.feed_page(None, ALL, ANY_SIZE).await.unwrap()).orders {
        assert_eq!(fixture.store.order(told.number).await.unwrap(), Some(told));
    }
    let insert = "insert into orders (state, version, customer_id, customer_name, customer_email, \
        currency, net_minor, tax_minor, total_minor, line_count, created_at, changed_at, confirmed_at) \
        select state, 1, customer_id, customer_name, customer_email, currency, net_minor, tax_minor, \
        total_minor, line_count, created_at, changed_at, confirmed_at from orders";
    assert_eq!(somebody.execute(insert).await.unwrap(), 4);
    assert_eq!(fixture.stamp_all().await, 3, "all but the draft");
}

/// Two orders that were stamped, and a change of the first that is written and not committed.
async fn with_a_late_change() -> (Fixture, [i64; 2], Outsider) {
    let fixture = Fixture::postgres().await;
    fixture.customer().await;
    let [late, other] = [fixture.confirmed().await.number, fixture.confirmed().await.number];
    assert_eq!(stamp(&fixture, ALL, at(100)).await, (2, 2));
    let mut writer = fixture.outsider().await;
    writer.execute(&format!("{HOLD}{late}")).await.unwrap();
    fixture.replace(other, &bolts(), at(100)).await;
    assert_eq!(stamp(&fixture, ALL, at(100)).await, (1, 3));
    assert_eq!(stamp(&fixture, ALL, at(100)).await, (0, 3));
    (fixture, [late, other], writer)
}

/// What this process has committed is stamped without a look; what was written before the last look, and
/// committed after it, is found by the next one.
#[tokio::test]
async fn a_change_that_is_committed_late_is_found() {
    let (fixture, [late, other], mut writer) = with_a_late_change().await;
    fixture.replace(other, &bolts(), at(100)).await;
    writer.execute("commit").await.unwrap();
    assert_eq!(stamp(&fixture, ALL, at(101)).await, (1, 4));
    assert_eq!(stamp(&fixture, ALL, at(101)).await, (1, 5));
    assert_eq!(fixture.feed().await, [(other, 4), (late, 5)]);
}

/// Its next changes are known to wait and the late one is not; but they are not stamped without that one, or
/// the order would stand in the feed twice.
#[tokio::test]
async fn an_order_changed_again_behind_a_late_change_stands_in_the_feed_once() {
    let (fixture, [late, other], mut writer) = with_a_late_change().await;
    writer.execute("commit").await.unwrap();
    for number in [late, late, other] {
        fixture.replace(number, &bolts(), at(100)).await;
    }
    assert_eq!(stamp(&fixture, ALL, at(101)).await, (2, 5));
    assert_eq!(fixture.feed().await, [(late, 4), (other, 5)]);
    assert_eq!(stamp(&fixture, ALL, at(103)).await, (0, 5));
    assert_eq!(fixture.feed().await, [(late, 4), (other, 5)]);
}

/// However many changes of its own keep it busy, it looks often enough for those of others.
#[tokio::test]
async fn a_busy_sequencer_looks_now_and_then() {
    let (fixture, [_, busy], mut writer) = with_a_late_change().await;
    writer.execute("commit").await.unwrap();
    for (second, count) in [(101, 1), (102, 1), (103, 2)] {
        fixture.replace(busy, &bolts(), at(second)).await;
        assert_eq!(fixture.store.stamp(ALL, at(second)).await.unwrap().count, count, "{second}");
    }
}
