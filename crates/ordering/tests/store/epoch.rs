//! Who the provider is, and the epochs of its history.

use contract::feed::{Epoch, SequenceNr};
use ordering::feed::Verdict;
use ordering::store::{Begun, BegunEpoch, EpochReason, FeedAnswer, Stamped};

use crate::fixture::{ALL, ANY_SIZE, Fixture, at, bolts, on_both_databases};

on_both_databases! {
    a_database_keeps_the_identity_it_was_made_with,
    an_epoch_is_replaced_once,
    an_epoch_is_later_even_when_the_clock_is_not,
    a_new_epoch_goes_on_counting,
    of_two_at_once_one_begins_the_epoch,
    every_epoch_is_noted_with_its_reason,
}

async fn a_database_keeps_the_identity_it_was_made_with(fixture: Fixture) {
    let identity = fixture.store.identity().await.unwrap();
    assert_eq!(identity.epoch, Epoch(at(0).millis()));
    // Opened by another process, with other randomness.
    assert_eq!(fixture.another().await.identity().await.unwrap(), identity);
}

async fn an_epoch_is_replaced_once(fixture: Fixture) {
    let first = fixture.store.identity().await.unwrap();
    let second = fixture.store.begin_epoch(first.epoch, EpochReason::ByHand, at(5)).await.unwrap();
    assert_eq!((&second.feed_id, second.epoch), (&first.feed_id, Epoch(at(5).millis())));
    // Whoever still means the first comes too late, and learns of the second.
    assert_eq!(
        fixture.store.begin_epoch(first.epoch, EpochReason::ByHand, at(6)).await.unwrap(),
        second
    );
    assert_eq!(fixture.store.identity().await.unwrap(), second);
}

async fn an_epoch_is_later_even_when_the_clock_is_not(fixture: Fixture) {
    let first = fixture.store.identity().await.unwrap().epoch;
    let second =
        fixture.store.begin_epoch(first, EpochReason::ByHand, at(-1_000)).await.unwrap().epoch;
    assert_eq!(second, Epoch(first.0 + 1));
}

async fn a_new_epoch_goes_on_counting(fixture: Fixture) {
    fixture.customer().await;
    let number = fixture.confirmed().await.number;
    fixture.stamp_all().await;
    let before = fixture.page(None, ALL).await;
    let identity =
        fixture.store.begin_epoch(before.epoch, EpochReason::ByHand, at(5)).await.unwrap();
    let token = Some(&before.continuation_token);
    let answer = fixture.store.feed_page(token, ALL, ANY_SIZE).await.unwrap();
    assert_eq!(answer, FeedAnswer::Refused { identity, verdict: Verdict::Reset });
    assert_eq!(fixture.feed().await, [(number, 1)]);
    fixture.replace(number, &bolts(), at(6)).await;
    fixture.stamp_all().await;
    assert_eq!(fixture.feed().await, [(number, 2)]);
}

async fn of_two_at_once_one_begins_the_epoch(fixture: Fixture) {
    let other = fixture.another().await;
    let mut epoch = fixture.store.identity().await.unwrap().epoch;
    for n in 0..10 {
        let (one, two) = tokio::join!(
            fixture.store.begin_epoch(epoch, EpochReason::ByHand, at(10 + n)),
            other.begin_epoch(epoch, EpochReason::ByHand, at(20 + n)),
        );
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one, two);
        assert!(one.epoch > epoch);
        epoch = one.epoch;
    }
}

async fn every_epoch_is_noted_with_its_reason(fixture: Fixture) {
    fixture.customer().await;
    fixture.confirmed().await;
    fixture.stamp_all().await;
    let first = fixture.store.identity().await.unwrap().epoch;
    let second = fixture.store.begin_epoch(first, EpochReason::ByHand, at(5)).await.unwrap().epoch;
    let reason = EpochReason::LostHistory;
    let third = fixture.store.begin_epoch(second, reason, at(6)).await.unwrap().epoch;
    // Begun already, so nothing begins.
    fixture.store.begin_epoch(second, EpochReason::ByHand, at(7)).await.unwrap();
    let begun = |epoch, began_at, last, reason| BegunEpoch {
        epoch,
        began_at,
        last_sequence_nr: SequenceNr(last),
        reason,
    };
    let expected = [
        begun(third, at(6), 1, EpochReason::LostHistory),
        begun(second, at(5), 1, EpochReason::ByHand),
        begun(first, at(0), 0, EpochReason::Created),
    ];
    assert_eq!(fixture.store.epochs(10).await.unwrap(), expected);
    assert_eq!(fixture.store.epochs(1).await.unwrap(), expected[..1]);
}

/// As if the database had been `history` when its epoch began.
async fn with_history(history: &str) -> Fixture {
    let fixture = Fixture::postgres().await;
    fixture.customer().await;
    fixture.confirmed().await;
    let before = fixture.store.stamp(ALL, at(3)).await.unwrap();
    assert_eq!((before.count, before.begun), (1, None));
    let sql = format!("update feed_state set history = {history}");
    fixture.outsider().await.execute(&sql).await.unwrap();
    fixture
}

/// Asserts that the next tick begins an epoch for this reason before it stamps, and the tick after
/// that none.
async fn assert_begins(fixture: Fixture, reason: EpochReason) {
    let before = fixture.store.identity().await.unwrap().epoch;
    fixture.confirmed().await;
    let stamped = fixture.store.stamp(ALL, at(7)).await.unwrap();
    let epoch = Epoch(at(7).millis());
    let begun = Some(Begun { replaced: before, epoch, reason });
    let last = SequenceNr(2);
    // Who waits has to learn of the epoch, and gets no page of it.
    assert_eq!(stamped, Stamped { count: 1, is_full: false, last, begun, page: None });
    assert_eq!(fixture.store.identity().await.unwrap().epoch, epoch);
    assert_eq!(fixture.store.stamp(ALL, at(8)).await.unwrap().begun, None);
    assert_eq!(fixture.store.epochs(1).await.unwrap()[0].reason, reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_timeline_is_a_failover() {
    let earlier = "'FFFFFFFF' || substr(history, 9)";
    assert_begins(with_history(earlier).await, EpochReason::Failover).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_or_table_is_a_restore() {
    let elsewhere = "history || '0'";
    assert_begins(with_history(elsewhere).await, EpochReason::Restored).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_from_before_histories_were_noted_keeps_its_epoch() {
    let fixture = with_history("null").await;
    assert_eq!(fixture.store.stamp(ALL, at(7)).await.unwrap().begun, None);
    let mut outsider = fixture.outsider().await;
    let noted = outsider.texts("select history from feed_state").await.remove(0);
    assert_eq!(noted.split('/').count(), 4, "{noted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_tells_no_copy_from_its_file() {
    let fixture = Fixture::sqlite().await;
    assert_eq!(fixture.store.stamp(ALL, at(1)).await.unwrap().begun, None);
    assert_eq!(fixture.store.stamp(ALL, at(2)).await.unwrap().begun, None);
}
