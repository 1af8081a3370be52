//! The sync page: how the pull stands, and the two buttons of an operator.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::State;
use axum::response::Redirect;
use contract::feed::FeedIdentity;
use contract::time::Timestamp;
use kit::http::frame::Frame;
use kit::http::read::Params;
use kit::show;

use super::chart::Chart;
use super::standing::Standing;
use super::{AppState, frame};
use crate::error::{Error, Result};
use crate::pull::{Counts, PullError};
use crate::store::{AtSource, PullState};

#[derive(Template, WebTemplate)]
#[template(path = "sync.html")]
pub(super) struct SyncPage {
    frame: Frame,
    notice: Option<Notice>,
    pull: PullState,
    /// What ordering has lost, and how far a re-read has come.
    at_source: AtSource,
    standing: Standing,
    /// How many orders are in quarantine.
    quarantined: i64,
    /// The feed that answered instead of the adopted one: only an operator can decide.
    unknown_feed: Option<FeedIdentity>,
    chart: Chart,
    now: Timestamp,
}

/// What just happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Notice {
    /// A pull went through and did this.
    Pulled(Counts),
    /// A pull failed; the state of the pull says why.
    Failed,
    /// The token was reset.
    Reset,
}

impl Notice {
    fn read(params: &Params) -> Option<Self> {
        let count = |name| params.text(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        match params.text("notice")? {
            "pulled" => Some(Self::Pulled(Counts {
                new: count("new"),
                changed: count("changed"),
                removed: count("removed"),
                quarantined: count("quarantined"),
                ..Counts::default()
            })),
            "failed" => Some(Self::Failed),
            "reset" => Some(Self::Reset),
            _ => None,
        }
    }
}

/// `GET /sync`
pub(super) async fn sync(State(state): State<AppState>, params: Params) -> Result<SyncPage> {
    let now = state.clock.now();
    let pull = state.store.pull_state().await?;
    let pulls = state.store.pulls_since(Chart::begins(now)).await?;
    let at_source = state.store.at_source().await?;
    let unknown_feed = state.puller.unknown_feed();
    Ok(SyncPage {
        frame: frame("/sync"),
        notice: Notice::read(&params),
        standing: Standing::of(&pull, &at_source, unknown_feed.is_some()),
        quarantined: state.store.quarantine_count().await?,
        pull,
        at_source,
        unknown_feed,
        chart: Chart::of(&pulls, now),
        now,
    })
}

/// `POST /sync/pull`
pub(super) async fn pull(State(state): State<AppState>) -> Result<Redirect> {
    match state.puller.pull_once().await {
        Ok(Counts { new, changed, removed, quarantined, .. }) => Ok(Redirect::to(&format!(
            "/sync?notice=pulled&new={new}&changed={changed}&removed={removed}\
             &quarantined={quarantined}"
        ))),
        Err(PullError::Database(error)) => Err(Error::Database(error)),
        // The page shows why: the pull has noted it.
        Err(error) => {
            error.warn("a pull by hand failed");
            Ok(Redirect::to("/sync?notice=failed"))
        }
    }
}

/// `POST /sync/reset`: reads again from the beginning, from the same feed.
pub(super) async fn reset(State(state): State<AppState>) -> Result<Redirect> {
    state.store.reset_token(None, false).await?;
    tracing::warn!("the continuation token was reset: the feed is read from its beginning");
    Ok(Redirect::to("/sync?notice=reset"))
}
