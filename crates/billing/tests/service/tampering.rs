//! Copies that were tampered with behind billing's back: each is found and named, and repaired.

use std::collections::BTreeMap;

use billing::verify::Kind;
use contract::order::{Order, OrderState};
use kit::random::Random;

use crate::feed::Feed;
use crate::on_both_databases;
use crate::ordering::{AT, order};
use crate::world::World;

on_both_databases! {
    every_kind_of_difference_is_named_and_repaired,
    whatever_is_tampered_with_is_found_and_nothing_else,
}

/// What is done to the copy of an order, and what it must be found to be.
#[derive(Clone, Copy, Debug)]
struct Tampering {
    sql: &'static str,
    kind: Kind,
    /// Whether it is done to a copy of a deleted order.
    of_deleted: bool,
}

const TAMPERINGS: [Tampering; 10] = [
    of("delete from invoices where order_number = N; delete from orders where number = N", Kind::Missing),
    of("update orders set version = version - 1 where number = N", Kind::Older),
    of(
        "update orders set version = 2, document = replace(document, '\"confirmed\",3,', '\"confirmed\",2,')
         where number = N",
        Kind::Older,
    ),
    of("update orders set version = version + 7 where number = N", Kind::Newer),
    of("update orders set epoch = epoch + 1 where number = N", Kind::Newer),
    of(
        "update orders set document = replace(document, 'Ada Yards', 'Ada Yard') where number = N",
        Kind::OtherContent,
    ),
    of("update orders set document = '{' where number = N", Kind::OtherContent),
    of("update orders set state = 'deleted' where number = N", Kind::OtherContent),
    Tampering {
        sql: "update orders set state = 'confirmed' where number = N",
        kind: Kind::NotDeleted,
        of_deleted: true,
    },
    Tampering {
        sql: "update orders set state = 'confirmed', version = version - 1,
                     document = replace(document, '\"deleted\"', '\"confirmed\"') where number = N",
        kind: Kind::NotDeleted,
        of_deleted: true,
    },
];

const fn of(sql: &'static str, kind: Kind) -> Tampering {
    Tampering { sql, kind, of_deleted: false }
}

/// A copy of an order that ordering does not have.
const EXTRA: &str =
    "insert into orders (number, epoch, version, state, confirmed_sequence_nr, document,
                         revision, missing_at_source, received_at)
    select N, epoch, version, state, confirmed_sequence_nr,
           replace(document, '[1,\"confirmed\"', '[N,\"confirmed\"'), 1, missing_at_source, received_at
    from orders where number = 1";

fn on(sql: &str, number: i64) -> String {
    sql.replace('N', &number.to_string())
}

/// Every tenth is deleted.
fn orders(numbers: impl Iterator<Item = i64>) -> Vec<Order> {
    let made = |number| {
        let order = order(number, 3, number);
        if number % 10 == 0 {
            Order { state: OrderState::Deleted, deleted_at: Some(AT), ..order }
        } else {
            order
        }
    };
    numbers.map(made).collect()
}

async fn every_kind_of_difference_is_named_and_repaired(world: World) {
    let feed = Feed::of(orders(1..=3_000));
    world.answers_from(&feed).await;
    world.patient_puller(&world.ordering.uri()).pull_once().await.unwrap();
    let verifier = world.verifier(&[]);
    let equal = verifier.compare(&|_| ()).await.unwrap();
    assert_eq!((equal.orders, &*equal.differences), (3_000, &[][..]));

    let mut expected = Vec::new();
    for (place, tampering) in TAMPERINGS.into_iter().enumerate() {
        // Far from each other and next to each other.
        for number in
            [100 + i64::try_from(place).unwrap() * 20, 2_300 + i64::try_from(place).unwrap() * 20]
        {
            let number = if tampering.of_deleted { number } else { number + 1 };
            world.execute(&on(tampering.sql, number)).await;
            expected.push((number, tampering.kind));
        }
    }
    for number in [3_001, 9_000_000] {
        world.execute(&on(EXTRA, number)).await;
        expected.push((number, Kind::Extra));
    }
    expected.sort_by_key(|(number, _)| *number);

    let found = verifier.compare(&|_| ()).await.unwrap();
    let kinds: Vec<_> = found.differences.iter().map(|it| (it.number, it.kind)).collect();
    assert_eq!(kinds, expected);
    assert!(found.differences.iter().all(|it| !it.not_yet_pulled), "{found}");

    let repaired = verifier.repair(&found, &|_| ()).await.unwrap();
    for difference in &repaired.differences {
        assert_eq!(difference.repaired, difference.kind != Kind::Extra, "{difference}");
    }
    assert_eq!(repaired.left(), 2);
    let left = verifier.compare(&|_| ()).await.unwrap();
    assert_eq!(left.differences.iter().map(|it| it.number).collect::<Vec<_>>(), [3_001, 9_000_000]);
    world.execute("delete from orders where number > 3000").await;
    assert!(verifier.compare(&|_| ()).await.unwrap().is_equal());
}

async fn whatever_is_tampered_with_is_found_and_nothing_else(world: World) {
    let random = Random::seeded(23);
    let up_to = |limit: u64| i64::try_from(random.bits() % limit).unwrap();
    let numbers: Vec<i64> = (1..=6_000).filter(|number| number % 10 < 2 || up_to(3) > 0).collect();
    let feed = Feed::of(orders(numbers.iter().copied()));
    world.answers_from(&feed).await;
    world.patient_puller(&world.ordering.uri()).pull_once().await.unwrap();
    let verifier = world.verifier(&[]);
    for _ in 0..4 {
        let mut expected = BTreeMap::new();
        for _ in 0..up_to(12) {
            let tampering = TAMPERINGS[usize::try_from(up_to(10)).unwrap()];
            let number = numbers[usize::try_from(up_to(numbers.len() as u64)).unwrap()];
            let deleted = number % 10 == 0;
            if deleted == tampering.of_deleted && number > 1 && !expected.contains_key(&number) {
                world.execute(&on(tampering.sql, number)).await;
                expected.insert(number, tampering.kind);
            }
        }
        let found = verifier.compare(&|_| ()).await.unwrap();
        let kinds: BTreeMap<_, _> =
            found.differences.iter().map(|it| (it.number, it.kind)).collect();
        assert_eq!(kinds, expected);
        assert!(verifier.repair(&found, &|_| ()).await.unwrap().is_equal());
    }
}
