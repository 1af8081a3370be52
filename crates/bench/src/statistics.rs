//! What is said of several measurements of one thing.

/// The middle one; between the two middle ones when there is an even number of them. 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    match (sorted.len() / 2, sorted.len() % 2) {
        (0, 0) => 0.0,
        (middle, 1) => sorted[middle],
        (middle, _) => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// The smallest one that at least `percent` of all are not above (nearest rank). 0 of none.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let sorted = sorted(values);
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// The smallest and the largest. 0 of none.
pub(crate) fn extremes(values: &[f64]) -> (f64, f64) {
    let sorted = sorted(values);
    let of = |value: Option<&f64>| value.copied().unwrap_or(0.0);
    (of(sorted.first()), of(sorted.last()))
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// How often `count` fits into a second of which it took `seconds`.
#[expect(clippy::cast_precision_loss, reason = "counts of orders stay far below 2^53")]
pub(crate) fn rate(count: i64, seconds: f64) -> f64 {
    count as f64 / seconds.max(1e-9)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "values are picked, not computed")]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[7.0]), 7.0);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn percentiles_are_of_the_values_themselves() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 50), 100.0);
        assert_eq!(percentile(&values, 99), 198.0);
        assert_eq!(percentile(&values, 100), 200.0);
        assert_eq!(percentile(&[5.0], 99), 5.0);
        assert_eq!(percentile(&[], 99), 0.0);
    }

    #[test]
    fn extremes_are_the_ends() {
        assert_eq!(extremes(&[2.0, 9.0, 1.0]), (1.0, 9.0));
        assert_eq!(extremes(&[]), (0.0, 0.0));
    }

    #[test]
    fn a_rate_is_per_second() {
        assert_eq!(rate(100, 4.0), 25.0);
        assert!(rate(1, 0.0).is_finite());
    }
}
