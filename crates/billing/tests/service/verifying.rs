//! Comparing both sides while they change, at what cost, and when it cannot be done.

use std::time::Duration;

use billing::invoice::Invoice;
use billing::store::Received;
use billing::verify::{Kind, Report, VerifyError};
use contract::checksum::{ChecksumPage, RangeChecksum};
use contract::feed::{Epoch, SequenceNr};
use contract::order::Order;
use contract::problem::ProblemCode;
use kit::random::Random;
use wiremock::matchers::{any, path};
use wiremock::{Mock, ResponseTemplate};

use crate::feed::Feed;
use crate::on_both_databases;
use crate::ordering::{AT, EPOCH, another_feed, identity, ok, one, order, problem};
use crate::world::{PATIENCE, World};

on_both_databases! {
    equal_sides_cost_one_scan_and_a_difference_a_few_questions_more,
    a_change_that_is_on_its_way_is_no_difference,
    an_order_that_changes_all_the_time_is_no_difference,
    an_order_that_comes_while_it_is_looked_at_is_neither_extra_nor_newer,
    what_is_not_yet_pulled_is_told_apart,
    what_is_missing_at_source_is_left_out,
    what_cannot_be_taken_in_is_named_with_the_reason,
    a_copy_of_an_earlier_epoch_with_the_same_content_is_equal,
    a_repair_moves_no_token_and_touches_no_invoice_that_is_right,
    an_approved_invoice_of_a_repaired_order_is_replaced,
    what_cannot_be_compared_is_said,
    a_strange_answer_is_no_comparison,
    a_repaired_copy_is_told_from_what_it_was,
    a_fault_that_passes_ends_no_comparison,
    an_order_that_cannot_be_repaired_does_not_keep_the_others,
}

async fn pulled(world: &World, orders: impl IntoIterator<Item = Order>) -> Feed {
    let feed = Feed::of(orders);
    world.answers_from(&feed).await;
    world.patient_puller(&world.ordering.uri()).pull_once().await.unwrap();
    feed
}

fn found(report: &Report) -> Vec<(i64, Kind, bool)> {
    report.differences.iter().map(|it| (it.number, it.kind, it.not_yet_pulled)).collect()
}

async fn equal_sides_cost_one_scan_and_a_difference_a_few_questions_more(world: World) {
    let feed = pulled(&world, (1..=4_000).map(|number| order(number, 1, number))).await;
    let verifier = world.verifier(&[]);
    world.answers_from(&feed).await;
    assert!(verifier.compare(&|_| ()).await.unwrap().is_equal());
    // An answer ends at the border of a range: 2,047 orders, and what is left.
    assert_eq!(world.times_asked().await, 2);

    feed.put(order(3_333, 2, 4_001));
    world.answers_from(&feed).await;
    assert_eq!(found(&verifier.compare(&|_| ()).await.unwrap()), [(3_333, Kind::Older, true)]);
    // Two narrower levels, and the order itself in the first look and in the last.
    assert_eq!(world.times_asked().await, 2 + 2 + 2);
}

async fn a_change_that_is_on_its_way_is_no_difference(world: World) {
    let feed = pulled(&world, (1..=3).map(|number| order(number, 1, number))).await;
    feed.put(order(2, 2, -1));
    feed.put(order(4, 1, -1));
    let verifier = world.verifier(PATIENCE);
    let arriving = async {
        world.asked_for_an_order().await;
        feed.put(order(2, 2, 4));
        feed.put(order(4, 1, 5));
        world.puller.pull_once().await.unwrap();
    };
    let (report, ()) = tokio::join!(verifier.compare(&|_| ()), arriving);
    assert_eq!(found(&report.unwrap()), []);
}

async fn an_order_that_changes_all_the_time_is_no_difference(world: World) {
    let feed = pulled(&world, [order(1, 1, 1)]).await;
    // Whoever asks for it gets a later version than anybody has got.
    feed.when_asked(|order| order.version += 1);
    feed.put(order(1, 2, 2));
    let verifier = world.verifier(PATIENCE);
    let changing = async {
        world.asked_for_an_order().await;
        let version = feed.get(1).version;
        feed.put(order(1, version + 1, 3));
        world.puller.pull_once().await.unwrap();
        feed.put(order(1, version + 2, -1));
    };
    let (report, ()) = tokio::join!(verifier.compare(&|_| ()), changing);
    assert_eq!(found(&report.unwrap()), []);
    // While nothing is pulled it does differ.
    let report = world.verifier(&[]).compare(&|_| ()).await.unwrap();
    assert_eq!(found(&report), [(1, Kind::Older, true)]);
}

async fn an_order_that_comes_while_it_is_looked_at_is_neither_extra_nor_newer(world: World) {
    let feed = pulled(&world, [order(1, 1, 1), order(2, 1, 2)]).await;
    // Ordering is slow to answer: what it answers is what was before the pull.
    let (late, newer) = (order(3, 1, 3), order(1, 2, 4));
    feed.put(order(1, 2, -1));
    let slow = ok(one(&identity(EPOCH), order(1, 1, 1)));
    let gone = problem(ProblemCode::NotFound, Some(identity(EPOCH)));
    world.ordering.reset().await;
    for (number, answer) in [(1, slow), (3, gone)] {
        let answer = answer.set_delay(Duration::from_millis(500));
        let mock = Mock::given(path(format!("/feed/v1/orders/{number}"))).respond_with(answer);
        mock.with_priority(1).mount(&world.ordering).await;
    }
    feed.put(late.clone());
    Mock::given(any()).respond_with(feed).with_priority(5).mount(&world.ordering).await;
    let verifier = world.verifier(&[]);
    let arriving = async {
        world.asked_for_an_order().await;
        let orders = vec![late.into(), newer.into()];
        let received =
            Received { identity: identity(EPOCH), orders, unfit: Vec::new(), advance: None };
        world.store.apply(&received, &Random::seeded(1), AT).await.unwrap();
    };
    let (report, ()) = tokio::join!(verifier.compare(&|_| ()), arriving);
    assert_eq!(found(&report.unwrap()), []);
}

async fn what_is_not_yet_pulled_is_told_apart(world: World) {
    let feed = pulled(&world, (1..=3).map(|number| order(number, 1, number))).await;
    world.execute("delete from invoices; delete from orders").await;
    feed.put(order(2, 2, 4));
    feed.put(order(3, 2, -1));
    let report = world.verifier(&[]).compare(&|_| ()).await.unwrap();
    let missing = |number, later| (number, Kind::Missing, later);
    assert_eq!(found(&report), [missing(1, false), missing(2, true), missing(3, true)]);
    assert!(report.to_string().contains("billing pull"), "{report}");

    // Before the first pull, and while everything is read again, nothing is pulled yet.
    world.store.reset_token(None, false).await.unwrap();
    let report = world.verifier(&[]).compare(&|_| ()).await.unwrap();
    assert_eq!(found(&report), [missing(1, true), missing(2, true), missing(3, true)]);
    world.store.reset_token(None, true).await.unwrap();
    let report = world.verifier(&[]).compare(&|_| ()).await.unwrap();
    assert_eq!(found(&report), [missing(1, true), missing(2, true), missing(3, true)]);
    assert_eq!(world.pull_state().await.identity, None, "a comparison adopts nothing");
}

async fn what_is_missing_at_source_is_left_out(world: World) {
    let feed = pulled(&world, (1..=4).map(|number| order(number, 1, number))).await;
    world.execute("update orders set missing_at_source = true where number in (2, 3)").await;
    feed.lose(2);
    let report = world.verifier(&[]).compare(&|_| ()).await.unwrap();
    // Ordering has order 3 after all.
    assert_eq!(found(&report), [(3, Kind::Missing, false)]);
    assert_eq!((report.orders, report.missing_at_source), (3, 2));
    let repaired = world.verifier(&[]).repair(&report, &|_| ()).await.unwrap();
    assert!(repaired.is_equal(), "{repaired}");
    let report = world.verifier(&[]).compare(&|_| ()).await.unwrap();
    assert_eq!((report.is_equal(), report.missing_at_source), (true, 1));
}

async fn what_cannot_be_taken_in_is_named_with_the_reason(world: World) {
    let feed = pulled(&world, (1..=3).map(|number| order(number, 1, number))).await;
    for (number, version, sequence_nr) in [(2, 2, 4), (9, 1, 5)] {
        feed.put(Order { total_minor: 1, ..order(number, version, sequence_nr) });
    }
    let verifier = world.verifier(&[]);
    let report = verifier.compare(&|_| ()).await.unwrap();
    assert_eq!(found(&report), [(2, Kind::Older, true), (9, Kind::Missing, true)]);
    assert_eq!(report.to_string().matches("its totals are not those of its lines").count(), 2);
    // Pulled, it is put aside: both sides still differ.
    let left = verifier.repair(&report, &|_| ()).await.unwrap();
    assert_eq!((left.left(), world.store.quarantine_count().await.unwrap()), (2, 2), "{left}");
    world.puller.pull_once().await.unwrap();
    let report = verifier.compare(&|_| ()).await.unwrap();
    assert_eq!(found(&report), [(2, Kind::Older, false), (9, Kind::Missing, false)]);
    assert!(report.differences.iter().all(|it| it.quarantined.is_some()), "{report}");
}

async fn a_copy_of_an_earlier_epoch_with_the_same_content_is_equal(world: World) {
    let feed = pulled(&world, (1..=4).map(|number| order(number, 2, number))).await;
    let newer = identity(EPOCH + 1);
    feed.becomes(newer.clone());
    feed.put(order(2, 1, 2));
    feed.put(Order { note: Some("other".into()), ..order(3, 2, 3) });
    world.store.adopt_epoch(&newer, AT).await.unwrap();
    let report = world.verifier(&[]).compare(&|_| ()).await.unwrap();
    assert_eq!(found(&report), [(2, Kind::Newer, true), (3, Kind::OtherContent, true)]);
    let repaired = world.verifier(&[]).repair(&report, &|_| ()).await.unwrap();
    assert!(repaired.is_equal(), "{repaired}");
    assert_eq!(world.store.order(2).await.unwrap().unwrap().epoch, Epoch(EPOCH + 1));
}

async fn a_repair_moves_no_token_and_touches_no_invoice_that_is_right(world: World) {
    pulled(&world, (1..=3).map(|number| order(number, 2, number))).await;
    let before = world.invoices().await;
    world.execute("update orders set version = 1 where number = 1").await;
    world.execute("update orders set document = '' where number = 2").await;
    world.execute("update orders set version = 9 where number = 3").await;
    let verifier = world.verifier(&[]);
    let report = verifier.compare(&|_| ()).await.unwrap();
    let repaired = verifier.repair(&report, &|_| ()).await.unwrap();
    assert_eq!((report.left(), repaired.left()), (3, 0), "{repaired}");
    // What the second one says was lost with the document: it is computed anew.
    let expected = before.into_iter().map(|invoice| {
        let version = if invoice.order_number == 2 { 2 } else { 1 };
        Invoice { version, ..invoice }
    });
    assert_eq!(world.invoices().await, expected.collect::<Vec<_>>());
    let token = world.pull_state().await.continuation_token.unwrap();
    assert_eq!(token.sequence_nr, SequenceNr(3));
}

async fn an_approved_invoice_of_a_repaired_order_is_replaced(world: World) {
    // Billing was told of another quantity under the very version that ordering has.
    let feed = pulled(&world, [order(1, 2, 1)]).await;
    let id = world.invoices().await[0].id.clone();
    let approve = format!("/api/v1/invoices/{id}/approve");
    assert_eq!(world.ask("POST", &approve, None).await.status, 200);
    feed.put(Order { version: 2, ..order(1, 5, 1) });
    world.clock.advance(Duration::from_secs(1));
    let verifier = world.verifier(&[]);
    let report = verifier.compare(&|_| ()).await.unwrap();
    assert_eq!(found(&report), [(1, Kind::OtherContent, false)]);
    assert!(verifier.repair(&report, &|_| ()).await.unwrap().is_equal());
    let invoices = world.invoices().await;
    let states: Vec<_> = invoices.iter().map(|invoice| invoice.state.as_str()).collect();
    assert_eq!(states, ["awaiting_approval", "credited"]);
    assert_eq!(invoices[0].lines, feed.get(1).lines);
}

async fn what_cannot_be_compared_is_said(world: World) {
    let feed = pulled(&world, [order(1, 1, 1)]).await;
    let before = world.data().await;
    for (identity, words) in [
        (identity(EPOCH + 1), "billing pull"),
        (identity(EPOCH - 1), "of the past"),
        (another_feed(), "Another feed"),
    ] {
        feed.becomes(identity);
        let error = world.verifier(&[]).compare(&|_| ()).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    for (answer, words) in [
        (ResponseTemplate::new(503), "503"),
        (ResponseTemplate::new(404), "404"),
        (problem(ProblemCode::StaleProvider, Some(identity(EPOCH))), "of the past"),
    ] {
        world.ordering.reset().await;
        let mock = Mock::given(any()).respond_with(answer);
        mock.mount(&world.ordering).await;
        let error = world.verifier(&[]).compare(&|_| ()).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(world.data().await, before);
    assert_eq!(world.pull_state().await.consecutive_failures, 0, "it is no pull");
}

async fn a_strange_answer_is_no_comparison(world: World) {
    pulled(&world, [order(1, 1, 1)]).await;
    let range = |first, orders| RangeChecksum { first, orders, checksum: "0".repeat(32) };
    for (ranges, next) in [
        (vec![range(7, 1)], None),
        (vec![range(1_024, 1), range(0, 1)], None),
        (vec![range(0, 1_025)], None),
        (vec![range(0, 1)], Some(0)),
        (vec![range(1_024, 1)], Some(1_024)),
    ] {
        let feed = identity(EPOCH);
        let page = ChecksumPage { feed_id: feed.feed_id, epoch: feed.epoch, ranges, next };
        world.ordering.reset().await;
        let mock = Mock::given(any()).respond_with(ok(page));
        mock.mount(&world.ordering).await;
        let error = world.verifier(&[]).compare(&|_| ()).await.unwrap_err();
        assert!(matches!(&error, VerifyError::Pull(error) if error.kind() == "invalid"), "{error}");
    }
}

async fn a_repaired_copy_is_told_from_what_it_was(world: World) {
    let feed = pulled(&world, [order(1, 2, 1)]).await;
    let path = "/api/v1/orders/1";
    let before = world.ask("GET", path, None).await;
    let tag = before.headers["etag"].to_str().unwrap();
    let known = [("if-none-match", tag)];
    assert_eq!(world.ask_with("GET", path, &known, None).await.status, 304);
    // The same version with other content.
    feed.put(Order { note: Some("other".into()), ..order(1, 2, 1) });
    let verifier = world.verifier(&[]);
    let report = verifier.compare(&|_| ()).await.unwrap();
    assert!(verifier.repair(&report, &|_| ()).await.unwrap().is_equal());
    let after = world.ask_with("GET", path, &known, None).await;
    assert_eq!((after.status.as_u16(), &after.body["note"]), (200, &"other".into()));
    assert_eq!(after.body["version"], before.body["version"]);
}

/// Ordering answers to `path` with `answer` the next `times` times.
async fn fails(world: &World, asked: &str, answer: ResponseTemplate, times: u64) {
    let mock = Mock::given(path(asked)).respond_with(answer).up_to_n_times(times);
    mock.with_priority(1).mount(&world.ordering).await;
}

async fn a_fault_that_passes_ends_no_comparison(world: World) {
    let feed = pulled(&world, (1..=2).map(|number| order(number, 1, number))).await;
    feed.put(order(2, 2, 3));
    let verifier = world.verifier(&[]);
    fails(&world, "/feed/v1/checksums", ResponseTemplate::new(503), 2).await;
    fails(&world, "/feed/v1/orders/2", ResponseTemplate::new(500), 2).await;
    let report = verifier.compare(&|_| ()).await.unwrap();
    assert_eq!(found(&report), [(2, Kind::Older, true)]);
    fails(&world, "/feed/v1/orders/2", ResponseTemplate::new(429), 2).await;
    assert!(verifier.repair(&report, &|_| ()).await.unwrap().is_equal());

    // One that stays does, and so does at once one that waiting does not mend.
    for (answer, asked) in [(503, 3), (401, 1), (404, 1)] {
        world.ordering.reset().await;
        let mock = Mock::given(any()).respond_with(ResponseTemplate::new(answer));
        mock.mount(&world.ordering).await;
        verifier.compare(&|_| ()).await.unwrap_err();
        assert_eq!(world.times_asked().await, asked, "{answer}");
    }
}

async fn an_order_that_cannot_be_repaired_does_not_keep_the_others(world: World) {
    let feed = pulled(&world, (1..=4).map(|number| order(number, 1, number))).await;
    for number in 1..=4 {
        feed.put(order(number, 2, number + 4));
    }
    let verifier = world.verifier(&[]);
    let report = verifier.compare(&|_| ()).await.unwrap();
    assert_eq!(report.left(), 4);
    let another = ok(one(&identity(EPOCH), order(9, 2, 9)));
    fails(&world, "/feed/v1/orders/1", ResponseTemplate::new(404), 1).await;
    fails(&world, "/feed/v1/orders/3", another, 1).await;
    let repaired = verifier.repair(&report, &|_| ()).await.unwrap();
    let left: Vec<_> = repaired.differences.iter().map(|it| (it.number, it.repaired)).collect();
    assert_eq!(left, [(1, false), (2, true), (3, false), (4, true)]);
    assert_eq!(repaired.differences[0], report.differences[0]);
    assert!(verifier.repair(&repaired, &|_| ()).await.unwrap().is_equal());
}
