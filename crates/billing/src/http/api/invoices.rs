//! Invoices.

use std::fmt::Display;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use contract::problem::ProblemCode;
use kit::http::etag::of_version;
use kit::http::list;
use kit::http::read::{Params, Violations};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{if_match, tagged, version_conflict};
use crate::dispatch::DispatchState;
use crate::error::{Error, Result};
use crate::http::openapi::{ChangeProblems, FindProblems, ReadProblems};
use crate::http::{AppState, invoice_id, no_invoice};
use crate::invoice::{Invoice, InvoiceState};
use crate::store::{Approval, InvoiceDetail, InvoiceFilter};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).routes(routes!(approve))
}

/// Some invoices, and where the others begin.
#[derive(Serialize, ToSchema)]
struct InvoiceList {
    /// Newest first.
    invoices: Vec<Invoice>,
    /// Send it as `after` for those that follow; null at the end.
    next: Option<String>,
}

/// Invoices, newest first
#[utoipa::path(
    get,
    path = "/invoices",
    tag = "invoices",
    params(
        ("state" = Option<InvoiceState>, Query, description = "Only those in this state"),
        ("orderNumber" = Option<i64>, Query, description = "Only those of this order"),
        ("dispatch" = Option<DispatchState>, Query,
            description = "Only those whose dispatch stands so"),
        ("after" = Option<String>, Query, description = "The `next` of the answer before"),
        ("limit" = Option<i64>, Query, minimum = 1, maximum = 1000,
            description = "At most so many, 100 when absent"),
    ),
    responses((status = 200, body = InvoiceList), ReadProblems)
)]
async fn list(State(state): State<AppState>, params: Params) -> Result<Json<InvoiceList>> {
    let mut violations = Violations::new();
    params
        .allow_only_once(&["state", "orderNumber", "dispatch", "after", "limit"], &mut violations);
    let filter = InvoiceFilter {
        state: one_of("state", InvoiceState::ALL, &params, &mut violations),
        order_number: params.parsed("orderNumber", "must be a whole number", &mut violations),
        dispatch: one_of("dispatch", DispatchState::ALL, &params, &mut violations),
        after: params
            .parsed::<Uuid>("after", "must be the `next` of an answer", &mut violations)
            .map(|id| id.to_string()),
    };
    let limit = list::limit(&params, &mut violations);
    violations.into_invalid_request()?;
    let mut invoices = state.store.invoices(&filter, limit + 1).await?;
    let next = list::next(&mut invoices, limit, |invoice| invoice.id.clone());
    Ok(Json(InvoiceList { invoices, next }))
}

/// One invoice
#[utoipa::path(
    get,
    path = "/invoices/{id}",
    tag = "invoices",
    params(
        ("id" = String, Path, description = "The invoice's id"),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag` that is known already"),
    ),
    responses(
        (status = 200, body = InvoiceDetail, headers(
            ("ETag" = String, description = "The invoice's version"),
        )),
        (status = 304, description = "The invoice is the one in `If-None-Match`"),
        FindProblems,
    )
)]
async fn get(
    State(state): State<AppState>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response> {
    params.expect_none()?;
    let detail = state.store.invoice_detail(&invoice_id(&id)?).await?.ok_or_else(no_invoice)?;
    Ok(tagged(&headers, of_version(detail.invoice.version), &detail))
}

/// Approve an invoice
///
/// Makes it binding and gives it the next number of the year. An approved invoice stays as it is.
///
/// An invoice that was withdrawn, credited or has expired cannot be approved any more, whatever
/// version is meant: 409, and `detail` says what happened instead, and when. Nor can one whose order
/// is `missingAtSource`, unless somebody decided to keep the order, or one whose order is in quarantine:
/// what it is by now is not known here. One that was computed anew because its order was changed has another
/// version: 412 with the current one.
///
/// Where dispatch is on, the invoice is then handed over to the customer's system: `dispatch` is
/// `pending` until that has accepted it, or has failed to.
#[utoipa::path(
    post,
    path = "/invoices/{id}/approve",
    tag = "invoices",
    params(
        ("id" = String, Path, description = "The invoice's id"),
        ("If-Match" = Option<String>, Header,
            description = "The version that is approved, as in `ETag`; any when absent or `*`"),
    ),
    responses(
        (status = 200, body = Invoice, headers(
            ("ETag" = String, description = "The invoice's version"),
        )),
        ChangeProblems,
    )
)]
async fn approve(
    State(state): State<AppState>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response> {
    params.expect_none()?;
    let expected = if_match(&headers)?;
    let id = invoice_id(&id)?;
    match state.approve(&id, expected.as_ref()).await? {
        Approval::Approved(invoice) => {
            Ok(tagged(&HeaderMap::new(), of_version(invoice.version), &*invoice))
        }
        Approval::NotFound => Err(no_invoice()),
        Approval::VersionConflict(current) => Err(version_conflict(current.version)),
        Approval::MissingAtSource(_) => {
            let detail = "Ordering no longer knows the invoice's order: it cannot be approved until \
                          somebody decides.";
            Err(Error::new(ProblemCode::Conflict, detail))
        }
        Approval::Quarantined(_) => {
            let detail = "A newer version of the invoice's order could not be taken in and is in \
                          quarantine: the invoice cannot be approved until one arrives that can.";
            Err(Error::new(ProblemCode::Conflict, detail))
        }
        Approval::Closed { invoice, replacement } => {
            let ending = invoice.ending(replacement.as_deref());
            Err(Error::new(ProblemCode::Conflict, ending.unwrap_or_default()))
        }
    }
}

/// Which of `all` the parameter names; `None` when it is absent, or names none of them.
fn one_of<T: Copy + Display, const N: usize>(
    name: &str,
    all: [T; N],
    params: &Params,
    violations: &mut Violations,
) -> Option<T> {
    let word = params.text(name)?;
    let named = all.into_iter().find(|value| value.to_string() == word);
    if named.is_none() {
        let all = all.map(|value| value.to_string()).join(", ");
        violations.add(format!("/{name}"), "invalid", format!("must be one of {all}"));
    }
    named
}
