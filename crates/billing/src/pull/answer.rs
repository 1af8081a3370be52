//! What ordering answered, and whether it can be believed.

use contract::feed::{ContinuationToken, FeedIdentity, FeedOrder, FeedPage, SequenceNr};
use contract::order::Order;
use contract::problem::ProblemCode;

use super::error::PullError;
use crate::upstream::Answer;

/// The page that `answer` holds, asked for with the token `sent`.
///
/// # Errors
/// What it is instead.
pub(super) fn page(
    answer: &Answer,
    sent: Option<&ContinuationToken>,
) -> Result<FeedPage, PullError> {
    if let Some(error) = history(answer) {
        return Err(error);
    }
    let page = answer.document()?;
    check_page(&page, sent).map_err(|wrong| answer.not_as_agreed(wrong))?;
    Ok(page)
}

/// The order that `answer` holds, asked for by `number`.
///
/// # Errors
/// What it is instead.
pub(super) fn order(answer: &Answer, number: i64) -> Result<FeedOrder, PullError> {
    if let Some(identity) = not_found(answer) {
        return Err(PullError::NotFound(identity));
    }
    if let Some(error) = history(answer) {
        return Err(error);
    }
    let document = answer.document()?;
    check_order(&document, number).map_err(|wrong| answer.not_as_agreed(wrong))?;
    Ok(document)
}

/// Which history says that there is no such order; `None` when the answer is anything else. A
/// 404 that names no history comes from something in between, and says nothing about orders.
fn not_found(answer: &Answer) -> Option<FeedIdentity> {
    if answer.status != 404 {
        return None;
    }
    answer.problem().filter(|problem| problem.code == ProblemCode::NotFound)?.feed
}

/// What ordering says about its history instead of answering; `None` when it says nothing of the
/// kind.
fn history(answer: &Answer) -> Option<PullError> {
    use ProblemCode::{FeedReset, FeedUnknown, StaleProvider};
    if !matches!(answer.status, 409 | 503) {
        return None;
    }
    let problem = answer.problem()?;
    Some(match (answer.status, problem.code, problem.feed) {
        (409, FeedReset, Some(feed)) => PullError::Reset(feed),
        (409, FeedUnknown, Some(feed)) => PullError::UnknownFeed(feed),
        (409, code @ (FeedReset | FeedUnknown), None) => {
            answer.not_as_agreed(format!("{code} without feedId and epoch")).into()
        }
        (503, StaleProvider, feed) => {
            PullError::StaleProvider { answered: feed.map(|feed| feed.epoch), adopted: None }
        }
        _ => return None,
    })
}

/// Whether `page` is an answer to `sent` as the contract describes it. A page that is not would
/// lose orders, or be asked for again without end.
///
/// # Errors
/// What is wrong with it.
fn check_page(page: &FeedPage, sent: Option<&ContinuationToken>) -> Result<(), String> {
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
fn check_order(document: &FeedOrder, number: i64) -> Result<(), String> {
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
