//! Orders from the CSV of another system, one row a line of an order.
//!
//! The file is read twice: first to count each order's rows, then to take them in. So an order is
//! whole as soon as its last row has come, wherever its rows stand, and only the orders that are
//! begun and not whole are in memory, not the file.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use csv::ByteRecord;

use super::rejected::RejectedRows;
use super::row::{self, COLUMNS, Row};
use super::{ImportError, Report, Tools, progress_bar};
use crate::scope::ImportedOrder;

/// How many orders one transaction keeps: the import can be repeated and goes on behind the last
/// one that was committed.
const CHUNK_ORDERS: usize = 500;
/// Orders of many lines make a chunk full earlier.
const CHUNK_LINES: usize = 20_000;

/// Imports a CSV file; each chunk of orders is one transaction.
pub(super) async fn run(
    tools: Tools<'_>,
    file: &Path,
    rejected: Option<&Path>,
) -> Result<Report, ImportError> {
    let mut rows_left = count_rows(file)?;
    let mut import = Import {
        tools,
        rejected: RejectedRows::create(file, rejected, &COLUMNS)?,
        chunk: Vec::new(),
        chunk_lines: 0,
        report: Report::default(),
    };
    let bar = progress_bar(rows_left.values().sum());
    // Orders by invoice number that have begun and are not whole yet.
    let mut begun = HashMap::<Vec<u8>, Pending>::new();
    let mut reader = open(file)?;
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(|error| read_error(file, error))? {
        bar.inc(1);
        let invoice = invoice_no(&record);
        match Row::read(&record) {
            Ok(row) => begun.entry(invoice.to_owned()).or_default().push((row, record.clone())),
            Err(reason) => import.reject(&record, &reason)?,
        }
        let left = rows_left.get_mut(invoice).map(|left| {
            *left = left.saturating_sub(1);
            *left
        });
        if left == Some(0)
            && let Some(rows) = begun.remove(invoice)
        {
            import.take(rows).await?;
        }
    }
    // None, unless the file changed while it was read.
    for rows in begun.into_values() {
        import.take(rows).await?;
    }
    import.flush().await?;
    bar.finish_and_clear();
    import.report.rejected_file = import.rejected.finish()?;
    Ok(import.report)
}

/// The rows of one order that can be part of it, as read and as they stand in the file.
type Pending = Vec<(Row, ByteRecord)>;

/// An import that is going on.
struct Import<'a> {
    tools: Tools<'a>,
    rejected: RejectedRows,
    chunk: Vec<ImportedOrder>,
    chunk_lines: usize,
    report: Report,
}

impl Import<'_> {
    /// Takes in an order, now that all its rows are there.
    async fn take(&mut self, rows: Pending) -> Result<(), ImportError> {
        let (rows, records): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let now = self.tools.clock.now();
        match row::order(rows, self.tools.random.uuid(now), now) {
            Ok(order) => {
                self.report.lines += order.input.lines.len() as u64;
                self.chunk_lines += order.input.lines.len();
                self.chunk.push(order);
                if self.chunk.len() >= CHUNK_ORDERS || self.chunk_lines >= CHUNK_LINES {
                    self.flush().await?;
                }
            }
            Err(reason) => {
                for record in &records {
                    self.reject(record, &reason)?;
                }
            }
        }
        Ok(())
    }

    /// Keeps the orders of the chunk.
    async fn flush(&mut self) -> Result<(), ImportError> {
        let chunk = std::mem::take(&mut self.chunk);
        let orders = chunk.len() as u64;
        let new = self.tools.store.import_orders(chunk, self.tools.clock.now()).await?;
        self.report.new += new;
        self.report.known += orders.saturating_sub(new);
        self.chunk_lines = 0;
        Ok(())
    }

    fn reject(&mut self, record: &ByteRecord, reason: &str) -> Result<(), ImportError> {
        *self.report.rejected.entry(reason.to_owned()).or_default() += 1;
        self.rejected.write(record, reason)
    }
}

/// The invoice number by which rows belong together.
fn invoice_no(record: &ByteRecord) -> &[u8] {
    record.get(0).unwrap_or_default().trim_ascii()
}

/// How many rows there are of each invoice number.
fn count_rows(file: &Path) -> Result<HashMap<Vec<u8>, u64>, ImportError> {
    let mut reader = open(file)?;
    if reader.byte_headers().map_err(|error| read_error(file, error))? != COLUMNS[..] {
        return Err(ImportError::Columns(file.to_owned()));
    }
    let mut rows = HashMap::<Vec<u8>, u64>::new();
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(|error| read_error(file, error))? {
        let invoice = invoice_no(&record);
        match rows.get_mut(invoice) {
            Some(rows) => *rows += 1,
            None => {
                rows.insert(invoice.to_owned(), 1);
            }
        }
    }
    Ok(rows)
}

/// Rows may have too few or too many columns: these are rejected, the others go in.
fn open(file: &Path) -> Result<csv::Reader<File>, ImportError> {
    let opened = csv::ReaderBuilder::new().flexible(true).from_path(file);
    opened.map_err(|error| read_error(file, error))
}

fn read_error(file: &Path, error: csv::Error) -> ImportError {
    ImportError::Read(file.to_owned(), error)
}
