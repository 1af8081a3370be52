//! How an invoice's dispatch stands, as its page shows it, and trying it again.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use contract::time::Timestamp;
use kit::http::etag::IfMatch;
use kit::show;

use super::{AppState, invoice, seen};
use crate::dispatch::{DispatchDetail, DispatchState};
use crate::error::Result;
use crate::http::{invoice_id, no_invoice};
use crate::store::{InvoiceDetail, Redispatch};

/// How often the page of an invoice that is on its way asks again, in seconds.
const REFRESH_SECONDS: u64 = 3;

/// How the dispatch of the invoice that a page shows stands: a part of that page.
#[derive(Template)]
#[template(path = "dispatch.html")]
pub(super) struct Dispatch {
    invoice_id: String,
    /// The version of the invoice that the page shows.
    version: i64,
    state: DispatchState,
    detail: DispatchDetail,
    /// Whether dispatch is switched on.
    is_on: bool,
    now: Timestamp,
}

impl Dispatch {
    /// The dispatch of `shown`; `None` when it was never to be dispatched.
    pub(super) fn of(shown: &InvoiceDetail, state: &AppState) -> Option<Self> {
        Some(Self {
            invoice_id: shown.invoice.id.clone(),
            version: shown.invoice.version,
            state: shown.invoice.dispatch?,
            detail: shown.dispatch_detail.clone()?,
            is_on: state.dispatcher.is_some(),
            now: state.clock.now(),
        })
    }

    /// How often the page refreshes itself, in seconds; `None` when nothing will change by itself.
    pub(super) fn refresh_seconds(&self) -> Option<u64> {
        (self.is_on && self.state == DispatchState::Pending).then_some(REFRESH_SECONDS)
    }

    /// When it was delivered; `None` while it is not.
    pub(super) fn delivered_at(&self) -> Option<Timestamp> {
        self.detail.delivered_at
    }

    /// How many attempts have failed so far, in words; `None` when none has.
    fn failures(&self) -> Option<String> {
        match self.detail.failures {
            0 => None,
            1 => Some("1 attempt has failed".to_owned()),
            failures => Some(format!("{failures} attempts have failed")),
        }
    }

    /// When the next attempt begins, in words.
    fn next_attempt(&self) -> String {
        match self.detail.next_attempt_at.filter(|at| *at > self.now) {
            Some(at) => format!("the next begins {}", show::ahead(at, self.now)),
            None => "the next begins now".to_owned(),
        }
    }
}

/// `POST /invoices/{id}/dispatch/retry`
///
/// Leads to the invoice. When there is nothing to try again, because somebody else was faster or the
/// button was pressed twice, the answer is its page, which says so.
pub(super) async fn retry(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response> {
    let id = invoice_id(&id)?;
    let seen = IfMatch::Versions(vec![seen::version(&fields)?]);
    match state.redispatch(&id, Some(&seen)).await? {
        Redispatch::NotFound => Err(no_invoice()),
        Redispatch::VersionConflict(_) => invoice::changed_before_retry(&state, &id).await,
        Redispatch::WrongState(dispatch) => invoice::nothing_to_retry(&state, &id, dispatch).await,
        Redispatch::Pending(_) => Ok(Redirect::to(&format!("/invoices/{id}")).into_response()),
    }
}
