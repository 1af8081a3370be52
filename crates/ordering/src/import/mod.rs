//! Real orders from a CSV file.
//!
//! The file is read twice: first to count each order's rows, then to take them in. So an order is
//! whole as soon as its last row has come, wherever its rows stand, and only the orders that are
//! begun and not whole are in memory, not the file.

mod country;
mod date;
mod rejected;
mod row;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use csv::ByteRecord;
use indicatif::{ProgressBar, ProgressStyle};
use kit::clock::Clock;
use kit::db;
use kit::random::Random;
use kit::show;

use self::rejected::RejectedRows;
use self::row::{COLUMNS, Row};
use crate::scope::ImportedOrder;
use crate::store::Store;

/// How many orders one transaction keeps: the import can be repeated and goes on behind the last
/// one that was committed.
const CHUNK_ORDERS: usize = 500;
/// Orders of many lines make a chunk full earlier.
const CHUNK_LINES: usize = 20_000;

/// Why a file is not imported, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] csv::Error),
    /// The file has other columns.
    #[error("the first line of {} must be {}", .0.display(), COLUMNS.join(","))]
    Columns(PathBuf),
    /// There is no place for the rejected rows. Nothing was imported.
    #[error("cannot write rejected rows to {}; choose a place with --rejected", .0.display())]
    Rejected(PathBuf, #[source] std::io::Error),
    /// A rejected row cannot be written, for instance because the disk is full.
    #[error("cannot write rejected rows to {}", .0.display())]
    Write(PathBuf, #[source] csv::Error),
    /// The database failed; what was committed before stays, and importing again goes on there.
    #[error("the import stopped; import the file again to go on")]
    Store(#[from] db::Error),
}

/// What an import did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Orders that were new.
    pub new: u64,
    /// Orders whose reference was known already: nothing was done with them.
    pub known: u64,
    /// Lines of all these orders.
    pub lines: u64,
    /// Rows that are part of no order, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Where those rows are; `None` when there are none.
    pub rejected_file: Option<PathBuf>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |n: u64| show::count(i64::try_from(n).unwrap_or(i64::MAX));
        writeln!(f, "orders: {}", count(self.new + self.known))?;
        writeln!(f, "  new: {}", count(self.new))?;
        writeln!(f, "  known already: {}", count(self.known))?;
        writeln!(f, "lines: {}", count(self.lines))?;
        write!(f, "rejected rows: {}", count(self.rejected.values().sum()))?;
        for (reason, rows) in &self.rejected {
            write!(f, "\n  {reason}: {}", count(*rows))?;
        }
        match &self.rejected_file {
            Some(file) => write!(f, "\nThe rejected rows are in {}", file.display()),
            None => Ok(()),
        }
    }
}

/// Imports `file`. Rows that cannot be part of an order go to `rejected`, or else beside the file,
/// or else, where nothing can be written there, into the working directory.
///
/// # Errors
/// See [`ImportError`]. Each chunk of orders is one transaction, so nothing is kept by halves.
pub async fn run(
    store: &dyn Store,
    clock: &dyn Clock,
    random: &Random,
    file: &Path,
    rejected: Option<&Path>,
) -> Result<Report, ImportError> {
    let mut rows_left = count_rows(file)?;
    let mut import = Import {
        store,
        clock,
        random,
        rejected: RejectedRows::create(file, rejected)?,
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
    store: &'a dyn Store,
    clock: &'a dyn Clock,
    random: &'a Random,
    rejected: RejectedRows,
    chunk: Vec<ImportedOrder>,
    chunk_lines: usize,
    report: Report,
}

impl Import<'_> {
    /// Takes in an order, now that all its rows are there.
    async fn take(&mut self, rows: Pending) -> Result<(), ImportError> {
        let (rows, records): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let now = self.clock.now();
        match row::order(rows, self.random.uuid(now), now) {
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
        let new = self.store.import_orders(chunk, self.clock.now()).await?;
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

/// Hidden where standard error is no terminal.
pub(crate) fn progress_bar(steps: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps);
    if let Ok(style) =
        ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} {per_sec} {eta}")
    {
        bar.set_style(style);
    }
    bar
}
