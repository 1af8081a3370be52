//! Times as files spell them.

use contract::time::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Month first, as in the published file. A short year comes first: read as a long one, 10 would be
/// a year of antiquity.
const MONTH_FIRST: [&str; 4] =
    ["%m/%d/%y %H:%M", "%m/%d/%y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S"];

/// The time that `text` names, in UTC where it names no zone; `None` when it names no time.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let month_first = || MONTH_FIRST.iter().find_map(|form| DateTime::strptime(form, text).ok());
    let civil = text.parse::<DateTime>().ok().or_else(month_first)?;
    let time = TimeZone::UTC.to_timestamp(civil).ok()?;
    Some(Timestamp::from_micros(time.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_time_has_many_spellings() {
        for text in [
            "12/1/2010 8:26",
            "12/01/2010 08:26",
            "12/1/10 8:26",
            "12/1/2010 8:26:00",
            "2010-12-01 08:26:00",
            "2010-12-01 08:26",
            "2010-12-01T08:26",
            "2010-12-01T08:26:00Z",
            "2010-12-01T09:26:00+01:00",
        ] {
            let time = parse(text).map(|time| time.to_string());
            assert_eq!(time.as_deref(), Some("2010-12-01T08:26:00.000000Z"), "{text}");
        }
        for text in ["", "yesterday", "31/12/2010 8:26", "2010-13-01", "40513.35"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
