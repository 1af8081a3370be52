//! What ordering answered, and whether it can be believed.

use std::time::Duration;

use contract::feed::{ContinuationToken, FeedIdentity, FeedOrder, FeedPage, SequenceNr};
use contract::order::Order;
use contract::problem::{Problem, ProblemCode};
use serde::de::DeserializeOwned;

use super::error::PullError;

/// How much of the other side's text is kept, in characters.
const MAX_TEXT: usize = 200;

/// A whole answer of ordering.
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// How long it asks to wait.
    pub(super) retry_after: Option<Duration>,
    /// The body, unpacked.
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The document of a successful answer.
    ///
    /// # Errors
    /// When it is none, or not the document that was agreed.
    pub(super) fn into_document<T: DeserializeOwned>(self) -> Result<T, PullError> {
        if self.status != 200 {
            return Err(self.into_fault());
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| PullError::Invalid(one_line(&error.to_string())))
    }

    /// Which history says that there is no such order; `None` when the answer is anything else. A
    /// 404 that names no history comes from something in between, and says nothing about orders.
    pub(super) fn not_found(&self) -> Option<FeedIdentity> {
        if self.status != 404 {
            return None;
        }
        self.problem().filter(|problem| problem.code == ProblemCode::NotFound)?.feed
    }

    fn into_fault(self) -> PullError {
        let problem = self.problem();
        let (code, feed) = match &problem {
            Some(problem) => (Some(problem.code), problem.feed.clone()),
            None => (None, None),
        };
        match (self.status, code, feed) {
            (409, Some(ProblemCode::FeedReset), Some(feed)) => PullError::Reset(feed),
            (409, Some(ProblemCode::FeedUnknown), Some(feed)) => PullError::UnknownFeed(feed),
            (409, Some(code @ (ProblemCode::FeedReset | ProblemCode::FeedUnknown)), None) => {
                PullError::Invalid(format!("{code} without feedId and epoch"))
            }
            (503, Some(ProblemCode::StaleProvider), _) => PullError::StaleProvider,
            (status, ..) => {
                let text = match &problem {
                    Some(problem) => problem.detail.clone(),
                    None => String::from_utf8_lossy(&self.body).into_owned(),
                };
                let retry_after = self.retry_after;
                PullError::Refused { status, detail: one_line(&text), retry_after }
            }
        }
    }

    fn problem(&self) -> Option<Problem> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// The other side's text as it may stand in a log line: short, and without control characters.
pub(super) fn one_line(text: &str) -> String {
    let harmless = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = text.trim().chars().take(MAX_TEXT).map(harmless).collect();
    if text.trim().chars().nth(MAX_TEXT).is_some() {
        line.push('…');
    }
    line
}

/// Whether `page` is an answer to `sent` as the contract describes it. A page that is not would
/// lose orders, or be asked for again without end.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_page(page: &FeedPage, sent: Option<&ContinuationToken>) -> Result<(), String> {
    let token = &page.continuation_token;
    let beginning = ContinuationToken {
        feed_id: page.feed_id.clone(),
        epoch: page.epoch,
        sequence_nr: SequenceNr::BEGINNING,
    };
    let Some(last) = page.orders.last() else {
        if page.has_more {
            return Err("an empty page says that there is more".to_owned());
        }
        // Not compared with the page's own epoch: a standby that has not heard of the token's
        // epoch yet sends the token back as it came.
        return if token == sent.unwrap_or(&beginning) {
            Ok(())
        } else {
            Err("an empty page carries another token than was sent".to_owned())
        };
    };
    let end = ContinuationToken { sequence_nr: last.confirmed_sequence_nr, ..beginning.clone() };
    if *token != end {
        return Err("the token is not the place of the page's own last order".to_owned());
    }
    let same_history =
        |sent: &&ContinuationToken| sent.feed_id == page.feed_id && sent.epoch == page.epoch;
    let mut before = sent.filter(same_history).unwrap_or(&beginning).sequence_nr;
    for order in &page.orders {
        if order.confirmed_sequence_nr <= before {
            return Err(format!("order {}: sequence numbers do not rise", order.number));
        }
        before = order.confirmed_sequence_nr;
        check_identity(order)?;
    }
    Ok(())
}

/// Whether `document` is an answer to the question for order `number`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_order(document: &FeedOrder, number: i64) -> Result<(), String> {
    if document.order.number != number {
        return Err(format!("order {} instead of {number}", document.order.number));
    }
    check_identity(&document.order)
}

/// What else an order must be like is for the store to say, which takes it in.
fn check_identity(order: &Order) -> Result<(), String> {
    if order.number <= 0 || order.version <= 0 {
        return Err(format!("order {}: number and version must be positive", order.number));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_sides_text_is_kept_short_and_on_one_line() {
        assert_eq!(one_line(" a\r\nb\u{1b}[31m "), "a  b [31m");
        let long = one_line(&"é".repeat(MAX_TEXT + 1));
        assert_eq!(long.chars().count(), MAX_TEXT + 1);
        assert!(long.ends_with('…'));
        assert_eq!(one_line(&"x".repeat(MAX_TEXT)).len(), MAX_TEXT);
    }
}
