//! Two at once: whoever comes first, the end is right.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use billing::invoice::InvoiceState::{Approved, AwaitingApproval, Credited, Withdrawn};
use billing::pull::Counts;
use billing::store::AfterApproval::Nothing;
use billing::store::{Applied, Approval, Received, Store};
use kit::random::Random;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use testkit::wait;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::fixture::{
    AT, EPOCH, Fixture, deleted, identity, on_both_databases, order, page, page_in, pulled, token,
    unfit,
};

on_both_databases!(
    of_two_identical_pages_exactly_one_counts,
    a_page_and_its_orders_pulled_by_number,
    answers_that_name_the_same_orders_the_other_way_round,
    an_approval_and_a_change,
    an_approval_and_a_deletion,
    approvals_get_gapless_numbers,
    credits_get_gapless_numbers,
    an_epoch_is_adopted_once,
    a_reset_and_orders_pulled_by_number,
    a_repair_of_a_new_epoch_and_a_page,
);

/// Races are tried this often, each time on fresh orders.
const ROUNDS: i64 = 20;

async fn take_in(store: &Arc<dyn Store>, received: &Received) -> Applied {
    store.apply(received, &Random::from_os(), AT).await.unwrap()
}

async fn of_two_identical_pages_exactly_one_counts(fixture: Fixture) {
    let (one, other) = (&fixture.store, &fixture.another().await);
    for round in 0..ROUNDS {
        // The first round also adopts the feed.
        let received = page(round, round + 1, vec![order(round, 1, 1), order(round + 1, 1, 1)]);
        let ends = tokio::join!(take_in(one, &received), take_in(other, &received));
        assert!(
            matches!(
                ends,
                (Applied::Done(_), Applied::Superseded) | (Applied::Superseded, Applied::Done(_))
            ),
            "{ends:?}"
        );
        let state = one.pull_state().await.unwrap();
        assert_eq!(state.continuation_token, Some(token(EPOCH, round + 1)));
    }
    let totals = one.pull_state().await.unwrap().totals;
    assert_eq!((totals.pages, totals.new), (ROUNDS, ROUNDS + 1));
    assert_eq!(fixture.invoices().await.len(), usize::try_from(ROUNDS).unwrap() + 1);
}

async fn a_page_and_its_orders_pulled_by_number(fixture: Fixture) {
    let other = fixture.another().await;
    for round in 0..ROUNDS {
        // Of many that are all new, too.
        let orders = if round % 2 == 0 { 10 } else { 120 };
        let base = round * 1_000;
        let numbers = base + 1..=base + orders;
        // One of the pulled orders is newer than the page, one is the same, one is older.
        let received = page(round, round + 1, numbers.clone().map(|n| order(n, 5, 5)).collect());
        let first = base + 1;
        let (newer, same, older) = (
            pulled(order(first, 6, 6)),
            pulled(order(first + 1, 5, 5)),
            pulled(order(first + 2, 4, 4)),
        );
        let page = async {
            loop {
                match take_in(&fixture.store, &received).await {
                    Applied::Superseded if orders > 100 => {} // asked for again
                    end => return end,
                }
            }
        };
        let ends = tokio::join!(
            page,
            take_in(&other, &newer),
            take_in(&other, &same),
            take_in(&other, &older),
        );
        let mut counts = Counts::default();
        for end in [ends.0, ends.1, ends.2, ends.3] {
            match end {
                Applied::Done(these) => counts += these,
                other => panic!("was to be taken in: {other:?}"),
            }
        }
        assert_eq!(counts.new, orders, "each is new exactly once: {counts:?}");
        for number in numbers {
            let version = if number == first { 6 } else { 5 };
            assert_eq!(fixture.order(number).await.order, order(number, version, version));
            let live = fixture.in_state(number, AwaitingApproval).await;
            assert_eq!(live.len(), 1);
            assert_eq!(live[0].order_version, version);
        }
    }
}

async fn answers_that_name_the_same_orders_the_other_way_round(fixture: Fixture) {
    fixture.take_in(&page(0, 1, vec![])).await;
    let other = fixture.another().await;
    for version in 1..=ROUNDS {
        let rising = (1..=50).map(|number| order(number, version, 1).into()).collect();
        let falling = (1..=50).rev().map(|number| order(number, version, 1).into()).collect();
        let answer = |orders| Received { orders, ..pulled(order(1, 1, 1)) };
        let (rising, falling) = (answer(rising), answer(falling));
        // A deadlock would be an error.
        let ends = tokio::join!(take_in(&fixture.store, &rising), take_in(&other, &falling));
        let (Applied::Done(one), Applied::Done(another)) = ends else { panic!("{ends:?}") };
        // Whoever locks the first order locks them all.
        let mut unchanged = [one.unchanged, another.unchanged];
        unchanged.sort_unstable();
        assert_eq!(unchanged, [0, 50]);
    }
}

async fn an_approval_and_a_change(fixture: Fixture) {
    let other = fixture.another().await;
    for number in 1..=ROUNDS {
        fixture.take_in(&pulled(order(number, 1, 1))).await;
        let id = fixture.in_state(number, AwaitingApproval).await.remove(0).id;
        let change = pulled(order(number, 2, 2));
        let (approval, _) =
            tokio::join!(fixture.store.approve(&id, None, Nothing, AT), take_in(&other, &change));
        let Approval::Approved(approved) = approval.unwrap() else { panic!("was to be approved") };
        let awaiting = fixture.in_state(number, AwaitingApproval).await;
        if approved.order_version == 1 {
            // Approved first: what was approved is credited and replaced.
            assert_eq!(fixture.in_state(number, Credited).await[0].number, approved.number);
            assert_eq!((awaiting.len(), awaiting[0].order_version), (1, 2));
        } else {
            // Changed first: the new content is what was approved.
            assert_eq!(approved.lines, order(number, 2, 2).lines);
            assert_eq!(fixture.in_state(number, Approved).await, [*approved]);
            assert_eq!(awaiting, []);
        }
    }
}

async fn an_approval_and_a_deletion(fixture: Fixture) {
    let other = fixture.another().await;
    let mut numbers = 0;
    for number in 1..=ROUNDS {
        fixture.take_in(&pulled(order(number, 1, 1))).await;
        let id = fixture.in_state(number, AwaitingApproval).await.remove(0).id;
        let deletion = pulled(deleted(number, 2));
        let (approval, _) =
            tokio::join!(fixture.store.approve(&id, None, Nothing, AT), take_in(&other, &deletion));
        let invoice = fixture.store.invoice(&id).await.unwrap().unwrap();
        match approval.unwrap() {
            Approval::Approved(approved) => {
                numbers += 1;
                assert_eq!((invoice.state, &invoice.number), (Credited, &approved.number));
                assert_eq!(invoice.number, Some(format!("2026-{numbers:06}")));
            }
            Approval::Closed { invoice: closed, replacement: None } => {
                assert_eq!((invoice.state, &invoice.number), (Withdrawn, &None));
                assert_eq!(*closed, invoice);
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn approvals_get_gapless_numbers(fixture: Fixture) {
    let orders = (1..=20).map(|number| order(number, 1, 1)).collect();
    fixture.take_in(&page(0, 20, orders)).await;
    let stores = [fixture.store.clone(), fixture.another().await];
    let start = Arc::new(Barrier::new(40));
    let mut approvals = JoinSet::new();
    // Each is approved in both processes: the second approval finds it done.
    for invoice in fixture.invoices().await {
        for store in stores.clone() {
            let (id, start) = (invoice.id.clone(), start.clone());
            approvals.spawn(async move {
                start.wait().await;
                store.approve(&id, None, Nothing, AT).await.unwrap()
            });
        }
    }
    let mut given = Vec::new();
    while let Some(approval) = approvals.join_next().await {
        let Approval::Approved(invoice) = approval.unwrap() else { panic!("was to be approved") };
        given.push((invoice.number.unwrap(), invoice.id));
    }
    let distinct: BTreeSet<_> = given.iter().collect();
    assert_eq!((given.len(), distinct.len()), (40, 20));
    let numbers: Vec<_> = distinct.into_iter().map(|(number, _)| number.clone()).collect();
    assert_eq!(numbers, (1..=20).map(|n| format!("2026-{n:06}")).collect::<Vec<_>>());
}

async fn credits_get_gapless_numbers(fixture: Fixture) {
    let orders = (1..=20).map(|number| order(number, 1, 1)).collect();
    fixture.take_in(&page(0, 20, orders)).await;
    for invoice in fixture.invoices().await {
        fixture.approve(&invoice.id).await;
    }
    let stores = [fixture.store.clone(), fixture.another().await];
    let start = Arc::new(Barrier::new(10));
    let mut pulls = JoinSet::new();
    for place in 0..10 {
        let (store, start) = (stores[place % 2].clone(), start.clone());
        let first = i64::try_from(2 * place).unwrap() + 1;
        pulls.spawn(async move {
            let orders = vec![deleted(first, 2).into(), order(first + 1, 2, 2).into()];
            let received = Received { orders, ..pulled(order(1, 1, 1)) };
            start.wait().await;
            take_in(&store, &received).await
        });
    }
    while let Some(applied) = pulls.join_next().await {
        assert!(matches!(applied.unwrap(), Applied::Done(_)));
    }
    let credit_notes: BTreeSet<_> =
        fixture.invoices().await.into_iter().filter_map(|i| i.credit_note_number).collect();
    assert_eq!(credit_notes, (1..=20).map(|n| format!("C-2026-{n:06}")).collect());
}

async fn an_epoch_is_adopted_once(fixture: Fixture) {
    let (one, other) = (&fixture.store, &fixture.another().await);
    for epoch in 1..=ROUNDS {
        let identity = identity(epoch);
        let (a, b) = tokio::join!(one.adopt_epoch(&identity, AT), other.adopt_epoch(&identity, AT));
        assert!(a.unwrap() != b.unwrap());
    }
}

async fn a_reset_and_orders_pulled_by_number(fixture: Fixture) {
    const ORDERS: i64 = 8;
    let other = fixture.another().await;
    for round in 1..=ROUNDS {
        let answer = |orders| Received { orders, ..pulled(order(1, 1, 1)) };
        let version = 3 * round;
        let copies = (1..=ORDERS).map(|number| order(number, version - 2, 1).into()).collect();
        fixture.take_in(&answer(copies)).await;
        let unfit = (1..=ORDERS).map(|number| unfit(number, version - 1)).collect();
        fixture.take_in(&Received { unfit, ..answer(Vec::new()) }).await;
        assert_eq!(fixture.store.quarantine_count().await.unwrap(), ORDERS);
        let mut pulls = JoinSet::new();
        for number in 1..=ORDERS {
            let (store, received) = (fixture.store.clone(), pulled(order(number, version, 1)));
            pulls.spawn(async move { take_in(&store, &received).await });
        }
        // A deadlock would be an error.
        other.reset_token(None, true).await.unwrap();
        while let Some(applied) = pulls.join_next().await {
            assert!(matches!(applied.unwrap(), Applied::Done(_)));
        }
        assert_eq!(fixture.store.quarantine_count().await.unwrap(), 0);
        for number in 1..=ORDERS {
            assert_eq!(fixture.order(number).await.order.version, version);
        }
    }
}

async fn a_repair_of_a_new_epoch_and_a_page(fixture: Fixture) {
    const ORDERS: i64 = 50;
    let other = fixture.another().await;
    fixture.take_in(&page(0, ORDERS, (1..=ORDERS).map(|n| order(n, 1, 1)).collect())).await;
    for round in 1..=ROUNDS {
        let (before, new) = (EPOCH + round - 1, identity(EPOCH + round));
        fixture.store.adopt_epoch(&identity(before), AT).await.unwrap();
        fixture.store.reset_token(None, false).await.unwrap();
        let version = round + 1;
        let orders = (1..=ORDERS).map(|number| order(number, version, 1)).collect();
        let received = page_in(before, 0, ORDERS, orders);
        let seen = fixture.store.copies_of(&[1]).await.unwrap()[0].row;
        let (repaired, random) = (order(1, version, 2), Random::from_os());
        let (paged, replaced) = tokio::join!(
            take_in(&fixture.store, &received),
            other.replace(&new, &repaired, seen, &random, AT),
        );
        // A deadlock would be an error. Whoever holds the position first comes first.
        let ends = (paged, replaced.unwrap());
        match ends {
            (Applied::Done(_), Applied::Superseded) | (Applied::WrongHistory, Applied::Done(_)) => {
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Whoever has looked for a draft before the order's row was locked did not see it.
#[tokio::test]
async fn a_draft_that_is_committed_while_its_tombstone_waits_is_withdrawn() {
    let fixture = Fixture::postgres().await;
    fixture.take_in(&page(0, 1, vec![order(1, 1, 1)])).await;
    let tombstone = page(1, 5, vec![deleted(2, 3)]);
    let taken_in = take_in_while_it_is_stored(&fixture, 2, tombstone, "commit").await;
    let Applied::Done(counts) = taken_in else { panic!("not taken in") };
    assert_eq!(counts.removed, 1);
    assert!(fixture.order(2).await.deleted);
    let withdrawn = fixture.in_state(2, Withdrawn).await;
    assert_eq!((withdrawn.len(), withdrawn[0].id.as_str()), (1, "draft of 2"));
}

/// Of many orders that were all new when it was looked.
#[tokio::test]
async fn a_page_of_new_orders_is_asked_for_again_when_one_of_them_was_stored_meanwhile() {
    let fixture = Fixture::postgres().await;
    fixture.take_in(&page(0, 1, vec![order(1, 1, 1)])).await;
    let new = |from, to| page(from, to, (from + 1..=to).map(|n| order(n, 1, 1)).collect());
    let long = new(1, 201);
    let superseded = take_in_while_it_is_stored(&fixture, 150, long.clone(), "commit").await;
    assert_eq!(superseded, Applied::Superseded);
    assert_eq!(fixture.store.orders(None, 300).await.unwrap().len(), 2, "nothing of it is here");
    let state = fixture.store.pull_state().await.unwrap();
    assert_eq!(state.continuation_token, Some(token(EPOCH, 1)));

    let counts = fixture.take_in(&long).await;
    assert_eq!((counts.new, counts.changed, counts.unchanged), (199, 0, 1));
    assert_eq!(fixture.in_state(150, AwaitingApproval).await[0].id, "draft of 150");
    assert_eq!(fixture.invoices().await.len(), 201);

    // The other one may as well think better of it.
    let taken_in = take_in_while_it_is_stored(&fixture, 250, new(201, 301), "rollback").await;
    assert!(matches!(taken_in, Applied::Done(Counts { new: 100, .. })), "{taken_in:?}");
}

/// A long page looks for its orders before it waits for the position.
#[tokio::test]
async fn a_long_page_is_asked_for_again_when_one_of_its_orders_was_pulled_while_it_waited() {
    let fixture = Fixture::postgres().await;
    fixture.take_in(&page(0, 1, vec![order(1, 1, 1)])).await;
    let mut other = PgConnection::connect(&fixture.url()).await.unwrap();
    let hold = "begin; select 1 from pull_state for no key update";
    sqlx::raw_sql(hold).execute(&mut other).await.unwrap();
    let store = fixture.another().await;
    let long = page(1, 201, (2..=201).map(|number| order(number, 1, 1)).collect());
    let taking_in =
        tokio::spawn(async move { [take_in(&store, &long).await, take_in(&store, &long).await] });
    wait_for_waiting(&mut other, 1).await;
    fixture.take_in(&pulled(order(150, 2, 2))).await;
    sqlx::raw_sql("commit").execute(&mut other).await.unwrap();

    let ends = taking_in.await.unwrap();
    let [Applied::Superseded, Applied::Done(counts)] = ends else { panic!("{ends:?}") };
    assert_eq!((counts.new, counts.unchanged), (199, 1));
    assert_eq!(fixture.order(150).await.order.version, 2);
    assert_eq!(fixture.invoices().await.len(), 201);
}

/// A short page has looked for orders without a draft before it waits for this one.
#[tokio::test]
async fn a_short_page_is_asked_for_again_when_its_order_was_approved_meanwhile() {
    let fixture = Fixture::postgres().await;
    fixture.take_in(&page(0, 1, vec![order(1, 1, 1)])).await;
    let id = fixture.only_invoice().await.id;
    let mut other = PgConnection::connect(&fixture.url()).await.unwrap();
    let hold = "begin; select 1 from orders where number = 1 for no key update";
    sqlx::raw_sql(hold).execute(&mut other).await.unwrap();
    let (store, invoice) = (Arc::clone(&fixture.store), id.clone());
    let approving = tokio::spawn(async move { store.approve(&invoice, None, Nothing, AT).await });
    wait_for_waiting(&mut other, 1).await;
    let (store, change) = (fixture.another().await, page(1, 2, vec![order(1, 2, 2)]));
    let taking_in = tokio::spawn(async move {
        let ends = [take_in(&store, &change).await, take_in(&store, &change).await];
        (ends, store.pull_state().await.unwrap())
    });
    wait_for_waiting(&mut other, 2).await;
    sqlx::raw_sql("commit").execute(&mut other).await.unwrap();

    assert!(matches!(approving.await.unwrap().unwrap(), Approval::Approved(_)));
    let (ends, state) = taking_in.await.unwrap();
    let [Applied::Superseded, Applied::Done(counts)] = ends else { panic!("{ends:?}") };
    assert_eq!((counts.pages, counts.changed), (1, 1));
    assert_eq!((state.totals.pages, state.totals.changed), (2, 1), "nothing counts twice");
    assert_eq!(fixture.in_state(1, Credited).await[0].id, id);
    assert_eq!(fixture.in_state(1, AwaitingApproval).await[0].order_version, 2);
}

/// Takes a page in while another transaction has stored order `number`, and ends that when it is waited
/// for. The draft there, of version 1 as its order, has the id `draft of {number}`.
async fn take_in_while_it_is_stored(
    fixture: &Fixture,
    number: i64,
    page: Received,
    end: &'static str,
) -> Applied {
    let mut other = PgConnection::connect(&fixture.url()).await.unwrap();
    let pulled = format!(
        "begin; insert into orders (number, epoch, version, state, confirmed_sequence_nr, document,
            revision, missing_at_source, received_at, invoice_id, invoice_version,
            invoice_created_at, invoice_computed_at)
        select {number}, epoch, version, state, {number}, replace(document, '[1,', '[{number},'), 1,
               false, received_at, 'draft of {number}', 1, received_at, received_at
        from orders where number = 1"
    );
    sqlx::raw_sql(AssertSqlSafe(pulled)).execute(&mut other).await.unwrap();
    let store = Arc::clone(&fixture.store);
    let taking_in = tokio::spawn(async move { take_in(&store, &page).await });
    wait_for_waiting(&mut other, 1).await;
    assert!(!taking_in.is_finished());
    sqlx::raw_sql(end).execute(&mut other).await.unwrap();
    taking_in.await.unwrap()
}

/// Waits until so many others wait for a row: one for the transaction of `other`, which holds it, and those
/// behind it for their turn.
async fn wait_for_waiting(other: &mut PgConnection, count: i64) {
    let waiting = "select count(*) from pg_locks where not granted
        and (transactionid = pg_current_xact_id()::xid or locktype = 'tuple')
        and (database is null
             or database = (select oid from pg_database where datname = current_database()))";
    wait::until("they wait for the row", Duration::from_secs(30), async || {
        sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut *other).await.unwrap() == count
    })
    .await;
}
