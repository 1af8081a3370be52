//! The unit of work: all of it or nothing.

use std::sync::Arc;

use contract::order::OrderState;
use ordering::order::{CustomerInput, OrderInput};
use ordering::scope::{Action, Committed, Kind, Outcome, Reason, Scope};
use ordering::store::{Entity, OrderFilter, Store};

use crate::fixture::{ALL, Fixture, ada, at, bolts, line, on_both_databases, version};

on_both_databases! {
    a_customer_and_an_order_are_written_together,
    everything_in_the_way_is_told_and_nothing_is_written,
    of_what_is_added_twice_the_last_version_counts,
    an_order_that_is_confirmed_copies_the_customer_as_the_scope_has_it,
    each_of_many_orders_keeps_its_own_lines,
    a_transaction_tells_what_it_wrote,
    what_changes_nothing_is_no_transaction,
    scopes_that_cross_do_not_wait_for_each_other_for_ever,
}

async fn commit(fixture: &Fixture, scope: &Scope) -> Outcome {
    fixture.store.commit(scope, None, at(5)).await.unwrap()
}

async fn committed(fixture: &Fixture, scope: &Scope) -> Committed {
    match commit(fixture, scope).await {
        Outcome::Done(committed) => committed,
        other => panic!("{other:?}"),
    }
}

async fn a_customer_and_an_order_are_written_together(fixture: Fixture) {
    let mut scope = Scope::new();
    scope.create_customer("ada".into(), ada());
    scope.create_order(bolts(), true);
    let written = committed(&fixture, &scope).await;
    assert_eq!(written.customers[0].input, ada());
    let order = &written.orders[0];
    assert_eq!((order.state, order.version), (OrderState::Confirmed, 1));
    assert_eq!((&order.customer.name, order.confirmed_at), (&ada().name, Some(at(5))));
    assert_eq!(fixture.store.order(order.number).await.unwrap().as_ref(), Some(order));
    assert_eq!(fixture.stamp_all().await, 1, "it waits for the sequencer");
}

async fn everything_in_the_way_is_told_and_nothing_is_written(fixture: Fixture) {
    fixture.customer().await;
    let draft = fixture.draft().await;
    let before = fixture.dump().await;
    let mut scope = Scope::new();
    scope.create_customer("eve".into(), CustomerInput { name: String::new(), ..ada() });
    scope.update_customer("ada".into(), version(7), ada());
    scope.update_customer("nobody".into(), version(1), ada());
    scope.create_order(OrderInput { customer_id: "bob".into(), ..bolts() }, false);
    scope.replace_order(draft.number, version(2), OrderInput { lines: vec![], ..bolts() }, false);
    scope.delete_order(7, None);
    let Outcome::Refused(refused) = commit(&fixture, &scope).await else { panic!() };
    let faults: Vec<_> = refused
        .faults
        .iter()
        .map(|fault| match &fault.reason {
            Reason::Invalid(violation) => (fault.kind, violation.pointer.clone()),
            other => (fault.kind, format!("{other:?}")),
        })
        .collect();
    let expected = [
        (Kind::Customer, "/name"),
        (Kind::Customer, "Stale(1)"),
        (Kind::Customer, "Missing"),
        (Kind::Order, "/customerId"),
        (Kind::Order, "Stale(1)"),
        (Kind::Order, "/lines"),
        (Kind::Order, "Missing"),
    ];
    assert_eq!(faults, expected.map(|(kind, what)| (kind, what.to_owned())));
    assert_eq!(fixture.dump().await, before);
    assert_eq!(fixture.store.check(&scope, at(5)).await.unwrap(), Some(refused));
    assert_eq!(fixture.dump().await, before);
}

async fn of_what_is_added_twice_the_last_version_counts(fixture: Fixture) {
    fixture.customer().await;
    let number = fixture.draft().await.number;
    let named = |name: &str| CustomerInput { name: name.into(), ..ada() };
    let noted = |note: &str| OrderInput { note: Some(note.into()), ..bolts() };
    let mut scope = Scope::new();
    scope.create_customer("eve".into(), named("Eve"));
    scope.update_customer("eve".into(), version(1), named("Eve Miles"));
    scope.update_customer("ada".into(), version(1), named("Ada Miles"));
    scope.update_customer("ada".into(), version(1), named("Ada Stone"));
    scope.replace_order(number, version(1), noted("first"), false);
    scope.confirm_order(number, None);
    scope.replace_order(number, version(1), noted("last"), false);
    let written = committed(&fixture, &scope).await;
    let names: Vec<_> =
        written.customers.iter().map(|it| (it.input.name.as_str(), it.version)).collect();
    assert_eq!(names, [("Eve Miles", 1), ("Ada Stone", 2)]);
    let [order] = &written.orders[..] else { panic!("{written:?}") };
    assert_eq!((order.note.as_deref(), order.version), (Some("last"), 2));
    assert_eq!(order.state, OrderState::Confirmed, "confirmed, whichever version it is");
    assert_eq!(fixture.store.history(number).await.unwrap().len(), 2);

    let mut scope = Scope::new();
    scope.replace_order(number, version(2), noted("too late"), false);
    scope.delete_order(number, None);
    let written = committed(&fixture, &scope).await;
    let [order] = &written.orders[..] else { panic!("{written:?}") };
    assert_eq!((order.note.as_deref(), order.version), (Some("last"), 3));
    assert!(order.is_deleted());
}

async fn an_order_that_is_confirmed_copies_the_customer_as_the_scope_has_it(fixture: Fixture) {
    fixture.customer().await;
    let number = fixture.draft().await.number;
    let mut scope = Scope::new();
    scope.confirm_order(number, Some(version(1)));
    scope.update_customer("ada".into(), version(1), CustomerInput { address: None, ..ada() });
    let written = committed(&fixture, &scope).await;
    assert_eq!(written.orders[0].customer.address, None);
    assert_eq!(fixture.store.order(number).await.unwrap().unwrap(), written.orders[0]);
}

async fn each_of_many_orders_keeps_its_own_lines(fixture: Fixture) {
    fixture.customer().await;
    let mut scope = Scope::new();
    for n in 1..=300 {
        let lines = (0..=n % 4).map(|k| line(&format!("SKU-{n}-{k}"), n, k)).collect();
        scope.create_order(OrderInput { note: Some(n.to_string()), lines, ..bolts() }, n % 2 == 0);
    }
    let written = committed(&fixture, &scope).await;
    let mut stored = fixture.store.orders(&OrderFilter::default(), ALL).await.unwrap();
    stored.reverse();
    assert_eq!(stored, written.orders);
    for (n, order) in (1..).zip(&stored) {
        assert_eq!((order.number, order.note.as_deref()), (1000 + n, Some(n.to_string().as_str())));
        assert!(order.lines.iter().all(|line| line.sku.starts_with(&format!("SKU-{n}-"))));
    }
}

async fn a_transaction_tells_what_it_wrote(fixture: Fixture) {
    fixture.customer().await;
    let number = fixture.draft().await.number;
    let mut scope = Scope::new();
    scope.create_customer("eve".into(), ada());
    scope.create_order(OrderInput { customer_id: "eve".into(), ..bolts() }, false);
    scope.confirm_order(number, None);
    let id = committed(&fixture, &scope).await.transaction;
    let told = fixture.store.transaction(&id).await.unwrap().unwrap();
    let entity =
        |kind, key: &str, action, version| Entity { kind, key: key.into(), action, version };
    let expected = [
        entity(Kind::Customer, "eve", Action::Created, 1),
        entity(Kind::Order, &(number + 1).to_string(), Action::Created, 1),
        entity(Kind::Order, &number.to_string(), Action::Confirmed, 2),
    ];
    assert_eq!((told.at, told.entities), (at(5), expected.to_vec()));
    assert_eq!(fixture.store.transaction("none").await.unwrap(), None);
}

async fn what_changes_nothing_is_no_transaction(fixture: Fixture) {
    fixture.customer().await;
    let confirmed = fixture.confirmed().await;
    let before = fixture.dump().await;
    let mut scope = Scope::new();
    scope.confirm_order(confirmed.number, Some(version(1)));
    let written = committed(&fixture, &scope).await;
    assert_eq!(written.orders, [confirmed]);
    assert_eq!(fixture.store.transaction(&written.transaction).await.unwrap(), None);
    assert_eq!(fixture.dump().await, before);
}

async fn scopes_that_cross_do_not_wait_for_each_other_for_ever(fixture: Fixture) {
    fixture.customer().await;
    let (one, two) = (fixture.confirmed().await.number, fixture.confirmed().await.number);
    let other = fixture.another().await;
    let both = |first: i64, second: i64| {
        let mut scope = Scope::new();
        for number in [first, second] {
            scope.replace_order(number, kit::http::etag::IfMatch::Any, bolts(), false);
        }
        scope
    };
    let repeat = async |store: Arc<dyn Store>, scope: Scope| {
        for _ in 0..25 {
            let outcome = store.commit(&scope, None, at(6)).await.unwrap();
            assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
        }
    };
    let here = repeat(Arc::clone(&fixture.store), both(one, two));
    let there = repeat(other, both(two, one));
    tokio::join!(here, there);
    assert_eq!(fixture.store.order(one).await.unwrap().unwrap().version, 52);
    assert_eq!(fixture.store.order(two).await.unwrap().unwrap().version, 52);
}
