//! The limits of an order and a customer.

/// The most lines an order may have.
pub const MAX_LINES: usize = 2_000;
/// The largest quantity of a line.
pub const MAX_QUANTITY: i64 = 1_000_000;
/// The largest unit price, in minor units.
pub const MAX_UNIT_PRICE_MINOR: i64 = 1_000_000_000_000;
