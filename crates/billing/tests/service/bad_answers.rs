//! Answers that must change nothing: not the data, not the token. The next good one goes through.

use std::time::Duration;

use billing::pull::Counts;
use contract::feed::{FeedPage, SequenceNr};
use contract::problem::ProblemCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::ResponseTemplate;

use crate::on_both_databases;
use crate::ordering::{EPOCH, identity, nothing_new, ok, order, page, problem, token};
use crate::world::{PULL_TIMEOUT, World};

on_both_databases! {
    a_bad_answer_changes_nothing_and_the_next_good_one_goes_through,
    an_answer_that_is_cut_off_changes_nothing,
}

/// Three orders behind the two that are known, with something changed.
fn three(change: impl FnOnce(&mut FeedPage)) -> ResponseTemplate {
    let mut page = page(vec![order(3, 1, 3), order(4, 1, 4), order(5, 1, 5)]);
    change(&mut page);
    ok(page)
}

/// What is answered to the token at 2, and the kind of failure that it must be.
fn bad_answers() -> Vec<(&'static str, ResponseTemplate, &'static str)> {
    let text = |status, text: &str| ResponseTemplate::new(status).set_body_string(text);
    let good = serde_json::to_value(page(vec![order(3, 1, 3)])).unwrap();
    let without = |name: &str| {
        let mut document = good.clone();
        document.as_object_mut().unwrap().remove(name);
        ok(document)
    };
    vec![
        ("no JSON", text(200, "<html>It works!</html>"), "invalid"),
        ("half of a JSON document", text(200, &good.to_string()[..200]), "invalid"),
        ("no body", ResponseTemplate::new(200), "invalid"),
        ("JSON of another shape", ok(json!([1, 2, 3])), "invalid"),
        ("no token", without("continuationToken"), "invalid"),
        ("no epoch", without("epoch"), "invalid"),
        ("orders of another shape", ok(with(&good, "/orders/0/number", json!("3"))), "invalid"),
        ("an entry that is no object", ok(with(&good, "/orders/0", json!(3))), "invalid"),
        ("no list of orders", ok(with(&good, "/orders", json!({}))), "invalid"),
        ("a number beyond all", ok(with(&good, "/orders/0/number", json!(u64::MAX))), "invalid"),
        ("a number and a half", ok(with(&good, "/orders/0/number", json!(3.5))), "invalid"),
        ("two numbers", text(200, &replaced(&good, "\"number\":3", "$,\"number\":4")), "invalid"),
        ("no place", text(200, &replaced(&good, "\"confirmedSequenceNr\":3,", "")), "invalid"),
        (
            "two places",
            text(200, &replaced(&good, "\"confirmedSequenceNr\":3", "$,\"confirmedSequenceNr\":4")),
            "invalid",
        ),
        ("no escape", text(200, &replaced(&good, "Ada", "\\x")), "invalid"),
        ("a NUL as it is", text(200, &replaced(&good, "Ada", "A\0")), "invalid"),
        ("no UTF-8", ResponseTemplate::new(200).set_body_bytes(not_utf8(&good)), "invalid"),
        ("a broken token", ok(with(&good, "/continuationToken", json!("3"))), "invalid"),
        ("number 0", three(|page| page.orders[0].number = 0), "invalid"),
        ("an order twice", three(|page| page.orders[2].number = 3), "invalid"),
        ("falling numbers", three(|page| page.orders.swap(0, 1)), "invalid"),
        (
            "numbers before the token",
            three(|page| page.orders[0].confirmed_sequence_nr = SequenceNr(2)),
            "invalid",
        ),
        (
            "an order that is not stamped",
            three(|page| page.orders[0].confirmed_sequence_nr = SequenceNr::UNSTAMPED),
            "invalid",
        ),
        ("a token beyond the page", three(|page| page.continuation_token = token(6)), "invalid"),
        ("a token of another epoch", three(|page| page.continuation_token.epoch.0 += 1), "invalid"),
        (
            "an empty page with more behind it",
            ok(FeedPage { has_more: true, ..nothing_new(&token(2)) }),
            "invalid",
        ),
        ("an empty page with another token", ok(nothing_new(&token(3))), "invalid"),
        ("a fault", text(500, "<h1>panic at line 3</h1>\u{7}"), "refused"),
        ("a gateway's page", text(502, "<html>Bad gateway</html>"), "refused"),
        ("too many requests", text(429, "").insert_header("retry-after", "7"), "refused"),
        ("no access", problem(ProblemCode::Unauthorized, None), "refused"),
        (
            "a redirect",
            ResponseTemplate::new(302).insert_header("location", "http://127.0.0.1:9/"),
            "invalid",
        ),
        ("not found", problem(ProblemCode::NotFound, Some(identity(EPOCH))), "refused"),
        (
            "a token that is no token",
            problem(ProblemCode::InvalidRequest, Some(identity(EPOCH))),
            "refused",
        ),
        ("a reset to nowhere", problem(ProblemCode::FeedReset, None), "invalid"),
        ("an unknown feed without a name", problem(ProblemCode::FeedUnknown, None), "invalid"),
        (
            "a provider of the past",
            problem(ProblemCode::StaleProvider, Some(identity(EPOCH - 1))),
            "stale-provider",
        ),
        ("a hang", three(|_| ()).set_delay(PULL_TIMEOUT * 10), "timeout"),
    ]
}

/// The document's text with a part of it replaced; `$` stands for that part.
fn replaced(document: &Value, part: &str, other: &str) -> String {
    let text = document.to_string();
    assert!(text.contains(part), "{part} in {text}");
    text.replace(part, &other.replace('$', part))
}

fn not_utf8(document: &Value) -> Vec<u8> {
    let text = document.to_string();
    let place = text.find("Ada").expect("the customer is there");
    let mut bytes = text.into_bytes();
    bytes[place] = 0xff;
    bytes
}

fn with(document: &Value, pointer: &str, value: Value) -> Value {
    let mut document = document.clone();
    *document.pointer_mut(pointer).expect("the place is there") = value;
    document
}

async fn a_bad_answer_changes_nothing_and_the_next_good_one_goes_through(world: World) {
    world.pull_two_orders().await;
    for (what, answer, kind) in bad_answers() {
        world.answers(Some(&token(2)), answer).await;
        let error = world.pull_in_vain().await;
        assert_eq!(error.kind(), kind, "{what}: {error}");
        assert!(!error.to_string().contains(char::is_control), "{what}: {error:?}");
        assert_eq!(world.times_asked().await, 1, "{what}");
        if what == "too many requests" {
            assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        }
    }

    world.answers(Some(&token(2)), three(|_| ())).await;
    let counts = world.puller.pull_once().await.unwrap();
    assert_eq!(counts, Counts { pages: 1, new: 3, ..Counts::default() });
    let state = world.pull_state().await;
    assert_eq!(state.continuation_token, Some(token(5)));
    assert_eq!((state.last_error, state.consecutive_failures), (None, 0));
}

async fn an_answer_that_is_cut_off_changes_nothing(world: World) {
    world.pull_two_orders().await;
    let body = serde_json::to_string(&page(vec![order(3, 1, 3)])).unwrap();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let puller = world.patient_puller(&format!("http://{}", listener.local_addr().unwrap()));
    let answers = [
        (String::new(), Some("unreachable")),
        (head[..40].to_owned(), Some("unreachable")),
        (format!("{head}{}", &body[..length / 2]), Some("invalid")),
        (format!("{head}{body}"), None),
    ];
    for (answer, kind) in answers {
        let before = world.data().await;
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            // The whole request first: a connection that is closed with something unread is reset.
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        };
        let (pulled, ()) = tokio::join!(puller.pull_once(), serve);
        assert_eq!(pulled.as_ref().err().map(billing::pull::PullError::kind), kind, "{pulled:?}");
        if kind.is_some() {
            assert_eq!(world.data().await, before);
        }
    }
    assert_eq!(world.pull_state().await.continuation_token, Some(token(3)));
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let world = World::sqlite().await;
    let endless = ResponseTemplate::new(200).set_body_bytes(vec![b' '; 65 * 1024 * 1024]);
    world.answers(None, endless).await;
    let error = world.patient_puller(&world.ordering.uri()).pull_once().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Ordering answered 200, but not as agreed: more than 67108864 bytes"
    );
}

#[tokio::test]
async fn nobody_there_changes_nothing() {
    let world = World::sqlite().await;
    let nowhere = world.patient_puller(&format!("http://127.0.0.1:{}", testkit::net::free_port()));
    let before = world.data().await;
    assert_eq!(nowhere.pull_once().await.unwrap_err().kind(), "unreachable");
    assert_eq!(world.data().await, before);
}

#[tokio::test]
async fn ordering_is_asked_with_the_token_and_the_limit() {
    let world = World::sqlite().await;
    world.pull_two_orders().await;
    let asked = world.ordering.received_requests().await.unwrap();
    let [request] = asked.as_slice() else { panic!("one request, not {}", asked.len()) };
    assert_eq!(request.headers["authorization"], "Bearer s3cret");
    let packed = request.headers.contains_key("accept-encoding");
    assert!(!packed, "on one machine, packing takes longer than the way");
    assert_eq!(request.url.query(), Some("limit=100"));
}
