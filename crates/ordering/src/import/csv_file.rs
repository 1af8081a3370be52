//! Imports the CSV of another system, one row a line of an order.

use std::fs::File;
use std::path::Path;

use csv::ByteRecord;

use super::csv_orders::{COLUMNS, CsvOrders, Piece};
use super::rejected::RejectedRows;
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
    let unreadable = |error| ImportError::Read(file.to_owned(), error);
    let open = || File::open(file).map_err(|error| unreadable(error.into()));
    let orders = CsvOrders::new(open()?, open()?, tools.clock, tools.random).map_err(unreadable)?;
    let mut orders = orders.ok_or_else(|| ImportError::Columns(file.to_owned()))?;
    let mut import = Import {
        tools,
        rejected: RejectedRows::create(file, rejected, &COLUMNS)?,
        chunk: Vec::new(),
        chunk_lines: 0,
        report: Report::default(),
    };
    let bar = progress_bar(orders.rows());
    while let Some(piece) = orders.next() {
        match piece.map_err(unreadable)? {
            Piece::Order(order) => import.take(*order).await?,
            Piece::Rejected { row, reason } => import.reject(&row, reason)?,
        }
        bar.set_position(orders.rows_read());
    }
    import.flush().await?;
    bar.finish_and_clear();
    import.report.rejected_file = import.rejected.finish()?;
    Ok(import.report)
}

/// An import that is going on.
struct Import<'a> {
    tools: Tools<'a>,
    rejected: RejectedRows,
    chunk: Vec<ImportedOrder>,
    chunk_lines: usize,
    report: Report,
}

impl Import<'_> {
    /// Takes in an order, with others in one transaction.
    async fn take(&mut self, order: ImportedOrder) -> Result<(), ImportError> {
        self.report.lines += order.input.lines.len() as u64;
        self.chunk_lines += order.input.lines.len();
        self.chunk.push(order);
        if self.chunk.len() >= CHUNK_ORDERS || self.chunk_lines >= CHUNK_LINES {
            self.flush().await?;
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

    fn reject(&mut self, row: &ByteRecord, reason: String) -> Result<(), ImportError> {
        self.rejected.write(row, &reason)?;
        *self.report.rejected.entry(reason).or_default() += 1;
        Ok(())
    }
}
