//! A customer with an order in one request.

use axum::http::StatusCode;
use contract::order::OrderState;
use contract::problem::ProblemCode;
use serde_json::{Value, json};

use crate::fixture::{Answer, App, Ask, ada, bolts, on_both_databases, pairs};

on_both_databases!(
    everything_is_written_at_once,
    what_has_a_key_is_updated,
    a_customer_may_be_named_by_id_alone,
    everything_wrong_is_told_at_once_and_nothing_is_written,
    a_stale_version_is_told_with_the_current_one,
    a_deleted_order_stays_as_it_is,
    a_repeated_request_gets_the_same_answer,
    what_is_no_transaction_is_not_found,
);

/// A new customer with a new order.
fn new() -> Value {
    let mut order = bolts("");
    order.as_object_mut().unwrap().remove("customerId");
    json!({"customer": ada(), "order": order})
}

fn with(pointer: &str, value: Value) -> Value {
    set(new(), pointer, value)
}

/// `document` with `value` at the end of `pointer`, whose other parts exist.
fn set(mut document: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap()[name] = value;
    document
}

async fn put(app: &App, document: &Value) -> Answer {
    app.send(Ask::put("/api/v1/nested/orders").json(document)).await
}

/// What the transaction of this answer wrote: kind, key, action, version.
async fn written(app: &App, answer: &Answer) -> Vec<(String, String, String, i64)> {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let id = answer.value()["id"].as_str().unwrap().to_owned();
    let told = app.get(&format!("/api/v1/transactions/{id}")).await.value();
    assert_eq!((&told["id"], &told["at"]), (&json!(id), &json!("2026-05-01T10:00:00.000000Z")));
    let text = |entity: &Value, name: &str| entity[name].as_str().unwrap().to_owned();
    let entity = |it: &Value| {
        (text(it, "kind"), text(it, "key"), text(it, "action"), it["version"].as_i64().unwrap())
    };
    told["entities"].as_array().unwrap().iter().map(entity).collect()
}

async fn everything_is_written_at_once(app: App) {
    let answer = put(&app, &with("/confirm", json!(true))).await;
    let written = written(&app, &answer).await;
    let [customer, order] = &written[..] else { panic!("{written:?}") };
    assert_eq!((customer.0.as_str(), customer.2.as_str(), customer.3), ("customer", "created", 1));
    assert_eq!((order.0.as_str(), order.2.as_str(), order.3), ("order", "created", 1));
    let kept = app.get(&format!("/api/v1/customers/{}", customer.1)).await.value();
    assert_eq!(kept["name"], "Ada Yards");
    let kept = app.get(&format!("/api/v1/orders/{}", order.1)).await.order();
    assert_eq!((kept.state, kept.version, kept.total_minor), (OrderState::Confirmed, 1, 1694));
    assert_eq!(kept.customer.id, customer.1);
    app.tick().await;
    assert_eq!(app.get("/feed/v1/orders").await.page().orders.len(), 1);
}

async fn what_has_a_key_is_updated(app: App) {
    let draft = app.draft().await;
    let mut both = with("/customer/name", json!("Ada Miles"));
    for (pointer, value) in [
        ("/customer/id", json!(draft.customer.id)),
        ("/customer/version", json!(1)),
        ("/order/number", json!(draft.number)),
        ("/order/version", json!(1)),
        ("/order/note", json!("both at once")),
        ("/confirm", json!(true)),
    ] {
        both = set(both, pointer, value);
    }
    let answer = put(&app, &both).await;
    let key = |entity: &str, key: &str, action: &str| (entity.into(), key.into(), action.into(), 2);
    let expected = [
        key("customer", &draft.customer.id, "changed"),
        key("order", &draft.number.to_string(), "confirmed"),
    ];
    assert_eq!(written(&app, &answer).await, expected);
    let order = app.get(&format!("/api/v1/orders/{}", draft.number)).await.order();
    assert_eq!(
        (order.customer.name.as_str(), order.note.as_deref()),
        ("Ada Miles", Some("both at once"))
    );
}

async fn a_customer_may_be_named_by_id_alone(app: App) {
    let id = app.customer().await;
    let answer = put(&app, &with("/customer", json!({"id": id}))).await;
    let written = written(&app, &answer).await;
    assert_eq!(written.len(), 1);
    let order = app.get(&format!("/api/v1/orders/{}", written[0].1)).await.order();
    assert_eq!((order.state, order.customer.id), (OrderState::Draft, id));
}

async fn everything_wrong_is_told_at_once_and_nothing_is_written(app: App) {
    let draft = app.draft().await;
    let line = json!({"sku": "", "quantity": "two", "unitPriceMinor": -1, "taxBasisPoints": 0});
    let unknown = json!({"id": "01970000-0000-7000-8000-000000000000"});
    let unreadable = json!({
        "customer": unknown,
        "order": {"number": 7, "currency": "euro", "lines": [line], "total": 5},
        "confirm": "yes",
    });
    let keyed = json!({"customer": {"version": 1, "name": "A"}, "order": {"version": 2}});
    let stale = json!({"id": draft.customer.id, "version": 9, "name": "", "email": "e@x.nl"});
    let long = with("/order/reference", json!("r".repeat(101)));
    for (document, expected) in [
        (
            unreadable,
            &[
                ("/order/version", "required"),
                ("/order/lines/0/quantity", "wrong-type"),
                ("/order/total", "unknown-field"),
                ("/confirm", "wrong-type"),
                ("/order/number", "unknown"),
            ][..],
        ),
        (
            keyed,
            &[
                ("/customer/version", "not-allowed"),
                ("/customer/email", "required"),
                ("/order/version", "not-allowed"),
                ("/order/currency", "required"),
                ("/order/lines", "required"),
            ],
        ),
        (json!({}), &[("/customer", "required"), ("/order", "required")]),
        (json!([]), &[("", "wrong-type")]),
        (with("/customer", unknown.clone()), &[("/customer/id", "unknown")]),
        (
            set(long, "/customer", stale),
            &[
                ("/customer/name", "required"),
                ("/customer/version", "version-conflict"),
                ("/order/reference", "too-long"),
            ],
        ),
    ] {
        let answer = put(&app, &document).await;
        let found = answer.violations(ProblemCode::ValidationFailed);
        let expected: Vec<_> =
            expected.iter().map(|&(pointer, code)| (pointer.to_owned(), code.to_owned())).collect();
        assert_eq!(found, expected, "{document}");
    }
    let orders = app.get("/api/v1/orders").await.value();
    assert_eq!(orders["orders"].as_array().unwrap().len(), 1);
    let customers = app.get("/api/v1/customers").await.value();
    assert_eq!(customers["customers"].as_array().unwrap().len(), 1);
}

async fn a_stale_version_is_told_with_the_current_one(app: App) {
    let draft = app.draft().await;
    app.confirm(draft.number).await;
    let mut document = with("/customer", json!({"id": draft.customer.id}));
    document = set(document, "/order/number", json!(draft.number));
    document = set(document, "/order/version", json!(1));
    let answer = put(&app, &document).await;
    assert_eq!(answer.problem(ProblemCode::VersionConflict).current_version, Some(2));
    let expected = pairs([("/order/version", "version-conflict")]);
    assert_eq!(answer.violations(ProblemCode::VersionConflict), expected);
    // The customer is new and right, and is not written either.
    let document = set(document, "/customer", ada());
    put(&app, &document).await.problem(ProblemCode::VersionConflict);
    let customers = app.get("/api/v1/customers").await.value();
    assert_eq!(customers["customers"].as_array().unwrap().len(), 1);
}

async fn a_deleted_order_stays_as_it_is(app: App) {
    let draft = app.draft().await;
    app.send(Ask::delete(&format!("/api/v1/orders/{}", draft.number))).await;
    let document = set(new(), "/order/number", json!(draft.number));
    put(&app, &set(document, "/order/version", json!(2))).await.problem(ProblemCode::Conflict);
}

async fn a_repeated_request_gets_the_same_answer(app: App) {
    let keyed = |document: &Value| {
        Ask::put("/api/v1/nested/orders").header("idempotency-key", "k-1").json(document)
    };
    let first = app.send(keyed(&new())).await;
    assert_eq!(first.status, StatusCode::OK);
    assert_eq!(app.send(keyed(&new())).await.value(), first.value());
    let other = app.send(keyed(&with("/confirm", json!(true)))).await;
    let expected = pairs([("/Idempotency-Key", "reused")]);
    assert_eq!(other.violations(ProblemCode::ValidationFailed), expected);
    // Neither is it the key of another operation.
    let id = app.customer().await;
    let order = Ask::post("/api/v1/orders").header("idempotency-key", "k-1").json(&bolts(&id));
    assert_eq!(app.send(order).await.violations(ProblemCode::ValidationFailed), expected);
    assert_eq!(app.get("/api/v1/orders").await.value()["orders"].as_array().unwrap().len(), 1);

    // An update whose answer was lost is not stale when it is sent again.
    let number = app.get("/api/v1/orders").await.value()["orders"][0]["number"].clone();
    let update = set(with("/customer", json!({"id": id})), "/order/number", number);
    let update = set(update, "/order/version", json!(1));
    let update =
        || Ask::put("/api/v1/nested/orders").header("idempotency-key", "k-2").json(&update);
    let first = app.send(update()).await;
    assert_eq!(first.status, StatusCode::OK, "{first:?}");
    assert_eq!(app.send(update()).await.value(), first.value());
}

async fn what_is_no_transaction_is_not_found(app: App) {
    for id in ["01970000-0000-7000-8000-000000000000", "x", "%00"] {
        app.get(&format!("/api/v1/transactions/{id}")).await.problem(ProblemCode::NotFound);
    }
}
