//! Parts of documents as JSON text in a column.

use kit::db::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// `value` as JSON. Control characters are escaped, so the text holds no NUL, which PostgreSQL
/// could not store.
pub(super) fn write(value: &impl Serialize) -> String {
    // Only maps with keys that are no text, and types that refuse it, cannot be written: orders,
    // customers and lines are neither.
    serde_json::to_string(value).expect("documents can be written as JSON")
}

/// The value that `text` was written from.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::Damaged(error.to_string()))
}
