//! Orders from the rows of a CSV file, each as soon as it is whole. Knows no store.
//!
//! The file is read twice: first to count each order's rows, then to take them in. So an order is
//! whole as soon as its last row has come, wherever its rows stand, and only the orders that are
//! begun and not whole are in memory, not the file.

use std::collections::{HashMap, VecDeque};
use std::io::Read;

use csv::ByteRecord;
use kit::clock::Clock;
use kit::random::Random;

pub use super::row::COLUMNS;

use super::row::{self, Row};
use crate::scope::ImportedOrder;

/// The orders of a file, and the rows that are part of none.
pub struct CsvOrders<'a, R> {
    reader: csv::Reader<R>,
    clock: &'a dyn Clock,
    random: &'a Random,
    rows: u64,
    rows_read: u64,
    /// How many rows of each invoice number are still to come.
    rows_left: HashMap<String, u64>,
    /// Orders by invoice number that have begun and are not whole yet.
    begun: HashMap<String, Pending>,
    /// What is to be given next.
    ready: VecDeque<Piece>,
}

/// What became of rows.
#[derive(Debug)]
pub enum Piece {
    /// The rows are an order.
    Order(Box<ImportedOrder>),
    /// The row is part of no order.
    Rejected {
        /// As it stands in the file.
        row: ByteRecord,
        /// Why it is part of none.
        reason: String,
    },
}

/// The rows of one order that can be part of it, as read and as they stand in the file.
type Pending = Vec<(Row, ByteRecord)>;

impl<'a, R: Read> CsvOrders<'a, R> {
    /// Counts the rows of `file`, to take them in from `again`, which is the same file from its
    /// beginning; `None` when its first line is not [`COLUMNS`]. Orders without a date are of now.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn new(
        file: R,
        again: R,
        clock: &'a dyn Clock,
        random: &'a Random,
    ) -> csv::Result<Option<Self>> {
        let mut counted = open(file);
        if counted.byte_headers()? != COLUMNS[..] {
            return Ok(None);
        }
        let (mut rows, mut rows_left) = (0, HashMap::new());
        let mut record = ByteRecord::new();
        while counted.read_byte_record(&mut record)? {
            *rows_left.entry(invoice_no(&record)).or_default() += 1;
            rows += 1;
        }
        Ok(Some(Self {
            reader: open(again),
            clock,
            random,
            rows,
            rows_read: 0,
            rows_left,
            begun: HashMap::new(),
            ready: VecDeque::new(),
        }))
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How many of them have been read so far.
    pub fn rows_read(&self) -> u64 {
        self.rows_read
    }

    fn take_row(&mut self, record: ByteRecord) {
        self.rows_read += 1;
        let invoice = invoice_no(&record);
        let left = self.rows_left.get_mut(&invoice).map(|left| {
            *left = left.saturating_sub(1);
            *left
        });
        match Row::read(&record) {
            Ok(row) => self.begun.entry(invoice.clone()).or_default().push((row, record)),
            Err(reason) => self.ready.push_back(Piece::Rejected { row: record, reason }),
        }
        if left == Some(0)
            && let Some(rows) = self.begun.remove(&invoice)
        {
            self.take_order(rows);
        }
    }

    /// Takes in an order, now that all its rows are there.
    fn take_order(&mut self, rows: Pending) {
        let (rows, records): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let now = self.clock.now();
        match row::order(rows, self.random.uuid(now), now) {
            Ok(order) => self.ready.push_back(Piece::Order(Box::new(order))),
            Err(reason) => self.ready.extend(
                records.into_iter().map(|row| Piece::Rejected { row, reason: reason.clone() }),
            ),
        }
    }
}

impl<R: Read> Iterator for CsvOrders<'_, R> {
    type Item = csv::Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(Ok(piece));
            }
            let mut record = ByteRecord::new();
            match self.reader.read_byte_record(&mut record) {
                Ok(true) => self.take_row(record),
                Ok(false) => {
                    // None is left, unless the file changed while it was read.
                    let (_, rows) = self.begun.drain().next()?;
                    self.take_order(rows);
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Rows may have too few or too many columns: these are rejected, the others go in.
fn open<R: Read>(file: R) -> csv::Reader<R> {
    csv::ReaderBuilder::new().flexible(true).from_reader(file)
}

/// The invoice number by which rows belong together, as it becomes the order's reference: rows that
/// differ only in what is cleaned away are of one order.
fn invoice_no(record: &ByteRecord) -> String {
    row::text(record.get(0).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use contract::time::Timestamp;
    use kit::clock::ManualClock;

    use super::*;

    #[test]
    fn rows_whose_invoice_number_is_cleaned_to_the_same_are_one_order() {
        let rows =
            "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
7,A,,1,,1.00,,
7\t,B,,1,,1.00,,
\u{a0}7\u{1},C,,1,,1.00,,
";
        let clock = ManualClock::at(Timestamp::from_micros(0));
        let random = Random::seeded(1);
        let orders = CsvOrders::new(rows.as_bytes(), rows.as_bytes(), &*clock, &random).unwrap();
        let pieces: Vec<_> = orders.unwrap().map(Result::unwrap).collect();
        let [Piece::Order(order)] = &pieces[..] else { panic!("{pieces:?}") };
        let skus: Vec<_> = order.input.lines.iter().map(|line| &*line.sku).collect();
        assert_eq!(skus, ["A", "B", "C"]);
    }
}
