//! Who the provider is, and the epochs of its history.

use contract::feed::Epoch;
use ordering::feed::Verdict;
use ordering::store::FeedAnswer;

use crate::fixture::{ALL, ANY_SIZE, Fixture, at, bolts, on_both_databases};

on_both_databases! {
    a_database_keeps_the_identity_it_was_made_with,
    an_epoch_is_replaced_once,
    an_epoch_is_later_even_when_the_clock_is_not,
    a_new_epoch_goes_on_counting,
    of_two_at_once_one_begins_the_epoch,
}

async fn a_database_keeps_the_identity_it_was_made_with(fixture: Fixture) {
    let identity = fixture.store.identity().await.unwrap();
    assert_eq!(identity.epoch, Epoch(at(0).millis()));
    // Opened by another process, with other randomness.
    assert_eq!(fixture.another().await.identity().await.unwrap(), identity);
}

async fn an_epoch_is_replaced_once(fixture: Fixture) {
    let first = fixture.store.identity().await.unwrap();
    let second = fixture.store.begin_epoch(first.epoch, at(5)).await.unwrap();
    assert_eq!((&second.feed_id, second.epoch), (&first.feed_id, Epoch(at(5).millis())));
    // Whoever still means the first comes too late, and learns of the second.
    assert_eq!(fixture.store.begin_epoch(first.epoch, at(6)).await.unwrap(), second);
    assert_eq!(fixture.store.identity().await.unwrap(), second);
}

async fn an_epoch_is_later_even_when_the_clock_is_not(fixture: Fixture) {
    let first = fixture.store.identity().await.unwrap().epoch;
    let second = fixture.store.begin_epoch(first, at(-1_000)).await.unwrap().epoch;
    assert_eq!(second, Epoch(first.0 + 1));
}

async fn a_new_epoch_goes_on_counting(fixture: Fixture) {
    fixture.customer().await;
    let number = fixture.confirmed().await.number;
    fixture.stamp_all().await;
    let before = fixture.page(None, ALL).await;
    let identity = fixture.store.begin_epoch(before.epoch, at(5)).await.unwrap();
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
            fixture.store.begin_epoch(epoch, at(10 + n)),
            other.begin_epoch(epoch, at(20 + n)),
        );
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one, two);
        assert!(one.epoch > epoch);
        epoch = one.epoch;
    }
}
