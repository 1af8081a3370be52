//! Real orders from a file: CSV of another system, or one document a line.

mod country;
mod csv_file;
pub mod csv_orders;
mod date;
mod ndjson;
mod rejected;
mod row;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use kit::clock::Clock;
use kit::db;
use kit::random::Random;
use kit::show;

use self::row::COLUMNS;
use crate::store::Store;

/// Why a file is not imported, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] csv::Error),
    /// The file is neither CSV with these columns nor JSON.
    #[error(
        "{} is neither NDJSON nor CSV: the first line of CSV must be {}",
        .0.display(), COLUMNS.join(",")
    )]
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
    /// Orders that were taken in now: new ones and, with NDJSON, changed ones.
    pub new: u64,
    /// Orders that were imported before: nothing was done with them.
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

/// What an import works with.
#[derive(Clone, Copy)]
struct Tools<'a> {
    store: &'a dyn Store,
    clock: &'a dyn Clock,
    random: &'a Random,
}

/// Imports `file`. Rows that cannot be part of an order go to `rejected`, or else beside the file,
/// or else, where nothing can be written there, into the working directory.
///
/// # Errors
/// See [`ImportError`]. Orders are kept whole or not at all, and importing again goes on where it
/// ended.
pub async fn run(
    store: &dyn Store,
    clock: &dyn Clock,
    random: &Random,
    file: &Path,
    rejected: Option<&Path>,
) -> Result<Report, ImportError> {
    let tools = Tools { store, clock, random };
    let is_ndjson = begins_with_brace(file)
        .map_err(|error| ImportError::Read(file.to_owned(), error.into()))?;
    if is_ndjson {
        ndjson::run(tools, file, rejected).await
    } else {
        csv_file::run(tools, file, rejected).await
    }
}

/// What some programs put before the first character of a text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Whether the file holds JSON objects; what is no CSV either is told with the columns it lacks.
fn begins_with_brace(file: &Path) -> io::Result<bool> {
    let mut reader = BufReader::new(File::open(file)?);
    loop {
        let buffer = reader.fill_buf()?;
        let is_text = |byte: &&u8| !byte.is_ascii_whitespace() && !BYTE_ORDER_MARK.contains(byte);
        if let Some(first) = buffer.iter().find(is_text) {
            return Ok(*first == b'{');
        }
        let blanks = buffer.len();
        if blanks == 0 {
            return Ok(false);
        }
        reader.consume(blanks);
    }
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
