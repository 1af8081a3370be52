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

#[derive(Template, WebTemplate)]
#[template(path = "status.html")]
pub(super) struct StatusPage {
    frame: Frame,
    status: FeedStatus,
    epoch_began: Timestamp,
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
        epoch_began: Timestamp::from_micros(status.epoch.0.saturating_mul(1_000)),
        late: status.last_tick_at.is_none_or(|tick| now.since(tick) > state.patience()),
        last_tick: status.last_tick_at.map(|tick| (tick, show::ago(tick, now))),
        status,
    })
}
