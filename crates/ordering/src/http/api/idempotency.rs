//! `Idempotency-Key`: makes a repeated request harmless.

use axum::http::HeaderMap;
use contract::problem::Violation;
use kit::http::read::JsonBody;
use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::http::extract::invalid_header;
use crate::store::IdempotencyKey;

/// The key under which the caller may repeat this request of `operation`; `None` when there is none.
///
/// # Errors
/// When it is no key.
pub(super) fn key(
    headers: &HeaderMap,
    operation: &str,
    body: &JsonBody,
) -> Result<Option<IdempotencyKey>> {
    let mut keys = headers.get_all("idempotency-key").iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let is_sane =
        |key: &&[u8]| (1..=255).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    let text = Some(key.as_bytes()).filter(is_sane).and_then(|key| std::str::from_utf8(key).ok());
    match text {
        Some(key) if keys.next().is_none() => Ok(Some(IdempotencyKey {
            key: key.to_owned(),
            fingerprint: fingerprint(operation, body),
        })),
        _ => Err(invalid_header(Violation::new(
            "/Idempotency-Key",
            "invalid",
            "must be 1 to 255 visible ASCII characters",
        ))),
    }
}

/// SHA-256 of what was asked for: the same content is the same request, however it was spelt, since
/// a JSON value is written with its fields sorted and without blanks.
fn fingerprint(operation: &str, body: &JsonBody) -> String {
    format!("{:x}", Sha256::digest(format!("{operation} {}", body.value)))
}
