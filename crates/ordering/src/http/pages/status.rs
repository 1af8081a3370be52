//! How the feed is doing, for people.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::State;
use contract::feed::FeedStatus;
use contract::time::Timestamp;
use kit::http::frame::Frame;
use kit::show;

use super::frame;
use crate::error::Result;
use crate::http::AppState;
use crate::store::{BegunEpoch, EpochReason};

/// How many epochs are listed.
const EPOCHS: i64 = 10;

#[derive(Template, WebTemplate)]
#[template(path = "status.html")]
pub(super) struct StatusPage {
    frame: Frame,
    status: FeedStatus,
    /// The last ones, newest first.
    epochs: Vec<BegunEpoch>,
    /// When a consumer last knew a later epoch; `None` when none has.
    last_stale: Option<Timestamp>,
    /// Whether a change has waited too long.
    stuck: bool,
    now: Timestamp,
    /// Whether the sequencer should have looked long ago.
    late: bool,
    /// When the sequencer last looked, and how long ago that was.
    last_tick: Option<(Timestamp, String)>,
}

/// The state of the feed.
pub(super) async fn show(State(state): State<AppState>) -> Result<StatusPage> {
    let now = state.clock.now();
    let status = state.store.feed_status(now).await?;
    Ok(StatusPage {
        frame: frame("/status"),
        epochs: state.store.epochs(EPOCHS).await?,
        last_stale: state.last_stale.at(),
        stuck: status
            .oldest_unstamped_seconds
            .is_some_and(|seconds| seconds > state.limits.unstamped_age.as_secs_f64()),
        now,
        late: status
            .last_tick_at
            .is_none_or(|tick| now.since(tick) > state.limits.sequencer_silence),
        last_tick: status.last_tick_at.map(|tick| (tick, show::ago(tick, now))),
        status,
    })
}

/// Why an epoch began, in a sentence.
fn why(reason: EpochReason) -> &'static str {
    match reason {
        EpochReason::Created => "The database was made.",
        EpochReason::ByHand => "An operator said so.",
        EpochReason::Failover => "Another database server took over.",
        EpochReason::Restored => "The database was restored from a backup.",
        EpochReason::LostHistory => "A consumer had read further than the database went.",
    }
}
