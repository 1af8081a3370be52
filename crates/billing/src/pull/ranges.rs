//! Checksums of ranges that ordering answered, and whether they can be believed.

use std::ops::RangeInclusive;

use contract::checksum::{ChecksumPage, first_of};

use super::answer::history;
use super::error::PullError;
use crate::upstream::Answer;

/// The checksums that `answer` holds, asked for over ranges of `width` of these numbers.
///
/// # Errors
/// What it is instead.
pub(super) fn page(
    answer: &Answer,
    numbers: &RangeInclusive<i64>,
    width: i64,
) -> Result<ChecksumPage, PullError> {
    if let Some(error) = history(answer) {
        return Err(error);
    }
    let page = answer.document()?;
    check(&page, numbers, width).map_err(|wrong| answer.not_as_agreed(wrong))?;
    Ok(page)
}

/// Whether `page` is an answer as the contract describes it. One that is not would make orders differ
/// that do not, hide some that do, or be asked for again without end.
///
/// # Errors
/// What is wrong with it.
fn check(page: &ChecksumPage, numbers: &RangeInclusive<i64>, width: i64) -> Result<(), String> {
    let mut from = *numbers.start();
    for range in &page.ranges {
        let first = range.first;
        if !numbers.contains(&first) || first_of(first, width) != first {
            return Err(format!("a range at {first} was not asked for"));
        }
        if first < from {
            return Err(format!("range {first}: the ranges do not rise"));
        }
        if !(1..=width).contains(&range.orders) {
            return Err(format!("range {first}: {} orders of {width} numbers", range.orders));
        }
        from = first.saturating_add(width);
    }
    match page.next {
        Some(next) if next < from || !numbers.contains(&next) || next == *numbers.start() => {
            Err(format!("the next range, {next}, is not behind those of this answer"))
        }
        Some(next) if first_of(next, width) != next => {
            Err(format!("the next range, {next}, begins at no multiple of {width}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use contract::checksum::RangeChecksum;
    use contract::feed::Epoch;

    use super::*;

    fn page(firsts: &[i64], next: Option<i64>) -> ChecksumPage {
        let range = |&first| RangeChecksum { first, orders: 1, checksum: "0".repeat(32) };
        ChecksumPage {
            feed_id: "k3v9x2ab".parse().unwrap(),
            epoch: Epoch(1),
            ranges: firsts.iter().map(range).collect(),
            next,
        }
    }

    #[test]
    fn an_answer_covers_what_was_asked_for_and_goes_on_behind_it() {
        let good: [(&[i64], Option<i64>); 5] = [
            (&[], None),
            (&[], Some(64)),
            (&[32, 64, 128], None),
            (&[32, 64, 128], Some(160)),
            (&[992], None),
        ];
        for (firsts, next) in good {
            assert_eq!(
                check(&page(firsts, next), &(32..=1_000), 32),
                Ok(()),
                "{firsts:?} {next:?}"
            );
        }
        let bad: [(&[i64], Option<i64>); 10] = [
            (&[0], None),
            (&[33], None),
            (&[1_024], None),
            (&[64, 32], None),
            (&[32, 32], None),
            (&[32, 64], Some(64)),
            (&[32], Some(70)),
            (&[], Some(32)),
            (&[], Some(0)),
            (&[32], Some(1_024)),
        ];
        for (firsts, next) in bad {
            assert!(check(&page(firsts, next), &(32..=1_000), 32).is_err(), "{firsts:?} {next:?}");
        }
        for orders in [-1, 0, 33] {
            let mut page = page(&[32], None);
            page.ranges[0].orders = orders;
            assert!(check(&page, &(32..=1_000), 32).is_err(), "{orders} orders");
        }
    }

    #[test]
    fn the_last_numbers_there_are_can_be_asked_for() {
        let first = first_of(i64::MAX, 1_024);
        assert_eq!(check(&page(&[first], None), &(0..=i64::MAX), 1_024), Ok(()));
        assert_eq!(check(&page(&[i64::MAX], None), &(0..=i64::MAX), 1), Ok(()));
    }
}
