//! Who does something: people and programs that write, the loops of both services, users of the deep
//! link, and whoever breaks things.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{CONTENT_TYPE, IF_MATCH};
use billing::invoice::InvoiceState;
use billing::store::{AfterApproval, Decision, InvoiceFilter, Store as _};
use contract::feed::ContinuationToken;
use ordering::store::{EpochReason, Store as _};
use serde_json::{Value, json};

use crate::database::CUSTOMER;
use crate::processes::BillingProcess;
use crate::world::{PROCESSES, World};

/// How many orders there are at most: few, so that everybody meets at the same ones.
const ORDERS: usize = 7;
/// An hour, in microseconds.
const HOUR: i64 = 3_600_000_000;

/// Writes through the API of any process of ordering, until the weather is calm.
pub(crate) async fn writer(world: Arc<World>) {
    let sim = &world.sim;
    loop {
        sim.gates.pass("write").await;
        if !sim.is_stormy() {
            return;
        }
        let request = a_write(&world);
        sim.note(format!("{} {}", request.method(), request.uri()));
        let process = world.providers.any(sim);
        match process.handle(request).await {
            Some(reply) => sim.note(format!("answer {}", reply.status)),
            None => sim.note("killed meanwhile"),
        }
    }
}

/// A request that ordering accepts as a rule.
fn a_write(world: &World) -> Request<Body> {
    let dice = &world.sim.dice;
    let numbers: Vec<i64> = world.sim.witness().accepted.keys().copied().collect();
    // No two writes have the same content.
    let content = json!({
        "currency": "EUR",
        "reference": format!("R-{}", dice.below(1 << 40)),
        "lines": [{
            "sku": "BOLT-8", "description": "Bolt M8", "quantity": 1 + dice.below(1_000_000),
            "unitPriceMinor": 35, "taxBasisPoints": 2100,
        }],
    });
    let mut with_customer = content.clone();
    with_customer["customerId"] = json!(CUSTOMER);
    let kind = dice.below(10);
    if numbers.is_empty() || numbers.len() < ORDERS && kind < 3 {
        return if kind == 0 {
            request("POST", "/api/v1/orders", &with_customer)
        } else {
            let nested = json!({"customer": {"id": CUSTOMER}, "order": content, "confirm": true});
            request("PUT", "/api/v1/nested/orders", &nested)
        };
    }
    let number = numbers[dice.index(numbers.len())];
    let path = format!("/api/v1/orders/{number}");
    match kind {
        0..7 => request("PUT", &path, &with_customer),
        7..9 => request("POST", &format!("{path}/confirm"), &Value::Null),
        _ => request("DELETE", &path, &Value::Null),
    }
}

fn request(method: &str, path: &str, body: &Value) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header(IF_MATCH, "*");
    let request = if body.is_null() {
        request.body(Body::empty())
    } else {
        request.header(CONTENT_TYPE, "application/json").body(Body::from(body.to_string()))
    };
    request.expect("a request made here is one")
}

/// The sequencer's loop of the process of ordering at this place.
pub(crate) async fn sequencer(world: Arc<World>, place: usize) {
    let sim = &world.sim;
    loop {
        sim.gates.pass("tick").await;
        if sim.is_ending() {
            return;
        }
        // Whoever restores a backup without a word lets billing pull before ordering goes on:
        // otherwise new changes may take the lost ones' numbers, and nobody ever notices.
        if sim.witness().is_loss_unnoticed {
            continue;
        }
        let process = world.ordering(place);
        if let Some(Err(error)) = process.life.live(process.sequencer.tick()).await {
            sim.violation(format!("a tick failed: {error}"));
        }
    }
}

/// The pull's loop of the process of billing at this place.
pub(crate) async fn puller(world: Arc<World>, place: usize) {
    let sim = &world.sim;
    loop {
        sim.gates.pass("pull").await;
        if sim.is_ending() {
            return;
        }
        let process = world.billing(place);
        match process.life.live(process.puller.pull_once()).await {
            Some(Ok(counts)) => sim.note(format!("pulled: {counts}")),
            Some(Err(error)) => sim.note(format!("pulled nothing: {error}")),
            None => sim.note("killed meanwhile"),
        }
    }
}

/// Follows the deep link of orders, of some that are not there too.
pub(crate) async fn link_user(world: Arc<World>) {
    let sim = &world.sim;
    loop {
        sim.gates.pass("follow a link").await;
        if !sim.is_stormy() {
            return;
        }
        let first = sim.witness().accepted.keys().next().copied().unwrap_or(1_001);
        let places = i64::try_from(sim.dice.index(ORDERS + 1)).unwrap_or(0);
        let number = first + places;
        let process = world.billing(sim.dice.index(PROCESSES));
        match process.life.live(process.puller.pull_order(number)).await {
            Some(Ok(counts)) => sim.note(format!("link of {number}: {counts}")),
            Some(Err(error)) => sim.note(format!("link of {number}: {error}")),
            None => sim.note(format!("link of {number}: killed meanwhile")),
        }
    }
}

/// Approves invoices, and decides what becomes of orders that ordering has lost.
pub(crate) async fn clerk(world: Arc<World>) {
    let sim = &world.sim;
    loop {
        sim.gates.pass("look through invoices").await;
        if !sim.is_stormy() {
            return;
        }
        let process = world.billing(sim.dice.index(PROCESSES));
        let work = async {
            if sim.dice.one_in(2) {
                approve(&world, &process).await
            } else {
                decide(&world, &process).await
            }
        };
        if let Some(Err(error)) = process.life.live(work).await {
            sim.violation(format!("a clerk's work failed: {error}"));
        }
    }
}

async fn approve(world: &World, process: &BillingProcess) -> kit::db::Result<()> {
    let state = Some(InvoiceState::AwaitingApproval);
    let waiting = InvoiceFilter { state, ..InvoiceFilter::default() };
    if let Some(invoice) = process.store.invoices(&waiting, 1).await?.first() {
        let at = world.sim.time();
        process.store.approve(&invoice.id, None, AfterApproval::Nothing, at).await?;
    }
    Ok(())
}

async fn decide(world: &World, process: &BillingProcess) -> kit::db::Result<()> {
    if let Some(lost) = process.store.orders_by_source(true, None, 1).await?.first() {
        let decision = if world.sim.dice.one_in(2) { Decision::Keep } else { Decision::Withdraw };
        process.store.decide(lost.order.number, decision, world.sim.time()).await?;
    }
    Ok(())
}

/// Kills processes, changes the clock, begins epochs, backs up and restores.
pub(crate) async fn operator(world: Arc<World>) {
    let sim = &world.sim;
    let mut has_backup = false;
    loop {
        sim.gates.pass("operate").await;
        if !sim.is_stormy() {
            return;
        }
        match sim.dice.below(12) {
            0..3 => {
                sim.note("a process of ordering is killed");
                world.restart_ordering(sim.dice.index(PROCESSES)).await;
            }
            3..6 => {
                sim.note("a process of billing is killed");
                world.restart_billing(sim.dice.index(PROCESSES)).await;
            }
            6 if !sim.witness().is_loss_unnoticed => {
                let wrong_by = [-HOUR, 0, HOUR][sim.dice.index(3)];
                sim.note(format!("the clock is wrong by {} h", wrong_by / HOUR));
                sim.set_clock_wrong_by(wrong_by);
            }
            7 => new_epoch(&world).await,
            8..10 if world.databases.can_be_restored() => {
                sim.note("ordering is backed up");
                sim.gates.busy(back_up(&world)).await;
                has_backup = true;
            }
            10.. if has_backup => restore(&world).await,
            _ => {}
        }
    }
}

/// `ordering new-epoch`, with the clock set right: an epoch is named after the time.
pub(crate) async fn new_epoch(world: &World) {
    let sim = &world.sim;
    sim.set_clock_wrong_by(0);
    let process = world.ordering(0);
    let begun = process.life.live(async {
        let before = process.store.identity().await?;
        process.store.begin_epoch(before.epoch, EpochReason::ByHand, sim.time()).await
    });
    if let Some(Err(error)) = begun.await {
        sim.violation(format!("no epoch could be begun: {error}"));
    }
}

/// Copies ordering's database, while everything runs.
async fn back_up(world: &World) {
    world.databases.back_up().await;
    let store = &world.ordering(0).store.inner;
    let status = store.feed_status(world.sim.time()).await.expect("the database answers");
    world.sim.witness().back_up((status.epoch, status.last_sequence_nr));
}

/// Lets ordering go on from the backup. Announces it, unless billing is sure to find out.
async fn restore(world: &World) {
    let sim = &world.sim;
    sim.set_clock_wrong_by(0);
    let is_announced = !sim.gates.busy(would_be_noticed(world)).await || sim.dice.one_in(2);
    let is_past = is_announced && sim.dice.one_in(2);
    sim.note(format!("ordering goes on from the backup, announced: {is_announced}"));
    sim.witness().restore(!is_announced);
    world.restore_ordering(is_past).await;
    if is_announced {
        // Before it serves: no gate in between, so nobody else has a turn.
        let store = &world.ordering(0).store;
        let epoch = sim.witness().backup_position.0;
        let begun =
            sim.gates.busy(store.begin_epoch_at_once(epoch, EpochReason::ByHand, sim.time())).await;
        begun.expect("the database answers");
    }
}

/// Whether billing has a token that ordering, as it is in the backup, never gave in this epoch, or
/// knows a later epoch.
async fn would_be_noticed(world: &World) -> bool {
    let (epoch, last) = world.sim.witness().backup_position;
    let state = world.billing(0).store.inner.pull_state().await.expect("the database answers");
    let is_later = state.identity.is_some_and(|adopted| adopted.epoch > epoch);
    let is_beyond = |token: ContinuationToken| token.epoch == epoch && token.sequence_nr > last;
    is_later || state.continuation_token.is_some_and(is_beyond)
}
