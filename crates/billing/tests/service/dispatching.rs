//! Handing invoices over to a customer's system that answers what a test tells it.

use std::sync::Arc;
use std::time::Duration;

use billing::dispatch::{Dispatcher, Ending};
use kit::clock::Clock;
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use testkit::net::free_port;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::on_both_databases;
use crate::ordering::AT;
use crate::world::{DISPATCH_TIMEOUT, SECRET, World};

on_both_databases!(
    an_approved_invoice_is_delivered_and_signed,
    a_fault_of_the_other_side_is_tried_again_under_the_same_id,
    a_fault_of_ours_is_given_up_at_once,
    it_is_given_up_after_some_hours,
    what_was_given_up_is_tried_again_on_request,
    only_what_was_given_up_is_tried_again,
    the_list_is_narrowed_by_how_the_dispatch_stands,
    an_attempt_that_might_outlast_its_lease_is_left_to_the_next,
);

/// The customer's system, and the invoice of order 1.
struct Handover {
    world: World,
    dispatcher: Arc<Dispatcher>,
    customer: MockServer,
    invoice: String,
}

impl Handover {
    async fn begin(mut world: World) -> Self {
        let customer = MockServer::start().await;
        let dispatcher = world.dispatch_to(&format!("{}/hooks?source=billing", customer.uri()));
        world.pull_two_orders().await;
        let list = world.ask("GET", "/api/v1/invoices?orderNumber=1", None).await;
        let invoice = list.body["invoices"][0]["id"].as_str().unwrap().to_owned();
        Self { world, dispatcher, customer, invoice }
    }

    /// The customer's system answers like this, whatever it answered before.
    async fn answers(&self, answer: ResponseTemplate) {
        self.customer.reset().await;
        Mock::given(method("POST"))
            .and(path("/hooks"))
            .respond_with(answer)
            .mount(&self.customer)
            .await;
    }

    /// What the customer's system was sent since it was told what to answer.
    async fn sent(&self) -> Vec<Request> {
        self.customer.received_requests().await.unwrap()
    }

    async fn approve(&self) -> Value {
        let path = format!("/api/v1/invoices/{}/approve", self.invoice);
        let approved = self.world.ask("POST", &path, None).await;
        assert_eq!(
            (approved.status.as_u16(), &approved.body["dispatch"]),
            (200, &json!("pending"))
        );
        approved.body
    }

    /// Carries out the attempt that is due; `None` when none is.
    async fn attempt(&self) -> Option<Ending> {
        let attempt = self.dispatcher.claim().await.unwrap()?;
        Some(self.dispatcher.carry_out(&attempt).await.unwrap().expect("nobody else began one"))
    }

    /// The invoice as the API shows it.
    async fn shown(&self) -> Value {
        let shown =
            self.world.ask("GET", &format!("/api/v1/invoices/{}", self.invoice), None).await;
        assert_eq!(shown.headers["etag"], format!("\"{}\"", shown.body["version"]));
        shown.body
    }

    async fn retry(&self, headers: &[(&str, &str)]) -> crate::world::Answer {
        let path = format!("/api/v1/invoices/{}/dispatch/retry", self.invoice);
        self.world.ask_with("POST", &path, headers, None).await
    }
}

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers[name].to_str().unwrap()
}

async fn an_approved_invoice_is_delivered_and_signed(world: World) {
    let handover = Handover::begin(world).await;
    handover.answers(ResponseTemplate::new(204)).await;
    let approved = handover.approve().await;
    handover.world.clock.advance(Duration::from_secs(5));
    assert_eq!(handover.attempt().await, Some(Ending::Delivered));

    let sent = handover.sent().await;
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].url.query(), Some("source=billing"));
    assert_eq!(header(&sent[0], "content-type"), "application/json");
    let body: Value = serde_json::from_slice(&sent[0].body).unwrap();
    assert_eq!(body, json!({"type": "invoice.approved", "timestamp": AT, "data": approved}));
    let id = format!("approved-{}", handover.invoice);
    let seconds = AT.millis() / 1_000 + 5;
    let signature = Webhook::new(SECRET).unwrap().sign(&id, seconds, &sent[0].body).unwrap();
    assert_eq!(header(&sent[0], "webhook-id"), id);
    assert_eq!(header(&sent[0], "webhook-timestamp"), seconds.to_string());
    assert_eq!(header(&sent[0], "webhook-signature"), signature);

    let shown = handover.shown().await;
    assert_eq!((&shown["dispatch"], &shown["version"]), (&json!("delivered"), &json!(3)));
    let detail = json!({
        "failures": 0, "nextAttemptAt": null, "fault": null,
        "deliveredAt": json!(AT + Duration::from_secs(5)),
    });
    assert_eq!(shown["dispatchDetail"], detail);
    assert_eq!(handover.attempt().await, None, "there is nothing left to do");
}

async fn a_fault_of_the_other_side_is_tried_again_under_the_same_id(world: World) {
    let handover = Handover::begin(world).await;
    let clock = &handover.world.clock;
    handover.approve().await;
    let mut messages = Vec::new();
    let error = |status| ResponseTemplate::new(status);
    let busy = error(429).insert_header("retry-after", "240");
    let slow = error(200).set_delay(DISPATCH_TIMEOUT * 20);
    let moved = error(302).insert_header("location", handover.customer.uri());
    let soap = error(500).set_body_bytes(include_bytes!("faults/soap11_client.xml"));
    for (answer, status, code, at_least) in [
        (error(500), json!(500), "upstream-unavailable", 2),
        (error(503), json!(503), "upstream-unavailable", 4),
        (error(408), json!(408), "upstream-unavailable", 8),
        (busy, json!(429), "upstream-unavailable", 240),
        (moved, json!(302), "upstream-invalid", 32),
        (slow, json!(null), "upstream-timeout", 64),
        (soap, json!(500), "upstream-invalid", 128),
    ] {
        handover.answers(answer).await;
        let began = clock.now();
        let ended = handover.attempt().await;
        let Some(Ending::TryAgain { fault, next_attempt_at }) = ended else {
            panic!("{status}: {ended:?}")
        };
        let sent = handover.sent().await;
        assert_eq!(sent.len(), 1, "a redirect is not followed");
        messages.push((header(&sent[0], "webhook-id").to_owned(), sent[0].body.clone()));

        let shown = handover.shown().await;
        assert_eq!(shown["dispatch"], "pending");
        let detail = &shown["dispatchDetail"];
        assert_eq!(detail["failures"], messages.len());
        assert_eq!(detail["nextAttemptAt"], json!(next_attempt_at));
        assert_eq!((&detail["fault"]["status"], &detail["fault"]["code"]), (&status, &json!(code)));
        assert_eq!(detail["fault"]["at"], json!(began));
        assert!(fault.message.starts_with("The customer's system "), "{}", fault.message);

        let pause = next_attempt_at.since(began);
        let (least, most) = (Duration::from_secs(at_least), Duration::from_secs(at_least * 3 / 2));
        assert!((least..=most).contains(&pause), "{status}: {pause:?}");
        clock.set(next_attempt_at - Duration::from_micros(1));
        assert_eq!(handover.attempt().await, None, "not before it is due");
        clock.set(next_attempt_at);
    }

    handover.answers(ResponseTemplate::new(200)).await;
    assert_eq!(handover.attempt().await, Some(Ending::Delivered));
    let sent = handover.sent().await.remove(0);
    let seconds = (clock.now().millis() / 1_000).to_string();
    assert_eq!(header(&sent, "webhook-timestamp"), seconds, "the attempt's own time");
    messages.push((header(&sent, "webhook-id").to_owned(), sent.body));
    assert!(messages.iter().all(|message| *message == messages[0]), "the same each time");
    let shown = handover.shown().await;
    assert_eq!(
        (&shown["dispatch"], &shown["dispatchDetail"]["fault"]),
        (&json!("delivered"), &json!(null))
    );
}

async fn a_fault_of_ours_is_given_up_at_once(world: World) {
    let handover = Handover::begin(world).await;
    handover.approve().await;
    let problem = json!({
        "type": "/problems/closed-period", "title": "The period is closed", "status": 422,
        "detail": "2026-05 is closed for new invoices", "code": "closed-period",
    });
    for status in [400, 401, 403, 404, 409, 410, 413, 422] {
        let answer = ResponseTemplate::new(status)
            .insert_header("x-request-id", "their-7")
            .set_body_raw(problem.to_string(), "application/problem+json");
        handover.answers(answer).await;
        let ended = handover.attempt().await;
        let Some(Ending::Failed { fault }) = ended else { panic!("{status}: {ended:?}") };
        assert_eq!(fault.status, Some(status));
        let shown = handover.shown().await;
        assert_eq!(shown["dispatch"], "failed");
        let detail = &shown["dispatchDetail"];
        assert_eq!((&detail["failures"], &detail["nextAttemptAt"]), (&json!(1), &json!(null)));
        let message = detail["fault"]["message"].as_str().unwrap();
        for part in ["The customer's system", "2026-05 is closed", &status.to_string()] {
            assert!(message.contains(part), "{part} in {message}");
        }
        assert_eq!(detail["fault"]["requestId"], "their-7");
        handover.world.clock.advance(Duration::from_hours(100));
        assert_eq!(handover.attempt().await, None, "{status}");
        assert_eq!(handover.retry(&[]).await.status, 202);
    }
}

async fn it_is_given_up_after_some_hours(mut world: World) {
    // Nothing listens there.
    let dispatcher = world.dispatch_to(&format!("http://127.0.0.1:{}/", free_port()));
    let customer = MockServer::start().await;
    world.pull_two_orders().await;
    let list = world.ask("GET", "/api/v1/invoices?orderNumber=1", None).await;
    let invoice = list.body["invoices"][0]["id"].as_str().unwrap().to_owned();
    let handover = Handover { world, dispatcher, customer, invoice };
    handover.approve().await;
    let began = handover.world.clock.now();
    let mut attempts = 1;
    while let Some(Ending::TryAgain { fault, next_attempt_at }) = handover.attempt().await {
        assert!(fault.message.contains("cannot be reached"), "{}", fault.message);
        handover.world.clock.set(next_attempt_at);
        attempts += 1;
    }
    assert_eq!(attempts, 16);
    let hours = handover.world.clock.now().since(began).as_secs() / 3_600;
    assert!((5..8).contains(&hours), "{hours} h");
    let shown = handover.shown().await;
    assert_eq!(
        (&shown["dispatch"], &shown["dispatchDetail"]["failures"]),
        (&json!("failed"), &json!(16))
    );
}

async fn what_was_given_up_is_tried_again_on_request(world: World) {
    let handover = Handover::begin(world).await;
    handover.approve().await;
    handover.answers(ResponseTemplate::new(400)).await;
    handover.attempt().await;
    let first = handover.sent().await.remove(0);
    let failed = handover.shown().await;

    let stale = handover.retry(&[("if-match", "\"2\"")]).await;
    assert_eq!((stale.status.as_u16(), &stale.body["currentVersion"]), (412, &json!(3)));
    let retried = handover.retry(&[("if-match", "\"3\"")]).await;
    assert_eq!(
        (retried.status.as_u16(), &retried.headers["etag"]),
        (202, &"\"4\"".parse().unwrap())
    );
    assert_eq!(retried.body, handover.shown().await);
    assert_eq!(retried.body["dispatch"], "pending");
    assert_eq!(retried.body["dispatchDetail"]["failures"], 0);
    assert_eq!(retried.body["dispatchDetail"]["fault"], failed["dispatchDetail"]["fault"]);

    handover.answers(ResponseTemplate::new(200)).await;
    assert_eq!(handover.attempt().await, Some(Ending::Delivered));
    let second = handover.sent().await.remove(0);
    assert_eq!(header(&second, "webhook-id"), header(&first, "webhook-id"));
    assert_eq!(second.body, first.body);
    assert_eq!(handover.shown().await["dispatch"], "delivered");
}

async fn only_what_was_given_up_is_tried_again(world: World) {
    let mut handover = Handover::begin(world).await;
    let refused = async |handover: &Handover, why: &str| {
        let refused = handover.retry(&[]).await;
        assert_eq!((refused.status.as_u16(), &refused.body["code"]), (409, &json!("conflict")));
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains(why), "{why} in {detail}");
    };
    refused(&handover, "not one that is dispatched").await;
    handover.approve().await;
    refused(&handover, "pending").await;
    handover.answers(ResponseTemplate::new(200)).await;
    handover.attempt().await;
    refused(&handover, "delivered").await;
    let nobodys = "/api/v1/invoices/0197a000-0000-7000-8000-000000000000/dispatch/retry";
    assert_eq!(handover.world.ask("POST", nobodys, None).await.status, 404);
    handover.world.dispatch_off();
    refused(&handover, "switched off").await;
}

async fn the_list_is_narrowed_by_how_the_dispatch_stands(world: World) {
    let handover = Handover::begin(world).await;
    let listed = async |dispatch: &str| {
        let path = format!("/api/v1/invoices?dispatch={dispatch}");
        let answer = handover.world.ask("GET", &path, None).await;
        (answer.status.as_u16(), answer.body)
    };
    let how_many =
        async |dispatch: &str| listed(dispatch).await.1["invoices"].as_array().unwrap().len();
    assert_eq!(how_many("pending").await, 0);
    handover.approve().await;
    assert_eq!((how_many("pending").await, how_many("failed").await), (1, 0));
    handover.answers(ResponseTemplate::new(404)).await;
    handover.attempt().await;
    assert_eq!((how_many("pending").await, how_many("failed").await), (0, 1));
    let none =
        handover.world.ask("GET", "/api/v1/invoices?dispatch=failed&state=expired", None).await;
    assert_eq!(none.body["invoices"], json!([]));
    let (status, problem) = listed("lost").await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (400, &json!("/dispatch")));
}

async fn an_attempt_that_might_outlast_its_lease_is_left_to_the_next(world: World) {
    let handover = Handover::begin(world).await;
    handover.answers(ResponseTemplate::new(200)).await;
    handover.approve().await;
    let clock = &handover.world.clock;
    // The database answered the claim as late as this.
    let late = handover.dispatcher.claim().await.unwrap().unwrap();
    clock.set(late.leased_until - DISPATCH_TIMEOUT + Duration::from_micros(1));
    assert_eq!(handover.dispatcher.carry_out(&late).await.unwrap(), None);
    assert_eq!(handover.sent().await.len(), 0);
    assert_eq!(handover.shown().await["version"], 2, "nothing is recorded");
    assert_eq!(handover.attempt().await, None, "the lease holds");

    clock.set(late.leased_until);
    let in_time = handover.dispatcher.claim().await.unwrap().unwrap();
    clock.set(in_time.leased_until - DISPATCH_TIMEOUT);
    let ended = handover.dispatcher.carry_out(&in_time).await.unwrap();
    assert_eq!((ended, handover.sent().await.len()), (Some(Ending::Delivered), 1));
}

#[tokio::test]
async fn what_was_approved_before_is_not_dispatched() {
    let mut world = World::sqlite().await;
    world.pull_two_orders().await;
    let invoices = world.ask("GET", "/api/v1/invoices", None).await.body["invoices"].clone();
    let path = format!("/api/v1/invoices/{}", invoices[0]["id"].as_str().unwrap());
    let approved = world.ask("POST", &format!("{path}/approve"), None).await.body;
    assert_eq!((&approved["state"], &approved["dispatch"]), (&json!("approved"), &json!(null)));
    let dispatcher = world.dispatch_to("http://127.0.0.1:1/");
    assert_eq!(dispatcher.claim().await.unwrap(), None);
    let again = world.ask("POST", &format!("{path}/approve"), None).await.body;
    assert_eq!(again, approved);
    assert_eq!(dispatcher.claim().await.unwrap(), None);
}
