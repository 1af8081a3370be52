//! The list of orders in quarantine, and pulling one of them again.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use contract::problem::ProblemCode;
use contract::time::Timestamp;
use kit::http::frame::Frame;
use kit::http::read::Params;
use kit::show;

use super::{AppState, frame, order_number};
use crate::error::{Error, Result};
use crate::pull::Retried;
use crate::store::Quarantined;

/// How many orders a page shows.
const PAGE: i64 = 20;
/// How much of a document is shown, in characters.
const SHOWN: usize = 20_000;

#[derive(Template, WebTemplate)]
#[template(path = "quarantine.html")]
struct QuarantinePage {
    frame: Frame,
    notice: Option<Notice>,
    /// How many there are, on all pages.
    count: i64,
    orders: Vec<Quarantined>,
    /// Behind which order this page begins; `None` on the first one.
    after: Option<i64>,
    /// Where the next page begins; `None` on the last one.
    next: Option<i64>,
    now: Timestamp,
}

/// What became of an order that was pulled again.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Notice {
    TakenIn(i64),
    StillHere(i64),
    Gone(i64),
    NotThere(i64),
    /// It could not be pulled, for this reason.
    Failed(i64, String),
}

impl Notice {
    fn read(params: &Params) -> Option<Self> {
        let number = params.text("order")?.parse().ok()?;
        Some(match params.text("notice")? {
            "taken-in" => Self::TakenIn(number),
            "quarantined" => Self::StillHere(number),
            "gone" => Self::Gone(number),
            "not-there" => Self::NotThere(number),
            _ => return None,
        })
    }
}

/// `GET /quarantine`
pub(super) async fn quarantine(State(state): State<AppState>, params: Params) -> Result<Response> {
    let after = params.text("after").map(str::parse).transpose().map_err(|_| {
        Error::new(ProblemCode::InvalidRequest, "The page does not begin behind an order number.")
    })?;
    Ok(page(&state, after, Notice::read(&params)).await?.into_response())
}

async fn page(
    state: &AppState,
    after: Option<i64>,
    notice: Option<Notice>,
) -> Result<QuarantinePage> {
    let (orders, more) = state.store.quarantine(after, PAGE).await?;
    Ok(QuarantinePage {
        frame: frame("/sync"),
        notice,
        count: state.store.quarantine_count().await?,
        next: orders.last().filter(|_| more).map(|last| last.number),
        orders,
        after,
        now: state.clock.now(),
    })
}

/// `POST /quarantine/{number}/retry`
pub(super) async fn retry(
    State(state): State<AppState>,
    Path(number): Path<String>,
) -> Result<Response> {
    let number = order_number(&number)?;
    let outcome = match state.puller.retry(number).await {
        Ok(Retried::TakenIn) => "taken-in",
        Ok(Retried::Quarantined(_)) => "quarantined",
        Ok(Retried::Gone) => "gone",
        Ok(Retried::NotThere) => "not-there",
        Ok(Retried::NotKnown) => {
            let reason = "Ordering does not know this order right now".to_owned();
            return not_pulled(&state, number, reason, StatusCode::CONFLICT).await;
        }
        Err(error) => {
            let reason = error.to_string();
            let status = StatusCode::from_u16(Error::from(error).into_problem().status);
            let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return not_pulled(&state, number, reason, status).await;
        }
    };
    let address = format!("/quarantine?notice={outcome}&order={number}");
    Ok(Redirect::to(&address).into_response())
}

/// The list, with the reason why the order could not be pulled.
async fn not_pulled(
    state: &AppState,
    number: i64,
    reason: String,
    status: StatusCode,
) -> Result<Response> {
    let notice = Notice::Failed(number, reason);
    Ok((status, page(state, None, Some(notice)).await?).into_response())
}

/// The beginning of a document, and whether that is all of it.
fn beginning(document: &str) -> (&str, bool) {
    match document.char_indices().nth(SHOWN) {
        Some((end, _)) => (&document[..end], false),
        None => (document, true),
    }
}
