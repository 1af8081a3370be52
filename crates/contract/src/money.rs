//! Line and order totals: the one place where tax is rounded.
//!
//! Amounts are integers in the currency's minor unit (cents, pence). Tax is rounded per
//! line, half away from zero, so that the sum of the lines always equals the total.

use crate::order::Line;

/// Net, tax and total of an order or an invoice, in minor units.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Sum over the lines of quantity × unit price.
    pub net_minor: i64,
    /// Sum over the lines of the rounded tax.
    pub tax_minor: i64,
    /// `net_minor + tax_minor`.
    pub total_minor: i64,
}

impl Totals {
    /// The totals of `lines`; `None` when a sum does not fit an `i64`.
    pub fn of(lines: &[Line]) -> Option<Self> {
        let mut totals = Self::default();
        for line in lines {
            let net = line_net(line.quantity, line.unit_price_minor)?;
            let tax = line_tax(net, line.tax_basis_points)?;
            totals.net_minor = totals.net_minor.checked_add(net)?;
            totals.tax_minor = totals.tax_minor.checked_add(tax)?;
        }
        totals.total_minor = totals.net_minor.checked_add(totals.tax_minor)?;
        Some(totals)
    }
}

/// Quantity × unit price; `None` on overflow.
pub fn line_net(quantity: i64, unit_price_minor: i64) -> Option<i64> {
    quantity.checked_mul(unit_price_minor)
}

/// Tax on a line's net amount, rounded half away from zero; `None` on overflow.
///
/// One basis point is a hundredth of a percent: 2100 is 21 %.
pub fn line_tax(net_minor: i64, tax_basis_points: i64) -> Option<i64> {
    let scaled = i128::from(net_minor).checked_mul(i128::from(tax_basis_points))?;
    let half = if scaled < 0 { -5_000 } else { 5_000 };
    i64::try_from((scaled + half) / 10_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tax_is_rounded_half_away_from_zero() {
        assert_eq!(line_tax(1400, 2100), Some(294));
        assert_eq!(line_tax(50, 100), Some(1), "0.5 rounds up");
        assert_eq!(line_tax(49, 100), Some(0), "0.49 rounds down");
        assert_eq!(line_tax(-50, 100), Some(-1), "-0.5 rounds away from zero");
        assert_eq!(line_tax(i64::MAX, 20_000), None);
    }

    #[test]
    fn totals_add_up_line_by_line_and_refuse_overflow() {
        let line = |quantity, unit_price_minor| Line {
            quantity,
            unit_price_minor,
            tax_basis_points: 1900,
            ..Line::default()
        };
        // 19 % of 3 is 0.57, rounded to 1 on each line: 2, not round(1.14) = 1.
        assert_eq!(
            Totals::of(&[line(1, 3), line(1, 3)]),
            Some(Totals { net_minor: 6, tax_minor: 2, total_minor: 8 })
        );
        assert_eq!(Totals::of(&vec![line(1_000_000, 1_000_000_000_000); 10]), None);
    }
}
