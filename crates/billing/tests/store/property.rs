//! Whatever comes in whatever order: the invoices agree with the orders, and in quarantine is what
//! could not be taken in since.

use std::collections::{BTreeMap, HashMap};

use billing::invoice::{Invoice, InvoiceState};
use billing::store::{Applied, Received};
use contract::money::Totals;
use contract::order::Order;
use proptest::prelude::*;

use crate::fixture::{AT, Fixture, deleted, later, order, pulled_in, unfit};

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    /// An answer of an epoch names these orders in these versions, in any order and any age.
    Answer { epoch: i64, versions: BTreeMap<i64, i64> },
    /// Somebody approves whatever invoice of this order awaits it.
    Approve(i64),
    /// The time is over for all invoices that await approval.
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    let versions = proptest::collection::btree_map(1..4_i64, 1..7_i64, 1..4);
    prop_oneof![
        3 => (prop_oneof![4 => Just(1), 1 => Just(2), 1 => Just(3)], versions)
            .prop_map(|(epoch, versions)| Step::Answer { epoch, versions }),
        2 => (1..4_i64).prop_map(Step::Approve),
        1 => Just(Step::Expire),
    ]
}

/// A version has one content in each history; some versions are deletions.
fn version_of(number: i64, epoch: i64, version: i64) -> Order {
    if (number + epoch + version) % 4 == 0 {
        deleted(number, version)
    } else {
        order(number, version, number + 10 * version + 100 * (epoch % 2))
    }
}

/// Some versions cannot be taken in.
fn is_unfit(number: i64, epoch: i64, version: i64) -> bool {
    (3 * number + epoch + version) % 5 == 0
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn invoices_agree_with_orders(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(check(&steps));
    }
}

async fn check(steps: &[Step]) {
    let fixture = Fixture::sqlite().await;
    let mut adopted = 0;
    let mut newest: HashMap<i64, (i64, i64)> = HashMap::new();
    let mut newest_unfit: HashMap<i64, (i64, i64)> = HashMap::new();
    for step in steps {
        match step {
            Step::Answer { epoch, versions } => {
                let (aside, fit): (Vec<_>, Vec<_>) = versions
                    .iter()
                    .map(|(&number, &version)| (number, version))
                    .partition(|&(number, version)| is_unfit(number, *epoch, version));
                let answer = Received {
                    orders: fit.iter().map(|&(n, v)| version_of(n, *epoch, v).into()).collect(),
                    unfit: aside.iter().map(|&(n, v)| unfit(n, v)).collect(),
                    ..pulled_in(*epoch, order(1, 1, 1))
                };
                let applied = fixture.store.apply(&answer, &fixture.random, AT).await.unwrap();
                assert_eq!(matches!(applied, Applied::Done(_)), *epoch >= adopted, "{applied:?}");
                if *epoch >= adopted {
                    adopted = *epoch;
                    for (seen, newest) in [(fit, &mut newest), (aside, &mut newest_unfit)] {
                        for (number, version) in seen {
                            let known = newest.entry(number).or_default();
                            *known = (*known).max((*epoch, version));
                        }
                    }
                }
            }
            Step::Approve(number) => {
                // None can while its order is in quarantine.
                let waits = fixture.in_state(*number, InvoiceState::AwaitingApproval).await;
                let is_out = newest_unfit.get(number) <= newest.get(number);
                for invoice in waits.iter().filter(|_| is_out) {
                    fixture.approve(&invoice.id).await;
                }
            }
            Step::Expire => {
                fixture.store.expire(later(1), 100, AT).await.unwrap();
            }
        }
        agrees(&fixture, &newest).await;
        for number in 1..4 {
            let is_in = newest_unfit.get(&number) > newest.get(&number);
            let found = fixture.store.quarantined_order(number).await.unwrap();
            assert_eq!(found.is_some(), is_in, "{number}");
        }
    }
}

async fn agrees(fixture: &Fixture, newest: &HashMap<i64, (i64, i64)>) {
    let invoices = fixture.invoices().await;
    for (&number, &(epoch, version)) in newest {
        let stored = fixture.order(number).await;
        assert_eq!((stored.epoch.0, &stored.order), (epoch, &version_of(number, epoch, version)));

        let live: Vec<_> =
            invoices.iter().filter(|i| i.order_number == number && is_live(i)).collect();
        let says_the_same = |invoice: &Invoice| {
            (invoice.order_version, &invoice.lines) == (version, &stored.order.lines)
        };
        // What the order says has its invoice, and is not charged twice.
        match live[..] {
            [invoice] => assert!(!stored.deleted && says_the_same(invoice), "{invoice:?}"),
            [] => assert!(
                stored.deleted
                    || invoices.iter().any(|invoice| {
                        invoice.order_number == number
                            && invoice.state == InvoiceState::Expired
                            && says_the_same(invoice)
                    }),
                "{number} has no invoice: {invoices:?}"
            ),
            _ => panic!("more than one: {live:?}"),
        }
    }
    for invoice in &invoices {
        let totals = Totals::of(&invoice.lines).unwrap();
        assert_eq!(
            (totals.net_minor, totals.tax_minor, totals.total_minor),
            (invoice.net_minor, invoice.tax_minor, invoice.total_minor)
        );
        if let Some(id) = &invoice.replaces {
            let replaced = invoices.iter().find(|other| &other.id == id).unwrap();
            assert_eq!(replaced.state, InvoiceState::Credited);
            assert_eq!(replaced.order_number, invoice.order_number);
        }
    }
    gapless("2026-", invoices.iter().filter_map(|invoice| invoice.number.clone()).collect());
    gapless("C-2026-", invoices.iter().filter_map(|i| i.credit_note_number.clone()).collect());
}

fn is_live(invoice: &Invoice) -> bool {
    matches!(invoice.state, InvoiceState::AwaitingApproval | InvoiceState::Approved)
}

fn gapless(prefix: &str, mut numbers: Vec<String>) {
    numbers.sort();
    let expected: Vec<_> = (1..=numbers.len()).map(|n| format!("{prefix}{n:06}")).collect();
    assert_eq!(numbers, expected);
}
