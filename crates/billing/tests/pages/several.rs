//! The deep link for several orders: pulled side by side, shown together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::routing::get;
use axum::{Json, Router};
use contract::feed::FeedOrder;
use contract::problem::ProblemCode;
use tokio::net::TcpListener;
use wiremock::ResponseTemplate;

use crate::world::{
    EPOCH, World, changed, identity, no_such_order, order, removed, says, with_order,
};

/// Longer than the deep link ever waits.
const TOO_LONG: Duration = Duration::from_mins(1);
/// How long ordering takes for an answer where that counts.
const SLOW: Duration = Duration::from_millis(200);

fn link(numbers: impl IntoIterator<Item = i64>) -> String {
    let orders: Vec<_> = numbers.into_iter().map(|number| format!("order={number}")).collect();
    format!("/link/new_order?{}", orders.join("&"))
}

/// The rows of the page, each with its order's number.
fn rows(text: &str) -> Vec<(i64, String)> {
    let rows = text.split("<tr>").skip(2).map(|row| {
        let (head, _) = row.split_once("</th>").expect("a row begins with its order");
        let number = head.trim_end_matches("</a>").rsplit('>').next().unwrap();
        (number.parse().unwrap(), row.to_owned())
    });
    rows.collect()
}

#[tokio::test]
async fn one_that_fails_does_not_spoil_the_others() {
    let world = World::new().await;
    for number in [3, 4, 5, 6] {
        world.holds(order(number)).await;
    }
    let fault = ResponseTemplate::new(500);
    for (number, answer) in [
        (1, with_order(EPOCH, &order(1))),
        (2, fault.clone()),
        (3, fault),
        (4, with_order(EPOCH, &changed(&order(4)))),
        (5, no_such_order()),
        (6, with_order(EPOCH, &removed(&order(6)))),
        (7, no_such_order()),
        (8, ResponseTemplate::new(200).set_delay(TOO_LONG)),
        (9, ResponseTemplate::new(200).set_body_string("{\"feedId\": ")),
        (10, with_order(EPOCH, &removed(&order(10)))),
    ] {
        world.ordering_also_answers(number, answer).await;
    }
    let page = world.get(&link((1..=10).rev())).await;
    let text = page.text(200);
    says(text, &["10 orders and their invoices", "4 of 10 orders cannot be shown."]);
    says(text, &[r#"<meta http-equiv="refresh" content="5">"#, "tries again every 5 seconds"]);
    assert_eq!(page.header(CACHE_CONTROL), "no-store");

    let rows = rows(text);
    assert!(rows.iter().map(|(number, _)| *number).eq((1..=10).rev()), "{text}");
    let rows: BTreeMap<_, _> = rows.into_iter().collect();
    let says_of = |number, parts: &[&str]| says(&rows[&number], parts);
    let id = world.invoice(1).await.id;
    let fresh = ["Ada Yards", "Awaiting approval", "16.94 EUR", &format!("/invoices/{id}")];
    says_of(1, &fresh);
    says_of(1, &[r#"href="https://shop.example/ordering/orders/1""#]);
    assert!(!rows[&1].contains("out of date"), "{}", rows[&1]);
    says_of(2, &["Ordering is not available, and billing has no copy of this order yet."]);
    let stale = "<p class=\"notice warning small\">Possibly out of date: Ordering gave no usable answer; \
                 this is the state received on";
    says_of(3, &[stale, "1 May 2026, 10:00 UTC", "16.94 EUR", "Awaiting approval"]);
    says_of(4, &["423.50 EUR"]);
    says_of(5, &["Possibly out of date: Ordering does not know this order right now", "16.94 EUR"]);
    says_of(6, &["The order was removed on 1 May 2026", "Withdrawn"]);
    says_of(7, &["There is no order 7. ", "Is a digit missing?"]);
    assert!(!rows[&7].contains("href"), "there is nothing to lead to: {}", rows[&7]);
    says_of(8, &["Ordering does not answer"]);
    says_of(9, &["What ordering answers cannot be used"]);
    says_of(10, &["The order was removed", "Removed", "Ada Yards"]);

    let page = world.get(&link([1, 3, 7])).await;
    says(page.text(200), &["1 of 3 orders cannot be shown.", "Possibly out of date"]);
    assert!(!page.body.contains("http-equiv"), "no row waits: {}", page.body);
}

#[tokio::test]
async fn only_when_there_is_nothing_to_show_the_whole_link_fails() {
    let world = World::new().await;
    world.ordering_also_answers(1, no_such_order()).await;
    world.ordering_also_answers(2, no_such_order()).await;
    let page = world.get(&link([1, 2])).await;
    says(page.text(404), &["There is no order 1.", "There is no order 2."]);
    assert_eq!(world.get_json(&link([1, 2])).await.problem(404), ProblemCode::NotFound);

    // One that may be there later makes it worth trying again.
    world.ordering_also_answers(3, ResponseTemplate::new(500)).await;
    let page = world.get(&link([1, 2, 3])).await;
    let retry = r#"<meta http-equiv="refresh" content="5">"#;
    says(page.text(503), &[retry, "tries again every 5 seconds", "There is no order 1."]);
    assert_eq!((page.header(RETRY_AFTER), page.header(CACHE_CONTROL)), ("5", "no-store"));
    let document = world.get_json(&link([1, 2, 3])).await;
    assert_eq!(document.problem(503), ProblemCode::UpstreamUnavailable);
    assert_eq!(document.header(RETRY_AFTER), "5");

    // The page's next try, once ordering is back.
    world.ordering_has(&order(3)).await;
    world.ordering_also_answers(1, no_such_order()).await;
    world.ordering_also_answers(2, no_such_order()).await;
    let page = world.get(&link([1, 2, 3])).await;
    says(page.text(200), &["2 of 3 orders cannot be shown.", "16.94 EUR"]);
}

#[tokio::test]
async fn those_whose_turn_does_not_come_show_their_copies() {
    let world = World::new().await;
    for number in 1..=20 {
        world.holds(order(number)).await;
        let hangs = ResponseTemplate::new(200).set_delay(TOO_LONG);
        world.ordering_also_answers(number, hangs).await;
    }
    let page = world.get(&link(1..=20)).await;
    let rows = rows(page.text(200));
    assert_eq!(rows.len(), 20);
    for (_, row) in rows {
        says(&row, &["Possibly out of date: Ordering did not answer", "16.94 EUR"]);
    }
}

/// An ordering that takes its time, and counts.
#[derive(Default)]
struct Slow {
    in_flight: AtomicUsize,
    most: AtomicUsize,
    asked: AtomicUsize,
}

impl Slow {
    /// Serves it; its address.
    async fn serve(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/feed/v1/orders/{number}", get(answer))
            .with_state(Arc::clone(self));
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }
}

async fn answer(State(slow): State<Arc<Slow>>, Path(number): Path<i64>) -> Json<FeedOrder> {
    slow.asked.fetch_add(1, Ordering::SeqCst);
    let now = slow.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
    slow.most.fetch_max(now, Ordering::SeqCst);
    // What is simulated is a slow answer: nothing waits for this.
    tokio::time::sleep(SLOW).await;
    slow.in_flight.fetch_sub(1, Ordering::SeqCst);
    let identity = identity(EPOCH);
    Json(FeedOrder { feed_id: identity.feed_id, epoch: identity.epoch, order: order(number) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_eight_are_asked_for_at_a_time() {
    let slow = Arc::new(Slow::default());
    let world = World::patient(&slow.serve().await).await;
    let page = world.get(&link(1..=20)).await;
    assert_eq!(rows(page.text(200)).len(), 20);
    assert_eq!(page.body.matches("16.94 EUR").count(), 20, "{}", page.body);
    assert_eq!(slow.asked.load(Ordering::SeqCst), 20, "each once");
    assert_eq!(slow.most.load(Ordering::SeqCst), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_orders_take_little_longer_than_one() {
    let slow = Arc::new(Slow::default());
    let world = World::patient(&slow.serve().await).await;
    // The best of some, so that a busy machine does not count: what is asked one after the other
    // takes eight times as long at best.
    let (mut one, mut eight) = (Duration::MAX, Duration::MAX);
    for first in (1..=27).step_by(9) {
        let started = Instant::now();
        world.get(&link([first])).await.leads_to();
        one = one.min(started.elapsed());
        let started = Instant::now();
        let page = world.get(&link(first + 1..=first + 8)).await;
        eight = eight.min(started.elapsed());
        assert_eq!(page.text(200).matches("16.94 EUR").count(), 8, "{}", page.body);
    }
    let ratio = eight.as_secs_f64() / one.as_secs_f64();
    println!("one order takes {one:?}, eight take {eight:?}: {ratio:.2} times as long");
    assert!(ratio < 1.6, "one order takes {one:?}, eight take {eight:?}");
}
