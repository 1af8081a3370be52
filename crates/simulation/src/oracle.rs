//! What must hold in the end: the weather is calm, and both sides have had time to become equal.

use std::collections::BTreeMap;

use billing::invoice::Invoice;
use billing::pull::PullError;
use billing::store::{InvoiceFilter, StoredOrder};
use contract::feed::Epoch;
use contract::order::Order;
use ordering::store::OrderFilter;

use crate::actors::new_epoch;
use crate::world::World;

/// More than a run makes.
const ALL: i64 = 1_000;
/// How many pulls may fail before one reaches the end: one by the new epoch that it finds, one by
/// the token that another one moved.
const TRIES: usize = 6;

/// Lets ordering stamp and billing pull until there is nothing more. What keeps them from it is a
/// violation.
pub(crate) async fn drain(world: &World) {
    let sim = &world.sim;
    let mut quiet = 0;
    for _ in 0..TRIES {
        let process = world.billing(0);
        match process.puller.pull_once().await {
            Ok(counts) => {
                sim.note(format!("pulled: {counts}"));
                quiet = if counts.changed_something() { 0 } else { quiet + 1 };
            }
            // Ordering is of the past, because somebody restored it without a word when billing knew
            // a later epoch. The readiness check says so, and this is what mends it.
            Err(PullError::StaleProvider { .. }) if sim.witness().is_loss_unnoticed => {
                new_epoch(world).await;
            }
            Err(error) => sim.note(format!("pulled nothing: {error}")),
        }
        if quiet == 2 {
            return;
        }
        loop {
            match world.ordering(0).sequencer.tick().await {
                Ok(stamped) if stamped.count == 0 => break,
                Ok(_) => quiet = 0,
                Err(error) => return sim.violation(format!("a tick failed: {error}")),
            }
        }
    }
    sim.violation("billing did not come to rest");
}

/// Compares both sides.
pub(crate) async fn compare(world: &World) -> kit::db::Result<Vec<String>> {
    let ordering = &world.ordering(0).store.inner;
    let billing = &world.billing(0).store.inner;
    let orders = ordering.orders(&OrderFilter::default(), ALL).await?;
    let (accepted, may_be_lost) = {
        let witness = world.sim.witness();
        (witness.accepted.clone(), witness.restores > 0)
    };
    let mut found = accepted_differences(&accepted, &orders);
    let exposed: Vec<_> = orders.into_iter().filter(|order| order.confirmed_at.is_some()).collect();
    let copies = billing.orders(None, ALL).await?;
    let invoices = billing.invoices(&InvoiceFilter::default(), ALL).await?;
    found.extend(copy_differences(&exposed, &copies, ordering.identity().await?.epoch));
    if !may_be_lost && copies.len() > exposed.len() {
        found.push("orders are missing at the source, but nothing was ever restored".into());
    }
    let quarantined = billing.quarantine_count().await?;
    if quarantined > 0 {
        found.push(format!("{quarantined} orders are in quarantine, but all of them fit"));
    }
    found.extend(invoice_differences(&exposed, &invoices));
    Ok(found)
}

/// Ordering has what it accepted, each write once.
fn accepted_differences(accepted: &BTreeMap<i64, Order>, orders: &[Order]) -> Vec<String> {
    let mut found = Vec::new();
    if accepted.len() != orders.len() {
        found.push(format!("{} orders were accepted, {} are there", accepted.len(), orders.len()));
    }
    for order in orders {
        let same = accepted.get(&order.number).is_some_and(|accepted| is_same(accepted, order));
        if !same {
            found.push(format!(
                "accepted was {:?}, there is {order:?}",
                accepted.get(&order.number)
            ));
        }
    }
    found
}

/// Billing has every exposed order as it is, seen in ordering's own epoch, and nothing else but what
/// ordering lost, which is marked.
fn copy_differences(exposed: &[Order], copies: &[StoredOrder], epoch: Epoch) -> Vec<String> {
    let mut copies: BTreeMap<_, _> = copies.iter().map(|copy| (copy.order.number, copy)).collect();
    let mut found = Vec::new();
    for order in exposed {
        if order.confirmed_sequence_nr.0 <= 0 {
            found.push(format!("order {} was not stamped", order.number));
        }
        match copies.remove(&order.number) {
            Some(copy)
                if is_same(&copy.order, order)
                    && copy.epoch == epoch
                    && !copy.missing_at_source => {}
            copy => found.push(format!("billing has\n{copy:?}, not in {epoch}\n{order:?}")),
        }
    }
    let unmarked = copies.into_values().filter(|copy| !copy.missing_at_source);
    found.extend(unmarked.map(|copy| format!("billing has {copy:?}, ordering does not")));
    found
}

/// Pulled by number before it was stamped, an order keeps its −1: the place is ordering's.
fn is_same(one: &Order, other: &Order) -> bool {
    let place = other.confirmed_sequence_nr;
    Order { confirmed_sequence_nr: place, ..one.clone() } == *other
}

/// A confirmed order has exactly one live invoice, which says what the order says; a deleted one
/// has none.
fn invoice_differences(exposed: &[Order], invoices: &[Invoice]) -> Vec<String> {
    let mut found = Vec::new();
    for order in exposed {
        let live: Vec<_> = invoices
            .iter()
            .filter(|invoice| invoice.order_number == order.number && invoice.state.is_live())
            .collect();
        match (order.is_deleted(), live.as_slice()) {
            (true, []) => {}
            (false, [invoice]) if says_the_same(invoice, order) => {}
            (_, live) => found.push(format!("order\n{order:?}\nhas the invoices {live:?}")),
        }
    }
    found
}

fn says_the_same(invoice: &Invoice, order: &Order) -> bool {
    let amounts = (invoice.net_minor, invoice.tax_minor, invoice.total_minor);
    invoice.customer == order.customer
        && invoice.currency == order.currency
        && invoice.lines == order.lines
        && amounts == (order.net_minor, order.tax_minor, order.total_minor)
}
