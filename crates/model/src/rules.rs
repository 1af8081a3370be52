//! The rules of the protocol as switches, so that each can be left out to see what breaks.

use std::fmt;

/// Which rules hold: all of them, or all but one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    broken: Option<Breach>,
}

impl Rules {
    /// The protocol as it is.
    pub const ALL: Self = Self { broken: None };

    /// The protocol with one rule broken.
    pub const fn but(breach: Breach) -> Self {
        Self { broken: Some(breach) }
    }

    /// Whether the rule is broken in this way.
    pub fn broken(self, breach: Breach) -> bool {
        self.broken == Some(breach)
    }

    /// Whether a breach makes billing look at sequence numbers in its own table. All others
    /// never read them, and the model leaves them out: fewer states that differ in nothing.
    pub fn stored_numbers_matter(self) -> bool {
        use Breach::{GuardByNumberNewest, GuardByNumberOldest, TokenFromOwnMaximum};
        [GuardByNumberNewest, GuardByNumberOldest, TokenFromOwnMaximum]
            .into_iter()
            .any(|breach| self.broken(breach))
    }
}

/// Declares [`Breach`] together with the rule and the words of each.
macro_rules! breaches {
    ($($name:ident, $rule:literal, $words:literal;)*) => {
        /// A way to break a rule. The first two characters of its text name the rule.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Breach { $(#[doc = concat!($rule, ": ", $words)] $name,)* }

        impl Breach {
            /// Every one, by rule.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The rule that it breaks: `P1` to `P7` and `C1` to `C6`.
            pub const fn rule(self) -> &'static str {
                match self { $(Self::$name => $rule,)* }
            }

            /// What is done instead.
            pub const fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

breaches! {
    WriteKeepsNumber, "P1", "a change leaves the order's sequence number as it is";
    WriteKeepsVersion, "P1", "a change does not raise the version";
    NumberFromMaximum, "P2", "the next number is the greatest `confirmed_sequence_nr` plus one";
    NoCounterLock, "P3", "the sequencer does not lock the counter";
    ReadBeforeLock, "P3", "the sequencer reads the counter, then locks it";
    ReleaseBeforeCommit, "P3", "the counter is written and released before the stamps are committed";
    BareSequence, "P3", "numbers come from a bare database sequence";
    WriterNumbers, "P4", "a writer numbers its own change, before it is committed";
    StampById, "P4", "waiting orders are taken by id, not by age";
    PlaceLost, "P4", "a further change of an order that waits sends it behind all others";
    NoPatience, "P4", "an order that is held at every look is never waited for";
    TokenIsCounter, "P5", "a page's token is the counter";
    TokenFromOwnMaximum, "P5", "the token is the greatest number in the consumer's table";
    TokenOfOtherSnapshot, "P5", "the token of a last page is the counter, read in another snapshot";
    StandbyResets, "P6", "a hot standby that lags answers a token of its future with a reset";
    LossGoesOn, "P6", "a primary answers a token beyond its counter with an empty page";
    NoNewEpoch, "P7", "no epoch begins when history was lost";
    EpochPlusOne, "P7", "the new epoch is the stored one plus one";
    TokenFirst, "C1", "the token is stored first, the page in a second transaction";
    BlindToken, "C1", "the token is written without comparing";
    NoGuard, "C2", "whatever arrives is stored";
    GuardByNumberNewest, "C2", "newer is what has the greater sequence number, and −1 counts as the newest";
    GuardByNumberOldest, "C2", "newer is what has the greater sequence number, and −1 counts as the oldest";
    PullMovesToken, "C3", "a pull of one order moves the token to its number";
    TokenKept, "C4", "reading goes on from the number up to which the new epoch has what the old one had";
    PastAccepted, "C4", "an answer of a smaller epoch is taken like any other";
    EpochOfStamp, "C4", "an order is stored under the epoch of its stamp";
    NoSweep, "C5", "orders that a re-read does not meet are left as they are";
    MarkedUnasked, "C5", "orders that a re-read does not meet are marked missing without asking";
    AnyNotFound, "C5", "a 404 of any epoch means missing";
    AnyFeed, "C6", "nobody looks at the feedId";
    WaitingHidden, "P4", "a changed order is not in the feed until it has its new number";
    PastServes, "P6", "a provider of the past answers a token of a newer epoch with a page";
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule(), self.words())
    }
}
