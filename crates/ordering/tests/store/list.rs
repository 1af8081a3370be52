//! Lists of orders.

use contract::order::OrderState;
use ordering::order::{CustomerInput, OrderInput};
use ordering::store::OrderFilter;

use crate::fixture::{ALL, Fixture, ada, at, bolts, done, on_both_databases};

on_both_databases! {
    the_newest_come_first,
    lists_go_on_where_they_ended,
    filters_choose_by_state_and_customer,
    searches_find_numbers_references_and_names,
    what_is_searched_for_is_taken_literally,
}

async fn numbers(fixture: &Fixture, filter: OrderFilter) -> Vec<i64> {
    let orders = fixture.store.orders(&filter, ALL).await.unwrap();
    orders.iter().map(|order| order.number).collect()
}

async fn create(fixture: &Fixture, customer_id: &str, reference: &str) -> i64 {
    let reference = Some(reference.into());
    let input = OrderInput { customer_id: customer_id.into(), reference, ..bolts() };
    done(fixture.store.create_order(&input, None, at(1)).await.unwrap()).number
}

async fn the_newest_come_first(fixture: Fixture) {
    fixture.customer().await;
    let drafts = [fixture.draft().await, fixture.draft().await];
    let listed = fixture.store.orders(&OrderFilter::default(), ALL).await.unwrap();
    let [first, second] = drafts;
    assert_eq!(listed, [second, first]);
}

async fn lists_go_on_where_they_ended(fixture: Fixture) {
    fixture.customer().await;
    for _ in 0..3 {
        fixture.draft().await;
    }
    let all = numbers(&fixture, OrderFilter::default()).await;
    let first = fixture.store.orders(&OrderFilter::default(), 2).await.unwrap();
    let first: Vec<_> = first.iter().map(|order| order.number).collect();
    let rest = OrderFilter { after: Some(first[1]), ..OrderFilter::default() };
    assert_eq!([first, numbers(&fixture, rest).await].concat(), all);
}

async fn filters_choose_by_state_and_customer(fixture: Fixture) {
    fixture.customer().await;
    done(fixture.store.create_customer("bob", &ada(), None, at(0)).await.unwrap());
    let draft = create(&fixture, "ada", "A").await;
    let confirmed = create(&fixture, "bob", "B").await;
    let deleted = create(&fixture, "bob", "C").await;
    done(fixture.store.confirm_order(confirmed, None, at(2)).await.unwrap());
    done(fixture.store.delete_order(deleted, None, at(2)).await.unwrap());
    let states = [
        (OrderState::Draft, draft),
        (OrderState::Confirmed, confirmed),
        (OrderState::Deleted, deleted),
    ];
    for (state, number) in states {
        let filter = OrderFilter { state: Some(state), ..OrderFilter::default() };
        assert_eq!(numbers(&fixture, filter).await, [number]);
    }
    let bobs = OrderFilter { customer_id: Some("bob".into()), ..OrderFilter::default() };
    assert_eq!(numbers(&fixture, bobs.clone()).await, [deleted, confirmed]);
    let both = OrderFilter { state: Some(OrderState::Confirmed), ..bobs };
    assert_eq!(numbers(&fixture, both).await, [confirmed]);
    for unknown in ["eve", "b\0ob", "%"] {
        let filter = OrderFilter { customer_id: Some(unknown.into()), ..OrderFilter::default() };
        assert_eq!(numbers(&fixture, filter).await, [0; 0], "{unknown:?}");
    }
}

async fn search(fixture: &Fixture, text: &str) -> Vec<i64> {
    numbers(fixture, OrderFilter { search: Some(text.into()), ..OrderFilter::default() }).await
}

async fn searches_find_numbers_references_and_names(fixture: Fixture) {
    fixture.customer().await;
    let bob = CustomerInput { name: "Bob Ångström".into(), ..ada() };
    done(fixture.store.create_customer("bob", &bob, None, at(0)).await.unwrap());
    let one = create(&fixture, "ada", "PO-1").await;
    let two = create(&fixture, "bob", "PO-12").await;
    let three = create(&fixture, "bob", "X-PO-1").await;
    done(fixture.store.confirm_order(three, None, at(2)).await.unwrap());
    let table: [(&str, &[i64]); 9] = [
        (&two.to_string(), &[two]),
        (&format!(" {two} "), &[two]),
        ("PO-1", &[two, one]),
        ("po-12", &[two]),
        ("X-PO", &[three]),
        ("yard", &[one]),
        ("Ångström", &[three, two]),
        ("BOB", &[three, two]),
        ("nobody", &[]),
    ];
    for (text, expected) in table {
        assert_eq!(search(&fixture, text).await, expected, "{text:?}");
    }
}

async fn what_is_searched_for_is_taken_literally(fixture: Fixture) {
    fixture.customer().await;
    let percent = create(&fixture, "ada", "100%_\\x").await;
    create(&fixture, "ada", "100 or so").await;
    for text in ["100%", "100%_", "100%_\\x"] {
        assert_eq!(search(&fixture, text).await, [percent], "{text:?}");
    }
    for text in ["%or", "100_or", "\\", "'; drop table orders; --", "a\0b"] {
        assert_eq!(search(&fixture, text).await, [0; 0], "{text:?}");
    }
}
