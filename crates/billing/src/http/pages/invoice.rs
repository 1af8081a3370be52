//! The page of one invoice, and its approval.

use std::fmt;

use askama::Template;
use askama_web::WebTemplate;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use contract::money;
use contract::problem::{Problem, ProblemCode};
use contract::time::Timestamp;
use kit::db;
use kit::http::etag::IfMatch;
use kit::http::frame::Frame;
use kit::http::read::Params;
use kit::show;

use super::dispatch::Dispatch;
use super::seen::{ChangedPage, Fact, Seen, facts};
use super::{AppState, frame, order_number};
use crate::dispatch::DispatchState;
use crate::error::{Error, Result};
use crate::http::{invoice_id, no_invoice};
use crate::invoice::{Invoice, InvoiceState};
use crate::store::{Approval, Decision, InvoiceDetail, InvoiceFilter, Quarantined, StoredOrder};

/// How many invoices of one order are listed, newest first.
const SIBLINGS: i64 = 20;

#[derive(Template, WebTemplate)]
#[template(path = "invoice.html")]
struct InvoicePage {
    frame: Frame,
    notice: Option<Notice>,
    /// Why what is shown may not be what ordering holds.
    doubt: Option<Doubt>,
    invoice: Invoice,
    /// The local copy of its order.
    order: Option<StoredOrder>,
    /// The newer version of its order that could not be taken in; `None` when there is none.
    quarantined: Option<Quarantined>,
    /// The order's invoices, this one too, oldest first.
    siblings: Vec<Invoice>,
    /// The order in ordering.
    order_address: String,
    /// When it expires unless somebody approves it; `None` when it does not.
    expires_at: Option<Timestamp>,
    /// How its dispatch stands; `None` when it was never to be dispatched.
    dispatch: Option<Dispatch>,
}

/// The page of an order that has no invoice: it was removed before there was one.
#[derive(Template, WebTemplate)]
#[template(path = "no_invoice.html")]
struct NoInvoicePage {
    frame: Frame,
    order: StoredOrder,
    doubt: Option<Doubt>,
    order_address: String,
}

/// What just happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Notice {
    /// The invoice was approved.
    Approved,
    /// It could not be: something else happened to it first.
    TooLate,
    /// Its order, which ordering has lost, was kept, or it was withdrawn.
    Decided(Decision),
    /// Nothing was decided about its order, for this reason.
    NotDecided(&'static str),
    /// It was not handed over again: it has changed since it was looked at.
    ChangedBeforeRetry,
    /// It was not handed over again: its dispatch has not failed, but stands so.
    NothingToRetry(Option<DispatchState>),
}

/// Why the local copy may be out of date. Its text is the value of `?stale=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::http) enum Doubt {
    /// Ordering did not answer.
    NoAnswer,
    /// Ordering answered, but not with an order that can be taken in.
    NotUsable,
    /// Ordering does not know the order: it may be a standby that lags.
    NotKnown,
}

impl Doubt {
    fn read(params: &Params) -> Option<Self> {
        match params.text("stale")? {
            "unknown" => Some(Self::NotKnown),
            "unusable" => Some(Self::NotUsable),
            _ => Some(Self::NoAnswer),
        }
    }

    pub(in crate::http) fn reason(self) -> &'static str {
        match self {
            Self::NoAnswer => "Ordering did not answer",
            Self::NotUsable => "Ordering gave no usable answer",
            Self::NotKnown => "Ordering does not know this order right now",
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAnswer => "1",
            Self::NotUsable => "unusable",
            Self::NotKnown => "unknown",
        })
    }
}

/// `GET /invoices/{id}`
pub(super) async fn by_id(
    State(state): State<AppState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response> {
    let invoice = state.store.invoice(&invoice_id(&id)?).await?;
    let invoice = invoice.ok_or_else(no_invoice)?;
    let notice = (params.text("notice") == Some("approved")
        && invoice.state == InvoiceState::Approved)
        .then_some(Notice::Approved);
    Ok(page_with(&state, invoice, notice).await?.into_response())
}

/// `GET /orders/{number}/invoice`: the order's live invoice, else its newest.
pub(super) async fn of_order(
    State(state): State<AppState>,
    Path(number): Path<String>,
    params: Params,
) -> Result<Response> {
    let number = order_number(&number)?;
    let doubt = Doubt::read(&params);
    let siblings = siblings(&state, number).await?;
    if let Some(invoice) = foremost(&siblings).cloned() {
        let page = page(&state, invoice, siblings).await?;
        let notice = params.text("notice").and_then(Decision::parse);
        let notice = notice.filter(|decision| page.shows(*decision)).map(Notice::Decided);
        return Ok(InvoicePage { notice, doubt, ..page }.into_response());
    }
    match state.store.order(number).await? {
        Some(order) => {
            let order_address = order_address(&state, number);
            let page = NoInvoicePage { frame: frame("/invoices"), order, doubt, order_address };
            Ok(page.into_response())
        }
        None => Err(Problem {
            title: format!("Billing does not know order {number}"),
            ..Problem::new(
                ProblemCode::NotFound,
                "Orders arrive here a moment after they were confirmed.",
            )
        }
        .into()),
    }
}

/// `POST /invoices/{id}/approve`
pub(super) async fn approve(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response> {
    let id = invoice_id(&id)?;
    let seen = Seen::read(fields)?;
    let version = IfMatch::Versions(vec![seen.version]);
    let invoice = match state.approve(&id, Some(&version)).await? {
        Approval::Approved(_) => {
            return Ok(Redirect::to(&format!("/invoices/{id}?notice=approved")).into_response());
        }
        Approval::NotFound => return Err(no_invoice()),
        Approval::VersionConflict(now) => {
            let page = ChangedPage::new(seen, *now);
            return Ok((StatusCode::PRECONDITION_FAILED, page).into_response());
        }
        Approval::MissingAtSource(invoice)
        | Approval::Quarantined(invoice)
        | Approval::Closed { invoice, .. } => *invoice,
    };
    let page = page_with(&state, invoice, Some(Notice::TooLate)).await?;
    Ok((StatusCode::CONFLICT, page).into_response())
}

/// The answer to a decision about order `number` that came to nothing: its invoice as it is now.
pub(super) async fn not_decided(
    state: &AppState,
    number: i64,
    reason: &'static str,
) -> Result<Response> {
    let siblings = siblings(state, number).await?;
    let Some(invoice) = foremost(&siblings).cloned() else {
        return Err(Error::new(ProblemCode::Conflict, reason));
    };
    let notice = Some(Notice::NotDecided(reason));
    let page = InvoicePage { notice, ..page(state, invoice, siblings).await? };
    Ok((StatusCode::CONFLICT, page).into_response())
}

/// The answer to the wish to hand an invoice over again that was meant for another version: its page
/// as it is now.
pub(super) async fn changed_before_retry(state: &AppState, id: &str) -> Result<Response> {
    not_retried(state, id, StatusCode::PRECONDITION_FAILED, Notice::ChangedBeforeRetry).await
}

/// The answer to the wish to hand an invoice over again whose `dispatch` has not failed: its page as
/// it is now.
pub(super) async fn nothing_to_retry(
    state: &AppState,
    id: &str,
    dispatch: Option<DispatchState>,
) -> Result<Response> {
    not_retried(state, id, StatusCode::CONFLICT, Notice::NothingToRetry(dispatch)).await
}

async fn not_retried(
    state: &AppState,
    id: &str,
    status: StatusCode,
    notice: Notice,
) -> Result<Response> {
    let invoice = state.store.invoice(id).await?.ok_or_else(no_invoice)?;
    let page = page_with(state, invoice, Some(notice)).await?;
    Ok((status, page).into_response())
}

/// The newest invoices of an order, newest first.
pub(in crate::http) async fn siblings(state: &AppState, number: i64) -> db::Result<Vec<Invoice>> {
    let filter = InvoiceFilter { order_number: Some(number), ..InvoiceFilter::default() };
    state.store.invoices(&filter, SIBLINGS).await
}

/// Of an order's invoices, newest first, the one that stands for it: the live one, else the newest.
/// `None` when there is none.
pub(in crate::http) fn foremost(siblings: &[Invoice]) -> Option<&Invoice> {
    siblings.iter().find(|invoice| invoice.state.is_live()).or(siblings.first())
}

async fn page_with(
    state: &AppState,
    invoice: Invoice,
    notice: Option<Notice>,
) -> Result<InvoicePage> {
    let siblings = siblings(state, invoice.order_number).await?;
    Ok(InvoicePage { notice, ..page(state, invoice, siblings).await? })
}

async fn page(
    state: &AppState,
    invoice: Invoice,
    mut siblings: Vec<Invoice>,
) -> Result<InvoicePage> {
    siblings.reverse();
    // As it is by now: while it is on its way, it changes all the time.
    let shown = state.store.invoice_detail(&invoice.id).await?;
    let shown =
        shown.unwrap_or(InvoiceDetail { invoice, dispatch_detail: None, computed_at: None });
    let dispatch = Dispatch::of(&shown, state);
    let expires_at = shown
        .computed_at
        .filter(|_| shown.invoice.state == InvoiceState::AwaitingApproval)
        .map(|computed_at| state.expiry.expires_at(computed_at));
    let invoice = shown.invoice;
    Ok(InvoicePage {
        frame: frame("/invoices"),
        notice: None,
        doubt: None,
        order: state.store.order(invoice.order_number).await?,
        quarantined: state.store.quarantined_order(invoice.order_number).await?,
        order_address: order_address(state, invoice.order_number),
        siblings,
        invoice,
        expires_at,
        dispatch,
    })
}

/// Where the browser finds the order in ordering.
pub(in crate::http) fn order_address(state: &AppState, number: i64) -> String {
    format!("{}/orders/{number}", state.ordering_url.as_str().trim_end_matches('/'))
}

impl InvoicePage {
    /// Where the page refreshes itself from: the answer to a form is not asked for again.
    fn address(&self) -> String {
        match self.doubt {
            Some(doubt) => format!("/orders/{}/invoice?stale={doubt}", self.invoice.order_number),
            None => format!("/invoices/{}", self.invoice.id),
        }
    }

    /// When the customer's system accepted it; `None` while it has not.
    fn delivered_at(&self) -> Option<Timestamp> {
        self.dispatch.as_ref()?.delivered_at()
    }

    /// The number of the invoice that this one replaces, when that is one of those listed.
    fn replaced_number(&self) -> Option<&str> {
        let id = self.invoice.replaces.as_ref()?;
        self.siblings.iter().find(|sibling| sibling.id == *id)?.number.as_deref()
    }

    /// The invoice that replaces this one; `None` when none does.
    fn replacement(&self) -> Option<&Invoice> {
        self.siblings.iter().find(|sibling| sibling.replaces.as_ref() == Some(&self.invoice.id))
    }

    /// What ended the invoice; `None` while it is live.
    fn ending(&self) -> Option<String> {
        self.invoice.ending(self.replacement())
    }

    /// The customer's own reference, as long as the local copy is what the invoice was made from.
    fn reference(&self) -> Option<&str> {
        let order = &self.order.as_ref()?.order;
        let reference = order.reference.as_deref().filter(|text| !text.is_empty())?;
        (order.version == self.invoice.order_version).then_some(reference)
    }

    /// What there is to look at before approving it.
    fn facts(&self) -> Vec<Fact> {
        facts(&self.invoice)
    }

    /// Whether somebody may approve it now: ordering must still know the order, or somebody must
    /// have decided to keep it, and billing must know what it has become.
    fn can_be_approved(&self) -> bool {
        let undecided = self.order.as_ref().is_some_and(StoredOrder::is_undecided);
        self.invoice.state == InvoiceState::AwaitingApproval
            && !undecided
            && self.quarantined.is_none()
    }

    /// Whether it was decided so.
    fn shows(&self, decision: Decision) -> bool {
        match decision {
            Decision::Keep => self.order.as_ref().is_some_and(|order| order.kept_at.is_some()),
            Decision::Withdraw => self.invoice.order_was_lost,
        }
    }

    /// The customer's address, line by line.
    fn address_lines(&self) -> Vec<String> {
        self.invoice.customer.address.as_ref().map(show::address_lines).unwrap_or_default()
    }
}
