//! `/openapi.json`, `/docs` and `/problems/{code}`.

use axum::Router;
use axum::extract::Path;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use contract::problem::{Problem, ProblemCode};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

use super::problem::ProblemResponse;

/// The description of the API, its browser, and a page for each problem code, which
/// `explain` renders.
pub fn routes<S>(api: OpenApi, explain: fn(ProblemCode) -> String) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .merge(SwaggerUi::new("/docs").url("/openapi.json", api))
        .route("/problems/{code}", get(move |path| problem(path, explain)))
}

#[expect(clippy::unused_async, reason = "a handler")]
async fn problem(Path(code): Path<String>, explain: fn(ProblemCode) -> String) -> Response {
    let Some(code) = ProblemCode::parse(&code) else {
        let problem = Problem::new(ProblemCode::NotFound, "There is no such problem code.");
        return ProblemResponse::from(problem).into_response();
    };
    Html(explain(code)).into_response()
}
