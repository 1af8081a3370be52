//! Rows of a CSV file, without the line that names the columns.

use std::collections::HashSet;

use contract::time::Timestamp;
use kit::clock::ManualClock;
use kit::random::Random;
use ordering::import::csv_orders::{COLUMNS, CsvOrders, Piece};

use crate::assert_one_short_line;

/// 2026-05-01T10:00:00Z
const NOW: Timestamp = Timestamp::from_micros(1_777_629_600_000_000);

/// Every row is a line of one order, or is rejected with a reason; and no order comes twice, the
/// second of which would count as known already.
pub fn check(data: &[u8]) -> bool {
    let file = [COLUMNS.join(",").as_bytes(), b"\n", data].concat();
    let (clock, random) = (ManualClock::at(NOW), Random::seeded(1));
    let orders = CsvOrders::new(&*file, &*file, &*clock, &random).unwrap();
    let orders = orders.expect("the columns are these");
    let (mut lines, mut rejected, mut references) = (0, 0, HashSet::new());
    for piece in orders {
        match piece.unwrap() {
            Piece::Order(order) => {
                assert_eq!(order.input.violations(), []);
                assert_eq!(order.customer.violations(), []);
                assert!(order.input.totals().is_some());
                lines += order.input.lines.len();
                let reference = order.input.reference.expect("an imported order has one");
                assert!(references.insert(reference.clone()), "{reference:?} comes twice");
            }
            Piece::Rejected { reason, .. } => {
                assert_one_short_line(&reason);
                rejected += 1;
            }
        }
    }
    let rows = csv::ReaderBuilder::new().flexible(true).from_reader(&*file).byte_records().count();
    assert_eq!(lines + rejected, rows);
    lines > 0
}
