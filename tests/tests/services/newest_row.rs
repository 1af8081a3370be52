//! The order that has the highest number of all changes: a number taken from the table would be
//! given twice.

use e2e::equal::until_equal;
use e2e::ordering::content;
use e2e::pair::{Database, Engine, Pair};
use sqlx::{Connection, PgConnection};
use testkit::wait;

use crate::SOON;

#[tokio::test]
async fn a_change_of_the_newest_row_arrives_and_maximum_plus_one_would_lose_it() {
    let (ordering_db, billing_db) =
        (Database::new(Engine::Postgres).await, Database::new(Engine::Postgres).await);
    let pair = Pair::start(ordering_db.url(), billing_db.url()).await;
    let (ordering, billing) = pair.clients();
    let customer = ordering.customer("Ada Yards").await.unwrap();
    for note in ["first", "second", "newest"] {
        ordering.create_confirmed(&content(&customer, note, 1)).await.unwrap();
        until_equal(&ordering, &billing, SOON).await;
    }
    let newest = ordering.whole_feed(1000).await.unwrap().pop().unwrap();
    let token = billing.pull_status().await.unwrap().continuation_token.unwrap();
    let given = newest.confirmed_sequence_nr.0;
    assert!(token.ends_with(&format!("-{given}")), "billing has read up to {given}: {token}");

    // The change is made by hand, to look at the table before the sequencer stamps it.
    let mut connection = PgConnection::connect(ordering_db.url()).await.unwrap();
    let mut change = connection.begin().await.unwrap();
    let sql = "update orders set note = 'changed', version = version + 1 where number = $1";
    sqlx::query(sql).bind(newest.number).execute(&mut *change).await.unwrap();
    let sql = "select max(feed_sequence_nr) + 1 from feed_places \
        where number not in (select number from feed_queue)";
    let from_the_table: i64 = sqlx::query_scalar(sql).fetch_one(&mut *change).await.unwrap();
    change.commit().await.unwrap();

    assert_eq!(
        from_the_table, given,
        "maximum plus one gives the number again that billing has read already"
    );
    wait::until("the changed newest row arrives", SOON, async || {
        let copy = billing.order(newest.number).await;
        copy.is_some_and(|copy| copy.order.version == newest.version + 1)
    })
    .await;
    let stamped = ordering.order(newest.number).await.unwrap().confirmed_sequence_nr.0;
    assert!(stamped > given, "{stamped} was given after {given}");
    until_equal(&ordering, &billing, SOON).await;
}
