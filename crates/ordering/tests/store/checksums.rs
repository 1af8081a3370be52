//! Checksums of what the feed publishes.

use contract::checksum::{ChecksumPage, Summer};
use contract::order::Order;
use ordering::store::ChecksumQuery;

use crate::fixture::{Fixture, at, done, imported, on_both_databases};

on_both_databases! {
    they_are_those_of_the_documents_in_the_feed,
    only_exposed_orders_count,
    a_part_is_summed_up_by_itself,
    an_answer_ends_at_the_border_of_a_range,
}

/// Everything that is asked for, however many answers it takes; how many.
async fn all(fixture: &Fixture, mut query: ChecksumQuery) -> (ChecksumPage, usize) {
    let mut all = fixture.store.checksums(&query).await.unwrap();
    let mut answers = 1;
    while let Some(next) = all.next {
        assert!(next > query.from && next % query.width == 0, "{next} after {}", query.from);
        query.from = next;
        let page = fixture.store.checksums(&query).await.unwrap();
        assert!(all.ranges.iter().all(|range| range.first < next));
        all.ranges.extend(page.ranges);
        all.next = page.next;
        answers += 1;
    }
    (all, answers)
}

fn everything(width: i64) -> ChecksumQuery {
    ChecksumQuery { from: 0, through: i64::MAX, width }
}

/// What the orders of the feed sum up to.
async fn expected(fixture: &Fixture, width: i64) -> ChecksumPage {
    let page = fixture.page(None, 5_000).await;
    let mut orders: Vec<Order> = page.orders;
    orders.sort_by_key(|order| order.number);
    let mut summer = Summer::new(width);
    let mut ranges: Vec<_> = orders.iter().filter_map(|order| summer.add(order)).collect();
    ranges.extend(summer.finish());
    ChecksumPage { feed_id: page.feed_id, epoch: page.epoch, ranges, next: None }
}

async fn they_are_those_of_the_documents_in_the_feed(fixture: Fixture) {
    fixture.customer().await;
    let mut numbers = Vec::new();
    for _ in 0..7 {
        numbers.push(fixture.confirmed().await.number);
    }
    done(fixture.store.delete_order(numbers[2], None, at(4)).await.unwrap());
    // Whether it is stamped makes no difference.
    let unstamped = all(&fixture, everything(4)).await.0;
    fixture.stamp_all().await;
    for width in [1, 4, 1_024] {
        assert_eq!(all(&fixture, everything(width)).await.0, expected(&fixture, width).await);
    }
    assert_eq!(unstamped, expected(&fixture, 4).await);
    let counted: i64 = unstamped.ranges.iter().map(|range| range.orders).sum();
    assert_eq!(counted, 7);
}

async fn only_exposed_orders_count(fixture: Fixture) {
    fixture.customer().await;
    fixture.draft().await;
    let deleted = fixture.draft().await;
    done(fixture.store.delete_order(deleted.number, None, at(3)).await.unwrap());
    assert_eq!(all(&fixture, everything(1)).await.0.ranges, []);
    let number = fixture.confirmed().await.number;
    let ranges = all(&fixture, everything(1)).await.0.ranges;
    assert_eq!(ranges.iter().map(|range| range.first).collect::<Vec<_>>(), [number]);
}

async fn a_part_is_summed_up_by_itself(fixture: Fixture) {
    fixture.customer().await;
    let mut numbers = Vec::new();
    for _ in 0..6 {
        numbers.push(fixture.confirmed().await.number);
    }
    let singly = all(&fixture, everything(1)).await.0.ranges;
    let part = ChecksumQuery { from: numbers[1], through: numbers[3], width: 1 };
    assert_eq!(all(&fixture, part).await.0.ranges, singly[1..=3]);
}

async fn an_answer_ends_at_the_border_of_a_range(fixture: Fixture) {
    let orders = (0..5_100).map(|n| imported(&format!("R-{n}"))).collect();
    fixture.store.import_orders(orders, at(0)).await.unwrap();
    let (singly, answers) = all(&fixture, everything(1)).await;
    assert_eq!((singly.ranges.len(), answers), (5_100, 2));
    let (wide, answers) = all(&fixture, everything(4_096)).await;
    assert_eq!(wide.ranges.iter().map(|range| range.orders).sum::<i64>(), 5_100);
    assert_eq!(answers, 1);
}
