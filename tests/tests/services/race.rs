//! The race that the whole design is about: a change that is made first and committed last.

use std::collections::BTreeSet;

use contract::order::Order;
use e2e::equal::until_equal;
use e2e::ordering::content;
use e2e::pair::{Database, Engine, Pair};
use sqlx::{Connection, PgConnection, Row};
use testkit::wait;

use crate::SOON;

/// Reads by change date, as one would at first: what changed since the newest date I have seen?
#[derive(Default)]
struct NaiveReader {
    newest: i64,
    seen: BTreeSet<(i64, i64)>,
}

impl NaiveReader {
    async fn poll(&mut self, database: &mut PgConnection) {
        let sql = "select number, version, changed_at from orders where changed_at > $1";
        let rows = sqlx::query(sql).bind(self.newest).fetch_all(database).await.unwrap();
        for row in rows {
            self.newest = self.newest.max(row.get("changed_at"));
            self.seen.insert((row.get("number"), row.get("version")));
        }
    }

    fn has_seen(&self, order: &Order) -> bool {
        self.seen.contains(&(order.number, order.version))
    }
}

#[tokio::test]
async fn a_change_that_commits_late_arrives_and_reading_by_date_loses_it() {
    let (ordering_db, billing_db) =
        (Database::new(Engine::Postgres).await, Database::new(Engine::Postgres).await);
    let pair = Pair::start(ordering_db.url(), billing_db.url()).await;
    let (ordering, billing) = pair.clients();
    let customer = ordering.customer("Ada Yards").await.unwrap();
    let a = ordering.create_confirmed(&content(&customer, "a", 1)).await.unwrap();
    let b = ordering.create_confirmed(&content(&customer, "b", 1)).await.unwrap();
    until_equal(&ordering, &billing, SOON).await;
    let mut reading = PgConnection::connect(ordering_db.url()).await.unwrap();
    let mut naive = NaiveReader::default();
    naive.poll(&mut reading).await;

    // A changes first, in a transaction that stays open.
    let mut writing = PgConnection::connect(ordering_db.url()).await.unwrap();
    let mut late = writing.begin().await.unwrap();
    let date_of_a = b.changed_at.micros() + 1;
    let sql = "update orders set note = 'changed first, committed last', changed_at = $2,
        version = version + 1 where number = $1";
    let change = sqlx::query(sql).bind(a.number).bind(date_of_a);
    assert_eq!(change.execute(&mut *late).await.unwrap().rows_affected(), 1);

    // B changes after it and is committed before it; it is stamped, and arrives.
    let b = ordering.replace(b.number, b.version, &content(&customer, "b2", 2)).await.unwrap();
    assert!(b.changed_at.micros() > date_of_a);
    wait::until("B arrives while A's change is open", SOON, async || {
        billing.order(b.number).await.is_some_and(|copy| copy.order.version == b.version)
    })
    .await;
    naive.poll(&mut reading).await;
    assert!(naive.has_seen(&b));
    let meanwhile = billing.order(a.number).await.unwrap().order;
    assert_eq!(meanwhile.version, a.version, "nobody may see what is not committed");

    late.commit().await.unwrap();
    wait::until("A arrives in the end", SOON, async || {
        billing.order(a.number).await.is_some_and(|copy| copy.order.version == a.version + 1)
    })
    .await;
    until_equal(&ordering, &billing, SOON).await;

    // The very same history, read by date: A is older than what was seen, and lost.
    naive.poll(&mut reading).await;
    let a = ordering.order(a.number).await.unwrap();
    assert_eq!(a.note.as_deref(), Some("changed first, committed last"));
    assert!(!naive.has_seen(&a), "this history does not show what it is meant to show");
}
