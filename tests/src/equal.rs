//! Whether both sides are equal, read over HTTP only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use contract::feed::SequenceNr;
use contract::order::Order;

use crate::api::Result;
use crate::billing::{Billing, Invoice, StoredOrder};
use crate::ordering::Ordering;

/// Between two comparisons, each of which reads everything.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits until billing has every order as ordering has it, with the invoices that follow from
/// them. Writers must have stopped.
///
/// # Panics
/// With the differences that remain after `limit`.
pub async fn until_equal(ordering: &Ordering, billing: &Billing, limit: Duration) {
    until_equal_but_lost(ordering, billing, &BTreeSet::new(), limit).await;
}

/// Waits until billing has every order as ordering has it, and besides them exactly these numbers,
/// of orders that ordering has lost, marked as missing at source.
///
/// # Panics
/// With the differences that remain after `limit`.
pub async fn until_equal_but_lost(
    ordering: &Ordering,
    billing: &Billing,
    lost: &BTreeSet<i64>,
    limit: Duration,
) {
    let deadline = Instant::now() + limit;
    loop {
        let found = differences(ordering, billing, lost).await;
        match found {
            Ok(differences) if differences.is_empty() => return,
            other if Instant::now() > deadline => {
                panic!("both sides are not equal after {limit:?}: {other:#?}")
            }
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// How billing differs from ordering, which has lost the orders with the numbers `lost`; empty when
/// it does not.
///
/// # Errors
/// When one of them does not answer as asked.
pub async fn differences(
    ordering: &Ordering,
    billing: &Billing,
    lost: &BTreeSet<i64>,
) -> Result<Vec<String>> {
    let mut exposed = ordering.all_orders().await?;
    exposed.retain(|order| order.confirmed_at.is_some());
    // A prime, so that pages end anywhere.
    let feed = ordering.whole_feed(97).await?;
    let (missing, copies): (Vec<_>, Vec<_>) = {
        let copies = billing.all_orders().await?;
        copies.into_iter().partition(|copy| lost.contains(&copy.order.number))
    };
    let invoices = billing.invoices("").await?;
    let mut found = feed_differences(&exposed, &feed);
    found.extend(missing_differences(lost, &missing));
    found.extend(copy_differences(&exposed, &copies));
    found.extend(invoice_differences(&exposed, lost, &invoices));
    found.extend(series_differences(&invoices));
    Ok(found)
}

/// The feed from the beginning holds every exposed order once, as it is, by rising number.
fn feed_differences(exposed: &[Order], feed: &[Order]) -> Vec<String> {
    let mut found = Vec::new();
    let mut last = SequenceNr::BEGINNING;
    for order in feed {
        if order.confirmed_sequence_nr <= last {
            found.push(format!("feed: {} after {last}", order.confirmed_sequence_nr));
        }
        last = order.confirmed_sequence_nr;
    }
    let mut sorted: Vec<_> = feed.iter().collect();
    sorted.sort_by_key(|order| order.number);
    if !sorted.into_iter().eq(exposed) {
        found.push(format!("feed: {} orders instead of these {}", feed.len(), exposed.len()));
    }
    found
}

/// Billing still holds the lost orders, all of them and each marked.
fn missing_differences(lost: &BTreeSet<i64>, missing: &[StoredOrder]) -> Vec<String> {
    let unmarked = missing.iter().filter(|copy| !copy.missing_at_source);
    let mut found: Vec<_> =
        unmarked.map(|copy| format!("billing: lost and not marked: {copy:?}")).collect();
    if missing.len() != lost.len() {
        found.push(format!("billing: {} of these lost ones: {lost:?}", missing.len()));
    }
    found
}

/// Billing holds every exposed order as it is, and nothing else.
fn copy_differences(exposed: &[Order], copies: &[StoredOrder]) -> Vec<String> {
    let by_number: BTreeMap<_, _> = copies.iter().map(|copy| (copy.order.number, copy)).collect();
    let mut found = Vec::new();
    if by_number.len() != copies.len() || copies.len() > exposed.len() {
        found.push(format!("billing: {} copies of {} orders", copies.len(), exposed.len()));
    }
    for order in exposed {
        let Some(copy) = by_number.get(&order.number) else {
            found.push(format!("billing: order {} is not there", order.number));
            continue;
        };
        // Pulled by number before it was stamped, a copy keeps its −1: the place is ordering's.
        let place = order.confirmed_sequence_nr;
        let same = Order { confirmed_sequence_nr: place, ..copy.order.clone() } == *order;
        if !same || copy.deleted != order.is_deleted() || copy.missing_at_source {
            found.push(format!("billing: order {} is\n{copy:?}, not\n{order:?}", order.number));
        }
    }
    found
}

/// A confirmed order has exactly one live invoice, which says what the order says; a deleted one
/// has none. Those of lost orders are as they were.
fn invoice_differences(
    exposed: &[Order],
    lost: &BTreeSet<i64>,
    invoices: &[Invoice],
) -> Vec<String> {
    let mut live: BTreeMap<i64, Vec<&Invoice>> = BTreeMap::new();
    for invoice in invoices.iter().filter(|invoice| invoice.is_live()) {
        live.entry(invoice.order_number).or_default().push(invoice);
    }
    let mut found = Vec::new();
    for order in exposed {
        match (order.is_deleted(), live.remove(&order.number).unwrap_or_default().as_slice()) {
            (true, []) => {}
            (false, [invoice]) if says_the_same(invoice, order) => {}
            (_, live) => found.push(format!("invoices: order\n{order:?}\nhas these: {live:?}")),
        }
    }
    live.retain(|number, _| !lost.contains(number));
    found.extend(live.keys().map(|number| format!("invoices: no order {number}")));
    found
}

fn says_the_same(invoice: &Invoice, order: &Order) -> bool {
    let amounts = (invoice.net_minor, invoice.tax_minor, invoice.total_minor);
    invoice.order_version == order.version
        && invoice.customer == order.customer
        && invoice.currency == order.currency
        && invoice.lines == order.lines
        && amounts == (order.net_minor, order.tax_minor, order.total_minor)
}

/// Approved and credited invoices, and only these, have numbers; credited ones have the number of
/// their credit note. Both series count from 1 in each year, without a gap.
fn series_differences(invoices: &[Invoice]) -> Vec<String> {
    let mut found = Vec::new();
    for invoice in invoices {
        let binding = matches!(invoice.state.as_str(), "approved" | "credited");
        let credited = invoice.state == "credited";
        if invoice.number.is_some() != binding || invoice.credit_note_number.is_some() != credited {
            found.push(format!("numbers: {invoice:?}"));
        }
    }
    let numbers = invoices.iter().filter_map(|invoice| invoice.number.as_deref());
    let credit_notes = invoices.iter().filter_map(|invoice| invoice.credit_note_number.as_deref());
    found.extend(gaps(numbers));
    found.extend(gaps(credit_notes));
    found
}

fn gaps<'a>(numbers: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut series: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    let mut found = Vec::new();
    for number in numbers {
        match number.rsplit_once('-').map(|(year, count)| (year, count.parse())) {
            Some((year, Ok(count))) => series.entry(year).or_default().push(count),
            _ => found.push(format!("numbers: {number:?} has no count")),
        }
    }
    for (year, mut counts) in series {
        counts.sort_unstable();
        if !counts.iter().copied().eq((1..).take(counts.len())) {
            found.push(format!("numbers of {year}: {counts:?}"));
        }
    }
    found
}
