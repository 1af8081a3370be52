//! One pass over both sides: checksums of wide ranges first, of narrower ones where they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use contract::checksum::{RangeChecksum, Summer, first_of};
use contract::feed::FeedIdentity;

use super::{History, Progress, Result, Verifier, Watch, patiently};
use crate::store::OrderCopy;

/// Order numbers a range, from the first look down to single orders.
const WIDEST: i64 = contract::checksum::DEFAULT_WIDTH;
const NARROWER: [i64; 2] = [32, 1];
/// How many copies are read at once: with the largest orders there are, they take some 100 MB.
const CHUNK: i64 = 256;

/// Order numbers, all of those between two.
type Span = RangeInclusive<i64>;

/// What one pass over both sides found.
pub(super) struct Pass {
    /// How many orders ordering has.
    pub(super) orders: i64,
    /// How many copies are marked as missing at source, which ordering need not have.
    pub(super) missing_at_source: i64,
    /// The numbers of orders that differed while they were passed.
    pub(super) suspects: Vec<i64>,
}

/// What one answer of ordering is compared with.
struct Step {
    theirs: Vec<RangeChecksum>,
    ours: Ours,
    /// Where the next answer begins; `None` at the end.
    next: Option<i64>,
}

/// Billing's own checksums over some numbers.
#[derive(Default)]
struct Ours {
    ranges: Vec<RangeChecksum>,
    missing_at_source: i64,
    /// Copies without a document that could be added up: whatever else is in their ranges, these
    /// differ.
    unreadable: Vec<i64>,
}

impl Verifier {
    pub(super) async fn pass(&self, history: &mut History, watch: Watch<'_>) -> Result<Pass> {
        let mut pass = Pass { orders: 0, missing_at_source: 0, suspects: Vec::new() };
        let mut last = self.store.last_number().await?.unwrap_or(0);
        let mut rest = Some(0);
        while let Some(from) = rest {
            let step = self.step(history, from..=i64::MAX, WIDEST).await?;
            pass.orders += step.theirs.iter().map(|range| range.orders).sum::<i64>();
            pass.missing_at_source += step.ours.missing_at_source;
            let mut spans = step.differing(WIDEST);
            for width in NARROWER {
                spans = self.narrow(history, spans, width).await?;
            }
            pass.suspects.extend(spans.into_iter().flatten());
            rest = step.next;
            let reached = rest.unwrap_or(last);
            last = last.max(reached);
            watch(Progress::Comparing { orders: pass.orders, reached, last });
        }
        Ok(pass)
    }

    /// Where in `spans` ranges of `width` numbers differ.
    async fn narrow(
        &self,
        history: &mut History,
        spans: Vec<Span>,
        width: i64,
    ) -> Result<Vec<Span>> {
        let mut differing = Vec::new();
        for span in spans {
            let mut rest = Some(*span.start());
            while let Some(from) = rest {
                let step = self.step(history, from..=*span.end(), width).await?;
                differing.extend(step.differing(width));
                rest = step.next;
            }
        }
        Ok(differing)
    }

    /// Asks ordering for checksums from the beginning of `span`, and adds up what is here over the
    /// same numbers.
    async fn step(&self, history: &mut History, span: Span, width: i64) -> Result<Step> {
        let page = patiently(|| self.puller.client.checksums(&span, width)).await?;
        let identity = page.identity();
        let end = page.next.map_or(*span.end(), |next| next - 1);
        history.check(identity.clone())?;
        let ours = self.add_up(*span.start()..=end, width, &identity).await?;
        Ok(Step { theirs: page.ranges, ours, next: page.next })
    }

    /// Checksums of the copies with these numbers, read chunk by chunk.
    async fn add_up(&self, span: Span, width: i64, identity: &FeedIdentity) -> Result<Ours> {
        let mut ours = Ours::default();
        let mut summer = Summer::new(width);
        let mut rest = Some(*span.start());
        while let Some(from) = rest {
            let copies = self.store.copies(from..=*span.end(), CHUNK).await?;
            rest = match copies.last() {
                Some(last) if last.number < *span.end() => Some(last.number + 1),
                _ => None,
            };
            for copy in &copies {
                ours.add(copy, &mut summer, identity);
            }
        }
        ours.ranges.extend(summer.finish());
        Ok(ours)
    }
}

impl Ours {
    fn add(&mut self, copy: &OrderCopy, summer: &mut Summer, identity: &FeedIdentity) {
        if copy.missing_at_source {
            self.missing_at_source += 1;
            return;
        }
        match &copy.order {
            // Of an epoch that ordering has not begun, it would refuse everything that comes.
            Some(order) if copy.row.epoch <= identity.epoch => {
                self.ranges.extend(summer.add(order));
            }
            _ => self.unreadable.push(copy.number),
        }
    }
}

impl Step {
    /// The ranges of `width` numbers that differ; those next to each other as one span.
    fn differing(&self, width: i64) -> Vec<Span> {
        let by_first = |ranges: &[RangeChecksum]| -> BTreeMap<i64, RangeChecksum> {
            ranges.iter().map(|range| (range.first, range.clone())).collect()
        };
        let (theirs, ours) = (by_first(&self.theirs), by_first(&self.ours.ranges));
        let firsts: BTreeSet<i64> = theirs
            .keys()
            .chain(ours.keys())
            .copied()
            .filter(|first| theirs.get(first) != ours.get(first))
            .chain(self.ours.unreadable.iter().map(|number| first_of(*number, width)))
            .collect();
        let mut spans: Vec<Span> = Vec::new();
        for first in firsts {
            let end = first.saturating_add(width - 1);
            match spans.last_mut() {
                Some(span) if span.end().checked_add(1) == Some(first) => {
                    *span = *span.start()..=end;
                }
                _ => spans.push(first..=end),
            }
        }
        spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(sums: &[(i64, i64, &str)]) -> Vec<RangeChecksum> {
        let range = |&(first, orders, checksum): &(i64, i64, &str)| RangeChecksum {
            first,
            orders,
            checksum: checksum.into(),
        };
        sums.iter().map(range).collect()
    }

    fn differing(theirs: &[(i64, i64, &str)], ours: &[(i64, i64, &str)]) -> Vec<Span> {
        let ours = Ours { ranges: ranges(ours), ..Ours::default() };
        Step { theirs: ranges(theirs), ours, next: None }.differing(32)
    }

    #[test]
    fn ranges_differ_that_only_one_side_has_or_whose_sums_do() {
        let theirs = [(0, 9, "a"), (32, 9, "b"), (64, 9, "c"), (128, 9, "d"), (192, 9, "e")];
        assert_eq!(differing(&theirs, &theirs), []);
        let ours = [(0, 9, "a"), (32, 8, "b"), (64, 9, "x"), (128, 9, "d"), (320, 1, "f")];
        assert_eq!(differing(&theirs, &ours), [32..=95, 192..=223, 320..=351]);
        assert_eq!(differing(&theirs, &[]), [0..=95, 128..=159, 192..=223]);
        assert_eq!(differing(&[], &[]), []);
        let last = first_of(i64::MAX, 32);
        assert_eq!(differing(&[], &[(last, 1, "a")]), [last..=i64::MAX]);
    }

    #[test]
    fn what_cannot_be_read_differs_even_where_ordering_has_nothing() {
        let ours = Ours { unreadable: vec![40], ..Ours::default() };
        let step = Step { theirs: Vec::new(), ours, next: None };
        assert_eq!(step.differing(32), [32..=63]);
        assert_eq!(step.differing(1), [40..=40]);
    }
}
