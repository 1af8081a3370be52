//! `/openapi.json`, `/docs` and `/problems/{code}`.

use axum::Router;
use axum::extract::Path;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use contract::problem::{Problem, ProblemCode};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

use super::error_pages;
use super::frame::Frame;
use super::problem::ProblemResponse;

/// The description of the API, its browser, and a page for each problem code inside `frame`.
pub fn routes<S>(api: &OpenApi, frame: Frame) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .merge(SwaggerUi::new("/docs").url("/openapi.json", in_words_of_json(api)))
        .route("/problems/{code}", get(move |path| problem(path, frame)))
}

/// The description as callers read it: most of its texts are doc comments, which are written for
/// readers of Rust and say `None` where the document says null.
fn in_words_of_json(api: &OpenApi) -> OpenApi {
    let text = serde_json::to_string(api).map(|text| text.replace("`None`", "null"));
    // What was just written can be read; if not, its words are no reason to go without it.
    text.and_then(|text| serde_json::from_str(&text)).unwrap_or_else(|_| api.clone())
}

#[expect(clippy::unused_async, reason = "a handler")]
async fn problem(Path(code): Path<String>, frame: Frame) -> Response {
    let Some(code) = ProblemCode::parse(&code) else {
        let problem = Problem::new(ProblemCode::NotFound, "There is no such problem code.");
        return ProblemResponse::from(problem).into_response();
    };
    Html(error_pages::of_code(frame, code)).into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_words_change() {
        let api = |word: &str| {
            json!({
                "openapi": "3.1.0",
                "info": {"title": "T", "version": "1", "description": format!("{word} at the end.")},
                "paths": {},
            })
        };
        let described: OpenApi = serde_json::from_value(api("`None`")).unwrap();
        let shown = serde_json::to_value(in_words_of_json(&described)).unwrap();
        assert_eq!(shown, api("null"));
    }
}
