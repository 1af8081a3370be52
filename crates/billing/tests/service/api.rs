//! Orders, invoices and the pull over HTTP.

use contract::order::OrderState;
use serde_json::{Value, json};

use crate::on_both_databases;
use crate::ordering::{AT, EPOCH, another_feed, identity, ok, order, page, token, token_of};
use crate::world::World;

on_both_databases! {
    orders_are_listed_and_shown,
    invoices_are_listed_filtered_and_shown,
    an_invoice_is_approved_once,
    the_pull_tells_how_it_stands,
    the_token_is_set,
}

/// Follows `next` to the end; everything in `list`.
async fn walk(world: &World, path: &str, list: &str) -> Vec<Value> {
    let mut entries = Vec::new();
    let mut address = path.to_owned();
    loop {
        let answer = world.ask("GET", &address, None).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        entries.extend(answer.body[list].as_array().unwrap().clone());
        let Some(next) = answer.body["next"].as_str() else { return entries };
        address = format!("{path}&after={next}");
    }
}

async fn orders_are_listed_and_shown(world: World) {
    let mut third = order(3, 2, 4);
    third.state = OrderState::Deleted;
    third.deleted_at = Some(AT);
    world.answers(None, ok(page(vec![order(1, 1, 1), order(2, 1, 2), third]))).await;
    world.puller.pull_once().await.unwrap();

    let orders = walk(&world, "/api/v1/orders?limit=2", "orders").await;
    let numbers: Vec<_> = orders.iter().map(|order| &order["number"]).collect();
    assert_eq!(numbers, [1, 2, 3]);
    let all = world.ask("GET", "/api/v1/orders", None).await.body;
    assert_eq!((&all["orders"], &all["next"]), (&json!(orders), &Value::Null));

    let answer = world.ask("GET", "/api/v1/orders/3", None).await;
    assert_eq!(answer.body, orders[2]);
    let expected = json!({
        "number": 3, "state": "deleted", "version": 2, "confirmedSequenceNr": 4, "deleted": true,
        "missingAtSource": false, "epoch": EPOCH, "receivedAt": AT, "totalMinor": 85,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&answer.body[name], value, "{name}");
    }
    let tag = answer.headers["etag"].to_str().unwrap();
    let again = world.ask_with("GET", "/api/v1/orders/3", &[("if-none-match", tag)], None).await;
    assert_eq!((again.status.as_u16(), again.body), (304, Value::String(String::new())));
}

async fn invoices_are_listed_filtered_and_shown(world: World) {
    world.answers(None, ok(page((1..=5).map(|n| order(n, 1, n)).collect()))).await;
    world.puller.pull_once().await.unwrap();

    let invoices = walk(&world, "/api/v1/invoices?limit=2", "invoices").await;
    let mut numbers: Vec<_> = invoices.iter().map(|i| i["orderNumber"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5], "each once");

    let approved = invoices[1]["id"].as_str().unwrap();
    let path = format!("/api/v1/invoices/{approved}");
    world.ask("POST", &format!("{path}/approve"), None).await;
    let in_state =
        async |state| walk(&world, &format!("/api/v1/invoices?state={state}"), "invoices").await;
    assert_eq!(in_state("awaiting_approval").await.len(), 4);
    assert_eq!(in_state("withdrawn").await, Vec::<Value>::new());
    let of_order =
        walk(&world, "/api/v1/invoices?state=awaiting_approval&orderNumber=4", "invoices").await;
    assert!(of_order.iter().all(|invoice| invoice["orderNumber"] == 4));

    let shown = world.ask("GET", &path, None).await;
    assert_eq!(in_state("approved").await, [shown.body]);
    assert_eq!(shown.headers["etag"], "\"2\"");
    let again = world.ask_with("GET", &path, &[("if-none-match", "\"2\"")], None).await;
    assert_eq!(again.status, 304);
}

async fn an_invoice_is_approved_once(world: World) {
    world.pull_two_orders().await;
    let invoices = walk(&world, "/api/v1/invoices?limit=9", "invoices").await;
    let approve = async |place: usize, version: Option<&str>| {
        let path = format!("/api/v1/invoices/{}/approve", invoices[place]["id"].as_str().unwrap());
        let headers: Vec<_> = version.map(|version| ("if-match", version)).into_iter().collect();
        world.ask_with("POST", &path, &headers, None).await
    };
    let stale = approve(0, Some("\"7\"")).await;
    assert_eq!((stale.status.as_u16(), &stale.body["currentVersion"]), (412, &json!(1)));
    assert_eq!(stale.headers["etag"], "\"1\"");

    let first = approve(0, Some("\"1\"")).await;
    assert_eq!((first.status.as_u16(), &first.body["state"]), (200, &json!("approved")));
    assert_eq!(first.body["number"], "2026-000001");
    assert_eq!(first.body["approvedAt"], json!(AT));
    assert_eq!(first.headers["etag"], "\"2\"");
    let again = approve(0, None).await;
    assert_eq!((again.status.as_u16(), again.body), (200, first.body));
    let any = approve(1, Some("*")).await;
    assert_eq!((any.status.as_u16(), &any.body["number"]), (200, &json!("2026-000002")), "no gap");
}

async fn the_pull_tells_how_it_stands(world: World) {
    let before = world.ask("GET", "/api/v1/pull", None).await.body;
    let nothing =
        json!({"pages": 0, "new": 0, "changed": 0, "removed": 0, "unchanged": 0, "quarantined": 0});
    let expected = json!({
        "continuationToken": null, "lastPullAt": null, "lastSuccessAt": null, "lastError": null,
        "consecutiveFailures": 0, "behind": null, "totals": nothing, "reread": null,
    });
    assert_eq!(before, expected);

    world.answers(None, ok(page(vec![order(1, 1, 3), order(2, 1, 4)]))).await;
    let counts =
        json!({"pages": 1, "new": 2, "changed": 0, "removed": 0, "unchanged": 0, "quarantined": 0});
    let pulled = world.ask("POST", "/api/v1/pull", None).await;
    assert_eq!((pulled.status.as_u16(), &pulled.body), (200, &counts));
    let after = world.ask("GET", "/api/v1/pull", None).await.body;
    let expected = json!({
        "continuationToken": token(4), "lastPullAt": AT, "lastSuccessAt": AT, "lastError": null,
        "consecutiveFailures": 0, "behind": 0, "totals": counts, "reread": null,
    });
    assert_eq!(after, expected);
}

async fn the_token_is_set(world: World) {
    let set = async |body: Value| world.ask("PUT", "/api/v1/pull/token", Some(body)).await;
    world.pull_two_orders().await;
    let back = set(json!({"continuationToken": token(1)})).await;
    assert_eq!((back.status.as_u16(), &back.body["behind"]), (200, &json!(1)));
    assert_eq!(back.body["continuationToken"], json!(token(1)));
    let beginning = set(json!({"continuationToken": null})).await;
    assert_eq!((beginning.status.as_u16(), &beginning.body["behind"]), (200, &json!(2)));
    assert_eq!(world.pull_state().await.identity, Some(identity(EPOCH)), "the feed is kept");

    for (body, status, code, pointers) in [
        (json!({}), 422, "validation-failed", vec!["/continuationToken"]),
        (json!([]), 422, "validation-failed", vec![""]),
        (
            json!({"continuationToken": 5, "x": 1}),
            422,
            "validation-failed",
            vec!["/continuationToken", "/x"],
        ),
        (
            json!({"continuationToken": "a-b-c"}),
            422,
            "validation-failed",
            vec!["/continuationToken"],
        ),
        (
            json!({"continuationToken": token(3)}),
            422,
            "validation-failed",
            vec!["/continuationToken"],
        ),
        (
            json!({"continuationToken": token_of(&identity(EPOCH - 1), 1)}),
            409,
            "feed-reset",
            vec![],
        ),
        (json!({"continuationToken": token_of(&another_feed(), 1)}), 409, "feed-unknown", vec![]),
    ] {
        let refused = set(body.clone()).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.body["code"]),
            (status, &json!(code)),
            "{body}"
        );
        let errors = refused.body["errors"].as_array().cloned().unwrap_or_default();
        let found: Vec<_> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!(found, pointers, "{body}");
    }
    assert_eq!(world.pull_state().await.continuation_token, None, "nothing was changed");
}

#[tokio::test]
async fn the_other_addresses_answer_without_a_token() {
    let world = World::sqlite().await;
    world.pull_two_orders().await;
    for path in [
        "/health/live",
        "/health/ready",
        "/metrics",
        "/openapi.json",
        "/docs/",
        "/problems/conflict",
    ] {
        let request = axum::http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        assert_eq!(world.send(request).await.status, 200, "{path}");
    }
    let description = world.ask("GET", "/openapi.json", None).await.body;
    let link = &description["paths"]["/link/new_order"]["get"];
    assert_eq!(link["security"], json!([{}]), "the deep link needs none either: {link}");
    let metrics = world.ask("GET", "/metrics", None).await.body;
    let metrics = metrics.as_str().unwrap();
    for line in [
        "billing_pulls_total{outcome=\"success\"}",
        "billing_pulled_orders_total{kind=\"new\"}",
        "billing_behind_orders ",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let api = world.ask("GET", "/openapi.json", None).await.body;
    for path in [
        "/orders",
        "/orders/{number}",
        "/orders/{number}/missing",
        "/invoices",
        "/invoices/{id}",
        "/invoices/{id}/approve",
        "/invoices/{id}/dispatch/retry",
        "/pull",
        "/pull/token",
    ] {
        assert!(api["paths"][format!("/api/v1{path}")].is_object(), "{path}");
    }
}

#[tokio::test]
async fn every_write_says_that_another_site_may_not() {
    let world = World::sqlite().await;
    let api = world.ask("GET", "/openapi.json", None).await.body;
    let mut writes = 0;
    for (path, operations) in api["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            if method != "get" {
                writes += 1;
                assert!(operation["responses"]["403"].is_object(), "{method} {path}");
            }
        }
    }
    assert!(writes > 3, "{writes}");
}
