//! What a comparison found, for people and programs.

use std::fmt;

use contract::feed::{Epoch, FeedId, FeedIdentity};
use kit::show;
use serde::Serialize;

/// How an order differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Ordering has it, and there is no copy of it here.
    Missing,
    /// The copy is of an earlier version.
    Older,
    /// The copy is of a later version or epoch than ordering has: ordering has lost history, or a
    /// standby that lags has answered.
    Newer,
    /// The copy is of the same version and says something else.
    OtherContent,
    /// Ordering has deleted it, and the copy is not a tombstone.
    NotDeleted,
    /// There is a copy of it here, and ordering knows no such order.
    Extra,
}

impl Kind {
    /// The words for it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Older => "older",
            Self::Newer => "newer",
            Self::OtherContent => "other content",
            Self::NotDeleted => "not deleted",
            Self::Extra => "extra",
        }
    }

    /// Whether pulling the order mends it.
    pub fn can_be_repaired(self) -> bool {
        self != Self::Extra
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// An order that differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The order.
    pub number: i64,
    /// How it differs.
    pub kind: Kind,
    /// The version that ordering has; `None` when it knows no such order.
    pub ordering_version: Option<i64>,
    /// The version of the copy; `None` when there is none.
    pub billing_version: Option<i64>,
    /// Whether the pull has not come to ordering's version yet: the next one brings it.
    pub not_yet_pulled: bool,
    /// Why what ordering has cannot be taken in, in a line, so that it is put aside when it is pulled;
    /// `None` when it can.
    pub quarantined: Option<String>,
    /// Whether it was repaired: both sides are equal now.
    pub repaired: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "order {}: {}", self.number, self.kind)?;
        match (self.ordering_version, self.billing_version) {
            (Some(theirs), Some(ours)) => write!(f, ", version {ours} here, {theirs} in ordering")?,
            (Some(theirs), None) => write!(f, ", version {theirs} in ordering")?,
            (None, Some(ours)) => write!(f, ", version {ours} here")?,
            (None, None) => {}
        }
        if self.repaired {
            f.write_str(": repaired")?;
        } else if let Some(reason) = &self.quarantined {
            write!(f, "; cannot be taken in: {reason}")?;
        } else if self.not_yet_pulled {
            f.write_str("; not yet pulled")?;
        }
        Ok(())
    }
}

/// What a comparison found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Ordering's database; `None` while none has answered.
    pub feed_id: Option<FeedId>,
    /// The history that was compared; `None` while none has answered.
    pub epoch: Option<Epoch>,
    /// How many orders ordering has.
    pub orders: i64,
    /// How many copies are marked as missing at source. They are left out.
    pub missing_at_source: i64,
    /// The orders that differ, by rising number; with those that were repaired.
    pub differences: Vec<Difference>,
}

impl Report {
    pub(super) fn new(
        identity: Option<FeedIdentity>,
        orders: i64,
        missing_at_source: i64,
        differences: Vec<Difference>,
    ) -> Self {
        let (feed_id, epoch) = identity.map(|identity| (identity.feed_id, identity.epoch)).unzip();
        Self { feed_id, epoch, orders, missing_at_source, differences }
    }

    /// How many orders still differ.
    pub fn left(&self) -> usize {
        self.differences.iter().filter(|difference| !difference.repaired).count()
    }

    /// Whether both sides are equal now.
    pub fn is_equal(&self) -> bool {
        self.left() == 0
    }

    /// The outcome in a few words: `equal`.
    pub fn outcome(&self) -> String {
        let (found, left) = (self.differences.len(), self.left());
        let differ = if left == 1 { "differs" } else { "differ" };
        match (found - left, left) {
            (0, 0) => "equal".to_owned(),
            (0, _) => format!("{} {differ}", count(left)),
            (_, 0) => format!("equal, {} repaired", count(found)),
            (repaired, _) => {
                format!("{} still {differ}, {} repaired", count(left), count(repaired))
            }
        }
    }

    /// What was compared, and the outcome, in a line: `compared 1,000,000 orders: equal`.
    pub fn summary(&self) -> String {
        let orders = if self.orders == 1 { "order" } else { "orders" };
        format!("compared {} {orders}: {}", show::count(self.orders), self.outcome())
    }

    /// What there is to know and to do besides, a sentence each.
    pub fn advice(&self) -> Vec<String> {
        let left = |wanted: fn(&Difference) -> bool| {
            self.differences.iter().any(|difference| !difference.repaired && wanted(difference))
        };
        let mut advice = Vec::new();
        if self.missing_at_source > 0 {
            let marked = show::count(self.missing_at_source);
            advice.push(format!("Left out as missing at source: {marked}."));
        }
        if left(|difference| difference.not_yet_pulled) {
            advice.push(
                "What is not yet pulled comes with the next pull: run `billing pull`, or wait for \
                 it."
                .to_owned(),
            );
        }
        if left(|difference| difference.quarantined.is_some()) {
            advice.push(
                "What cannot be taken in is put aside, with its document and the reason: see the \
                 page /quarantine."
                    .to_owned(),
            );
        }
        if left(|difference| difference.kind == Kind::Extra) {
            advice.push(
                "Ordering knows nothing of the extra orders, so there is nothing to pull. If its \
                 database was restored from a backup, run `ordering new-epoch`: billing then reads \
                 everything again and marks what is gone."
                    .to_owned(),
            );
        }
        if left(|difference| difference.kind == Kind::Newer) {
            advice.push(
                "Ordering is behind what is here in some orders: it has lost history (then run \
                 `ordering new-epoch`), or a standby that lags has answered (then compare again)."
                    .to_owned(),
            );
        }
        advice
    }
}

/// A line each difference, then the outcome.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.differences {
            writeln!(f, "{difference}")?;
        }
        f.write_str(&self.summary())?;
        self.advice().iter().try_for_each(|sentence| write!(f, "\n{sentence}"))
    }
}

fn count(n: usize) -> String {
    show::count(i64::try_from(n).unwrap_or(i64::MAX))
}
