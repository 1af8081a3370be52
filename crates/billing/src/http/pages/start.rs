//! The overview: what waits, and whether the orders are up to date.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::State;
use contract::time::Timestamp;
use kit::http::frame::Frame;
use kit::show;

use super::standing::Standing;
use super::{AppState, frame};
use crate::dispatch::Backlog;
use crate::error::Result;
use crate::invoice::{Invoice, InvoiceState};
use crate::store::{AtSource, InvoiceFilter, PullState};

/// How many invoices that await approval are shown.
const SHOWN: i64 = 5;

#[derive(Template, WebTemplate)]
#[template(path = "start.html")]
pub(super) struct StartPage {
    frame: Frame,
    counts: Vec<(InvoiceState, i64)>,
    /// What there is still to dispatch.
    backlog: Backlog,
    waiting: Vec<Invoice>,
    pull: PullState,
    /// What ordering has lost, and how far a re-read has come.
    at_source: AtSource,
    standing: Standing,
    /// How many orders are in quarantine.
    quarantined: i64,
    now: Timestamp,
}

pub(super) async fn start(State(state): State<AppState>) -> Result<StartPage> {
    let waits =
        InvoiceFilter { state: Some(InvoiceState::AwaitingApproval), ..InvoiceFilter::default() };
    let pull = state.store.pull_state().await?;
    let at_source = state.store.at_source().await?;
    Ok(StartPage {
        frame: frame("/"),
        counts: state.store.invoice_counts().await?,
        backlog: state.store.dispatch_backlog().await?,
        waiting: state.store.invoices(&waits, SHOWN).await?,
        standing: Standing::of(&pull, &at_source, state.puller.unknown_feed().is_some()),
        quarantined: state.store.quarantine_count().await?,
        at_source,
        pull,
        now: state.clock.now(),
    })
}
