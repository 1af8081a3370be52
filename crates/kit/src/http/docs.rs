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
pub fn routes<S>(api: OpenApi, frame: Frame) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .merge(SwaggerUi::new("/docs").url("/openapi.json", api))
        .route("/problems/{code}", get(move |path| problem(path, frame)))
}

#[expect(clippy::unused_async, reason = "a handler")]
async fn problem(Path(code): Path<String>, frame: Frame) -> Response {
    let Some(code) = ProblemCode::parse(&code) else {
        let problem = Problem::new(ProblemCode::NotFound, "There is no such problem code.");
        return ProblemResponse::from(problem).into_response();
    };
    Html(error_pages::of_code(frame, code)).into_response()
}
