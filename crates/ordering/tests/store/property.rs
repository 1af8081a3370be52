//! Whatever is asked for and whatever fails: a scope is written wholly or leaves no trace.

use std::collections::{BTreeMap, BTreeSet};

use contract::order::{Order, OrderState};
use kit::http::etag::IfMatch;
use ordering::order::{CustomerInput, OrderInput};
use ordering::scope::{Committed, ImportedOrder, Outcome, Scope};
use ordering::store::OrderFilter;
use proptest::prelude::*;

use crate::fixture::{ALL, Fixture, Outsider, ada, at, bolts, line};

/// One change of a scope. Objects are named by a number that [`pick`] turns into a place among those
/// that exist, so that nearly all of them do.
#[derive(Clone, Copy, Debug)]
enum Step {
    CreateCustomer { valid: bool },
    UpdateCustomer { which: usize, version_off: i64 },
    CreateOrder { of: usize, quantity: i64, confirm: bool },
    ReplaceOrder { which: usize, of: usize, quantity: i64, version_off: i64, confirm: bool },
    ImportOrder { reference: u8, quantity: i64 },
    Confirm { which: usize },
    Delete { which: usize, version_off: i64 },
}

/// The tables that a scope writes; a statement on one of them may fail.
const TABLES: [&str; 8] = [
    "customers",
    "orders",
    "feed_changes",
    "feed_queue",
    "order_lines",
    "order_versions",
    "transactions",
    "transaction_entities",
];

fn step() -> impl Strategy<Value = Step> {
    // Mostly what may be done, sometimes what may not.
    let off = || prop_oneof![19 => Just(0), 1 => 1..3_i64];
    let quantity = || prop_oneof![29 => 1..50_i64, 1 => Just(0)];
    let which = || 0..NOBODY + 1;
    prop_oneof![
        2 => prop::bool::weighted(0.95).prop_map(|valid| Step::CreateCustomer { valid }),
        2 => (which(), off())
            .prop_map(|(which, version_off)| Step::UpdateCustomer { which, version_off }),
        3 => (which(), quantity(), any::<bool>())
            .prop_map(|(of, quantity, confirm)| Step::CreateOrder { of, quantity, confirm }),
        3 => (which(), which(), quantity(), off(), any::<bool>()).prop_map(
            |(which, of, quantity, version_off, confirm)| {
                Step::ReplaceOrder { which, of, quantity, version_off, confirm }
            }
        ),
        2 => (0..9_u8, quantity())
            .prop_map(|(reference, quantity)| Step::ImportOrder { reference, quantity }),
        2 => which().prop_map(|which| Step::Confirm { which }),
        1 => (which(), off()).prop_map(|(which, version_off)| Step::Delete { which, version_off }),
    ]
}

/// A scope, and the table whose statements fail while it is written.
fn attempt() -> impl Strategy<Value = (Vec<Step>, Option<&'static str>)> {
    let failing = prop_oneof![3 => Just(None), 1 => prop::sample::select(&TABLES).prop_map(Some)];
    (prop::collection::vec(step(), 1..5), failing)
}

/// Names nothing that exists.
const NOBODY: usize = 60;

fn pick<T>(among: &[T], which: usize) -> Option<(usize, &T)> {
    if which == NOBODY || among.is_empty() {
        return None;
    }
    let place = which % among.len();
    Some((place, &among[place]))
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(24))]
    #[test]
    fn sqlite(attempts in prop::collection::vec(attempt(), 1..16)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async { check(Fixture::sqlite().await, &attempts).await });
    }
}

proptest! {
    #![proptest_config(config(8))]
    #[test]
    fn postgres(attempts in prop::collection::vec(attempt(), 1..16)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async { check(Fixture::postgres().await, &attempts).await });
    }
}

async fn check(fixture: Fixture, attempts: &[(Vec<Step>, Option<&'static str>)]) {
    let mut outsider = fixture.outsider().await;
    let mut world = World::default();
    let begin = [Step::CreateCustomer { valid: true }].to_vec();
    let more = [Step::CreateOrder { of: 0, quantity: 2, confirm: false }; 2].to_vec();
    let begin = [(begin, None), (more, None)];
    let mut done = 0;
    for (n, (steps, failing)) in (0..).zip(begin.iter().chain(attempts)) {
        let before = fixture.dump().await;
        let (scope, expected) = world.scope(steps, n);
        if let Some(table) = failing {
            break_table(&mut outsider, &fixture, table).await;
        }
        let outcome = fixture.store.commit(&scope, None, at(n)).await;
        if let Some(table) = failing {
            mend_table(&mut outsider, &fixture, table).await;
        }
        match outcome {
            Ok(Outcome::Done(committed)) => {
                let expected = expected.unwrap_or_else(|| panic!("{steps:?} was written"));
                world = expected.numbered(&committed);
                world.agrees_with(&fixture).await;
                done += 1;
            }
            Ok(Outcome::Refused(refused)) => {
                assert!(expected.is_none(), "{steps:?} was refused: {refused:?}");
                assert_eq!(fixture.dump().await, before, "refused");
            }
            Err(error) => {
                assert!(failing.is_some(), "{error:?}");
                assert_eq!(fixture.dump().await, before, "failed");
            }
            Ok(other) => panic!("without a key: {other:?}"),
        }
    }
    assert!(done >= begin.len());
}

/// From now on nothing can be written to a table.
async fn break_table(outsider: &mut Outsider, fixture: &Fixture, table: &str) {
    let statements = if fixture.is_postgres() {
        format!(
            "create function fail() returns trigger language plpgsql as \
               $$ begin raise exception 'broken'; end $$; \
             create trigger broken before insert or update or delete on {table} \
               for each row execute function fail()"
        )
    } else {
        let trigger = |what: &str| {
            format!(
                "create trigger broken_{what} before {what} on {table} \
                 begin select raise(abort, 'broken'); end;"
            )
        };
        trigger("insert") + &trigger("update") + &trigger("delete")
    };
    outsider.execute(&statements).await.unwrap();
}

async fn mend_table(outsider: &mut Outsider, fixture: &Fixture, table: &str) {
    let statements = if fixture.is_postgres() {
        format!("drop trigger broken on {table}; drop function fail()")
    } else {
        "drop trigger broken_insert; drop trigger broken_update; drop trigger broken_delete"
            .to_owned()
    };
    outsider.execute(&statements).await.unwrap();
}

/// What must be stored, by a model that knows nothing of scopes: each change on its own.
#[derive(Clone, Default)]
struct World {
    /// Id, version, name.
    customers: Vec<(String, i64, String)>,
    orders: Vec<ModelOrder>,
    /// Ids of customers who came with an import, by what they are called elsewhere.
    external: BTreeMap<u8, String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct ModelOrder {
    /// 0 until the database has given it one.
    number: i64,
    version: i64,
    state: OrderState,
    quantity: i64,
    customer: String,
    /// As an import gave it, until it is replaced.
    reference: Option<u8>,
}

impl World {
    /// The scope of these steps, and the world as it is when that is written; `None` when it must
    /// not be.
    #[expect(clippy::too_many_lines, reason = "an arm for each step")]
    fn scope(&self, steps: &[Step], n: i64) -> (Scope, Option<Self>) {
        let mut scope = Scope::new();
        let mut next = self.clone();
        let mut allowed = true;
        // Of a customer who is named twice the last version counts, and so does the last version that
        // was expected. Of each order this model knows one change.
        let mut version_offs = BTreeMap::new();
        let mut touched = BTreeSet::new();
        let mut imports = Vec::new();
        for (k, step) in steps.iter().enumerate() {
            let named = |name: &str| CustomerInput { name: name.into(), ..ada() };
            let content = |of: usize, quantity| OrderInput {
                customer_id: pick(&self.customers, of).map_or("nobody", |(_, it)| &it.0).to_owned(),
                lines: vec![line("BOLT-8", quantity, 35)],
                ..bolts()
            };
            match *step {
                Step::CreateCustomer { valid } => {
                    let id = format!("c-{n}-{k}");
                    scope.create_customer(id.clone(), named(if valid { &id } else { "" }));
                    next.customers.push((id.clone(), 1, id));
                    allowed &= valid;
                }
                Step::UpdateCustomer { which, version_off } => {
                    let name = format!("n-{n}-{k}");
                    let Some((place, (id, version, _))) = pick(&self.customers, which) else {
                        scope.update_customer("nobody".into(), exactly(1), named(&name));
                        allowed = false;
                        continue;
                    };
                    version_offs.insert(place, version_off);
                    scope.update_customer(id.clone(), exactly(version + version_off), named(&name));
                    next.customers[place] = (id.clone(), version + 1, name);
                }
                Step::CreateOrder { of, quantity, confirm } => {
                    scope.create_order(content(of, quantity), confirm);
                    allowed &= pick(&self.customers, of).is_some() && quantity > 0;
                    let state = if confirm { OrderState::Confirmed } else { OrderState::Draft };
                    let customer = content(of, quantity).customer_id;
                    let reference = None;
                    let order =
                        ModelOrder { number: 0, version: 1, state, quantity, customer, reference };
                    next.orders.push(order);
                }
                Step::ImportOrder { reference, quantity } => {
                    let id = format!("i-{n}-{k}");
                    imports.push((reference, quantity, id.clone()));
                    let reference_text = Some(format!("R-{reference}"));
                    let lines = vec![line("BOLT-8", quantity, 35)];
                    scope.import_order(ImportedOrder {
                        external_customer_id: format!("E-{}", reference % 3),
                        new_customer_id: id,
                        customer: ada(),
                        input: OrderInput { reference: reference_text, lines, ..bolts() },
                        confirmed_at: at(-100),
                    });
                }
                Step::ReplaceOrder { which, .. }
                | Step::Confirm { which }
                | Step::Delete { which, .. } => {
                    let Some((place, before)) = pick(&self.orders, which) else {
                        scope.confirm_order(1, None);
                        allowed = false;
                        continue;
                    };
                    if !touched.insert(place) {
                        continue;
                    }
                    let after = &mut next.orders[place];
                    allowed &= match *step {
                        Step::ReplaceOrder { of, quantity, version_off, confirm, .. } => {
                            let input = content(of, quantity);
                            after.quantity = quantity;
                            after.customer.clone_from(&input.customer_id);
                            after.version += 1;
                            after.reference = None;
                            if confirm {
                                after.state = OrderState::Confirmed;
                            }
                            let expected = exactly(before.version + version_off);
                            scope.replace_order(before.number, expected, input, confirm);
                            version_off == 0
                                && quantity > 0
                                && pick(&self.customers, of).is_some()
                                && before.state != OrderState::Deleted
                        }
                        Step::Delete { version_off, .. } => {
                            let expected = Some(exactly(before.version + version_off));
                            scope.delete_order(before.number, expected);
                            let already = before.state == OrderState::Deleted;
                            after.state = OrderState::Deleted;
                            after.version += i64::from(!already);
                            already || version_off == 0
                        }
                        _ => {
                            scope.confirm_order(before.number, None);
                            after.version += i64::from(before.state == OrderState::Draft);
                            after.state = OrderState::Confirmed;
                            before.state != OrderState::Deleted
                        }
                    };
                }
            }
        }
        allowed &= version_offs.values().all(|off| *off == 0);
        // Imported orders come last; one whose reference is known is left out, whatever it says.
        let mut known: BTreeSet<_> =
            self.orders.iter().filter_map(|order| order.reference).collect();
        for (reference, quantity, new_id) in imports {
            if !known.insert(reference) {
                continue;
            }
            allowed &= quantity > 0;
            let customer = next.external.entry(reference % 3).or_insert_with(|| {
                next.customers.push((new_id.clone(), 1, ada().name));
                new_id
            });
            let (customer, state) = (customer.clone(), OrderState::Confirmed);
            let reference = Some(reference);
            let order = ModelOrder { number: 0, version: 1, state, quantity, customer, reference };
            next.orders.push(order);
        }
        (scope, allowed.then_some(next))
    }

    /// The same with the numbers that new orders were given.
    fn numbered(mut self, committed: &Committed) -> Self {
        let known: Vec<_> = self.orders.iter().map(|order| order.number).collect();
        let mut new: Vec<_> = committed.orders.iter().map(|order| order.number).collect();
        new.retain(|number| !known.contains(number));
        let unnumbered = self.orders.iter_mut().filter(|order| order.number == 0);
        for (order, number) in unnumbered.zip(new) {
            order.number = number;
        }
        self
    }

    async fn agrees_with(&self, fixture: &Fixture) {
        let mut customers: Vec<_> = fixture.store.customers(None, ALL).await.unwrap();
        let mut expected = self.customers.clone();
        customers.sort_by(|a, b| a.id.cmp(&b.id));
        expected.sort();
        let stored: Vec<_> =
            customers.into_iter().map(|it| (it.id, it.version, it.input.name)).collect();
        assert_eq!(stored, expected);
        let stored: BTreeMap<i64, Order> = fixture
            .store
            .orders(&OrderFilter::default(), ALL)
            .await
            .unwrap()
            .into_iter()
            .map(|order| (order.number, order))
            .collect();
        assert_eq!(stored.len(), self.orders.len());
        for expected in &self.orders {
            let order = &stored[&expected.number];
            let model = ModelOrder {
                number: order.number,
                version: order.version,
                state: order.state,
                quantity: order.lines[0].quantity,
                customer: order.customer.id.clone(),
                reference: order
                    .reference
                    .as_deref()
                    .and_then(|text| text.strip_prefix("R-")?.parse().ok()),
            };
            assert_eq!(&model, expected);
            let input =
                OrderInput { lines: vec![line("BOLT-8", expected.quantity, 35)], ..bolts() };
            assert_eq!(Some(order.totals()), input.totals());
            let history = fixture.store.history(order.number).await.unwrap();
            let versions: Vec<_> = history.iter().map(|entry| entry.version).collect();
            assert_eq!(versions, (1..=order.version).collect::<Vec<_>>());
        }
    }
}

fn exactly(version: i64) -> IfMatch {
    IfMatch::Versions(vec![version])
}
