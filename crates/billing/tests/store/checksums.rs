//! What a comparison with ordering reads, and how a repair gets in.

use billing::invoice::InvoiceState::{Approved, AwaitingApproval, Credited};
use billing::pull::Counts;
use billing::store::{Applied, RowVersion};
use contract::feed::Epoch;
use contract::order::Order;

use crate::fixture::{
    AT, EPOCH, Fixture, deleted, identity, on_both_databases, order, page, pulled,
};

on_both_databases!(
    copies_are_read_chunk_by_chunk,
    copies_are_read_by_number,
    a_document_that_says_something_else_than_its_row_is_none,
    a_row_as_it_was_seen_is_replaced,
    a_row_that_has_changed_since_is_left_alone,
    an_answer_of_the_past_replaces_nothing,
);

async fn copies_are_read_chunk_by_chunk(fixture: Fixture) {
    let orders = [30, 10, 20, 40].map(|number| order(number, 1, 1)).to_vec();
    fixture.take_in(&page(0, 40, orders)).await;
    let numbers = async |span, limit| -> Vec<i64> {
        let copies = fixture.store.copies(span, limit).await.unwrap();
        copies.into_iter().map(|copy| copy.number).collect()
    };
    assert_eq!(numbers(0..=i64::MAX, 3).await, [10, 20, 30]);
    assert_eq!(numbers(11..=30, 3).await, [20, 30]);
    assert_eq!(numbers(41..=i64::MAX, 3).await, [] as [i64; 0]);
    assert_eq!(fixture.store.last_number().await.unwrap(), Some(40));
}

async fn copies_are_read_by_number(fixture: Fixture) {
    assert_eq!(fixture.store.last_number().await.unwrap(), None);
    fixture.take_in(&page(0, 2, vec![order(1, 3, 1), deleted(2, 2)])).await;
    let mut copies = fixture.store.copies_of(&[2, 7, 1]).await.unwrap();
    copies.sort_by_key(|copy| copy.number);
    let [first, second] = copies.try_into().unwrap();
    assert_eq!(first.order, Some(order(1, 3, 1)));
    let row = |version| RowVersion { epoch: Epoch(EPOCH), version, revision: 1 };
    assert_eq!((first.row, first.deleted, first.missing_at_source), (row(3), false, false));
    assert_eq!((second.row, second.deleted), (row(2), true));
    assert_eq!(fixture.store.copies_of(&[]).await.unwrap(), []);
}

async fn a_document_that_says_something_else_than_its_row_is_none(fixture: Fixture) {
    let orders = (1..=5).map(|number| order(number, 1, 1)).collect();
    fixture.take_in(&page(0, 5, orders)).await;
    fixture
        .execute(
            "update orders set document = 'null' where number = 1;
             update orders set version = 2 where number = 2;
             update orders set state = 'deleted' where number = 3;
             update orders set document = replace(document, '[4,', '[9,')
             where number = 4;",
        )
        .await;
    let copies = fixture.store.copies(1..=5, 9).await.unwrap();
    let sound: Vec<_> = copies.iter().map(|copy| copy.order.is_some()).collect();
    assert_eq!(sound, [false, false, false, false, true]);
    assert!(!copies[2].deleted, "the document is no tombstone");
}

async fn a_row_as_it_was_seen_is_replaced(fixture: Fixture) {
    fixture.take_in(&page(0, 2, vec![order(1, 3, 1), order(2, 3, 1)])).await;
    let approved = fixture.approve(&fixture.in_state(1, AwaitingApproval).await[0].id).await;
    let state = fixture.store.pull_state().await.unwrap();

    // The same version with other content, and an earlier one than is stored.
    for (order, counted) in [(order(1, 3, 7), 1), (order(2, 2, 9), 2)] {
        let seen = fixture.store.copies_of(&[order.number]).await.unwrap()[0].row;
        let counts = match replace(&fixture, order.clone(), seen).await {
            Applied::Done(counts) => counts,
            other => panic!("was to be taken in: {other:?}"),
        };
        assert_eq!(counts, Counts { changed: 1, ..Counts::default() });
        assert_eq!(fixture.order(order.number).await.order, order);
        let totals = fixture.store.pull_state().await.unwrap().totals;
        assert_eq!(totals.changed, counted);
    }
    assert_eq!(fixture.in_state(1, Credited).await[0].id, approved.id);
    let replacement = &fixture.in_state(1, AwaitingApproval).await[0];
    assert_eq!(replacement.replaces.as_ref(), Some(&approved.id));
    assert_eq!(replacement.lines, order(1, 3, 7).lines);
    assert_eq!(fixture.in_state(2, AwaitingApproval).await[0].lines, order(2, 2, 9).lines);
    let now = fixture.store.pull_state().await.unwrap();
    assert_eq!(now.continuation_token, state.continuation_token);
}

async fn a_row_that_has_changed_since_is_left_alone(fixture: Fixture) {
    fixture.take_in(&page(0, 1, vec![order(1, 3, 1)])).await;
    let seen = fixture.store.copies_of(&[1]).await.unwrap()[0].row;
    fixture.take_in(&pulled(order(1, 4, 2))).await;
    let before = fixture.everything().await;
    for seen in [seen, RowVersion { version: 4, ..seen }, RowVersion { revision: 2, ..seen }] {
        assert_eq!(replace(&fixture, order(1, 3, 7), seen).await, Applied::Superseded);
    }
    assert_eq!(replace(&fixture, order(2, 1, 1), seen).await, Applied::Superseded, "not there");
    assert_eq!(fixture.everything().await, before);
    // A connection that goes back to its pool holds nothing.
    fixture.take_in(&pulled(order(1, 5, 2))).await;
    assert_eq!(fixture.in_state(1, Approved).await, []);
}

async fn an_answer_of_the_past_replaces_nothing(fixture: Fixture) {
    fixture.take_in(&page(0, 1, vec![order(1, 3, 1)])).await;
    let seen = fixture.store.copies_of(&[1]).await.unwrap()[0].row;
    let before = fixture.everything().await;
    let (store, random, past) = (&fixture.store, &fixture.random, identity(EPOCH - 1));
    let refused = store.replace(&past, &order(1, 3, 7), seen, random, AT).await.unwrap();
    assert_eq!(refused, Applied::WrongHistory);
    assert_eq!(fixture.everything().await, before);
}

async fn replace(fixture: &Fixture, order: Order, seen: RowVersion) -> Applied {
    let (store, random) = (&fixture.store, &fixture.random);
    store.replace(&identity(EPOCH), &order, seen, random, AT).await.unwrap()
}
