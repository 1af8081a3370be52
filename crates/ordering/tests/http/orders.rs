//! Orders over the API.

use axum::http::StatusCode;
use contract::feed::SequenceNr;
use contract::order::OrderState;
use contract::problem::ProblemCode;
use serde_json::json;

use crate::fixture::{Answer, App, Ask, ada, bolts, on_both_databases, pairs, start};

on_both_databases!(
    an_order_goes_through_its_life,
    a_change_is_for_a_version,
    a_deleted_order_stays_as_it_is,
    everything_wrong_with_an_order_is_told_at_once,
    the_customer_must_exist,
    a_repeated_request_makes_one_order,
    a_key_is_for_one_request,
    the_list_is_filtered_and_paged,
    what_is_no_number_is_no_order,
);

async fn an_order_goes_through_its_life(app: App) {
    let customer_id = app.customer().await;
    let made = app.send(Ask::post("/api/v1/orders").json(&bolts(&customer_id))).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let draft = made.order();
    assert_eq!(made.header("location"), format!("/api/v1/orders/{}", draft.number));
    assert_eq!((draft.state, draft.version, made.etag()), (OrderState::Draft, 1, "\"1\""));
    assert_eq!((draft.net_minor, draft.tax_minor, draft.total_minor), (1400, 294, 1694));
    assert_eq!((draft.customer.name.as_str(), draft.lines[0].line_no), ("Ada Yards", 1));
    assert_eq!((draft.changed_at, draft.confirmed_at), (start(), None));

    let path = made.header("location");
    let read = app.get(path).await;
    assert_eq!((read.order(), read.etag()), (draft.clone(), "\"1\""));

    let confirmed = app.confirm(draft.number).await;
    assert_eq!((confirmed.state, confirmed.version), (OrderState::Confirmed, 2));
    assert_eq!(app.confirm(draft.number).await, confirmed, "again: nothing changes");

    let mut content = bolts(&customer_id);
    content["lines"][0]["quantity"] = json!(41);
    let changed = app.send(Ask::put(path).version(2).json(&content)).await;
    assert_eq!((changed.status, changed.etag()), (StatusCode::OK, "\"3\""));
    assert_eq!((changed.order().state, changed.order().net_minor), (OrderState::Confirmed, 1435));

    let deleted = app.send(Ask::delete(path)).await;
    assert_eq!((deleted.status, deleted.order().state), (StatusCode::OK, OrderState::Deleted));
    assert_eq!(app.get(path).await.order(), deleted.order());
}

async fn a_change_is_for_a_version(app: App) {
    let draft = app.draft().await;
    let path = format!("/api/v1/orders/{}", draft.number);
    let content = bolts(&draft.customer.id);
    let missing = app.send(Ask::put(&path).json(&content)).await;
    missing.problem(ProblemCode::PreconditionRequired);
    let malformed = app.send(Ask::put(&path).header("if-match", "one").json(&content)).await;
    let expected = pairs([("/If-Match", "invalid")]);
    assert_eq!(malformed.violations(ProblemCode::InvalidRequest), expected);
    let confirm = format!("{path}/confirm");
    for stale in [
        Ask::put(&path).version(7).json(&content),
        Ask::delete(&path).version(7),
        Ask::post(&confirm).version(7),
    ] {
        let answer = app.send(stale).await;
        assert_eq!(answer.problem(ProblemCode::VersionConflict).current_version, Some(1));
        assert_eq!(answer.etag(), "\"1\"");
    }
    assert_eq!(app.get(&path).await.order(), draft, "nothing was changed");
}

async fn a_deleted_order_stays_as_it_is(app: App) {
    let draft = app.draft().await;
    let path = format!("/api/v1/orders/{}", draft.number);
    let deleted = app.send(Ask::delete(&path).version(1)).await.order();
    let content = bolts(&draft.customer.id);
    let change = Ask::put(&path).version(deleted.version).json(&content);
    app.send(change).await.problem(ProblemCode::Conflict);
    let confirm = Ask::post(&format!("{path}/confirm"));
    app.send(confirm).await.problem(ProblemCode::Conflict);
    assert_eq!(app.send(Ask::delete(&path)).await.order(), deleted, "again: nothing changes");
}

async fn everything_wrong_with_an_order_is_told_at_once(app: App) {
    let body = json!({
        "customerId": "0197f7a2-0000-7000-8000-000000000000",
        "currency": "EURO",
        "reference": 7,
        "colour": "red",
        "lines": [
            {"sku": "A", "quantity": 0, "unitPriceMinor": 1.5, "taxBasisPoints": 10_001},
            "a line",
            {"sku": "\u{0}", "description": null, "quantity": 1, "unitPriceMinor": -1,
             "taxBasisPoints": 0, "a/b": 1},
        ],
    });
    let answer = app.send(Ask::post("/api/v1/orders").json(&body)).await;
    let problem = answer.problem(ProblemCode::ValidationFailed);
    assert_eq!(problem.title, "The order was not accepted");
    assert_eq!(problem.detail, "11 problems");
    let mut found = answer.violations(ProblemCode::ValidationFailed);
    found.sort();
    let expected = pairs([
        ("/colour", "unknown-field"),
        ("/currency", "invalid"),
        ("/customerId", "unknown"),
        ("/lines/0/quantity", "out-of-range"),
        ("/lines/0/taxBasisPoints", "out-of-range"),
        ("/lines/0/unitPriceMinor", "wrong-type"),
        ("/lines/1", "wrong-type"),
        ("/lines/2/a~1b", "unknown-field"),
        ("/lines/2/sku", "invalid"),
        ("/lines/2/unitPriceMinor", "out-of-range"),
        ("/reference", "wrong-type"),
    ]);
    assert_eq!(found, expected);
}

async fn the_customer_must_exist(app: App) {
    for unknown in ["0197f7a2-0000-7000-8000-000000000000", "somebody", "' or 1=1"] {
        let answer = app.send(Ask::post("/api/v1/orders").json(&bolts(unknown))).await;
        let expected = pairs([("/customerId", "unknown")]);
        assert_eq!(answer.violations(ProblemCode::ValidationFailed), expected);
    }
    let draft = app.draft().await;
    let content = bolts("0197f7a2-0000-7000-8000-000000000000");
    let path = format!("/api/v1/orders/{}", draft.number);
    let answer = app.send(Ask::put(&path).version(1).json(&content)).await;
    let expected = pairs([("/customerId", "unknown")]);
    assert_eq!(answer.violations(ProblemCode::ValidationFailed), expected);
}

async fn a_repeated_request_makes_one_order(app: App) {
    let content = bolts(&app.customer().await);
    let post = || Ask::post("/api/v1/orders").header("idempotency-key", "k-1");
    let first = app.send(post().json(&content)).await;
    // The same content in another spelling is the same request.
    let spelt = serde_json::to_string_pretty(&content).unwrap();
    let again = app.send(post().body("application/json; charset=utf-8", spelt)).await;
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(first.order(), again.order());
    assert_eq!(first.header("location"), again.header("location"));
    let orders = app.get("/api/v1/orders").await.value();
    assert_eq!(orders["orders"].as_array().unwrap().len(), 1);
}

async fn a_key_is_for_one_request(app: App) {
    let content = bolts(&app.customer().await);
    let post = |key: &str| Ask::post("/api/v1/orders").header("idempotency-key", key);
    assert_eq!(app.send(post("k-1").json(&content)).await.status, StatusCode::CREATED);
    let mut other = content.clone();
    other["note"] = json!("another order");
    let reused = app.send(post("k-1").json(&other)).await;
    let expected = pairs([("/Idempotency-Key", "reused")]);
    assert_eq!(reused.violations(ProblemCode::ValidationFailed), expected);
    let two = post("k-2").header("idempotency-key", "k-3");
    for wrong in [post(""), post("a key"), post(&"k".repeat(256)), two] {
        let answer = app.send(wrong.json(&content)).await;
        let expected = pairs([("/Idempotency-Key", "invalid")]);
        assert_eq!(answer.violations(ProblemCode::InvalidRequest), expected);
    }
}

async fn the_list_is_filtered_and_paged(app: App) {
    let mut numbers = Vec::new();
    for _ in 0..5 {
        numbers.push(app.draft().await.number);
    }
    let others = app.send(Ask::post("/api/v1/customers").json(&ada())).await.value();
    let others_id = others["id"].as_str().unwrap();
    let order = app.send(Ask::post("/api/v1/orders").json(&bolts(others_id))).await.order();
    app.confirm(order.number).await;
    numbers.push(order.number);
    numbers.sort_unstable_by(|a, b| b.cmp(a));

    let mut seen = Vec::new();
    let mut path = "/api/v1/orders?limit=2".to_owned();
    loop {
        let list = app.get(&path).await;
        seen.extend(listed(&list));
        let Some(next) = list.value()["next"].as_str().map(str::to_owned) else { break };
        path = format!("/api/v1/orders?limit=2&after={next}");
    }
    assert_eq!(seen, numbers, "newest first, each once");

    let confirmed = app.get("/api/v1/orders?state=confirmed").await;
    assert_eq!(listed(&confirmed), [order.number]);
    let theirs = app.get(&format!("/api/v1/orders?customerId={others_id}")).await;
    assert_eq!(listed(&theirs), [order.number]);
    let none = app.get(&format!("/api/v1/orders?customerId={others_id}&state=draft")).await;
    assert!(listed(&none).is_empty());

    let unfiltered = app.get("/api/v1/orders?state=&customerId=&after=&limit=").await;
    assert_eq!(listed(&unfiltered), listed(&app.get("/api/v1/orders").await));
    let wrong = app.get("/api/v1/orders?state=new&customerId=x&after=y&limit=0&limit=1").await;
    let expected = pairs([
        ("/limit", "invalid"),
        ("/state", "invalid"),
        ("/customerId", "invalid"),
        ("/after", "invalid"),
    ]);
    assert_eq!(wrong.violations(ProblemCode::InvalidRequest), expected);
}

async fn what_is_no_number_is_no_order(app: App) {
    let draft = app.draft().await;
    for number in ["0", "-1", "x", "1.5", "99999999999999999999", "%00", "4242"] {
        let path = format!("/api/v1/orders/{number}");
        let content = bolts(&draft.customer.id);
        for ask in [
            Ask::get(&path),
            Ask::put(&path).version(1).json(&content),
            Ask::delete(&path),
            Ask::post(&format!("{path}/confirm")),
        ] {
            app.send(ask).await.problem(ProblemCode::NotFound);
        }
    }
    assert_eq!(draft.confirmed_sequence_nr, SequenceNr::UNSTAMPED);
}

fn listed(answer: &Answer) -> Vec<i64> {
    let list = answer.value();
    list["orders"].as_array().unwrap().iter().map(|o| o["number"].as_i64().unwrap()).collect()
}
