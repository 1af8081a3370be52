//! Where rows go that are part of no order: a file with the same columns and the reason.

use std::fs::File;
use std::path::{Path, PathBuf};

use csv::{ByteRecord, Writer};

use super::ImportError;

/// The file with the rejected rows.
pub(super) struct RejectedRows {
    path: PathBuf,
    columns: &'static [&'static str],
    writer: Writer<File>,
    is_empty: bool,
}

impl RejectedRows {
    /// Opens the file before anything is imported, so that it is known that rows can be rejected.
    pub(super) fn create(
        imported: &Path,
        chosen: Option<&Path>,
        columns: &'static [&'static str],
    ) -> Result<Self, ImportError> {
        if let Some(path) = chosen {
            return Self::at(path.to_owned(), columns);
        }
        let mut name = imported.file_name().unwrap_or_default().to_owned();
        name.push(".rejected.csv");
        let beside = imported.with_file_name(&name);
        match Self::at(beside, columns) {
            Ok(rows) => Ok(rows),
            // Downloads and mounted data are often read-only.
            Err(refused) => {
                let rows = Self::at(PathBuf::from(name), columns).map_err(|_| refused)?;
                tracing::warn!(
                    "rejected rows go to {} in the working directory: nothing can be written \
                     beside the imported file",
                    rows.path.display()
                );
                Ok(rows)
            }
        }
    }

    fn at(path: PathBuf, columns: &'static [&'static str]) -> Result<Self, ImportError> {
        match File::create(&path) {
            Ok(file) => {
                // Rows with too few columns are written as they are.
                let writer = csv::WriterBuilder::new().flexible(true).from_writer(file);
                Ok(Self { path, columns, writer, is_empty: true })
            }
            Err(error) => Err(ImportError::Rejected(path, error)),
        }
    }

    pub(super) fn write(&mut self, record: &ByteRecord, reason: &str) -> Result<(), ImportError> {
        let mut rejected = ByteRecord::new();
        if self.is_empty {
            rejected.extend(self.columns);
            rejected.push_field(b"Reason");
            self.put(&rejected)?;
            rejected.clear();
            self.is_empty = false;
        }
        rejected.extend(record);
        rejected.push_field(reason.as_bytes());
        self.put(&rejected)
    }

    fn put(&mut self, record: &ByteRecord) -> Result<(), ImportError> {
        let written = self.writer.write_byte_record(record);
        written.map_err(|error| ImportError::Write(self.path.clone(), error))
    }

    /// Where the rows are; `None`, and no file, when there are none.
    pub(super) fn finish(mut self) -> Result<Option<PathBuf>, ImportError> {
        let flushed = self
            .writer
            .flush()
            .and_then(|()| if self.is_empty { std::fs::remove_file(&self.path) } else { Ok(()) });
        flushed.map_err(|error| ImportError::Write(self.path.clone(), error.into()))?;
        Ok((!self.is_empty).then_some(self.path))
    }
}
