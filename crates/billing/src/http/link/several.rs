//! Several orders: pulled side by side, shown together.

use askama::Template;
use askama_web::WebTemplate;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use contract::order::Order;
use contract::problem::{Problem, ProblemCode};
use futures_util::{StreamExt as _, stream};
use kit::http::frame::Frame;
use kit::show;

use super::arrive::{Deadline, arrive};
use super::{RETRY_SECONDS, passes, refusal, try_again, wants_page};
use crate::dispatch::DispatchState;
use crate::error::{Error, Result};
use crate::http::AppState;
use crate::http::pages::{Doubt, foremost, frame, order_address, reason, siblings};
use crate::invoice::Invoice;
use crate::store::StoredOrder;

/// How many orders are pulled at the same time: ordering serves others as well.
const AT_A_TIME: usize = 8;

/// The page with a row for each order.
#[derive(Template, WebTemplate)]
#[template(path = "link_several.html")]
struct SeveralPage {
    frame: Frame,
    rows: Vec<Row>,
    /// This very link.
    address: String,
    /// When the page tries again by itself, in seconds; `None` when it does not.
    retry_seconds: Option<u64>,
}

/// What came of one order.
struct Row {
    number: i64,
    /// The order in ordering.
    order_address: String,
    /// What there is to show, or why there is nothing.
    shown: std::result::Result<Shown, Problem>,
}

/// An order that is here.
struct Shown {
    order: Order,
    /// Its live invoice, else its newest.
    invoice: Option<Invoice>,
    /// What is wrong with it: one sentence each.
    notes: Vec<String>,
}

/// An order that is here, and its live invoice, else its newest.
type Held = (StoredOrder, Option<Invoice>);

/// Pulls the orders, and shows what came of each.
pub(super) async fn several(
    state: &AppState,
    numbers: Vec<i64>,
    deadline: Deadline,
    headers: &HeaderMap,
) -> Response {
    let query: Vec<_> = numbers.iter().map(|number| format!("order={number}")).collect();
    // What is here is read first: those whose turn comes when the time is used up have it to show.
    let here = stream::iter(numbers.clone()).map(|number| held(state, number, deadline));
    let here: Vec<_> = here.buffered(AT_A_TIME).collect().await;
    let rows =
        stream::iter(numbers.into_iter().zip(here).enumerate())
            .map(|(place, (number, here))| async move {
                (place, row(state, number, here, deadline).await)
            })
            // Not `buffered`: behind one that hangs, those that are done would keep others waiting.
            .buffer_unordered(AT_A_TIME);
    let mut rows: Vec<_> = rows.collect().await;
    rows.sort_unstable_by_key(|(place, _)| *place);
    let mut page = SeveralPage {
        frame: frame(""),
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        address: format!("/link/new_order?{}", query.join("&")),
        retry_seconds: None,
    };
    if page.waits() {
        page.retry_seconds = Some(RETRY_SECONDS);
    }
    match page.problem() {
        None => ([(CACHE_CONTROL, "no-store")], page).into_response(),
        Some(problem) if !wants_page(headers) => refusal(problem),
        Some(problem) if passes(&problem) => try_again(page),
        Some(problem) => {
            let status = StatusCode::from_u16(problem.status);
            (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), page).into_response()
        }
    }
}

/// What is here of an order; `None` when nothing is.
async fn held(state: &AppState, number: i64, deadline: Deadline) -> Result<Option<Held>> {
    let Some(order) = deadline.ask(state.store.order(number)).await? else { return Ok(None) };
    let siblings = deadline.ask(siblings(state, number)).await?;
    Ok(Some((order, foremost(&siblings).cloned())))
}

async fn row(state: &AppState, number: i64, here: Result<Option<Held>>, deadline: Deadline) -> Row {
    let shown = match here {
        Ok(here) => shown(state, number, here, deadline).await,
        Err(error) => Err(error),
    };
    let order_address = order_address(state, number);
    Row { number, order_address, shown: shown.map_err(Error::into_problem) }
}

async fn shown(
    state: &AppState,
    number: i64,
    here: Option<Held>,
    deadline: Deadline,
) -> Result<Shown> {
    let doubt = arrive(state, number, here.is_some(), deadline).await?;
    let here = match doubt {
        None => held(state, number, deadline).await?,
        Some(_) => here,
    };
    // What was pulled is here, and what is in doubt was here before.
    let (stored, invoice) = here.ok_or_else(|| Error::not_found("such order"))?;
    let notes = notes(&stored, doubt);
    Ok(Shown { order: stored.order, invoice, notes })
}

fn notes(stored: &StoredOrder, doubt: Option<Doubt>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(doubt) = doubt {
        let received_at = show::date_time(stored.received_at);
        notes.push(format!(
            "Possibly out of date: {}; this is the state received on {received_at}.",
            doubt.reason()
        ));
    }
    if stored.deleted {
        let at = stored.order.deleted_at.map(|at| format!(" on {}", show::date_time(at)));
        notes.push(format!("The order was removed{}.", at.unwrap_or_default()));
    } else if stored.missing_at_source {
        notes.push("Ordering no longer knows this order.".to_owned());
    }
    notes
}

impl Row {
    /// Whether ordering, too, knows no such order.
    fn is_unknown(&self) -> bool {
        self.shown.as_ref().is_err_and(|problem| problem.code == ProblemCode::NotFound)
    }

    /// Why there is nothing to show; `None` when there is something.
    fn trouble(&self) -> Option<String> {
        let problem = self.shown.as_ref().err()?;
        Some(if self.is_unknown() {
            format!("{}. {}", problem.title, problem.detail)
        } else {
            reason(problem.code).to_owned()
        })
    }
}

impl Shown {
    /// Who pays.
    fn customer(&self) -> &str {
        let invoice = self.invoice.as_ref().map(|invoice| &invoice.customer);
        &invoice.unwrap_or(&self.order.customer).name
    }

    /// What is charged; what was ordered when there is no invoice.
    fn total(&self) -> String {
        match &self.invoice {
            Some(invoice) => show::money(invoice.total_minor, &invoice.currency),
            None => show::money(self.order.total_minor, &self.order.currency),
        }
    }
}

impl SeveralPage {
    /// What the whole link failed with, when there is nothing to show of any order. What may pass
    /// comes first: then asking again may help.
    fn problem(&self) -> Option<Problem> {
        let problems: Vec<_> =
            self.rows.iter().map(|row| row.shown.as_ref().err()).collect::<Option<_>>()?;
        let first = |fits: fn(&Problem) -> bool| problems.iter().find(|problem| fits(problem));
        let problem = first(passes).or(first(|problem| problem.code != ProblemCode::NotFound));
        Some(match problem {
            Some(problem) => Problem::clone(problem),
            None => Problem::new(ProblemCode::NotFound, "Ordering knows none of these orders."),
        })
    }

    /// Whether asking again may help an order that there is nothing to show of. That what is shown
    /// may be out of date is no reason: somebody may be reading it.
    fn waits(&self) -> bool {
        self.rows.iter().any(|row| row.shown.as_ref().is_err_and(passes))
    }

    /// How many orders there is nothing to show of.
    fn failed(&self) -> usize {
        self.rows.iter().filter(|row| row.shown.is_err()).count()
    }
}
