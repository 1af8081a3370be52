//! Orders and what may be done to them.

use contract::feed::SequenceNr;
use contract::order::{Order, OrderState};
use contract::problem::Violation;
use kit::http::etag::IfMatch;
use ordering::order::{CustomerInput, OrderInput};
use ordering::store::Change;

use crate::fixture::{Fixture, ada, at, bolts, done, line, on_both_databases, version};

on_both_databases! {
    a_draft_is_kept_as_given,
    numbers_begin_at_1001_and_rise,
    a_customer_must_exist,
    a_draft_shows_its_customer_as_it_is_now,
    confirming_copies_the_customer,
    confirming_again_changes_nothing,
    replacing_replaces_everything,
    replacing_a_confirmed_order_copies_the_customer_anew,
    a_change_needs_the_current_version,
    deleting_leaves_a_tombstone,
    a_deleted_order_stays_as_it_is,
    the_history_tells_every_version,
    one_of_two_changes_of_the_same_version_wins,
    rows_are_never_physically_deleted,
}

async fn a_draft_is_kept_as_given(fixture: Fixture) {
    fixture.customer().await;
    let draft = fixture.draft().await;
    assert_eq!(draft.state, OrderState::Draft);
    assert_eq!((draft.version, draft.confirmed_sequence_nr), (1, SequenceNr::UNSTAMPED));
    assert_eq!((&draft.customer.id, &draft.customer.address), (&"ada".into(), &ada().address));
    assert_eq!((draft.net_minor, draft.tax_minor, draft.total_minor), (1798, 378, 2176));
    assert_eq!(draft.lines, bolts().numbered_lines());
    assert_eq!((draft.confirmed_at, draft.changed_at, draft.deleted_at), (None, at(1), None));
    assert_eq!(fixture.store.order(draft.number).await.unwrap(), Some(draft));
    assert_eq!(fixture.store.order(1).await.unwrap(), None);
}

fn unknown_customer() -> Violation {
    Violation::new("/customerId", "unknown", "must be the id of a customer")
}

async fn numbers_begin_at_1001_and_rise(fixture: Fixture) {
    fixture.customer().await;
    assert_eq!(fixture.draft().await.number, 1001);
    assert!(fixture.draft().await.number > 1001);
}

async fn a_customer_must_exist(fixture: Fixture) {
    let created = fixture.store.create_order(&bolts(), None, at(1)).await.unwrap();
    assert_eq!(created, Change::Invalid(vec![unknown_customer()]));
    fixture.customer().await;
    let draft = fixture.draft().await;
    for unknown in ["eve", "a\0da"] {
        let input = OrderInput { customer_id: unknown.into(), ..bolts() };
        let change = fixture.store.replace_order(draft.number, &IfMatch::Any, &input, at(2)).await;
        let Change::Invalid(violations) = change.unwrap() else { panic!("{unknown:?}") };
        assert_eq!(violations[0].pointer, "/customerId");
    }
    assert_eq!(fixture.store.order(draft.number).await.unwrap(), Some(draft));
}

async fn rename_ada(fixture: &Fixture, name: &str) {
    let input = CustomerInput { name: name.into(), address: None, ..ada() };
    done(fixture.store.update_customer("ada", &IfMatch::Any, &input, at(5)).await.unwrap());
}

async fn order(fixture: &Fixture, number: i64) -> Order {
    fixture.store.order(number).await.unwrap().unwrap()
}

async fn a_draft_shows_its_customer_as_it_is_now(fixture: Fixture) {
    fixture.customer().await;
    let draft = fixture.draft().await;
    rename_ada(&fixture, "Ada Miles").await;
    let now = order(&fixture, draft.number).await;
    assert_eq!((now.customer.name.as_str(), now.customer.address), ("Ada Miles", None));
    assert_eq!(now.version, draft.version);
}

async fn confirming_copies_the_customer(fixture: Fixture) {
    fixture.customer().await;
    let draft = fixture.draft().await;
    rename_ada(&fixture, "Ada Miles").await;
    let confirm = fixture.store.confirm_order(draft.number, Some(&version(1)), at(6)).await;
    let confirmed = done(confirm.unwrap());
    assert_eq!((confirmed.state, confirmed.version), (OrderState::Confirmed, 2));
    assert_eq!((confirmed.confirmed_at, confirmed.changed_at), (Some(at(6)), at(6)));
    assert_eq!(confirmed.customer.name, "Ada Miles");
    assert_eq!(order(&fixture, draft.number).await, confirmed);
    rename_ada(&fixture, "Ada Feet").await;
    assert_eq!(order(&fixture, draft.number).await, confirmed);
}

async fn confirming_again_changes_nothing(fixture: Fixture) {
    fixture.customer().await;
    let confirmed = fixture.confirmed().await;
    for expected in [None, Some(version(1)), Some(IfMatch::Any)] {
        let again = fixture.store.confirm_order(confirmed.number, expected.as_ref(), at(9)).await;
        assert_eq!(again.unwrap(), Change::Done(confirmed.clone()));
    }
    assert_eq!(order(&fixture, confirmed.number).await, confirmed);
    assert_eq!(fixture.store.confirm_order(1, None, at(9)).await.unwrap(), Change::NotFound);
}

async fn replacing_replaces_everything(fixture: Fixture) {
    fixture.customer().await;
    let bob = CustomerInput { name: "Bob".into(), email: "bob@example.com".into(), address: None };
    done(fixture.store.create_customer("bob", &bob, None, at(0)).await.unwrap());
    let draft = fixture.draft().await;
    let input = OrderInput {
        customer_id: "bob".into(),
        currency: "USD".into(),
        reference: None,
        note: Some("two\nlines".into()),
        lines: vec![line("NUT-8", 1, 100), line("BOLT-8", 1, 50), line("WASHER", 1, 7)],
    };
    let replace = fixture.store.replace_order(draft.number, &version(1), &input, at(3)).await;
    let replaced = done(replace.unwrap());
    assert_eq!((replaced.state, replaced.version), (OrderState::Draft, 2));
    assert_eq!(replaced.changed_at, at(3));
    assert_eq!(replaced.customer.name, "Bob");
    assert_eq!((replaced.currency.as_str(), &replaced.reference), ("USD", &None));
    assert_eq!(replaced.note, input.note);
    assert_eq!(replaced.lines, input.numbered_lines());
    assert_eq!(replaced.totals(), input.totals().unwrap());
    assert_eq!(order(&fixture, draft.number).await, replaced);
    let missing = fixture.store.replace_order(1, &IfMatch::Any, &input, at(3)).await;
    assert_eq!(missing.unwrap(), Change::NotFound);
}

async fn replacing_a_confirmed_order_copies_the_customer_anew(fixture: Fixture) {
    fixture.customer().await;
    let confirmed = fixture.confirmed().await;
    rename_ada(&fixture, "Ada Miles").await;
    let replaced = fixture.replace(confirmed.number, &bolts(), at(7)).await;
    assert_eq!((replaced.state, replaced.version), (OrderState::Confirmed, 3));
    assert_eq!((replaced.confirmed_at, replaced.changed_at), (confirmed.confirmed_at, at(7)));
    assert_eq!((replaced.customer.name.as_str(), &replaced.customer.address), ("Ada Miles", &None));
    rename_ada(&fixture, "Ada Feet").await;
    assert_eq!(order(&fixture, confirmed.number).await, replaced);
}

async fn a_change_needs_the_current_version(fixture: Fixture) {
    fixture.customer().await;
    let draft = fixture.draft().await;
    let stale = version(2);
    let number = draft.number;
    let replace = fixture.store.replace_order(number, &stale, &bolts(), at(2)).await;
    assert_eq!(replace.unwrap(), Change::VersionConflict(1));
    let confirm = fixture.store.confirm_order(number, Some(&stale), at(2)).await;
    assert_eq!(confirm.unwrap(), Change::VersionConflict(1));
    let delete = fixture.store.delete_order(number, Some(&stale), at(2)).await;
    assert_eq!(delete.unwrap(), Change::VersionConflict(1));
    assert_eq!(order(&fixture, number).await, draft);
}

async fn deleting_leaves_a_tombstone(fixture: Fixture) {
    fixture.customer().await;
    for order in [fixture.draft().await, fixture.confirmed().await] {
        let current = version(order.version);
        let delete = fixture.store.delete_order(order.number, Some(&current), at(4)).await;
        let expected = Order {
            state: OrderState::Deleted,
            version: order.version + 1,
            changed_at: at(4),
            deleted_at: Some(at(4)),
            ..order.clone()
        };
        assert_eq!(delete.unwrap(), Change::Done(expected.clone()));
        rename_ada(&fixture, "Ada Miles").await;
        assert_eq!(self::order(&fixture, order.number).await, expected);
        rename_ada(&fixture, "Ada Yards").await;
    }
    assert_eq!(fixture.store.delete_order(1, None, at(9)).await.unwrap(), Change::NotFound);
}

async fn a_deleted_order_stays_as_it_is(fixture: Fixture) {
    fixture.customer().await;
    let number = fixture.confirmed().await.number;
    let deleted = done(fixture.store.delete_order(number, None, at(4)).await.unwrap());
    let again = fixture.store.delete_order(number, Some(&version(2)), at(5)).await;
    assert_eq!(again.unwrap(), Change::Done(deleted.clone()));
    let replace = fixture.store.replace_order(number, &IfMatch::Any, &bolts(), at(5)).await;
    assert_eq!(replace.unwrap(), Change::Deleted);
    let confirm = fixture.store.confirm_order(number, None, at(5)).await;
    assert_eq!(confirm.unwrap(), Change::Deleted);
    assert_eq!(order(&fixture, number).await, deleted);
}

async fn the_history_tells_every_version(fixture: Fixture) {
    fixture.customer().await;
    let number = fixture.draft().await.number;
    fixture.replace(number, &bolts(), at(2)).await;
    done(fixture.store.confirm_order(number, None, at(3)).await.unwrap());
    done(fixture.store.confirm_order(number, None, at(4)).await.unwrap());
    done(fixture.store.delete_order(number, None, at(5)).await.unwrap());
    let history = fixture.store.history(number).await.unwrap();
    let told: Vec<_> = history
        .iter()
        .map(|step| (step.version, step.state, step.action.as_str(), step.at))
        .collect();
    let expected = [
        (1, OrderState::Draft, "created", at(1)),
        (2, OrderState::Draft, "changed", at(2)),
        (3, OrderState::Confirmed, "confirmed", at(3)),
        (4, OrderState::Deleted, "deleted", at(5)),
    ];
    assert_eq!(told, expected);
    assert_eq!(fixture.store.history(1).await.unwrap(), []);
}

async fn one_of_two_changes_of_the_same_version_wins(fixture: Fixture) {
    fixture.customer().await;
    let other = fixture.another().await;
    for _ in 0..10 {
        let number = fixture.draft().await.number;
        let (input, first) = (bolts(), version(1));
        let (replaced, confirmed) = tokio::join!(
            fixture.store.replace_order(number, &first, &input, at(2)),
            other.confirm_order(number, Some(&first), at(3)),
        );
        let changes = [replaced.unwrap(), confirmed.unwrap()];
        let winners: Vec<_> =
            changes.iter().filter(|change| matches!(change, Change::Done(_))).collect();
        assert_eq!(winners.len(), 1, "{changes:?}");
        assert!(changes.contains(&Change::VersionConflict(2)), "{changes:?}");
        assert_eq!(winners[0], &Change::Done(order(&fixture, number).await));
    }
}

async fn rows_are_never_physically_deleted(fixture: Fixture) {
    fixture.customer().await;
    let draft = fixture.draft().await;
    fixture.confirmed().await;
    let mut outsider = fixture.outsider().await;
    outsider.execute("delete from order_versions").await.unwrap();
    outsider.execute("delete from order_lines").await.unwrap();
    for statement in fixture.physical_deletions() {
        let refused = outsider.execute(statement).await.unwrap_err().to_string();
        assert!(refused.contains("never physically deleted"), "{statement}: {refused}");
    }
    let kept = order(&fixture, draft.number).await;
    assert_eq!(kept, Order { lines: Vec::new(), ..draft });
}
