//! The sequencer's stamp: one sequencer, and a writer that is in its way.

use std::sync::Arc;
use std::time::Duration;

use contract::feed::SequenceNr;
use ordering::store::{Stamped, Store};
use testkit::wait;

use crate::fixture::{ALL, Fixture, at, bolts, done, on_both_databases};

on_both_databases! {
    those_waiting_longest_come_first,
    a_batch_leaves_the_rest_for_the_next,
    an_order_changed_while_it_waits_keeps_its_place,
    the_newest_order_changed_again_gets_a_newer_number,
    nothing_to_stamp_changes_nothing,
    an_idle_look_writes_nothing_and_is_told_all_the_same,
    a_number_without_its_place_is_refused,
}

fn stamped(count: i64, last: i64) -> Stamped {
    Stamped { count, last: SequenceNr(last), begun: None }
}

async fn those_waiting_longest_come_first(fixture: Fixture) {
    fixture.customer().await;
    let [late, early] = [fixture.draft().await.number, fixture.draft().await.number];
    done(fixture.store.confirm_order(early, None, at(2)).await.unwrap());
    done(fixture.store.confirm_order(late, None, at(3)).await.unwrap());
    let same_time = fixture.draft().await.number;
    done(fixture.store.confirm_order(same_time, None, at(3)).await.unwrap());
    assert_eq!(fixture.store.stamp(ALL, at(4)).await.unwrap(), stamped(3, 3));
    assert_eq!(fixture.feed().await, [(early, 1), (late, 2), (same_time, 3)]);
}

async fn a_batch_leaves_the_rest_for_the_next(fixture: Fixture) {
    fixture.customer().await;
    for _ in 0..5 {
        fixture.confirmed().await;
    }
    for expected in [stamped(2, 2), stamped(2, 4), stamped(1, 5), stamped(0, 5)] {
        assert_eq!(fixture.store.stamp(2, at(10)).await.unwrap(), expected);
    }
    let numbers: Vec<_> = fixture.feed().await.into_iter().map(|(_, nr)| nr).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
}

async fn an_order_changed_while_it_waits_keeps_its_place(fixture: Fixture) {
    fixture.customer().await;
    let hot = fixture.confirmed().await.number;
    let other = fixture.draft().await.number;
    done(fixture.store.confirm_order(other, None, at(3)).await.unwrap());
    fixture.replace(hot, &bolts(), at(4)).await;
    fixture.stamp_all().await;
    assert_eq!(fixture.feed().await, [(hot, 1), (other, 2)]);
}

/// With "the table's maximum plus one" it would get its old number again, and nobody who has read
/// that far would see the change.
async fn the_newest_order_changed_again_gets_a_newer_number(fixture: Fixture) {
    fixture.customer().await;
    let [first, newest] = [fixture.confirmed().await.number, fixture.confirmed().await.number];
    fixture.stamp_all().await;
    let read = fixture.page(None, ALL).await.continuation_token;
    let changed = fixture.replace(newest, &bolts(), at(11)).await;
    assert_eq!(fixture.store.stamp(ALL, at(12)).await.unwrap(), stamped(1, 3));
    assert_eq!(fixture.feed().await, [(first, 1), (newest, 3)]);
    let news = fixture.page(Some(&read), ALL).await.orders;
    assert_eq!(news.len(), 1);
    assert_eq!((news[0].number, news[0].version), (newest, changed.version));
}

async fn nothing_to_stamp_changes_nothing(fixture: Fixture) {
    assert_eq!(fixture.store.stamp(ALL, at(1)).await.unwrap(), stamped(0, 0));
    fixture.customer().await;
    fixture.confirmed().await;
    fixture.stamp_all().await;
    let before = fixture.feed().await;
    assert_eq!(fixture.store.stamp(ALL, at(11)).await.unwrap(), stamped(0, 1));
    assert_eq!(fixture.feed().await, before);
}

async fn an_idle_look_writes_nothing_and_is_told_all_the_same(fixture: Fixture) {
    fixture.customer().await;
    fixture.confirmed().await;
    fixture.stamp_all().await;
    let before = fixture.dump().await;
    assert_eq!(fixture.store.stamp(ALL, at(60)).await.unwrap(), stamped(0, 1));
    assert_eq!(fixture.dump().await, before);
    let told = async |store: Arc<dyn Store>| store.feed_status(at(61)).await.unwrap().last_tick_at;
    assert_eq!(told(fixture.store.clone()).await, Some(at(60)));
    assert_eq!(told(fixture.another().await).await, Some(at(10)), "which has not looked itself");
}

/// On SQLite no writer can hold a row while the sequencer works, so the following is for
/// PostgreSQL alone.
const HOLD: &str = "begin; update orders set note = 'held' where number = ";

#[tokio::test]
async fn an_order_that_a_writer_holds_comes_next_time() {
    let fixture = Fixture::postgres().await;
    fixture.customer().await;
    let [held, free] = [fixture.confirmed().await.number, fixture.confirmed().await.number];
    let mut writer = fixture.outsider().await;
    writer.execute(&format!("{HOLD}{held}")).await.unwrap();
    assert_eq!(fixture.store.stamp(ALL, at(3)).await.unwrap(), stamped(1, 1));
    assert_eq!(fixture.feed().await, [(free, 1)]);
    writer.execute("commit").await.unwrap();
    assert_eq!(fixture.store.stamp(ALL, at(3)).await.unwrap(), stamped(1, 2));
    assert_eq!(fixture.feed().await, [(free, 1), (held, 2)]);
}

#[tokio::test]
async fn a_writer_that_never_ends_delays_nobody_else_for_long() {
    let fixture = Fixture::postgres().await;
    fixture.customer().await;
    let [held, free] = [fixture.confirmed().await.number, fixture.confirmed().await.number];
    let mut writer = fixture.outsider().await;
    writer.execute(&format!("{HOLD}{held}")).await.unwrap();
    // Long overdue, so it is waited for, in vain.
    assert_eq!(fixture.store.stamp(ALL, at(100)).await.unwrap(), stamped(1, 1));
    assert_eq!(fixture.feed().await, [(free, 1)]);
    fixture.replace(free, &bolts(), at(100)).await;
    assert_eq!(fixture.store.stamp(ALL, at(101)).await.unwrap(), stamped(1, 2));
    writer.execute("rollback").await.unwrap();
    assert_eq!(fixture.store.stamp(ALL, at(102)).await.unwrap(), stamped(1, 3));
}

/// The writer lets go only when it sees somebody wait: passing over the order would never stamp it.
#[tokio::test]
async fn an_overdue_order_is_waited_for() {
    let fixture = Fixture::postgres().await;
    fixture.customer().await;
    let held = fixture.confirmed().await.number;
    let mut writer = fixture.outsider().await;
    let waits = "select 'yes' from pg_locks l join pg_stat_activity a using (pid) \
                 where not l.granted and a.datname = current_database()";
    // On a busy machine the wait may end just before the writer does; then both try again.
    wait::until("an overdue order is stamped", Duration::from_secs(30), async || {
        writer.execute(&format!("{HOLD}{held}")).await.unwrap();
        let store = fixture.store.clone();
        let stamping = tokio::spawn(async move { store.stamp(ALL, at(100)).await.unwrap() });
        let mut seen = false;
        while !seen && !stamping.is_finished() {
            seen = !writer.texts(waits).await.is_empty();
        }
        if seen {
            writer.execute("commit").await.unwrap();
        }
        let count = stamping.await.unwrap().count;
        if !seen {
            writer.execute("rollback").await.unwrap();
        }
        count == 1
    })
    .await;
    assert_eq!(fixture.feed().await, [(held, 1)]);
}

/// One long transaction holds several overdue orders; another one is held whenever the sequencer
/// looks, but lets go when it is waited for.
#[tokio::test]
async fn every_overdue_order_has_its_turn_to_be_waited_for() {
    let fixture = Fixture::postgres().await;
    fixture.customer().await;
    let mut held = fixture.outsider().await;
    held.execute("begin").await.unwrap();
    for _ in 0..6 {
        let number = fixture.confirmed().await.number;
        held.execute(&format!("update orders set note = 'held' where number = {number}"))
            .await
            .unwrap();
    }
    let restless = fixture.confirmed().await.number;
    let mut writer = fixture.outsider().await;
    let waits = "select 'yes' from pg_locks l join pg_stat_activity a using (pid) \
                 join pg_locks h on h.transactionid = l.transactionid and h.granted \
                 where not l.granted and h.pid = pg_backend_pid()";
    wait::until("the restless order is stamped", Duration::from_secs(30), async || {
        writer.execute(&format!("{HOLD}{restless}")).await.unwrap();
        let store = fixture.store.clone();
        let stamping = tokio::spawn(async move { store.stamp(ALL, at(100)).await.unwrap() });
        while !stamping.is_finished() && writer.texts(waits).await.is_empty() {}
        writer.execute("commit").await.unwrap();
        stamping.await.unwrap().count == 1
    })
    .await;
    assert_eq!(fixture.feed().await, [(restless, 1)]);
}

/// A process of an earlier version gives a number and knows no place in the feed: nobody would see it.
async fn a_number_without_its_place_is_refused(fixture: Fixture) {
    fixture.customer().await;
    let number = fixture.confirmed().await.number;
    let mut earlier = fixture.outsider().await;
    let stamp = format!(
        "update orders set confirmed_sequence_nr = 1, unstamped_since = null where number = {number}"
    );
    earlier.execute(&stamp).await.unwrap_err();
    assert_eq!(fixture.stamp_all().await, 1);
}
