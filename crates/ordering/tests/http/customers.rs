//! Customers over the API.

use axum::http::StatusCode;
use contract::problem::ProblemCode;
use serde_json::{Value, json};

use crate::fixture::{App, Ask, ada, on_both_databases, pairs, start};

on_both_databases!(
    a_customer_is_made_read_and_replaced,
    a_customer_is_changed_by_version,
    everything_wrong_with_a_customer_is_told_at_once,
    an_address_of_nothing_is_none,
    a_repeated_request_makes_one_customer,
    the_list_is_paged,
);

async fn a_customer_is_made_read_and_replaced(app: App) {
    let made = app.send(Ask::post("/api/v1/customers").json(&ada())).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let customer = made.value();
    let expected = json!({
        "id": customer["id"], "version": 1, "name": "Ada Yards", "email": "ada@example.com",
        "address": {
            "line1": "1 Quay St", "line2": null, "postalCode": "1011", "city": "Delft",
            "country": "NL",
        },
        "createdAt": start(), "changedAt": start(),
    });
    assert_eq!(customer, expected);

    let location = made.header("location");
    assert_eq!(location, format!("/api/v1/customers/{}", customer["id"].as_str().unwrap()));
    let read = app.get(location).await;
    assert_eq!((read.value(), read.etag()), (customer, made.etag()));

    let change = json!({"name": "Ada Wharf", "email": "ada@example.com"});
    let changed = app.send(Ask::put(location).version(1).json(&change)).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_eq!(changed.etag(), "\"2\"");
    let customer = changed.value();
    assert_eq!((&customer["name"], &customer["address"]), (&json!("Ada Wharf"), &Value::Null));
    assert_eq!(app.get(location).await.value(), customer);
}

async fn a_customer_is_changed_by_version(app: App) {
    let path = format!("/api/v1/customers/{}", app.customer().await);
    let missing = app.send(Ask::put(&path).json(&ada())).await;
    missing.problem(ProblemCode::PreconditionRequired);
    let stale = app.send(Ask::put(&path).version(9).json(&ada())).await;
    assert_eq!(stale.problem(ProblemCode::VersionConflict).current_version, Some(1));
    assert_eq!(stale.etag(), "\"1\"");
    for unknown in ["0197f7a2-0000-7000-8000-000000000000", "ada", "%00"] {
        let path = format!("/api/v1/customers/{unknown}");
        app.get(&path).await.problem(ProblemCode::NotFound);
        let change = Ask::put(&path).version(1).json(&ada());
        app.send(change).await.problem(ProblemCode::NotFound);
    }
}

async fn everything_wrong_with_a_customer_is_told_at_once(app: App) {
    let body = json!({
        "email": "nobody", "fax": "1", "address": {"country": "Narnia", "line1": 5, "street": ""},
    });
    let answer = app.send(Ask::post("/api/v1/customers").json(&body)).await;
    assert_eq!(
        answer.problem(ProblemCode::ValidationFailed).title,
        "The customer was not accepted"
    );
    let expected = pairs([
        ("/name", "required"),
        ("/address/line1", "wrong-type"),
        ("/address/street", "unknown-field"),
        ("/fax", "unknown-field"),
        ("/email", "invalid"),
        ("/address/country", "invalid"),
    ]);
    assert_eq!(answer.violations(ProblemCode::ValidationFailed), expected);
}

async fn an_address_of_nothing_is_none(app: App) {
    for address in [json!({}), json!({"city": null})] {
        let body = json!({"name": "Ada Yards", "email": "ada@example.com", "address": address});
        let made = app.send(Ask::post("/api/v1/customers").json(&body)).await;
        assert_eq!(made.value()["address"], Value::Null);
        assert_eq!(app.get(made.header("location")).await.value(), made.value());
    }
}

async fn the_list_is_paged(app: App) {
    let mut made = Vec::new();
    for _ in 0..5 {
        app.clock.advance(std::time::Duration::from_secs(1));
        made.push(app.customer().await);
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/customers?limit=2".to_owned();
    loop {
        let list = app.get(&path).await.value();
        let customers = list["customers"].as_array().unwrap();
        assert!((1..=2).contains(&customers.len()));
        seen.extend(customers.iter().map(|customer| customer["id"].as_str().unwrap().to_owned()));
        let Some(next) = list["next"].as_str() else { break };
        path = format!("/api/v1/customers?limit=2&after={next}");
    }
    assert_eq!(seen, made);
    let all = app.get("/api/v1/customers?limit=&after=").await.value();
    assert_eq!(all["customers"].as_array().unwrap().len(), 5);
    let wrong = app.get("/api/v1/customers?limit=1001&after=x&order=up").await;
    let expected =
        pairs([("/order", "unknown-field"), ("/after", "invalid"), ("/limit", "out-of-range")]);
    assert_eq!(wrong.violations(ProblemCode::InvalidRequest), expected);
}

async fn a_repeated_request_makes_one_customer(app: App) {
    let create =
        |body: &Value| Ask::post("/api/v1/customers").header("idempotency-key", "c-1").json(body);
    let first = app.send(create(&ada())).await;
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!(app.send(create(&ada())).await.value(), first.value());
    let mut other = ada();
    other["name"] = json!("Ada Miles");
    let reused = app.send(create(&other)).await;
    let expected = pairs([("/Idempotency-Key", "reused")]);
    assert_eq!(reused.violations(ProblemCode::ValidationFailed), expected);
    let customers = app.get("/api/v1/customers").await.value();
    assert_eq!(customers["customers"].as_array().unwrap().len(), 1);
}
