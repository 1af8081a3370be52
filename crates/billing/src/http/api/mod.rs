//! The API for other programs, under `/api/v1`.

use axum::Router;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::AppState;

#[derive(OpenApi)]
#[openapi(info(
    title = "Billing",
    description = "The local copy of ordering's orders, their invoices, and the pull between both."
))]
struct Description;

/// The API's routes, and their description.
pub fn routes() -> (Router<AppState>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Description::openapi()).split_for_parts()
}
