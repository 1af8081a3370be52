//! Lists a page at a time: the next page begins behind the key of the last entry of this one.

use super::read::{Params, Violations};

/// How many entries a caller of an API gets who does not say.
const DEFAULT_LIMIT: i64 = 100;
/// The most entries that one answer of an API holds.
const MAX_LIMIT: i64 = 1_000;

/// How many entries the caller wants: the parameter `limit`.
pub fn limit(params: &Params, violations: &mut Violations) -> i64 {
    params.int("limit", DEFAULT_LIMIT, 1..=MAX_LIMIT, violations)
}

/// Cuts `entries`, of which one more than `limit` was asked for, to `limit`; whether there are more
/// behind them.
pub fn cut<T>(entries: &mut Vec<T>, limit: i64) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = entries.len() > limit;
    entries.truncate(limit);
    more
}

/// Like [`cut`]; the key of the last entry when there are more behind it, `None` at the end.
pub fn next<T>(entries: &mut Vec<T>, limit: i64, key: impl Fn(&T) -> String) -> Option<String> {
    if cut(entries, limit) { entries.last().map(key) } else { None }
}
