//! How the copy is kept equal to ordering: the state of the pull, and its controls.

use axum::Json;
use axum::extract::State;
use contract::feed::{ContinuationToken, Epoch};
use contract::problem::ProblemCode;
use contract::time::Timestamp;
use kit::http::read::{JsonBody, ObjectReader, Params, Violations};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{Error, Result};
use crate::http::AppState;
use crate::http::openapi::{PullProblems, ReadProblems, TokenProblems};
use crate::pull::Counts;
use crate::store::{AtSource, PullState, Reread};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get, drain)).routes(routes!(set_token))
}

/// How the pull stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PullStatus {
    /// Where the next pull goes on; null: from the beginning.
    continuation_token: Option<ContinuationToken>,
    /// When the last pull began; null before the first.
    last_pull_at: Option<Timestamp>,
    /// When a pull last reached the end of the feed; null before the first time.
    last_success_at: Option<Timestamp>,
    /// What went wrong since; null when nothing did.
    last_error: Option<String>,
    /// How many pulls have failed in a row.
    consecutive_failures: i64,
    /// How far behind ordering, in orders at most; null while unknown.
    behind: Option<i64>,
    /// All counts since the database was made.
    totals: Counts,
    /// While orders that an older epoch left have not been seen again: how far that has come; null as
    /// a rule.
    reread: Option<RereadStatus>,
}

/// How far a re-read has come, in orders.
#[derive(Serialize, ToSchema)]
struct RereadStatus {
    /// The epoch that is read.
    epoch: Epoch,
    /// Since when it is adopted; null when that is not known.
    since: Option<Timestamp>,
    /// Brought by it so far.
    seen: i64,
    /// Still to be seen again.
    unseen: i64,
    /// Missing at the source, in this epoch or since an earlier one.
    missing: i64,
}

impl PullStatus {
    async fn now(state: &AppState) -> Result<Self> {
        let AtSource { missing, reread, .. } = state.store.at_source().await?;
        let reread = reread.map(|Reread { epoch, since, seen, unseen }| RereadStatus {
            epoch,
            since,
            seen,
            unseen,
            missing,
        });
        let state = state.store.pull_state().await?;
        Ok(Self {
            reread,
            behind: state.behind(),
            continuation_token: state.continuation_token,
            last_pull_at: state.last_pull_at,
            last_success_at: state.last_success_at,
            last_error: state.last_error,
            consecutive_failures: state.consecutive_failures,
            totals: state.totals,
        })
    }
}

/// How the pull stands
#[utoipa::path(
    get,
    path = "/pull",
    tag = "pull",
    responses((status = 200, body = PullStatus), ReadProblems)
)]
async fn get(State(state): State<AppState>, params: Params) -> Result<Json<PullStatus>> {
    params.expect_none()?;
    Ok(Json(PullStatus::now(&state).await?))
}

/// Pull now
///
/// Answers when the end of the feed is reached, with what this pull did. When it fails on the way,
/// what was taken in until then stays.
#[utoipa::path(
    post,
    path = "/pull",
    tag = "pull",
    responses((status = 200, body = Counts), PullProblems)
)]
async fn drain(State(state): State<AppState>, params: Params) -> Result<Json<Counts>> {
    params.expect_none()?;
    Ok(Json(state.puller.pull_once().await?))
}

/// Where to read again.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TokenInput {
    /// A token that was read before; null: from the beginning.
    #[schema(required)]
    #[expect(dead_code, reason = "read by hand, so that every violation is told")]
    continuation_token: Option<ContinuationToken>,
}

/// Read again from a token
///
/// Orders that are known already stay as they are. The token must be one of the history that is
/// read now, and not lie beyond it: going to another feed or over orders that were never read needs
/// an operator, with `billing reset-token`.
#[utoipa::path(
    put,
    path = "/pull/token",
    tag = "pull",
    request_body = TokenInput,
    responses((status = 200, body = PullStatus), TokenProblems)
)]
async fn set_token(
    State(state): State<AppState>,
    params: Params,
    body: JsonBody,
) -> Result<Json<PullStatus>> {
    params.expect_none()?;
    let token = read_token(&body)?;
    if let Some(token) = &token {
        check_token(token, &state.store.pull_state().await?)?;
    }
    state.store.reset_token(token.as_ref(), false).await?;
    tracing::info!(token = token.map(|token| token.to_string()), "reading again from here");
    state.puller.wake();
    Ok(Json(PullStatus::now(&state).await?))
}

fn read_token(body: &JsonBody) -> Result<Option<ContinuationToken>> {
    const NAME: &str = "continuationToken";
    let mut violations = Violations::new();
    let mut reader = ObjectReader::new(&body.value, String::new(), &mut violations);
    let text = reader.optional_text(NAME);
    reader.finish();
    // Null says something here, so leaving it out must not mean the same by mistake.
    if body.value.as_object().is_some_and(|object| !object.contains_key(NAME)) {
        violations.add(format!("/{NAME}"), "required", "is required; null for the beginning");
    }
    let token = text.map(|text| text.parse::<ContinuationToken>()).transpose();
    if let Err(invalid) = &token {
        violations.add(format!("/{NAME}"), "invalid", invalid.to_string());
    }
    violations.into_result(ProblemCode::ValidationFailed, "The token was not accepted")?;
    Ok(token.unwrap_or_default())
}

/// Whether reading can go on at `token`. While no feed is adopted, ordering itself decides.
fn check_token(token: &ContinuationToken, pull: &PullState) -> Result<()> {
    let Some(adopted) = &pull.identity else { return Ok(()) };
    let refused = |code: ProblemCode| Err(Error::new(code, code.help()));
    if token.feed_id != adopted.feed_id {
        return refused(ProblemCode::FeedUnknown);
    }
    if token.epoch != adopted.epoch {
        return refused(ProblemCode::FeedReset);
    }
    if pull.last_sequence_nr.is_some_and(|newest| token.sequence_nr > newest) {
        let mut violations = Violations::new();
        violations.add("/continuationToken", "out-of-range", "lies beyond what ordering has given");
        violations.into_result(ProblemCode::ValidationFailed, "The token was not accepted")?;
    }
    Ok(())
}
