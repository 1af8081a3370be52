//! The API, the deep link, the pages.

pub mod api;
pub mod link;
pub mod pages;

mod openapi;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use contract::problem::ProblemCode;
use kit::clock::SharedClock;
use kit::http::etag::IfMatch;
use kit::http::site::Site;
use kit::http::{assets, auth, docs, health};
use kit::random::Random;
use kit::settings::Secret;
use url::Url;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::dispatch::{DispatchState, Dispatcher};
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::pull::Puller;
use crate::store::{AfterApproval, Approval, Decided, Decision, Redispatch, Store};
use crate::verify::Job;

/// What handlers work with. It is handed around with every request, at several places in each: one
/// pointer, so that many requests at once do not count the references of all that is in it.
pub type AppState = Arc<App>;

/// See [`AppState`].
#[derive(Clone)]
pub struct App {
    /// Everything that is kept.
    pub store: Arc<dyn Store>,
    /// Pulls on demand.
    pub puller: Arc<Puller>,
    /// Compares both sides, in the background.
    pub verification: Arc<Job>,
    /// Lets invoices expire, in the background.
    pub expiry: Arc<Expiry>,
    /// Hands approved invoices over; `None` when dispatch is off.
    pub dispatcher: Option<Arc<Dispatcher>>,
    /// The time.
    pub clock: SharedClock,
    /// Ids.
    pub random: Random,
    /// How long the deep link may take, all in all.
    pub link_timeout: Duration,
    /// Where the browser finds ordering, for links back.
    pub ordering_url: Url,
}

impl App {
    /// Approves an invoice; when dispatch is on, it begins at once.
    async fn approve(&self, id: &str, expected: Option<&IfMatch>) -> Result<Approval> {
        let then = match self.dispatcher {
            Some(_) => AfterApproval::Dispatch,
            None => AfterApproval::Nothing,
        };
        let approval = self.store.approve(id, expected, then, self.clock.now()).await?;
        if let (Some(dispatcher), Approval::Approved(invoice)) = (&self.dispatcher, &approval)
            && invoice.dispatch == Some(DispatchState::Pending)
        {
            dispatcher.wake();
        }
        Ok(approval)
    }

    /// Settles what becomes of an order that ordering has lost.
    async fn decide(&self, number: i64, decision: Decision) -> Result<Decided> {
        let decided = self.store.decide(number, decision, self.clock.now()).await?;
        if let Decided::Done(_) = decided {
            let decision = decision.as_str();
            tracing::info!(order.number = number, decision, "decided about a lost order");
        }
        Ok(decided)
    }

    /// Lets a dispatch that has failed begin anew, at once.
    async fn redispatch(&self, id: &str, expected: Option<&IfMatch>) -> Result<Redispatch> {
        let Some(dispatcher) = &self.dispatcher else {
            let detail = "Dispatch is switched off here, so nothing can be tried again.";
            return Err(Error::new(ProblemCode::Conflict, detail));
        };
        let redispatch = self.store.redispatch(id, expected, self.clock.now()).await?;
        if let Redispatch::Pending(_) = redispatch {
            dispatcher.wake();
        }
        Ok(redispatch)
    }
}

/// All addresses of the service. Callers of the API must present `api_token`, when there is one.
pub fn router(state: AppState, api_token: Option<Secret>) -> Router {
    let (api, description) = OpenApiRouter::with_openapi(openapi::base())
        .nest("/api/v1", api::routes())
        .split_for_parts();
    let (link, link_description) = link::routes().split_for_parts();
    let description = description.merge_from(link_description);
    let site = Site {
        clock: Arc::clone(&state.clock),
        random: state.random.clone(),
        frame: pages::frame(""),
        form_targets: String::new(),
    };
    let checked = Arc::clone(&state);
    let routes = auth::require_token(api, api_token)
        .merge(link)
        .merge(pages::routes())
        .merge(assets::routes())
        .merge(docs::routes(&description, site.frame))
        .merge(health::routes(move || not_ready(Arc::clone(&checked))))
        .with_state(state);
    site.wrap(routes)
}

/// What keeps the service from being ready. That ordering is away does not, for a while: what was
/// pulled so far is served on.
async fn not_ready(state: AppState) -> health::Reasons {
    let mut reasons = health::Reasons::new();
    if state.store.ping().await.is_err() {
        reasons.push("the database cannot be reached".to_owned());
    }
    reasons.extend(state.puller.blocked());
    reasons.extend(state.expiry.blocked());
    reasons.extend(state.dispatcher.as_ref().and_then(|dispatcher| dispatcher.blocked()));
    reasons
}

/// The id of an invoice, as an address names it, in the store's spelling. What is no UUID names no
/// invoice, and never reaches the database.
fn invoice_id(text: &str) -> Result<String> {
    text.parse::<Uuid>().map(|id| id.to_string()).map_err(|_| no_invoice())
}

fn no_invoice() -> Error {
    Error::not_found("invoice with this id")
}

/// Why a dispatch that stands so is not tried again; `None` when there is no dispatch.
fn nothing_to_retry(state: Option<DispatchState>) -> String {
    match state {
        Some(state) => {
            format!("The invoice's dispatch is {state}, so there is nothing to try again.")
        }
        None => "The invoice is not one that is dispatched.".to_owned(),
    }
}
