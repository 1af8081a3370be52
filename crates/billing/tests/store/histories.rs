//! Which answers are taken in, and how they move the token.

use billing::store::{Applied, Received};
use contract::feed::FeedIdentity;

use crate::fixture::{
    AT, EPOCH, Fixture, deleted, identity, on_both_databases, order, page, page_in, pulled,
    pulled_in, token,
};

on_both_databases!(
    the_first_answer_is_adopted,
    a_page_moves_the_token_and_a_pulled_order_does_not,
    a_page_asked_with_another_token_changes_nothing,
    another_feed_changes_nothing,
    an_older_epoch_changes_nothing,
    a_later_epoch_is_read_from_the_beginning,
    a_later_epoch_is_adopted_once,
    a_token_of_an_older_epoch_is_given_up,
    the_token_is_reset,
    a_forgotten_feed_gives_way_to_any_other,
);

async fn the_first_answer_is_adopted(fixture: Fixture) {
    let state = fixture.store.pull_state().await.unwrap();
    assert_eq!((state.identity, state.continuation_token), (None, None));

    fixture.take_in(&pulled(order(1, 1, 1))).await;
    let state = fixture.store.pull_state().await.unwrap();
    assert_eq!((state.identity, state.continuation_token), (Some(identity(EPOCH)), None));
    assert_eq!(state.last_sequence_nr, None);
}

async fn a_page_moves_the_token_and_a_pulled_order_does_not(fixture: Fixture) {
    fixture.take_in(&page(0, 5, vec![order(1, 1, 1)])).await;
    let state = fixture.store.pull_state().await.unwrap();
    assert_eq!(state.continuation_token, Some(token(EPOCH, 5)));
    assert_eq!(state.last_sequence_nr.map(|nr| nr.0), Some(5));

    fixture.take_in(&pulled(order(9, 1, 1))).await;
    let state = fixture.store.pull_state().await.unwrap();
    assert_eq!(state.continuation_token, Some(token(EPOCH, 5)));
    assert_eq!(state.last_sequence_nr.map(|nr| nr.0), Some(5));

    fixture.take_in(&page(5, 5, vec![])).await;
    fixture.take_in(&page(5, 8, vec![order(2, 1, 1)])).await;
    let state = fixture.store.pull_state().await.unwrap();
    assert_eq!(state.continuation_token, Some(token(EPOCH, 8)));
}

async fn a_page_asked_with_another_token_changes_nothing(fixture: Fixture) {
    fixture.take_in(&page(0, 5, vec![order(1, 1, 1)])).await;
    for from in [0, 4, 6] {
        let late = page(from, 9, vec![order(1, 2, 2), order(2, 1, 1)]);
        assert_eq!(fixture.refuses(&late).await, Applied::Superseded);
    }
}

async fn another_feed_changes_nothing(fixture: Fixture) {
    fixture.take_in(&page(0, 5, vec![order(1, 1, 1)])).await;
    for epoch in [EPOCH - 1, EPOCH, EPOCH + 1] {
        let other = FeedIdentity { feed_id: "another".parse().unwrap(), ..identity(epoch) };
        for answer in [page(5, 9, vec![order(1, 2, 2)]), pulled(order(1, 2, 2))] {
            let answer = Received { identity: other.clone(), ..answer };
            assert_eq!(fixture.refuses(&answer).await, Applied::WrongHistory);
        }
        assert!(!fixture.store.adopt_epoch(&other, AT).await.unwrap());
    }
}

async fn an_older_epoch_changes_nothing(fixture: Fixture) {
    fixture.take_in(&page_in(2, 0, 5, vec![order(1, 1, 1)])).await;
    for answer in [
        page_in(1, 0, 9, vec![order(1, 2, 2)]),
        page_in(1, 5, 9, vec![order(1, 2, 2)]),
        pulled_in(1, deleted(1, 9)),
    ] {
        assert_eq!(fixture.refuses(&answer).await, Applied::WrongHistory);
    }
    let before = fixture.everything().await;
    assert!(!fixture.store.adopt_epoch(&identity(1), AT).await.unwrap());
    assert_eq!(fixture.everything().await, before);
}

async fn a_later_epoch_is_read_from_the_beginning(fixture: Fixture) {
    fixture.take_in(&page_in(1, 0, 5, vec![order(1, 1, 1)])).await;

    // Whatever answer tells of it first: a pulled order,
    fixture.take_in(&pulled_in(2, order(2, 1, 1))).await;
    let state = fixture.store.pull_state().await.unwrap();
    assert_eq!((state.identity, state.continuation_token), (Some(identity(2)), None));
    assert_eq!(state.last_sequence_nr, None, "numbers of another history");

    // a page that was asked with a token of the older epoch,
    fixture.take_in(&page_in(2, 0, 7, vec![order(1, 1, 1)])).await;
    let mut tail = page_in(3, 8, 9, vec![order(3, 1, 1)]);
    tail.advance.as_mut().unwrap().from = Some(token(2, 7));
    fixture.take_in(&tail).await;
    let state = fixture.store.pull_state().await.unwrap();
    assert_eq!((state.identity, state.continuation_token), (Some(identity(3)), None));
    assert_eq!(fixture.order(3).await.epoch.0, 3);

    // or a page from the beginning, which counts as such.
    fixture.take_in(&page_in(4, 0, 6, vec![order(1, 1, 1)])).await;
    let state = fixture.store.pull_state().await.unwrap();
    assert_eq!(state.identity, Some(identity(4)));
    assert_eq!(state.continuation_token, Some(token(4, 6)));
}

async fn a_later_epoch_is_adopted_once(fixture: Fixture) {
    assert!(fixture.store.adopt_epoch(&identity(1), AT).await.unwrap(), "nothing was adopted yet");
    fixture.take_in(&page_in(1, 0, 5, vec![order(1, 1, 1)])).await;

    assert!(!fixture.store.adopt_epoch(&identity(1), AT).await.unwrap());
    let state = fixture.store.pull_state().await.unwrap();
    assert_eq!(state.continuation_token, Some(token(1, 5)));

    assert!(fixture.store.adopt_epoch(&identity(2), AT).await.unwrap());
    assert!(!fixture.store.adopt_epoch(&identity(2), AT).await.unwrap());
    let state = fixture.store.pull_state().await.unwrap();
    assert_eq!((state.identity, state.continuation_token), (Some(identity(2)), None));
}

async fn a_token_of_an_older_epoch_is_given_up(fixture: Fixture) {
    fixture.take_in(&page_in(2, 0, 5, vec![])).await;
    fixture.store.reset_token(Some(&token(1, 3)), false).await.unwrap();
    // The provider refuses it, naming the epoch that is adopted already.
    assert!(fixture.store.adopt_epoch(&identity(2), AT).await.unwrap());
    assert_eq!(fixture.store.pull_state().await.unwrap().continuation_token, None);
}

async fn the_token_is_reset(fixture: Fixture) {
    fixture.take_in(&page(0, 5, vec![order(1, 1, 1)])).await;
    let (stored, invoice) = (fixture.order(1).await, fixture.only_invoice().await);

    fixture.store.reset_token(Some(&token(EPOCH, 3)), false).await.unwrap();
    let state = fixture.store.pull_state().await.unwrap();
    assert_eq!(state.continuation_token, Some(token(EPOCH, 3)));
    assert_eq!(state.identity, Some(identity(EPOCH)));

    fixture.store.reset_token(None, false).await.unwrap();
    assert_eq!(fixture.store.pull_state().await.unwrap().continuation_token, None);
    // Read again from there: all is known.
    let counts = fixture.take_in(&page(0, 5, vec![order(1, 1, 1)])).await;
    assert_eq!((counts.unchanged, counts.changed_something()), (1, false));
    assert_eq!((fixture.order(1).await, fixture.only_invoice().await), (stored, invoice));
}

async fn a_forgotten_feed_gives_way_to_any_other(fixture: Fixture) {
    fixture.take_in(&page_in(9, 0, 5, vec![order(1, 4, 1)])).await;
    fixture.store.reset_token(None, true).await.unwrap();
    let state = fixture.store.pull_state().await.unwrap();
    assert_eq!((state.identity, state.last_sequence_nr), (None, None));

    // The other database is older, and its order 1 is quite another order.
    let other = FeedIdentity { feed_id: "another".parse().unwrap(), ..identity(1) };
    let answer = Received { identity: other.clone(), ..pulled(order(1, 1, 7)) };
    assert_eq!(fixture.take_in(&answer).await.changed, 1);
    assert_eq!(fixture.order(1).await.order, order(1, 1, 7));
    assert_eq!(fixture.only_invoice().await.lines, order(1, 1, 7).lines);
    assert_eq!(fixture.store.pull_state().await.unwrap().identity, Some(other));
}
