//! What ordering answered, and whether it can be believed.
//!
//! A page is believed as a whole: whose it is, where it begins and ends, and of each entry which
//! order it is and its place in the feed. Where any of that is wrong, the page is no page, and
//! nothing of it counts. What else an entry says concerns only the order that it names: see
//! [`super::entry`].

use std::collections::HashSet;
use std::mem;

use contract::feed::{ContinuationToken, Epoch, FeedId, FeedIdentity, SequenceNr};
use contract::order::Order;
use contract::problem::ProblemCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::form_urlencoded;

use super::entry::{self, Entry, Readable};
use super::error::PullError;
use crate::store::{Advance, Fit, Received, Unfit};
use crate::upstream::Answer;

/// A page of the feed, each of its orders read on its own.
#[derive(Clone, PartialEq, Debug)]
pub struct Page {
    /// Which provider and which history answers.
    pub identity: FeedIdentity,
    /// The orders that can be taken in.
    pub orders: Vec<Fit>,
    /// Those that cannot.
    pub unfit: Vec<Unfit>,
    /// Ask with this next.
    pub continuation_token: ContinuationToken,
    /// Whether there is more right now.
    pub has_more: bool,
    /// The newest number that ordering has given.
    pub last_sequence_nr: SequenceNr,
}

impl Page {
    /// Whether it brings nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.unfit.is_empty()
    }

    /// What is to be taken in of this page, which was asked for with the token `from`.
    pub fn received(self, from: Option<ContinuationToken>) -> Received {
        let (to, last_sequence_nr) = (self.continuation_token, self.last_sequence_nr);
        Received {
            identity: self.identity,
            orders: self.orders,
            unfit: self.unfit,
            advance: Some(Advance { from, to, last_sequence_nr, pages: 1 }),
        }
    }

    /// The epoch that whoever answers has not heard of yet; `None` as a rule. Only a standby sends back
    /// the token of a later epoch with an empty page: a primary would say that it is of the past.
    pub(super) fn lags_behind(&self) -> Option<Epoch> {
        let epoch = self.continuation_token.epoch;
        (epoch > self.identity.epoch).then_some(epoch)
    }
}

/// An order that was asked for by number.
#[derive(Clone, PartialEq, Debug)]
pub struct Single {
    /// Which provider and which history answers.
    pub identity: FeedIdentity,
    /// The order, or why it cannot be taken in.
    pub order: Result<Order, Unfit>,
}

/// `contract::feed::FeedPage`, its orders read as `T`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageOf<T> {
    feed_id: FeedId,
    epoch: Epoch,
    orders: Vec<T>,
    continuation_token: ContinuationToken,
    has_more: bool,
    last_sequence_nr: SequenceNr,
}

/// `contract::feed::FeedOrder`, with its order not read yet.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawOrder<'a> {
    feed_id: FeedId,
    epoch: Epoch,
    #[serde(borrow)]
    order: &'a RawValue,
}

/// Up to so many bytes, a page is read within a fraction of a millisecond.
const SHORT: usize = 32 * 1024;

/// Whether reading a page takes no time worth speaking of.
pub(super) fn is_short(answer: &Answer) -> bool {
    answer.size() <= SHORT
}

/// What an answer to the token `sent` says, before it is read, of where the page behind it begins, by its
/// `Link` (RFC 8288). Only a hint: what counts is the token on the page. `None` when it says nothing, or
/// what does not go on in the same history.
pub(super) fn next_token(
    answer: &Answer,
    sent: Option<&ContinuationToken>,
) -> Option<ContinuationToken> {
    let link = answer.header("link").filter(|_| answer.status == 200)?;
    let target = link.strip_prefix('<')?.strip_suffix(">; rel=\"next\"")?;
    let (_, query) = target.split_once('?')?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, token) = pairs.find(|(name, _)| name == "after")?;
    let token: ContinuationToken = token.parse().ok()?;
    let goes_on = |sent: &ContinuationToken| {
        (&token.feed_id, token.epoch) == (&sent.feed_id, sent.epoch)
            && token.sequence_nr > sent.sequence_nr
    };
    sent.is_some_and(goes_on).then_some(token)
}

/// The page that `answer` holds, asked for with the token `sent`.
///
/// # Errors
/// What it is instead.
pub fn page(answer: &Answer, sent: Option<&ContinuationToken>) -> Result<Page, PullError> {
    if let Some(error) = history(answer) {
        return Err(error);
    }
    // Nearly every page can be read in one go; any other is read order by order.
    if let Ok(mut page) = answer.document::<PageOf<Readable>>() {
        let entries = mem::take(&mut page.orders).into_iter().map(|it| Ok(it.0)).collect();
        return believe(answer, page, entries, sent);
    }
    let page: PageOf<&RawValue> = answer.document()?;
    let entries = page.orders.iter().map(|it| Some(entry::read(it.get())?.map(Fit::from)));
    let entries: Option<Vec<Entry>> = entries.collect();
    let entries =
        entries.ok_or_else(|| answer.not_as_agreed("an order without a usable number"))?;
    believe(answer, page, entries, sent)
}

/// The page with these entries, if it is what was agreed.
fn believe<T>(
    answer: &Answer,
    page: PageOf<T>,
    entries: Vec<Entry>,
    sent: Option<&ContinuationToken>,
) -> Result<Page, PullError> {
    check_page(&page, &entries, sent).map_err(|wrong| answer.not_as_agreed(wrong))?;
    let mut orders = Vec::with_capacity(entries.len());
    let mut unfit = Vec::new();
    for entry in entries {
        match entry {
            Ok(order) => orders.push(order),
            Err(order) => unfit.push(order),
        }
    }
    Ok(Page {
        identity: FeedIdentity { feed_id: page.feed_id, epoch: page.epoch },
        orders,
        unfit,
        continuation_token: page.continuation_token,
        has_more: page.has_more,
        last_sequence_nr: page.last_sequence_nr,
    })
}

/// The order that `answer` holds, asked for by `number`.
///
/// # Errors
/// What it is instead.
pub fn order(answer: &Answer, number: i64) -> Result<Single, PullError> {
    if let Some(identity) = not_found(answer) {
        return Err(PullError::NotFound(identity));
    }
    if let Some(error) = history(answer) {
        return Err(error);
    }
    let RawOrder { feed_id, epoch, order } = answer.document()?;
    let order = entry::read(order.get())
        .ok_or_else(|| answer.not_as_agreed("an order without a usable number"))?;
    match order.as_ref().map_or_else(|unfit| unfit.number, |order| order.number) {
        found if found == number => Ok(Single { identity: FeedIdentity { feed_id, epoch }, order }),
        other => Err(answer.not_as_agreed(format!("order {other} instead of {number}")).into()),
    }
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
pub(super) fn history(answer: &Answer) -> Option<PullError> {
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

/// Whether `page`, with these entries, is an answer to `sent` as the contract describes it. A page
/// that is not would lose orders, or be asked for again without end.
///
/// # Errors
/// What is wrong with it.
fn check_page<T>(
    page: &PageOf<T>,
    entries: &[Entry],
    sent: Option<&ContinuationToken>,
) -> Result<(), String> {
    let token = &page.continuation_token;
    let beginning = ContinuationToken {
        feed_id: page.feed_id.clone(),
        epoch: page.epoch,
        sequence_nr: SequenceNr::BEGINNING,
    };
    let Some(last) = entries.last() else {
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
    let end = ContinuationToken { sequence_nr: entry::sequence_nr(last), ..beginning.clone() };
    if *token != end {
        return Err("the token is not the place of the page's own last order".to_owned());
    }
    let same_history =
        |sent: &&ContinuationToken| sent.feed_id == page.feed_id && sent.epoch == page.epoch;
    let mut before = sent.filter(same_history).unwrap_or(&beginning).sequence_nr;
    let mut numbers = HashSet::with_capacity(entries.len());
    for entry in entries {
        let (number, sequence_nr) = (entry::number(entry), entry::sequence_nr(entry));
        if sequence_nr <= before {
            return Err(format!("order {number}: sequence numbers do not rise"));
        }
        before = sequence_nr;
        if !numbers.insert(number) {
            return Err(format!("order {number} stands on the page twice"));
        }
    }
    Ok(())
}
