//! What a person decides about an order that ordering has lost.

use billing::invoice::InvoiceState::{Approved, AwaitingApproval, Withdrawn};
use billing::store::AfterApproval::Nothing;
use billing::store::Decision::{Keep, Withdraw};
use billing::store::{Approval, Decided, Decision, StoredOrder};
use kit::random::Random;

use crate::fixture::{
    AT, Fixture, deleted, identity, later, on_both_databases, order, page_in, pulled_in,
};

on_both_databases!(
    a_kept_order_can_be_approved,
    a_withdrawn_invoice_says_why,
    a_decision_can_be_changed_until_it_is_carried_out,
    only_a_lost_order_with_an_open_invoice_is_decided_about,
    an_order_that_comes_back_ends_the_decision,
    an_order_that_comes_back_while_somebody_decides,
    an_approval_and_a_withdrawal,
);

/// Orders 1 to `count` of epoch 1, which epoch 2 has lost.
async fn lost_orders(fixture: &Fixture, count: i64) {
    let numbers: Vec<_> = (1..=count).collect();
    let orders = numbers.iter().map(|number| order(*number, 5, 5)).collect();
    fixture.take_in(&page_in(1, 0, count, orders)).await;
    fixture.store.adopt_epoch(&identity(2), AT).await.unwrap();
    let marked = fixture.store.mark_missing(&identity(2), &numbers, AT).await.unwrap();
    assert_eq!(marked, count);
}

async fn decide(fixture: &Fixture, number: i64, decision: Decision) -> Decided {
    fixture.store.decide(number, decision, later(5)).await.unwrap()
}

#[track_caller]
fn done(decided: Decided) -> StoredOrder {
    let Decided::Done(order) = decided else { panic!("was to be decided: {decided:?}") };
    *order
}

async fn a_kept_order_can_be_approved(fixture: Fixture) {
    lost_orders(&fixture, 1).await;
    let invoice = fixture.only_invoice().await;
    let approval = fixture.store.approve(&invoice.id, None, Nothing, AT).await.unwrap();
    assert_eq!(approval, Approval::MissingAtSource(Box::new(invoice.clone())));

    let kept = done(decide(&fixture, 1, Keep).await);
    assert_eq!((kept.missing_at_source, kept.kept_at), (true, Some(later(5))));
    assert_eq!(fixture.order(1).await, kept);
    assert_eq!(fixture.only_invoice().await, invoice);
    // Pressed twice: when it was decided stays.
    let again = fixture.store.decide(1, Keep, later(9)).await.unwrap();
    assert_eq!(done(again), kept);

    fixture.approve(&invoice.id).await;
    assert_eq!(done(decide(&fixture, 1, Keep).await), kept, "it holds already");
    assert_eq!(decide(&fixture, 1, Withdraw).await, Decided::NothingOpen, "it is binding");
    assert_eq!(fixture.only_invoice().await.state, Approved);
}

async fn a_withdrawn_invoice_says_why(fixture: Fixture) {
    lost_orders(&fixture, 1).await;
    let order = done(decide(&fixture, 1, Withdraw).await);
    assert!(order.is_undecided(), "it is still missing");
    let invoice = fixture.only_invoice().await;
    assert_eq!((invoice.state, invoice.version), (Withdrawn, 2));
    assert_eq!((invoice.closed_at, invoice.number.as_ref()), (Some(later(5)), None));
    let why = "Somebody withdrew the invoice on 1 May 2026, 10:00 UTC because ordering had lost its \
               order.";
    assert_eq!(invoice.ending(None).as_deref(), Some(why));

    done(decide(&fixture, 1, Withdraw).await);
    assert_eq!(decide(&fixture, 1, Keep).await, Decided::NothingOpen);
    assert_eq!(fixture.only_invoice().await, invoice);
    let approval = fixture.store.approve(&invoice.id, None, Nothing, AT).await.unwrap();
    assert!(matches!(approval, Approval::Closed { .. }), "{approval:?}");
}

async fn a_decision_can_be_changed_until_it_is_carried_out(fixture: Fixture) {
    lost_orders(&fixture, 1).await;
    done(decide(&fixture, 1, Keep).await);
    let order = done(decide(&fixture, 1, Withdraw).await);
    assert_eq!(order.kept_at, None);
    assert_eq!(fixture.only_invoice().await.state, Withdrawn);
}

async fn only_a_lost_order_with_an_open_invoice_is_decided_about(fixture: Fixture) {
    fixture.take_in(&page_in(1, 0, 3, vec![order(1, 1, 1), order(2, 1, 1), deleted(3, 2)])).await;
    fixture.approve(&fixture.in_state(2, AwaitingApproval).await[0].id).await;
    for decision in Decision::ALL {
        assert_eq!(decide(&fixture, 1, decision).await, Decided::NotMissing);
        assert_eq!(decide(&fixture, 4, decision).await, Decided::NotFound);
    }
    fixture.store.adopt_epoch(&identity(2), AT).await.unwrap();
    fixture.store.mark_missing(&identity(2), &[2, 3], AT).await.unwrap();
    let before = fixture.everything().await;
    for decision in Decision::ALL {
        for number in [2, 3] {
            assert_eq!(decide(&fixture, number, decision).await, Decided::NothingOpen);
        }
    }
    assert_eq!(fixture.everything().await, before);
}

async fn an_order_that_comes_back_ends_the_decision(fixture: Fixture) {
    lost_orders(&fixture, 2).await;
    done(decide(&fixture, 1, Keep).await);
    done(decide(&fixture, 2, Withdraw).await);
    let kept = fixture.in_state(1, AwaitingApproval).await;
    fixture.take_in(&page_in(2, 0, 2, vec![order(1, 5, 5), order(2, 5, 5)])).await;

    let back = fixture.order(1).await;
    assert_eq!((back.missing_at_source, back.kept_at), (false, None));
    assert_eq!(fixture.in_state(1, AwaitingApproval).await, kept, "as it was");
    assert_eq!(fixture.in_state(2, AwaitingApproval).await.len(), 1, "what is ordered is charged");
    assert_eq!(fixture.in_state(2, Withdrawn).await.len(), 1);
    assert_eq!(decide(&fixture, 1, Withdraw).await, Decided::NotMissing);

    // Lost once more, it has to be decided about once more.
    fixture.store.adopt_epoch(&identity(3), AT).await.unwrap();
    fixture.store.mark_missing(&identity(3), &[1], AT).await.unwrap();
    assert!(fixture.order(1).await.is_undecided());
}

async fn an_order_that_comes_back_while_somebody_decides(fixture: Fixture) {
    const ROUNDS: i64 = 20;
    lost_orders(&fixture, ROUNDS).await;
    let other = fixture.another().await;
    for number in 1..=ROUNDS {
        let decision = Decision::ALL[usize::from(number % 2 == 0)];
        let (back, random) = (pulled_in(2, order(number, 1, 1)), Random::from_os());
        let (decided, applied) = tokio::join!(
            fixture.store.decide(number, decision, AT),
            other.apply(&back, &random, AT)
        );
        applied.unwrap();
        // Whoever was first: ordering knows it, and there is one invoice, of what it says now.
        assert!(matches!(decided.unwrap(), Decided::Done(_) | Decided::NotMissing));
        let stored = fixture.order(number).await;
        assert_eq!((stored.missing_at_source, stored.kept_at), (false, None));
        let open = fixture.in_state(number, AwaitingApproval).await;
        assert_eq!((open.len(), open[0].order_version), (1, 1));
    }
}

async fn an_approval_and_a_withdrawal(fixture: Fixture) {
    const ROUNDS: i64 = 20;
    lost_orders(&fixture, ROUNDS).await;
    let other = fixture.another().await;
    for number in 1..=ROUNDS {
        done(decide(&fixture, number, Keep).await);
        let id = fixture.in_state(number, AwaitingApproval).await.remove(0).id;
        let (approval, decided) = tokio::join!(
            fixture.store.approve(&id, None, Nothing, AT),
            other.decide(number, Withdraw, AT)
        );
        match (approval.unwrap(), decided.unwrap()) {
            (Approval::Approved(_), Decided::NothingOpen) => {
                assert_eq!(fixture.in_state(number, Approved).await.len(), 1);
            }
            (Approval::Closed { .. } | Approval::MissingAtSource(_), Decided::Done(_)) => {
                assert_eq!(fixture.in_state(number, Withdrawn).await.len(), 1);
            }
            both => panic!("exactly one is first: {both:?}"),
        }
    }
}
