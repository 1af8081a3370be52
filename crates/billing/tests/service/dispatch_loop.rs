//! The dispatch's loop: never more at a time than it may, and nothing lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use billing::dispatch::{Backlog, Dispatcher};
use billing::store::AfterApproval;
use contract::order::Order;
use kit::lifecycle::BoxError;
use sqlx::{Connection as _, PgConnection};
use testkit::wait::until;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::on_both_databases;
use crate::ordering::{AT, ok, order, page};
use crate::world::World;

on_both_databases!(never_more_at_a_time_than_workers, two_processes_share_the_work);

const SOON: Duration = Duration::from_secs(20);

/// A customer's system that answers only when it is let.
struct Customer {
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    may_answer: Semaphore,
    /// How often each message was accepted, by `webhook-id`.
    accepted: Mutex<BTreeMap<String, usize>>,
}

impl Customer {
    /// Starts one; it and its address.
    async fn start() -> (Arc<Self>, String) {
        let customer = Arc::new(Self {
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
            may_answer: Semaphore::new(0),
            accepted: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = Router::new().route("/", post(accept)).with_state(Arc::clone(&customer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (customer, url)
    }

    fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Lets it answer this many requests.
    fn answer(&self, requests: usize) {
        self.may_answer.add_permits(requests);
    }

    fn accepted(&self) -> Vec<usize> {
        self.accepted.lock().unwrap().values().copied().collect()
    }
}

async fn accept(State(customer): State<Arc<Customer>>, headers: HeaderMap) -> StatusCode {
    let now = customer.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
    customer.most_in_flight.fetch_max(now, Ordering::SeqCst);
    customer.may_answer.acquire().await.unwrap().forget();
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    *customer.accepted.lock().unwrap().entry(id).or_default() += 1;
    customer.in_flight.fetch_sub(1, Ordering::SeqCst);
    StatusCode::OK
}

struct Loop {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), BoxError>>,
}

impl Loop {
    fn start(dispatcher: &Arc<Dispatcher>, workers: usize) -> Self {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(Arc::clone(dispatcher).run(workers, shutdown.clone()));
        Self { shutdown, task }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// Approves the invoices of this many orders, to be dispatched.
async fn approve(world: &World, count: i64) {
    let orders: Vec<Order> = (1..=count).map(|number| order(number, 1, number)).collect();
    world.answers(None, ok(page(orders))).await;
    world.puller.pull_once().await.unwrap();
    for invoice in
        world.store.invoices(&billing::store::InvoiceFilter::default(), count).await.unwrap()
    {
        world.store.approve(&invoice.id, None, AfterApproval::Dispatch, AT).await.unwrap();
    }
}

async fn all_delivered(world: &World) {
    until("everything is delivered", SOON, async || {
        world.store.dispatch_backlog().await.unwrap() == Backlog::default()
    })
    .await;
}

async fn never_more_at_a_time_than_workers(world: World) {
    let (customer, url) = Customer::start().await;
    let dispatcher = world.patient_dispatcher(&url);
    approve(&world, 12).await;
    let running = Loop::start(&dispatcher, 3);
    for answered in 0..10 {
        until("three are in flight", SOON, async || customer.in_flight() == 3).await;
        assert_eq!(customer.accepted().len(), answered);
        customer.answer(1);
        until("one is answered", SOON, async || customer.accepted().len() > answered).await;
    }
    customer.answer(2);
    all_delivered(&world).await;
    running.stop().await;
    assert_eq!(customer.most_in_flight.load(Ordering::SeqCst), 3);
    assert_eq!(customer.accepted(), [1; 12]);
}

async fn two_processes_share_the_work(world: World) {
    let (customer, url) = Customer::start().await;
    let (one, other) = (world.patient_dispatcher(&url), world.patient_dispatcher(&url));
    approve(&world, 20).await;
    let running = [Loop::start(&one, 5), Loop::start(&other, 5)];
    until("both are busy", SOON, async || customer.in_flight() == 10).await;
    customer.answer(20);
    all_delivered(&world).await;
    for running in running {
        running.stop().await;
    }
    assert_eq!(customer.accepted(), [1; 20]);
}

#[tokio::test]
async fn a_stop_lets_the_attempts_under_way_finish() {
    let world = World::sqlite().await;
    let (customer, url) = Customer::start().await;
    let dispatcher = world.patient_dispatcher(&url);
    approve(&world, 3).await;
    let running = Loop::start(&dispatcher, 2);
    until("two are in flight", SOON, async || customer.in_flight() == 2).await;
    running.shutdown.cancel();
    customer.answer(3);
    running.stop().await;
    let backlog = world.store.dispatch_backlog().await.unwrap();
    assert_eq!((backlog.pending, customer.accepted()), (1, vec![1, 1]));
}

#[tokio::test]
async fn a_loop_that_is_to_stop_begins_nothing_more() {
    let world = World::sqlite().await;
    let (customer, url) = Customer::start().await;
    customer.answer(1);
    let dispatcher = world.patient_dispatcher(&url);
    approve(&world, 1).await;
    dispatcher.wake();
    let running = Loop::start(&dispatcher, 1);
    // Before the task has had its first turn: a test has one thread.
    running.stop().await;
    assert_eq!(customer.accepted(), [0; 0]);
    assert!(dispatcher.claim().await.unwrap().is_some(), "nobody has begun it");
}

#[tokio::test]
async fn it_survives_its_own_database() {
    let world = World::postgres().await;
    let (customer, url) = Customer::start().await;
    customer.answer(1);
    let dispatcher = world.patient_dispatcher(&url);
    let mut database = PgConnection::connect(&world.database_url).await.unwrap();
    approve(&world, 1).await;
    sqlx::query("alter table dispatches rename to lost").execute(&mut database).await.unwrap();
    dispatcher.claim().await.unwrap_err();
    let running = Loop::start(&dispatcher, 1);
    world.clock.advance(Duration::from_mins(5));
    assert!(dispatcher.blocked().is_some(), "turning in vain is no progress");
    sqlx::query("alter table lost rename to dispatches").execute(&mut database).await.unwrap();
    all_delivered(&world).await;
    assert_eq!(dispatcher.blocked(), None);
    running.stop().await;
}

#[tokio::test]
async fn a_loop_that_hangs_is_not_ready() {
    let mut world = World::sqlite().await;
    let dispatcher = world.dispatch_to("http://127.0.0.1:1/");
    assert_eq!(world.ask("GET", "/health/ready", None).await.status, 200);
    world.clock.advance(Duration::from_secs(61));
    let ready = world.ask("GET", "/health/ready", None).await;
    assert_eq!(ready.status, 503);
    assert!(ready.body["detail"].as_str().unwrap().contains("dispatch loop"), "{}", ready.body);
    let running = Loop::start(&dispatcher, 1);
    until("the loop turns", SOON, async || dispatcher.blocked().is_none()).await;
    running.stop().await;
}

#[tokio::test]
async fn an_approval_is_carried_out_by_the_loop_and_counted() {
    let mut world = World::sqlite().await;
    let (customer, url) = Customer::start().await;
    customer.answer(1);
    let dispatcher = world.dispatch_to(&url);
    let running = Loop::start(&dispatcher, 1);
    world.pull_two_orders().await;
    let invoices = world.ask("GET", "/api/v1/invoices", None).await.body["invoices"].clone();
    let path = format!("/api/v1/invoices/{}/approve", invoices[0]["id"].as_str().unwrap());
    assert_eq!(world.ask("POST", &path, None).await.status, 200);
    all_delivered(&world).await;
    running.stop().await;
    let metrics = world.ask("GET", "/metrics", None).await.body;
    for line in [
        "billing_dispatch_attempts_total{outcome=\"delivered\"}",
        "billing_dispatch_seconds_count",
        "billing_dispatch_pending ",
        "billing_dispatch_failed ",
        "billing_dispatch_oldest_pending_seconds ",
    ] {
        assert!(metrics.as_str().unwrap().contains(line), "{line} in {metrics}");
    }
}
