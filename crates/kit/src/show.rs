//! Money, times, addresses and order lines for people. Also the filters that the page templates use.

use std::time::Duration;

use contract::order::{Address, Line};
use contract::time::Timestamp;
use iso_currency::Currency;

/// An amount in minor units, for people: `1,694.00 EUR`. JPY has no minor unit: `1,694 JPY`.
pub fn money(minor: i64, currency: &str) -> String {
    format!("{} {currency}", amount(minor, currency))
}

/// An amount in minor units without its currency: `1,694.00`.
pub fn amount(minor: i64, currency: &str) -> String {
    let plain = decimal(minor, currency);
    let (sign, digits) = plain.strip_prefix('-').map_or(("", plain.as_str()), |rest| ("−", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", thousands(whole))
}

/// An amount as one types it into a form: `1694.00`.
pub fn decimal(minor: i64, currency: &str) -> String {
    let digits = minor_digits(currency);
    if digits == 0 {
        return minor.to_string();
    }
    let sign = if minor < 0 { "-" } else { "" };
    let scale = 10_u64.pow(digits);
    let minor = minor.unsigned_abs();
    let width = digits as usize;
    format!("{sign}{}.{:0width$}", minor / scale, minor % scale)
}

/// What one typed into a form, in minor units: `1694`, `1694.5` and `1,694.50` are the same.
/// A comma stands between thousands only: `0,35` is refused, not taken for 35.
///
/// # Errors
/// A message for the person who typed it.
pub fn parse_decimal(text: &str, currency: &str) -> Result<i64, String> {
    let digits = minor_digits(currency) as usize;
    let example = if digits == 0 { "1694".to_owned() } else { format!("1694.{:0<digits$}", 5) };
    let wrong = || format!("must be an amount such as {example}");
    let text = text.trim();
    let (sign, unsigned) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let plain = whole.replace(',', "");
    if whole != plain && whole != thousands(&plain) {
        return Err(wrong());
    }
    let whole = plain;
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(&whole) || !all_digits(fraction) || unsigned.ends_with('.') {
        return Err(wrong());
    }
    if fraction.len() > digits {
        return Err(format!("{currency} has {digits} decimal places"));
    }
    let minor: i64 = format!("{whole}{fraction:0<digits$}").parse().map_err(|_| wrong())?;
    Ok(sign * minor)
}

/// How many decimal places a currency has; 2 for one that is unknown.
pub fn minor_digits(currency: &str) -> u32 {
    Currency::from_code(currency).and_then(Currency::exponent).map_or(2, u32::from)
}

/// A count with thousands separators: `12,345`.
pub fn count(n: i64) -> String {
    let sign = if n < 0 { "−" } else { "" };
    format!("{sign}{}", thousands(&n.unsigned_abs().to_string()))
}

fn thousands(digits: &str) -> String {
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A day: `1 May 2026`.
pub fn date(time: Timestamp) -> String {
    time.calendar().strftime("%-d %B %Y").to_string()
}

/// A time of day and its day, in UTC: `1 May 2026, 10:00 UTC`.
pub fn date_time(time: Timestamp) -> String {
    time.calendar().strftime("%-d %B %Y, %H:%M UTC").to_string()
}

/// A time of day in UTC: `10:00`.
pub fn time_of_day(time: Timestamp) -> String {
    time.calendar().strftime("%H:%M").to_string()
}

/// How long ago, in the largest unit that fits: `12 s ago`.
pub fn ago(time: Timestamp, now: Timestamp) -> String {
    format!("{} ago", span(now.since(time)))
}

/// How long until then, in the largest unit that fits: `in 12 s`.
pub fn ahead(time: Timestamp, now: Timestamp) -> String {
    format!("in {}", span(time.since(now)))
}

/// A span of time in the largest unit that fits: `12 s`.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A tax rate in basis points as a percentage: `21 %`, `5.5 %`.
pub fn tax_rate(basis_points: i64) -> String {
    format!("{} %", percent(basis_points))
}

/// A tax rate in basis points as one types it into a form: `21`, `5.5`.
pub fn percent(basis_points: i64) -> String {
    let text = decimal(basis_points, "EUR");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The name of a country by its ISO 3166-1 alpha-2 code; the code itself when it is unknown.
pub fn country(code: &str) -> String {
    contract::order::country_name(code).unwrap_or(code).to_owned()
}

/// An address line by line, as on an envelope, without what is not known.
pub fn address_lines(address: &Address) -> Vec<String> {
    let known = |part: &Option<String>| part.clone().filter(|text| !text.trim().is_empty());
    let town = [known(&address.postal_code), known(&address.city)];
    let town = town.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let country = known(&address.country).map(|code| country(&code));
    let lines = [known(&address.line1), known(&address.line2), Some(town), country];
    lines.into_iter().flatten().filter(|line| !line.is_empty()).collect()
}

/// A line of an order or an invoice, in one line: `40 × BOLT-8, Bolt M8, at 0.35, 21 % tax`.
pub fn line(line: &Line, currency: &str) -> String {
    let description = line.description.as_deref().filter(|text| !text.is_empty());
    format!(
        "{} × {}{}, at {}, {} tax",
        count(line.quantity),
        line.sku,
        description.map(|text| format!(", {text}")).unwrap_or_default(),
        amount(line.unit_price_minor, currency),
        tax_rate(line.tax_basis_points)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_how_much_and_for_how_much() {
        let bolts = Line {
            line_no: 1,
            sku: "BOLT-8".into(),
            description: Some("Bolt M8".into()),
            quantity: 1_000,
            unit_price_minor: 35,
            tax_basis_points: 2100,
        };
        assert_eq!(line(&bolts, "EUR"), "1,000 × BOLT-8, Bolt M8, at 0.35, 21 % tax");
        for description in [None, Some(String::new())] {
            let bare = Line { description, ..bolts.clone() };
            assert_eq!(line(&bare, "JPY"), "1,000 × BOLT-8, at 35, 21 % tax");
        }
    }

    #[test]
    fn an_address_has_no_empty_lines() {
        let known = |text: &str| Some(text.to_owned());
        let address = Address {
            line1: known("1 Quay St"),
            line2: known(" "),
            postal_code: known("1011"),
            city: known("Delft"),
            country: known("NL"),
        };
        assert_eq!(address_lines(&address), ["1 Quay St", "1011 Delft", "Netherlands"]);
        assert_eq!(address_lines(&Address::default()), [""; 0]);
    }

    #[test]
    fn money_is_grouped_and_has_its_currency_s_decimals() {
        assert_eq!(money(169_400, "EUR"), "1,694.00 EUR");
        assert_eq!(money(-5, "GBP"), "−0.05 GBP");
        assert_eq!(money(1_234_567, "JPY"), "1,234,567 JPY");
        assert_eq!(money(i64::MIN, "EUR"), "−92,233,720,368,547,758.08 EUR");
    }

    #[test]
    fn typed_amounts_are_read_exactly() {
        assert_eq!(parse_decimal(" 1,694.5 ", "EUR"), Ok(169_450));
        assert_eq!(parse_decimal("0.35", "EUR"), Ok(35));
        assert_eq!(parse_decimal("-2", "EUR"), Ok(-200));
        assert_eq!(parse_decimal("12", "JPY"), Ok(12));
        for wrong in [
            "",
            ".",
            "1.",
            "1.234",
            "a",
            "1.2.3",
            "--1",
            "99999999999999999999",
            "0,35",
            "1,69",
            "1,6945",
        ] {
            assert!(parse_decimal(wrong, "EUR").is_err(), "{wrong:?}");
        }
        assert!(parse_decimal("1.5", "JPY").is_err());
    }

    #[test]
    fn times_and_rates_read_well() {
        let time: Timestamp = "2026-05-01T10:00:00Z".parse().unwrap();
        assert_eq!(date(time), "1 May 2026");
        assert_eq!(date_time(time), "1 May 2026, 10:00 UTC");
        assert_eq!(time_of_day(time), "10:00");
        assert_eq!(ago(time, time + Duration::from_secs(90)), "1 min ago");
        assert_eq!(ahead(time + Duration::from_hours(2), time), "in 2 h");
        assert_eq!(
            (tax_rate(2100), tax_rate(550), tax_rate(0)),
            ("21 %".into(), "5.5 %".into(), "0 %".into())
        );
    }
}
