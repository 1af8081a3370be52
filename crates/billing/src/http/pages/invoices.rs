//! The list of invoices, by state.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use contract::problem::ProblemCode;
use kit::http::frame::Frame;
use kit::http::list;
use kit::http::read::Params;
use kit::show;

use super::{AppState, frame, order_number};
use crate::dispatch::{Backlog, DispatchState};
use crate::error::{Error, Result};
use crate::http::invoice_id;
use crate::invoice::{Invoice, InvoiceState};
use crate::store::InvoiceFilter;

/// How many invoices a page shows.
const PAGE: i64 = 50;

#[derive(Template, WebTemplate)]
#[template(path = "invoices.html")]
struct InvoicesPage {
    frame: Frame,
    counts: Vec<(InvoiceState, i64)>,
    backlog: Backlog,
    filter: InvoiceFilter,
    /// The order number as it was typed.
    typed: String,
    /// What is wrong with it; nothing is searched then.
    typed_error: Option<String>,
    invoices: Vec<Invoice>,
    /// Where the next page begins; `None` on the last one.
    next: Option<String>,
}

pub(super) async fn invoices(State(state): State<AppState>, params: Params) -> Result<Response> {
    let no_such_state = || Error::new(ProblemCode::InvalidRequest, "There is no such state.");
    let wanted = params.text("state");
    let wanted = wanted.map(|word| InvoiceState::parse(word).ok_or_else(no_such_state));
    let dispatch = params.text("dispatch");
    let dispatch = dispatch.map(|word| DispatchState::parse(word).ok_or_else(no_such_state));
    let typed = params.text("orderNumber").unwrap_or_default().trim().to_owned();
    let searched = (!typed.is_empty()).then(|| order_number(&typed));
    let (order_number, typed_error) = match searched {
        None => (None, None),
        Some(Ok(number)) => (Some(number), None),
        Some(Err(error)) => (None, Some(error.into_problem().detail)),
    };
    let filter = InvoiceFilter {
        state: wanted.transpose()?,
        order_number,
        dispatch: dispatch.transpose()?,
        after: params.text("after").map(invoice_id).transpose()?,
    };
    let (status, mut invoices) = if typed_error.is_some() {
        (StatusCode::BAD_REQUEST, Vec::new())
    } else {
        (StatusCode::OK, state.store.invoices(&filter, PAGE + 1).await?)
    };
    // One more was asked for than is shown: it tells whether there is a next page.
    let next = list::next(&mut invoices, PAGE, |last| last.id.clone());
    let page = InvoicesPage {
        frame: frame("/invoices"),
        counts: state.store.invoice_counts().await?,
        backlog: state.store.dispatch_backlog().await?,
        filter,
        typed,
        typed_error,
        next,
        invoices,
    };
    Ok((status, page).into_response())
}

impl InvoicesPage {
    /// The states of dispatches that are worth a look, with how many there are; and the one shown.
    fn dispatches(&self) -> Vec<(DispatchState, i64)> {
        let mut states = self.backlog.by_state().to_vec();
        states.retain(|(state, count)| *count > 0 || self.filter.dispatch == Some(*state));
        states
    }

    /// The list in another state, still of the same order.
    fn in_state(&self, state: Option<&InvoiceState>) -> String {
        self.address(state, None, None)
    }

    /// The list of those whose dispatch stands so, still of the same order.
    fn with_dispatch(&self, dispatch: DispatchState) -> String {
        self.address(None, Some(&dispatch), None)
    }

    /// The list behind `after`, otherwise the same.
    fn behind(&self, after: Option<&str>) -> String {
        self.address(self.filter.state.as_ref(), self.filter.dispatch.as_ref(), after)
    }

    fn address(
        &self,
        state: Option<&InvoiceState>,
        dispatch: Option<&DispatchState>,
        after: Option<&str>,
    ) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(state) = state {
            query.append_pair("state", state.as_str());
        }
        if let Some(dispatch) = dispatch {
            query.append_pair("dispatch", dispatch.as_str());
        }
        if let Some(number) = self.filter.order_number {
            query.append_pair("orderNumber", &number.to_string());
        }
        if let Some(after) = after {
            query.append_pair("after", after);
        }
        match query.finish() {
            query if query.is_empty() => "/invoices".to_owned(),
            query => format!("/invoices?{query}"),
        }
    }
}
