//! Customers.

use contract::order::Address;
use kit::http::etag::IfMatch;
use ordering::order::CustomerInput;
use ordering::store::Change;

use crate::fixture::{Fixture, ada, at, done, on_both_databases, version};

on_both_databases! {
    a_customer_is_kept_as_given,
    an_address_without_parts_is_none,
    a_change_needs_the_current_version,
    lists_go_on_where_they_ended,
}

async fn a_customer_is_kept_as_given(fixture: Fixture) {
    let made = fixture.customer().await;
    assert_eq!((made.version, made.created_at), (1, at(0)));
    assert_eq!(made.input, ada());
    assert_eq!(fixture.store.customer("ada").await.unwrap(), Some(made));
    for unknown in ["", "ad", "ada\0"] {
        assert_eq!(fixture.store.customer(unknown).await.unwrap(), None, "{unknown:?}");
    }
}

async fn an_address_without_parts_is_none(fixture: Fixture) {
    let input = CustomerInput { address: Some(Address::default()), ..ada() };
    done(fixture.store.create_customer("ada", &input, None, at(0)).await.unwrap());
    let kept = fixture.store.customer("ada").await.unwrap().unwrap();
    assert_eq!(kept.input.address, None);
}

async fn a_change_needs_the_current_version(fixture: Fixture) {
    let made = fixture.customer().await;
    let renamed = CustomerInput { name: "Ada Miles".into(), address: None, ..ada() };
    let update = |id, expected: IfMatch| {
        let (store, renamed) = (fixture.store.clone(), renamed.clone());
        async move { store.update_customer(id, &expected, &renamed, at(5)).await.unwrap() }
    };
    assert_eq!(update("eve", IfMatch::Any).await, Change::NotFound);
    assert_eq!(update("ada", version(2)).await, Change::VersionConflict(1));
    let changed = done(update("ada", version(1)).await);
    assert_eq!((changed.version, changed.created_at, changed.changed_at), (2, at(0), at(5)));
    assert_eq!(changed.input, renamed);
    assert_eq!(update("ada", version(1)).await, Change::VersionConflict(2));
    assert_ne!(fixture.store.customer("ada").await.unwrap(), Some(made));
    assert_eq!(fixture.store.customer("ada").await.unwrap(), Some(changed));
}

async fn lists_go_on_where_they_ended(fixture: Fixture) {
    for id in ["c", "a", "b"] {
        done(fixture.store.create_customer(id, &ada(), None, at(0)).await.unwrap());
    }
    let ids = |after, limit| {
        let store = fixture.store.clone();
        async move {
            let customers = store.customers(after, limit).await.unwrap();
            customers.into_iter().map(|customer| customer.id).collect::<Vec<_>>()
        }
    };
    assert_eq!(ids(None, 2).await, ["a", "b"]);
    assert_eq!(ids(Some("b"), 2).await, ["c"]);
    assert_eq!(ids(Some("c"), 2).await, [""; 0]);
}
