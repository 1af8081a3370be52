//! Whether both sides are equal: comparing and repairing in the background, and what came of it.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::State;
use axum::response::Redirect;
use contract::time::Timestamp;
use kit::http::frame::Frame;
use kit::show;

use super::{AppState, frame};
use crate::error::Result;
use crate::verify::{Difference, JobState, Progress, Report};

/// How often the page asks again while something is under way, in seconds.
const REFRESH_SECONDS: u64 = 2;
/// How many differences are listed.
const SHOWN: usize = 100;

#[derive(Template, WebTemplate)]
#[template(path = "verify.html")]
pub(super) struct VerifyPage {
    frame: Frame,
    state: JobState,
    /// How many orders are in quarantine now.
    quarantined: i64,
    now: Timestamp,
}

impl VerifyPage {
    /// Differences that are listed.
    fn shown(report: &Report) -> &[Difference] {
        &report.differences[..report.differences.len().min(SHOWN)]
    }

    /// How many differences there are besides; `None` when all are listed.
    fn not_shown(report: &Report) -> Option<i64> {
        let more = report.differences.len().checked_sub(SHOWN).filter(|more| *more > 0)?;
        i64::try_from(more).ok()
    }

    /// How many orders still differ.
    fn left(report: &Report) -> String {
        show::count(i64::try_from(report.left()).unwrap_or(i64::MAX))
    }

    /// How a difference stands: the style sheet's class and the word for it.
    fn standing(difference: &Difference) -> (&'static str, &'static str) {
        if difference.repaired {
            ("good", "Repaired")
        } else if difference.quarantined.is_some() {
            ("failed", "Cannot be taken in")
        } else if difference.not_yet_pulled {
            ("waiting", "Not yet pulled")
        } else {
            ("failed", "Differs")
        }
    }

    /// Whether anything that was found can be repaired by pulling it.
    fn can_be_repaired(report: &Report) -> bool {
        report.differences.iter().any(|it| !it.repaired && it.kind.can_be_repaired())
    }
}

/// `GET /verify`
pub(super) async fn verify(State(state): State<AppState>) -> Result<VerifyPage> {
    let now = state.clock.now();
    let quarantined = state.store.quarantine_count().await?;
    let state = state.verification.state();
    Ok(VerifyPage { frame: frame("/sync"), state, quarantined, now })
}

/// `POST /verify`
pub(super) async fn compare(State(state): State<AppState>) -> Redirect {
    state.verification.compare();
    Redirect::to("/verify")
}

/// `POST /verify/repair`
pub(super) async fn repair(State(state): State<AppState>) -> Redirect {
    state.verification.repair();
    Redirect::to("/verify")
}
