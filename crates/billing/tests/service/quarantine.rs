//! Orders that cannot be taken in: from whatever ordering says to what the API shows.

use billing::pull::Counts;
use contract::order::{Order, OrderState};
use contract::problem::ProblemCode;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::on_both_databases;
use crate::ordering::{
    EPOCH, identity, nothing_new, ok, one, order, page, page_of, problem, token,
};
use crate::world::World;

on_both_databases! {
    whatever_is_wrong_with_an_order_stops_no_other,
    a_retry_says_what_became_of_the_order,
    an_order_that_ordering_has_lost_is_let_out,
    a_new_epoch_lets_out_what_it_does_not_know,
}

/// What may be wrong with an order: a part of its text, what stands there instead, and the beginning
/// of the reason.
fn faults() -> Vec<(&'static str, String, &'static str)> {
    let deep = "[".repeat(20_000) + &"]".repeat(20_000);
    vec![
        ("\"totalMinor\":85", "\"totalMinor\":86".into(), "its totals are not"),
        ("\"state\":\"confirmed\"", "\"state\":\"draft\"".into(), "it is a draft"),
        ("\"state\":\"confirmed\"", "\"state\":\"lost\"".into(), "state: unknown variant"),
        ("\"version\":2", "\"version\":0".into(), "its version is not positive"),
        ("\"version\":2", "\"version\":\"2\"".into(), "version: invalid type"),
        ("\"quantity\":2", "\"quantity\":9223372036854775807".into(), "the sum of its lines"),
        ("\"quantity\":2", "\"quantity\":9223372036854775808".into(), "lines[0].quantity: invalid"),
        ("\"quantity\":2", "\"quantity\":2.0".into(), "lines[0].quantity: invalid type"),
        ("\"quantity\":2", "\"quantity\":1e400".into(), "lines[0].quantity: number out of range"),
        ("\"quantity\":2", "\"quantity\":2,\"quantity\":2".into(), "lines[0]: duplicate field"),
        ("\"BOLT-8\"", "\"\\ud800\"".into(), "lines[0].sku: "),
        ("\"BOLT-8\"", deep, "lines[0].sku: invalid type"),
        ("\"EUR\"", "\"\\u0000\"".into(), "its currency is unknown"),
        ("\"customer\":", "\"buyer\":".into(), "missing field `customer`"),
    ]
}

/// The documents that are shown as a text, because others could not read them.
const SHOWN_AS_TEXT: [&str; 3] = ["1e400", "\\ud800", "[[[["];

async fn whatever_is_wrong_with_an_order_stops_no_other(world: World) {
    world.pull_two_orders().await;
    let faults = faults();
    let mut entries = Vec::new();
    // Order 2 has a copy here; every other one is good.
    let numbers: Vec<i64> = (0..).map(|i| 2 * (i + 1)).take(faults.len()).collect();
    for (number, (part, other, _)) in numbers.iter().zip(&faults) {
        let good = serde_json::to_string(&order(number + 101, 2, 2 * number + 1)).unwrap();
        let bad = serde_json::to_string(&order(*number, 2, 2 * number + 2)).unwrap();
        assert_eq!(bad.matches(part).count(), 1, "{part} in {bad}");
        entries.extend([good, bad.replace(part, other)]);
    }
    let last = 2 * numbers.last().unwrap() + 2;
    let body = format!(
        r#"{{"feedId":"k3v9x2ab","epoch":{EPOCH},"orders":[{}],"continuationToken":"{}","hasMore":false,"lastSequenceNr":{last}}}"#,
        entries.join(","),
        token(last)
    );
    world.answers(Some(&token(2)), ResponseTemplate::new(200).set_body_string(body)).await;
    let count = i64::try_from(faults.len()).unwrap();
    let counts = world.puller.pull_once().await.unwrap();
    assert_eq!(counts, Counts { pages: 1, new: count, quarantined: count, ..Counts::default() });
    assert_eq!(world.pull_state().await.continuation_token, Some(token(last)));
    assert_eq!(world.store.order(2).await.unwrap().unwrap().order.version, 1);

    let mut listed = Vec::new();
    let mut after = String::new();
    loop {
        let answer = world.ask("GET", &format!("/api/v1/quarantine?limit=5{after}"), None).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        listed.extend(answer.body["quarantined"].as_array().expect("JSON").clone());
        let Some(next) = answer.body["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(listed.len(), faults.len());
    for ((entry, number), (part, other, reason)) in listed.iter().zip(&numbers).zip(&faults) {
        assert_eq!(
            (&entry["number"], &entry["since"]),
            (&json!(number), &json!("2026-05-01T10:00:00.000000Z"))
        );
        let found = entry["reason"].as_str().unwrap();
        assert!(found.starts_with(reason), "{found} instead of {reason}");
        let text = serde_json::to_string(&order(*number, 2, 2 * number + 2)).unwrap();
        let text = text.replace(part, other);
        let as_text = SHOWN_AS_TEXT.iter().any(|it| text.contains(it));
        let expected =
            if as_text { Value::from(text) } else { serde_json::from_str(&text).unwrap() };
        assert_eq!(entry["document"], expected);
    }

    // Good ones of the same orders come with the next page.
    let good = numbers.iter().map(|&number| order(number, 3, last + number)).collect();
    world.answers(Some(&token(last)), ok(page(good))).await;
    let counts = world.puller.pull_once().await.unwrap();
    assert_eq!((counts.new, counts.changed), (count - 1, 1));
    assert_eq!(world.store.quarantine_count().await.unwrap(), 0);
}

/// An order that cannot be taken in.
fn draft(number: i64, version: i64) -> Order {
    Order { state: OrderState::Draft, ..order(number, version, version) }
}

async fn a_retry_says_what_became_of_the_order(world: World) {
    world.pull_two_orders().await;
    let retry = "/api/v1/quarantine/1/retry";
    assert_eq!(world.ask("POST", retry, None).await.status, 404);
    for wrong in ["x", "0", "-1", "9223372036854775808"] {
        let path = format!("/api/v1/quarantine/{wrong}/retry");
        assert_eq!(world.ask("POST", &path, None).await.status, 404, "{wrong}");
    }
    let invoices = world.ask("GET", "/api/v1/invoices?orderNumber=1", None).await;
    let id = invoices.body["invoices"][0]["id"].as_str().unwrap().to_owned();
    let approve = format!("/api/v1/invoices/{id}/approve");

    world.answers_order(1, ok(one(&identity(EPOCH), draft(1, 2)))).await;
    let counts = world.puller.pull_order(1).await.unwrap();
    assert_eq!(counts, Counts { quarantined: 1, ..Counts::default() });
    let refused = world.ask("POST", &approve, None).await;
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (409, &json!("conflict")));
    assert!(refused.body["detail"].as_str().unwrap().contains("quarantine"), "{}", refused.body);

    let still = world.ask("POST", retry, None).await;
    assert_eq!(still.status, 200);
    let expected = json!({"number": 1, "state": "quarantined", "reason": "it is a draft"});
    assert_eq!(still.body, expected);
    for (answer, status) in [
        (ResponseTemplate::new(500), 503),
        (ok(one(&identity(EPOCH), order(2, 2, 2))), 502),
        (ok(json!({"feedId": "k3v9x2ab", "epoch": EPOCH, "order": {"number": "1"}})), 502),
        (problem(ProblemCode::NotFound, Some(identity(EPOCH))), 409),
    ] {
        world.answers_order(1, answer).await;
        assert_eq!(world.ask("POST", retry, None).await.status, status);
        assert_eq!(world.store.quarantine_count().await.unwrap(), 1, "{status}");
    }
    world.answers_order(1, ok(one(&identity(EPOCH), order(1, 2, 7)))).await;
    let taken_in = world.ask("POST", retry, None).await;
    assert_eq!(taken_in.body, json!({"number": 1, "state": "taken-in", "reason": null}));
    assert_eq!(world.ask("POST", &approve, None).await.status, 200);
    assert_eq!(world.ask("POST", retry, None).await.status, 404);
}

async fn an_order_that_ordering_has_lost_is_let_out(world: World) {
    world.pull_two_orders().await;
    world.answers_order(7, ok(one(&identity(EPOCH), draft(7, 1)))).await;
    world.puller.pull_order(7).await.unwrap();
    world.answers_order(7, problem(ProblemCode::NotFound, Some(identity(EPOCH + 1)))).await;
    let gone = world.ask("POST", "/api/v1/quarantine/7/retry", None).await;
    assert_eq!(gone.body, json!({"number": 7, "state": "gone", "reason": null}));
    assert_eq!(world.store.quarantine_count().await.unwrap(), 0);
}

async fn a_new_epoch_lets_out_what_it_does_not_know(world: World) {
    world.pull_two_orders().await;
    for number in [7, 8, 9] {
        world.answers_order(number, ok(one(&identity(EPOCH), draft(number, 1)))).await;
        world.puller.pull_order(number).await.unwrap();
    }
    let newer = identity(EPOCH + 1);
    world.answers(Some(&token(2)), problem(ProblemCode::FeedReset, Some(newer.clone()))).await;
    let restored = page_of(&newer, vec![order(1, 1, 1), order(2, 1, 2)]);
    world.also_answers(None, ok(restored)).await;
    world.also_answers_order(7, problem(ProblemCode::NotFound, Some(newer.clone()))).await;
    world.also_answers_order(8, ok(one(&newer, order(8, 1, -1)))).await;
    world.also_answers_order(9, ok(one(&newer, draft(9, 1)))).await;
    // Nobody asks for them but the pull itself.
    world.puller.pull_once().await.unwrap();
    let (left, _) = world.store.quarantine(None, 9).await.unwrap();
    assert_eq!(left.iter().map(|order| order.number).collect::<Vec<_>>(), [9]);
    assert!(world.store.order(7).await.unwrap().is_none());
    assert!(world.store.order(8).await.unwrap().is_some());
    assert_eq!(world.store.unseen(None, 9).await.unwrap(), []);
}

#[tokio::test]
async fn the_list_is_asked_for_in_the_usual_way() {
    let world = World::sqlite().await;
    let empty = world.ask("GET", "/api/v1/quarantine", None).await;
    assert_eq!(empty.body, json!({"quarantined": [], "next": null}));
    let wrong = world.ask("GET", "/api/v1/quarantine?limit=0&after=x&before=1", None).await;
    assert_eq!(wrong.status, 400);
    assert_eq!(wrong.body["errors"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_deep_link_to_an_order_that_cannot_be_taken_in_puts_it_aside() {
    let world = World::sqlite().await;
    world.pull_two_orders().await;
    world.answers(Some(&token(2)), ok(nothing_new(&token(2)))).await;
    for number in [1, 9] {
        world.answers_order(number, ok(one(&identity(EPOCH), draft(number, 2)))).await;
        for _ in 0..2 {
            // The second time, it is put aside already.
            let link = format!("/link/new_order?order={number}");
            let answer = world.ask("GET", &link, None).await;
            if number == 1 {
                assert_eq!(answer.headers["location"], "/orders/1/invoice?stale=unusable");
            } else {
                assert_eq!(answer.status, 503);
            }
        }
        assert!(world.store.quarantined_order(number).await.unwrap().is_some(), "{number}");
    }
}
