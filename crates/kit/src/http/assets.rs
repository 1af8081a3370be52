//! Style sheets, scripts and pictures, compiled into the binary.

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::RustEmbed;

use super::etag;

/// What the pages of both services share.
#[derive(RustEmbed)]
#[folder = "assets"]
struct Shared;

/// The shared assets, under `/assets`.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/assets/{*path}", get(asset))
}

async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    let Some(file) = Shared::get(&path) else { return StatusCode::NOT_FOUND.into_response() };
    let hash = file.metadata.sha256_hash();
    let tag = format!("W/\"{:x}\"", hash.first_chunk().copied().map_or(0, u64::from_be_bytes));
    // Asked for again each time, answered with 304 while it is the same: never out of date.
    let caching = [(ETAG, tag.clone()), (CACHE_CONTROL, "no-cache".to_owned())];
    if etag::is_known(&headers, &tag) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    let media = mime_guess::from_path(&path).first_or_octet_stream();
    (caching, [(CONTENT_TYPE, media.to_string())], file.data).into_response()
}
