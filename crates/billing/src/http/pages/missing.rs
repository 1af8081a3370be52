//! The orders that ordering has lost, and what a person decides about one.

use std::collections::HashMap;

use askama::Template;
use askama_web::WebTemplate;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use contract::problem::ProblemCode;
use kit::http::frame::Frame;
use kit::http::list;
use kit::http::read::{Params, Violations};
use kit::show;

use super::{AppState, frame, invoice, order_number};
use crate::error::{Error, Result};
use crate::invoice::{Invoice, InvoiceState};
use crate::store::{Decided, Decision, StoredOrder};

/// How many orders a page shows.
const PAGE: i64 = 50;

#[derive(Template, WebTemplate)]
#[template(path = "missing.html")]
pub(super) struct MissingPage {
    frame: Frame,
    rows: Vec<Row>,
    /// Whether it is the first page.
    is_first: bool,
    /// Where the next page begins; `None` on the last one.
    next: Option<String>,
}

/// An order that is missing, with its invoices, newest first.
struct Row {
    stored: StoredOrder,
    invoices: Vec<Invoice>,
}

impl Row {
    /// Whether it waits for a decision: only what awaits approval needs one.
    fn waits(&self) -> bool {
        let is_open = |invoice: &Invoice| invoice.state == InvoiceState::AwaitingApproval;
        self.stored.is_undecided() && self.invoices.iter().any(is_open)
    }

    /// Whether somebody decided to withdraw its invoice.
    fn was_withdrawn(&self) -> bool {
        self.invoices.iter().any(|invoice| invoice.order_was_lost)
    }
}

/// `GET /orders/missing`
pub(super) async fn missing(State(state): State<AppState>, params: Params) -> Result<MissingPage> {
    let mut violations = Violations::new();
    let after = params.parsed("after", "must be the number of an order", &mut violations);
    violations.into_invalid_request()?;
    let mut orders = state.store.orders_by_source(true, after, PAGE + 1).await?;
    let next = list::next(&mut orders, PAGE, |last| last.order.number.to_string());
    let numbers: Vec<_> = orders.iter().map(|stored| stored.order.number).collect();
    let mut invoices: HashMap<i64, Vec<Invoice>> = HashMap::new();
    for invoice in state.store.invoices_of(&numbers).await? {
        invoices.entry(invoice.order_number).or_default().push(invoice);
    }
    let rows = orders.into_iter().map(|stored| Row {
        invoices: invoices.remove(&stored.order.number).unwrap_or_default(),
        stored,
    });
    let rows = rows.collect();
    Ok(MissingPage { frame: frame("/sync"), rows, is_first: after.is_none(), next })
}

/// `POST /orders/{number}/missing`
///
/// Leads to the order's invoice. When there is nothing to decide any more, because the order came
/// back or somebody was faster, the answer is the invoice's page, which says so.
pub(super) async fn decide(
    State(state): State<AppState>,
    Path(number): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response> {
    let number = order_number(&number)?;
    let decision = fields.iter().find(|(name, _)| name == "decision");
    let decision = decision.and_then(|(_, word)| Decision::parse(word)).ok_or_else(|| {
        Error::new(ProblemCode::InvalidRequest, "The form does not say what is decided.")
    })?;
    let reason = match state.decide(number, decision).await? {
        Decided::Done(_) => {
            let address = format!("/orders/{number}/invoice?notice={}", decision.as_str());
            return Ok(Redirect::to(&address).into_response());
        }
        Decided::NotFound => return Err(Error::not_found("order with this number here")),
        Decided::NotMissing => "ordering knows the order",
        Decided::NothingOpen => "no invoice of the order awaits approval",
    };
    invoice::not_decided(&state, number, reason).await
}
