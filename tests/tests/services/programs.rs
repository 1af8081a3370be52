//! The commands that run to their end: migrate, seed, import, pull, reset-token.

use std::process::Output;

use e2e::equal::until_equal;
use e2e::ordering::content;
use e2e::pair::{Database, Engine, Pair};
use testkit::process::Program;

use crate::SOON;

/// Runs `program` on this database.
async fn run(program: &str, args: &[&str], database: &Database) -> Output {
    Program::new(program).args(args).args(["--database-url", database.url()]).run().await
}

/// What it printed.
///
/// # Panics
/// When it failed.
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn migrating_twice_is_migrating_once() {
    for engine in [Engine::Postgres, Engine::Sqlite] {
        for program in ["ordering", "billing"] {
            let database = Database::new(engine).await;
            printed(&run(program, &["migrate"], &database).await);
            printed(&run(program, &["migrate"], &database).await);
        }
    }
}

#[tokio::test]
async fn one_pull_brings_what_there_is_and_says_how_much() {
    let (ordering_db, billing_db) =
        (Database::new(Engine::Postgres).await, Database::new(Engine::Postgres).await);
    let mut pair = Pair::start(ordering_db.url(), billing_db.url()).await;
    let (ordering, billing) = pair.clients();
    pair.billing.kill();
    let customer = ordering.customer("Ada Yards").await.unwrap();
    for note in ["one", "two", "three"] {
        ordering.create_confirmed(&content(&customer, note, 1)).await.unwrap();
    }
    testkit::wait::until("all is stamped", SOON, async || {
        ordering.status().await.unwrap().unstamped == 0
    })
    .await;
    let url = pair.ordering.service().url();
    let pull = ["pull", "--ordering-url", &url, "--pull-limit", "2"];

    let first = printed(&run("billing", &pull, &billing_db).await);
    assert!(has_count(&first, "new", 3) && has_count(&first, "pages", 2), "{first}");
    let second = printed(&run("billing", &pull, &billing_db).await);
    assert!(has_count(&second, "new", 0) && has_count(&second, "changed", 0), "{second}");

    // Read again from the beginning, whatever feed that may be now: replaced, but nothing is new.
    printed(&run("billing", &["reset-token"], &billing_db).await);
    let third = printed(&run("billing", &pull, &billing_db).await);
    assert!(has_count(&third, "new", 0) && has_count(&third, "changed", 3), "{third}");

    pair.ordering.kill();
    let away = run("billing", &pull, &billing_db).await;
    assert!(!away.status.success(), "ordering is away: {away:?}");

    pair.ordering.start_again().await;
    pair.billing.start_again().await;
    until_equal(&ordering, &billing, SOON).await;
}

/// Whether `word` and `count` stand next to each other, in either order.
fn has_count(text: &str, word: &str, count: i64) -> bool {
    let words: Vec<_> =
        text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let count = count.to_string();
    words.windows(2).any(|pair| pair == [word, &count] || pair == [&count, word])
}

#[tokio::test]
async fn seeded_orders_arrive_as_invoices() {
    let (ordering_db, billing_db) =
        (Database::new(Engine::Sqlite).await, Database::new(Engine::Postgres).await);
    printed(&run("ordering", &["seed", "--orders", "2000"], &ordering_db).await);
    let pair = Pair::start(ordering_db.url(), billing_db.url()).await;
    let (ordering, billing) = pair.clients();
    until_equal(&ordering, &billing, SOON).await;
    assert_eq!(billing.invoices("state=awaiting_approval").await.unwrap().len(), 2000);
}

#[tokio::test]
async fn a_dirty_file_is_imported_but_for_what_cannot_be_an_order() {
    const FILE: &str = "\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,WHITE HANGING HEART ,6,2010-12-01T08:26:00Z,2.55,17850,United Kingdom
536365,71053,,8,2010-12-01T08:26:00Z,3.39,17850,United Kingdom
536366,22633,HAND WARMER,6,2010-12-01T08:28:00Z,0,,Unspecified
C536379,D,Discount,-1,2010-12-01T09:41:00Z,27.50,14527,United Kingdom
,22633,HAND WARMER,6,2010-12-01T08:28:00Z,1.85,17850,United Kingdom
536367,,NO CODE,6,2010-12-01T08:28:00Z,1.85,13047,United Kingdom
536367,84879,BIRD ORNAMENT,0,2010-12-01T08:34:00Z,1.69,13047,United Kingdom
536367,22745,POPPY'S PLAYHOUSE,6,2010-12-01T08:34:00Z,2.105,13047,France
536367,22748,POPPY'S KITCHEN,6,2010-12-01T08:34:00Z,-2.10,13047,France
536368,22960,JAM MAKING SET,6,2010-12-01T08:34:00Z,4.25,13047,France
";
    let (ordering_db, billing_db) =
        (Database::new(Engine::Postgres).await, Database::new(Engine::Sqlite).await);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dirty.csv");
    std::fs::write(&file, FILE).unwrap();
    let pair = Pair::start(ordering_db.url(), billing_db.url()).await;
    let (ordering, billing) = pair.clients();

    let import = ["import", file.to_str().unwrap()];
    for _ in 0..2 {
        printed(&run("ordering", &import, &ordering_db).await);
        until_equal(&ordering, &billing, SOON).await;

        let orders = ordering.all_orders().await.unwrap();
        let reference = |wanted: &str| {
            orders.iter().find(|order| order.reference.as_deref() == Some(wanted)).unwrap()
        };
        assert_eq!(orders.len(), 3, "{orders:#?}");
        let whole = reference("536365");
        assert_eq!(whole.lines.len(), 2);
        assert_eq!((whole.total_minor, whole.currency.as_str()), (6 * 255 + 8 * 339, "GBP"));
        let address = whole.customer.address.as_ref().unwrap();
        assert_eq!(address.country.as_deref(), Some("GB"));
        let free = reference("536366");
        assert_eq!((free.total_minor, free.customer.name.as_str()), (0, "Unknown"));
        assert_eq!(reference("536368").total_minor, 6 * 425);
        let rejected =
            std::fs::read_to_string(directory.path().join("dirty.csv.rejected.csv")).unwrap();
        assert_eq!(rejected.lines().count(), 1 + 6, "a heading and six rows:\n{rejected}");
        assert_eq!(billing.invoices("").await.unwrap().len(), 3);
    }
}
