//! The chart of the sync page: how many orders were taken in, hour by hour.

use contract::time::Timestamp;

use crate::pull::Counts;

/// How many bars the chart has: a day of them.
const HOURS: i64 = 24;
const HOUR_MICROS: i64 = 3_600_000_000;

/// The last 24 hours by the clock, oldest first; the last one is under way.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) bars: Vec<Bar>,
}

/// What one hour brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Bar {
    pub(super) from: Timestamp,
    pub(super) counts: Counts,
}

impl Chart {
    /// When the first hour begins.
    pub(super) fn begins(now: Timestamp) -> Timestamp {
        let this_hour = now.micros().div_euclid(HOUR_MICROS);
        Timestamp::from_micros((this_hour - (HOURS - 1)) * HOUR_MICROS)
    }

    /// The chart of `pulls`; those outside its hours are left out.
    pub(super) fn of(pulls: &[(Timestamp, Counts)], now: Timestamp) -> Self {
        let begins = Self::begins(now).micros();
        let from = |hour| Timestamp::from_micros(begins + hour * HOUR_MICROS);
        let mut bars: Vec<_> =
            (0..HOURS).map(|hour| Bar { from: from(hour), counts: Counts::default() }).collect();
        for &(at, counts) in pulls {
            let hour = (at.micros() - begins).div_euclid(HOUR_MICROS);
            if let Some(bar) = usize::try_from(hour).ok().and_then(|hour| bars.get_mut(hour)) {
                bar.counts += counts;
            }
        }
        Self { bars }
    }

    /// The hour that brought most; `None` when none brought anything.
    pub(super) fn peak(&self) -> Option<&Bar> {
        self.bars.iter().filter(|bar| bar.height() > 0).max_by_key(|bar| bar.height())
    }
}

impl Bar {
    /// How many orders, which is also how high the bar is drawn.
    pub(super) fn height(&self) -> i64 {
        self.counts.new + self.counts.changed + self.counts.removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn new(orders: i64) -> Counts {
        Counts { new: orders, ..Counts::default() }
    }

    #[test]
    fn pulls_are_counted_in_the_hour_they_fall_in() {
        let now = at("2026-05-02T10:30:00Z");
        let pulls = [
            (at("2026-05-01T10:59:59.999999Z"), new(1_000)), // a moment too old
            (at("2026-05-01T11:00:00Z"), new(1)),
            (at("2026-05-02T09:59:59.999999Z"), new(2)),
            (at("2026-05-02T10:00:00Z"), new(3)),
            (at("2026-05-02T10:30:00Z"), Counts { changed: 4, removed: 5, ..new(0) }),
            (at("2026-05-02T11:00:00Z"), new(1_000)), // by a clock that was ahead
        ];
        let chart = Chart::of(&pulls, now);
        assert_eq!(chart.bars.len(), 24);
        assert_eq!(chart.bars[0], Bar { from: at("2026-05-01T11:00:00Z"), counts: new(1) });
        assert_eq!(chart.bars[22].counts, new(2));
        assert_eq!(chart.bars[23].from, at("2026-05-02T10:00:00Z"));
        assert_eq!(chart.bars[23].counts, Counts { changed: 4, removed: 5, ..new(3) });
        assert_eq!(chart.bars[1..22].iter().map(Bar::height).sum::<i64>(), 0);
        assert_eq!(chart.peak(), Some(&chart.bars[23]));
        assert_eq!(Chart::begins(now), chart.bars[0].from);
    }

    #[test]
    fn a_day_without_orders_has_no_peak() {
        let pull = (at("2026-05-02T10:00:00Z"), Counts { unchanged: 7, ..Counts::default() });
        assert_eq!(Chart::of(&[pull], at("2026-05-02T10:30:00Z")).peak(), None);
    }
}
