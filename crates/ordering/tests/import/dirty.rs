//! A small file with every kind of dirt that the real one has, and more.

use std::collections::BTreeMap;

use contract::order::{Order, OrderState};
use ordering::import::{ImportError, Report};

use crate::world::{AT, World, on_both_databases};

const DIRTY: &str = include_str!("../data/dirty.csv");

on_both_databases!(
    what_can_be_an_order_goes_in,
    importing_again_changes_nothing,
    an_import_that_was_cut_off_goes_on,
    rejected_rows_need_a_place_before_anything_goes_in,
    a_file_without_dirt_leaves_no_rejected_rows,
    a_file_with_other_columns_is_refused,
);

fn reasons(reasons: &[(&str, u64)]) -> BTreeMap<String, u64> {
    reasons.iter().map(|(reason, rows)| ((*reason).to_owned(), *rows)).collect()
}

/// SKU, quantity and price of every line.
fn lines(order: &Order) -> Vec<(&str, i64, i64)> {
    let lines = order.lines.iter();
    lines.map(|line| (line.sku.as_str(), line.quantity, line.unit_price_minor)).collect()
}

async fn what_can_be_an_order_goes_in(world: World) {
    let file = world.file("dirty.csv", DIRTY);
    let report = world.import(&file, None).await.unwrap();
    let rejected_file = world.path("dirty.csv.rejected.csv");
    let expected = Report {
        new: 6,
        known: 0,
        lines: 8,
        rejected: reasons(&[
            ("InvoiceNo begins with C: a cancellation", 1),
            ("InvoiceNo is missing", 1),
            ("Quantity is not a whole number of 1 to 1000000", 4),
            ("StockCode is missing", 1),
            ("UnitPrice is negative or not in whole pence", 2),
            ("not 8 columns", 1),
        ]),
        rejected_file: Some(rejected_file.clone()),
    };
    assert_eq!(report, expected);

    let orders = world.orders().await;
    assert_eq!(orders.len(), 6);
    // One row of this order stands far from the others.
    let order = &orders["700001"];
    assert_eq!(lines(order), [("21730", 6, 425), ("22752", 2, 765), ("71053", 1, 339)]);
    assert_eq!(order.lines[1].description.as_deref(), Some("SET 7 BABUSHKA, NESTING BOXES"));
    assert_eq!((order.net_minor, order.tax_minor, order.total_minor), (4_419, 0, 4_419));
    assert_eq!((order.state, order.currency.as_str()), (OrderState::Confirmed, "GBP"));
    assert_eq!(order.confirmed_at, Some("2011-03-01T08:26:00Z".parse().unwrap()));
    assert_eq!(order.customer.name, "Customer 20001");
    let country = |order: &Order| order.customer.address.clone().and_then(|a| a.country);
    assert_eq!(country(order).as_deref(), Some("GB"));

    let free = &orders["700002"];
    assert_eq!(
        (free.customer.name.as_str(), country(free), free.total_minor),
        ("Unknown", None, 0)
    );
    assert_eq!(free.lines[0].description, None);
    assert_eq!(country(&orders["700004"]).as_deref(), Some("IE"));
    assert_eq!(lines(&orders["700004"]), [("POST", 1, 1_800)]);
    assert_eq!(lines(&orders["700006"]), [("22960", 5, 425)]);
    assert_eq!(orders["700007"].confirmed_at, Some(AT), "it has no date that can be read");
    assert_eq!((country(&orders["700010"]), orders["700010"].total_minor), (None, 1_000_000));

    let rejected = std::fs::read_to_string(rejected_file).unwrap();
    let rejected: Vec<_> = rejected.lines().collect();
    assert_eq!(rejected.len(), 1 + 10);
    assert!(rejected[0].ends_with("CustomerID,Country,Reason"), "{}", rejected[0]);
    assert!(rejected.contains(
        &"700005,22745,POPPY'S PLAYHOUSE,6,2011-03-01T10:34:00Z,2.105,20004,France,\
          UnitPrice is negative or not in whole pence"
    ));
}

async fn importing_again_changes_nothing(world: World) {
    let file = world.file("dirty.csv", DIRTY);
    let first = world.import(&file, None).await.unwrap();
    let before = world.orders().await;
    let second = world.import(&file, None).await.unwrap();
    assert_eq!(second, Report { new: 0, known: first.new, ..first });
    assert_eq!(world.orders().await, before);
    assert_eq!(world.store.customers(None, 100).await.unwrap().len(), 5);
}

async fn an_import_that_was_cut_off_goes_on(world: World) {
    let beginning: String = DIRTY.split_inclusive('\n').take(4).collect();
    let file = world.file("dirty.csv", &beginning);
    assert_eq!(world.import(&file, None).await.unwrap().new, 2);
    let file = world.file("dirty.csv", DIRTY);
    let report = world.import(&file, None).await.unwrap();
    assert_eq!((report.new, report.known), (4, 2));
}

async fn rejected_rows_need_a_place_before_anything_goes_in(world: World) {
    let file = world.file("dirty.csv", DIRTY);
    let nowhere = world.path("no such directory/rejected.csv");
    let error = world.import(&file, Some(&nowhere)).await.unwrap_err();
    assert!(matches!(error, ImportError::Rejected(..)), "{error}");
    assert!(world.orders().await.is_empty());

    let chosen = world.path("chosen.csv");
    let report = world.import(&file, Some(&chosen)).await.unwrap();
    assert_eq!(report.rejected_file.as_deref(), Some(&*chosen));
    assert!(chosen.exists() && !world.path("dirty.csv.rejected.csv").exists());
}

async fn a_file_without_dirt_leaves_no_rejected_rows(world: World) {
    let clean: String = DIRTY.split_inclusive('\n').take(4).collect();
    let file = world.file("clean.csv", &clean);
    let report = world.import(&file, None).await.unwrap();
    assert_eq!((report.rejected.len(), report.rejected_file), (0, None));
    assert!(!world.path("clean.csv.rejected.csv").exists());
}

async fn a_file_with_other_columns_is_refused(world: World) {
    let file = world.file("other.csv", "InvoiceNo,StockCode\n1,2\n");
    let error = world.import(&file, None).await.unwrap_err();
    assert!(error.to_string().contains("must be InvoiceNo,StockCode,Description"), "{error}");
}

#[tokio::test]
async fn where_the_file_s_directory_takes_no_files_the_working_directory_does() {
    let world = World::sqlite().await;
    // A directory in the place of the file: as unwritable for root as for everybody else.
    let file = world.file("in-the-way.csv", DIRTY);
    std::fs::create_dir(world.path("in-the-way.csv.rejected.csv")).unwrap();
    let report = world.import(&file, None).await.unwrap();
    let fallback = report.rejected_file.unwrap();
    assert_eq!(fallback.to_str(), Some("in-the-way.csv.rejected.csv"));
    assert_eq!(std::fs::read_to_string(&fallback).unwrap().lines().count(), 1 + 10);
    std::fs::remove_file(fallback).unwrap();
}
