//! What a new epoch leaves to be seen again, and what it has lost.

use billing::invoice::InvoiceState::{Approved, AwaitingApproval};
use billing::store::{AtSource, Received, Reread, Unseen};
use contract::feed::{Epoch, FeedIdentity};
use contract::order::Order;

use crate::fixture::{
    AT, EPOCH, Fixture, identity, later, on_both_databases, order, page_in, pulled_in, unfit,
};

on_both_databases!(
    orders_of_an_older_epoch_must_be_seen_again,
    only_the_adopted_history_can_lose_an_order,
    an_order_that_was_seen_meanwhile_is_not_lost,
    an_older_answer_that_is_taken_in_late_is_found,
    a_second_epoch_begins_in_the_middle_of_a_reread,
    the_mark_keeps_epoch_and_version,
    what_comes_back_as_it_was_touches_no_invoice,
    an_order_made_anew_under_a_lost_number_is_taken_in,
    what_another_database_does_not_know_is_missing,
    orders_are_listed_by_whether_ordering_has_them,
    what_an_older_epoch_put_aside_must_be_seen_again,
);

fn unseen(epoch: i64, number: i64) -> Unseen {
    Unseen { epoch: Epoch(epoch), number }
}

async fn all_unseen(fixture: &Fixture) -> Vec<Unseen> {
    fixture.store.unseen(None, 100).await.unwrap()
}

/// Marks orders that this epoch of the usual feed does not know; how many.
async fn mark(fixture: &Fixture, epoch: i64, numbers: &[i64]) -> i64 {
    fixture.store.mark_missing(&identity(epoch), numbers, later(7)).await.unwrap()
}

/// Orders 1 to 3 of epoch 1, and then epoch 2 is adopted.
async fn three_orders_and_a_new_epoch(fixture: &Fixture) {
    let orders: Vec<Order> = (1..=3).map(|number| order(number, 5, 5)).collect();
    fixture.take_in(&page_in(1, 0, 3, orders)).await;
    assert_eq!(all_unseen(fixture).await, [], "they are of the adopted epoch");
    assert_eq!(fixture.store.at_source().await.unwrap(), AtSource::default());
    assert!(fixture.store.adopt_epoch(&identity(2), later(1)).await.unwrap());
}

async fn orders_of_an_older_epoch_must_be_seen_again(fixture: Fixture) {
    three_orders_and_a_new_epoch(&fixture).await;
    assert_eq!(all_unseen(&fixture).await, [unseen(1, 1), unseen(1, 2), unseen(1, 3)]);
    let reread =
        |seen, unseen| Some(Reread { epoch: Epoch(2), since: Some(later(1)), seen, unseen });
    let at_source = async || fixture.store.at_source().await.unwrap();
    assert_eq!(at_source().await, AtSource { missing: 0, undecided: 0, reread: reread(0, 3) });

    // A page, an order pulled by number, and a page at a time.
    fixture.take_in_at(&page_in(2, 0, 1, vec![order(1, 5, 5), order(9, 1, 1)]), later(2)).await;
    assert_eq!(at_source().await, AtSource { missing: 0, undecided: 0, reread: reread(2, 2) });
    assert_eq!(fixture.store.unseen(None, 1).await.unwrap(), [unseen(1, 2)]);
    assert_eq!(fixture.store.unseen(Some(unseen(1, 2)), 9).await.unwrap(), [unseen(1, 3)]);
    assert_eq!(fixture.store.unseen(Some(unseen(1, 3)), 9).await.unwrap(), []);
    fixture.take_in(&pulled_in(2, order(2, 4, 4))).await;
    assert_eq!(mark(&fixture, 2, &[3]).await, 1);
    assert_eq!(at_source().await, AtSource { missing: 1, undecided: 1, reread: None });
    assert_eq!(all_unseen(&fixture).await, []);
}

async fn only_the_adopted_history_can_lose_an_order(fixture: Fixture) {
    three_orders_and_a_new_epoch(&fixture).await;
    let other = FeedIdentity { feed_id: "another".parse().unwrap(), epoch: Epoch(2) };
    for said_by in [identity(1), identity(3), other] {
        let marked = fixture.store.mark_missing(&said_by, &[1, 2, 3], AT).await.unwrap();
        assert_eq!(marked, 0, "{said_by:?}");
    }
    assert_eq!(mark(&fixture, 2, &[]).await, 0);
    assert_eq!(mark(&fixture, 2, &[4]).await, 0, "there is none");
    assert_eq!(all_unseen(&fixture).await.len(), 3);
}

async fn an_order_that_was_seen_meanwhile_is_not_lost(fixture: Fixture) {
    three_orders_and_a_new_epoch(&fixture).await;
    // The 404 was under way while order 1 was made anew, and a page brought it.
    fixture.take_in(&page_in(2, 0, 1, vec![order(1, 1, 1)])).await;
    assert_eq!(mark(&fixture, 2, &[1, 2]).await, 1);
    assert!(!fixture.order(1).await.missing_at_source);
    let lost = fixture.order(2).await;
    assert_eq!((lost.missing_at_source, lost.missing_since), (true, Some(later(7))));
    // Marked once: since when it is missing stays.
    assert_eq!(fixture.store.mark_missing(&identity(2), &[2], later(9)).await.unwrap(), 0);
    assert_eq!(fixture.order(2).await, lost);
}

async fn an_older_answer_that_is_taken_in_late_is_found(fixture: Fixture) {
    three_orders_and_a_new_epoch(&fixture).await;
    assert_eq!(mark(&fixture, 2, &[1, 2, 3]).await, 3);
    // A pull of an order looked at the position before epoch 2 was adopted, and commits only now.
    fixture.take_in(&pulled_in(2, order(4, 1, 1))).await;
    fixture.execute("update orders set epoch = 1 where number = 4").await;
    assert_eq!(all_unseen(&fixture).await, [unseen(1, 4)]);
}

async fn a_second_epoch_begins_in_the_middle_of_a_reread(fixture: Fixture) {
    three_orders_and_a_new_epoch(&fixture).await;
    fixture.take_in(&page_in(2, 0, 1, vec![order(1, 5, 5)])).await;
    assert_eq!(mark(&fixture, 2, &[2]).await, 1);
    assert!(fixture.store.adopt_epoch(&identity(3), later(2)).await.unwrap());
    // By epoch and number; what epoch 2 lost is only found again by the feed.
    assert_eq!(all_unseen(&fixture).await, [unseen(1, 3), unseen(2, 1)]);
    assert_eq!(fixture.store.unseen(Some(unseen(1, 3)), 9).await.unwrap(), [unseen(2, 1)]);
    assert_eq!(mark(&fixture, 2, &[1, 3]).await, 0, "epoch 2 is the past by now");
    assert_eq!(mark(&fixture, 3, &[1, 3]).await, 2);
    fixture.take_in(&page_in(3, 0, 1, vec![order(2, 5, 5)])).await;
    assert_eq!(
        fixture.store.at_source().await.unwrap(),
        AtSource { missing: 2, undecided: 2, reread: None }
    );
}

async fn the_mark_keeps_epoch_and_version(fixture: Fixture) {
    three_orders_and_a_new_epoch(&fixture).await;
    let before = fixture.order(2).await;
    mark(&fixture, 2, &[2]).await;
    let after = fixture.order(2).await;
    assert_eq!((after.epoch, &after.order), (before.epoch, &before.order));
    assert_eq!(after.received_at, before.received_at);
    assert!(after.is_undecided());
}

async fn what_comes_back_as_it_was_touches_no_invoice(fixture: Fixture) {
    three_orders_and_a_new_epoch(&fixture).await;
    fixture.approve(&fixture.in_state(2, AwaitingApproval).await[0].id).await;
    let invoices = fixture.invoices().await;
    assert_eq!(mark(&fixture, 2, &[1, 2]).await, 2);
    assert_eq!(fixture.invoices().await, invoices, "an approved one is binding");
    let again = (1..=3).map(|number| order(number, 5, 5)).collect();
    let counts = fixture.take_in(&page_in(2, 0, 3, again)).await;
    assert_eq!((counts.changed, counts.new), (3, 0));
    assert_eq!(fixture.invoices().await, invoices);
    let back = fixture.order(1).await;
    assert_eq!((back.missing_at_source, back.missing_since), (false, None));
    assert_eq!(fixture.store.at_source().await.unwrap(), AtSource::default());
}

async fn an_order_made_anew_under_a_lost_number_is_taken_in(fixture: Fixture) {
    three_orders_and_a_new_epoch(&fixture).await;
    let approved = fixture.approve(&fixture.in_state(2, AwaitingApproval).await[0].id).await;
    mark(&fixture, 2, &[1, 2]).await;
    // Version 1 again, in the very epoch that has lost version 5.
    let anew = vec![order(1, 1, 11), order(2, 1, 22)];
    fixture.take_in(&page_in(2, 0, 2, anew.clone())).await;
    for anew in anew {
        let stored = fixture.order(anew.number).await;
        assert!(!stored.missing_at_source);
        assert_eq!((stored.epoch, &stored.order), (Epoch(2), &anew));
        let open = fixture.in_state(anew.number, AwaitingApproval).await.remove(0);
        assert_eq!(open.lines, anew.lines);
    }
    assert_eq!(fixture.in_state(2, Approved).await, [], "credited and replaced");
    let open = fixture.in_state(2, AwaitingApproval).await.remove(0);
    assert_eq!(open.replaces, Some(approved.id));
}

async fn what_another_database_does_not_know_is_missing(fixture: Fixture) {
    fixture.take_in(&page_in(EPOCH, 0, 2, vec![order(1, 1, 1), order(2, 1, 1)])).await;
    fixture.store.reset_token(None, true).await.unwrap();
    assert_eq!(all_unseen(&fixture).await, [], "nothing is adopted that could bring them");
    assert_eq!(fixture.store.mark_missing(&identity(EPOCH), &[1], AT).await.unwrap(), 0);

    let other = FeedIdentity { feed_id: "another".parse().unwrap(), epoch: Epoch(3) };
    let answer = Received { identity: other.clone(), ..pulled_in(3, order(1, 1, 7)) };
    fixture.take_in(&answer).await;
    assert_eq!(all_unseen(&fixture).await, [unseen(-1, 2)]);
    assert_eq!(fixture.store.mark_missing(&other, &[1, 2], AT).await.unwrap(), 1);

    // It was the wrong one: back to the first, whose history has not changed.
    fixture.store.reset_token(None, true).await.unwrap();
    fixture.take_in(&page_in(EPOCH, 0, 2, vec![order(1, 1, 1), order(2, 1, 1)])).await;
    assert_eq!(fixture.store.at_source().await.unwrap(), AtSource::default());
}

async fn orders_are_listed_by_whether_ordering_has_them(fixture: Fixture) {
    three_orders_and_a_new_epoch(&fixture).await;
    mark(&fixture, 2, &[1, 3]).await;
    let numbers = async |is_missing, after, limit| {
        let orders = fixture.store.orders_by_source(is_missing, after, limit).await.unwrap();
        orders.iter().map(|stored| stored.order.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(true, None, 9).await, [1, 3]);
    assert_eq!(numbers(true, None, 1).await, [1]);
    assert_eq!(numbers(true, Some(1), 9).await, [3]);
    assert_eq!(numbers(false, None, 9).await, [2]);
    let invoices = fixture.store.invoices_of(&[3, 1]).await.unwrap();
    let mut of: Vec<_> = invoices.iter().map(|invoice| invoice.order_number).collect();
    of.sort_unstable();
    assert_eq!(of, [1, 3]);
    assert_eq!(fixture.store.invoices_of(&[]).await.unwrap(), []);
}

async fn what_an_older_epoch_put_aside_must_be_seen_again(fixture: Fixture) {
    let aside = |epoch, numbers: &[i64]| Received {
        orders: Vec::new(),
        unfit: numbers.iter().map(|&number| unfit(number, 6)).collect(),
        ..pulled_in(epoch, order(1, 1, 1))
    };
    fixture.take_in(&aside(1, &[2, 7, 8])).await;
    assert_eq!(all_unseen(&fixture).await, [], "it is of the adopted epoch");
    // Order 2 has a copy, and is there once.
    three_orders_and_a_new_epoch(&fixture).await;
    let all = [unseen(1, 1), unseen(1, 2), unseen(1, 3), unseen(1, 7), unseen(1, 8)];
    assert_eq!(all_unseen(&fixture).await, all);
    assert_eq!(fixture.store.unseen(Some(unseen(1, 3)), 1).await.unwrap(), [unseen(1, 7)]);
    let reread = fixture.store.at_source().await.unwrap().reread.unwrap();
    assert_eq!((reread.seen, reread.unseen), (0, 5));

    // Lost, and let out; put aside again; taken in.
    assert_eq!(mark(&fixture, 2, &[1, 2, 3]).await, 3);
    assert!(fixture.store.release_gone(2, Epoch(2)).await.unwrap());
    fixture.take_in(&aside(2, &[1, 7])).await;
    fixture.take_in(&pulled_in(2, order(8, 1, 1))).await;
    assert_eq!(all_unseen(&fixture).await, []);
    assert_eq!(fixture.store.at_source().await.unwrap().reread, None);

    // What came back unfit under a lost number counts in the epoch after, its lost copy does not.
    assert!(fixture.store.adopt_epoch(&identity(3), later(2)).await.unwrap());
    assert_eq!(all_unseen(&fixture).await, [unseen(2, 1), unseen(2, 7), unseen(2, 8)]);
}
