//! `Idempotency-Key`: makes a repeated request harmless.

use axum::http::HeaderMap;
use contract::problem::Violation;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::http::extract::invalid_header;
use crate::store::IdempotencyKey;

/// The key under which the caller may repeat this request; `None` when there is none.
///
/// # Errors
/// When it is no key.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>> {
    let mut keys = headers.get_all("idempotency-key").iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let is_sane =
        |key: &&[u8]| (1..=255).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    let text = Some(key.as_bytes()).filter(is_sane).and_then(|key| std::str::from_utf8(key).ok());
    match text {
        Some(key) if keys.next().is_none() => Ok(Some(key.to_owned())),
        _ => Err(invalid_header(Violation::new(
            "/Idempotency-Key",
            "invalid",
            "must be 1 to 255 visible ASCII characters",
        ))),
    }
}

/// `key` for `operation` with this input. The same content is the same request, however it was spelt;
/// `operation` is empty for orders, whose keys were kept so from the beginning.
pub(super) fn of(operation: &str, key: String, input: &impl Serialize) -> IdempotencyKey {
    // Cannot fail: inputs are texts and numbers.
    let content = serde_json::to_vec(input).unwrap_or_default();
    let digest = Sha256::new().chain_update(operation).chain_update(content).finalize();
    IdempotencyKey { key, fingerprint: format!("{digest:x}") }
}
