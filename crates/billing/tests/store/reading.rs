//! Lists and lookups.

use billing::invoice::InvoiceState::{Approved, AwaitingApproval, Credited, Expired, Withdrawn};
use billing::store::InvoiceFilter;

use crate::fixture::{Fixture, later, on_both_databases, order, page, pulled};

on_both_databases!(
    orders_are_listed_by_number,
    invoices_are_listed_newest_first,
    invoices_are_filtered,
    invoices_are_counted_by_state,
);

async fn orders_are_listed_by_number(fixture: Fixture) {
    let orders = [30, 10, 20].map(|number| order(number, 1, 1)).to_vec();
    fixture.take_in(&page(0, 30, orders)).await;

    let numbers = async |after, limit| -> Vec<i64> {
        let orders = fixture.store.orders(after, limit).await.unwrap();
        orders.into_iter().map(|stored| stored.order.number).collect()
    };
    assert_eq!(numbers(None, 2).await, [10, 20]);
    assert_eq!(numbers(Some(20), 2).await, [30]);
    assert_eq!(numbers(Some(30), 2).await, Vec::<i64>::new());
    assert_eq!(fixture.store.order(15).await.unwrap(), None);
}

async fn invoices_are_listed_newest_first(fixture: Fixture) {
    for number in 1..=5 {
        fixture.take_in_at(&pulled(order(number, 1, 1)), later(number.unsigned_abs())).await;
    }
    let mut seen = Vec::new();
    let mut filter = InvoiceFilter::default();
    loop {
        let invoices = fixture.store.invoices(&filter, 2).await.unwrap();
        let Some(last) = invoices.last() else { break };
        filter.after = Some(last.id.clone());
        seen.extend(invoices.into_iter().map(|invoice| invoice.order_number));
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
}

async fn invoices_are_filtered(fixture: Fixture) {
    fixture.take_in(&page(0, 2, vec![order(1, 1, 1), order(2, 1, 1)])).await;
    let approved = fixture.approve(&fixture.in_state(1, AwaitingApproval).await[0].id).await;
    fixture.take_in_at(&pulled(order(1, 2, 2)), later(1)).await;

    let found = async |state, order_number, after: Option<&str>| -> Vec<_> {
        let filter = InvoiceFilter {
            state,
            order_number,
            after: after.map(str::to_owned),
            ..InvoiceFilter::default()
        };
        let invoices = fixture.store.invoices(&filter, 10).await.unwrap();
        invoices.into_iter().map(|invoice| (invoice.order_number, invoice.state)).collect()
    };
    assert_eq!(found(Some(Credited), None, None).await, [(1, Credited)]);
    assert_eq!(found(None, Some(2), None).await, [(2, AwaitingApproval)]);
    let of_first = [(1, AwaitingApproval), (1, Credited)];
    assert_eq!(found(None, Some(1), None).await, of_first);
    assert_eq!(found(Some(AwaitingApproval), Some(1), None).await, of_first[..1]);
    assert_eq!(found(None, Some(1), Some(&approved.id)).await, []);
    assert_eq!(found(Some(Approved), None, None).await, []);
    assert_eq!(found(None, Some(3), None).await, []);
    assert_eq!(found(None, None, Some("\0")).await, [], "a made-up id is no fault");
}

async fn invoices_are_counted_by_state(fixture: Fixture) {
    fixture.take_in(&page(0, 3, (1..=3).map(|number| order(number, 1, 1)).collect())).await;
    fixture.approve(&fixture.in_state(1, AwaitingApproval).await[0].id).await;
    assert_eq!(
        fixture.store.invoice_counts().await.unwrap(),
        [(AwaitingApproval, 2), (Approved, 1), (Withdrawn, 0), (Credited, 0), (Expired, 0)]
    );
}
