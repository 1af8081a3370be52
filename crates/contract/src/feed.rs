//! The feed: pages of orders, and the continuation token that says how far one has read.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::order::Order;
use crate::time::Timestamp;

/// Orders a page when the consumer does not say.
pub const DEFAULT_PAGE_LIMIT: i64 = 1_000;
/// The largest page a consumer may ask for, in orders.
pub const MAX_PAGE_LIMIT: i64 = 5_000;
/// The longest that a request may wait for something new, in seconds.
pub const MAX_WAIT_SECONDS: i64 = 60;
/// A page ends early when its orders take about this many bytes.
pub const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;

/// An order's place in the feed. Rises with every change that the sequencer has stamped.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, ToSchema,
)]
#[serde(transparent)]
pub struct SequenceNr(pub i64);

impl SequenceNr {
    /// Of an order whose latest change has not been stamped yet.
    pub const UNSTAMPED: Self = Self(-1);
    /// Before the first order of the feed.
    pub const BEGINNING: Self = Self(0);
}

impl fmt::Display for SequenceNr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names a provider's history: milliseconds since 1970 at which it began, always greater than
/// any earlier one. A new epoch begins whenever committed history may have been lost.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, ToSchema,
)]
#[serde(transparent)]
pub struct Epoch(pub i64);

impl Epoch {
    /// The epoch that follows `self` when it begins at `now`: `max(self + 1, now)`.
    ///
    /// `self + 1` alone would give two restores of one backup the same epoch for two
    /// different histories.
    #[must_use]
    pub fn next(self, now: Timestamp) -> Self {
        Self(now.millis().max(self.0 + 1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names a provider's database: random, given once when the database is made.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, ToSchema)]
#[serde(transparent)]
pub struct FeedId(String);

/// The text is not 1 to 32 lower-case letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a feed id is 1 to 32 lower-case letters and digits")]
pub struct InvalidFeedId;

impl FeedId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An id of eight letters and digits from 40 bits of `randomness`.
    pub fn from_randomness(randomness: u64) -> Self {
        const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let digit = |i: u32| char::from(ALPHABET[(randomness >> (5 * i) & 31) as usize]);
        Self((0..8).map(digit).collect())
    }
}

impl fmt::Display for FeedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for FeedId {
    type Err = InvalidFeedId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sane = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        if (1..=32).contains(&text.len()) && text.bytes().all(sane) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidFeedId)
        }
    }
}

impl<'de> Deserialize<'de> for FeedId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Which provider, and which of its histories: what every answer of the feed names.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedIdentity {
    /// The provider's database.
    pub feed_id: FeedId,
    /// The provider's current history.
    pub epoch: Epoch,
}

/// How far a consumer has read: `<feedId>-<epoch>-<sequenceNr>`. Opaque to consumers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ContinuationToken {
    /// The database it was read from.
    pub feed_id: FeedId,
    /// The history it was read from.
    pub epoch: Epoch,
    /// The number of the last order read.
    pub sequence_nr: SequenceNr,
}

/// The text is not a continuation token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a continuation token of this feed")]
pub struct InvalidToken;

impl fmt::Display for ContinuationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.feed_id, self.epoch, self.sequence_nr)
    }
}

impl FromStr for ContinuationToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '-');
        let mut next = || parts.next().ok_or(InvalidToken);
        let (feed_id, epoch, sequence_nr) = (next()?, next()?, next()?);
        Ok(Self {
            feed_id: feed_id.parse().map_err(|_| InvalidToken)?,
            epoch: Epoch(whole_number(epoch)?),
            sequence_nr: SequenceNr(whole_number(sequence_nr)?),
        })
    }
}

/// Digits only, so that every token has exactly one spelling (`+1` and `01` are none).
fn whole_number(text: &str) -> Result<i64, InvalidToken> {
    let is_digits = text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits || (text.starts_with('0') && text != "0") {
        return Err(InvalidToken);
    }
    text.parse().map_err(|_| InvalidToken)
}

impl PartialSchema for ContinuationToken {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("How far a consumer has read. Opaque: send it back as it came."))
            .examples(["k3v9x2ab-1763683200000-1042"])
            .into()
    }
}

impl ToSchema for ContinuationToken {}

impl Serialize for ContinuationToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContinuationToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// One page of the feed: orders by rising sequence number, each at most once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedPage {
    /// The provider's database.
    pub feed_id: FeedId,
    /// The provider's current history.
    pub epoch: Epoch,
    /// Empty when there is nothing new.
    pub orders: Vec<Order>,
    /// Ask with this next. Carries the number of the page's own last order; on an empty page it
    /// is the token that was sent, or the beginning when none was.
    pub continuation_token: ContinuationToken,
    /// Whether there is more right now.
    pub has_more: bool,
    /// The newest number given. For information: reading goes on from `continuation_token`.
    pub last_sequence_nr: SequenceNr,
}

impl FeedPage {
    /// Which provider and which history answers.
    pub fn identity(&self) -> FeedIdentity {
        FeedIdentity { feed_id: self.feed_id.clone(), epoch: self.epoch }
    }
}

/// One order as it is committed now, stamped or not.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedOrder {
    /// The provider's database.
    pub feed_id: FeedId,
    /// The provider's current history.
    pub epoch: Epoch,
    /// The order; its sequence number is −1 while its latest change is not stamped.
    pub order: Order,
}

impl FeedOrder {
    /// Which provider and which history answers.
    pub fn identity(&self) -> FeedIdentity {
        FeedIdentity { feed_id: self.feed_id.clone(), epoch: self.epoch }
    }
}

/// How the feed is doing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeedStatus {
    /// The provider's database.
    pub feed_id: FeedId,
    /// The provider's current history.
    pub epoch: Epoch,
    /// The newest number given.
    pub last_sequence_nr: SequenceNr,
    /// How many orders wait for the sequencer.
    pub unstamped: i64,
    /// How long the oldest of them has waited, in seconds; `None` when none waits.
    pub oldest_unstamped_seconds: Option<f64>,
    /// When the sequencer last looked; `None` when it never has.
    pub last_tick_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_exactly_one_spelling() {
        let token: ContinuationToken = "k3v9x2ab-1763683200000-1042".parse().unwrap();
        assert_eq!(token.feed_id.as_str(), "k3v9x2ab");
        assert_eq!((token.epoch, token.sequence_nr), (Epoch(1_763_683_200_000), SequenceNr(1042)));
        assert_eq!(token.to_string(), "k3v9x2ab-1763683200000-1042");
        for other in [
            "",
            "a-1",
            "a-1-2-3",
            "a--1-2",
            "a-+1-2",
            "a-01-2",
            "A-1-2",
            "a-1-2 ",
            "-1-2",
            "a-1-",
            "a-00-1",
            "a-1-9223372036854775808",
        ] {
            assert_eq!(other.parse::<ContinuationToken>(), Err(InvalidToken), "{other:?}");
        }
        for one in ["a-0-0", "a-9223372036854775807-9223372036854775807"] {
            assert_eq!(one.parse::<ContinuationToken>().unwrap().to_string(), one);
        }
    }

    #[test]
    fn the_next_epoch_is_later_even_when_the_clock_is_not() {
        let now = Timestamp::from_micros(1_763_683_200_000_000);
        assert_eq!(Epoch(5).next(now), Epoch(1_763_683_200_000));
        assert_eq!(Epoch(1_763_683_200_000).next(now), Epoch(1_763_683_200_001));
    }

    #[test]
    fn feed_ids_are_made_of_eight_letters_and_digits() {
        for randomness in [0, u64::MAX, 0x0123_4567_89ab_cdef] {
            let id = FeedId::from_randomness(randomness);
            assert_eq!(id.as_str().len(), 8);
            assert_eq!(id.as_str().parse(), Ok(id));
        }
    }
}
