//! Points in time, in UTC with microsecond precision.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

/// A point in time: microseconds since the Unix epoch, in UTC.
///
/// Stored as a `BIGINT` and written as RFC 3339 with exactly six fractional digits,
/// so that text order is time order and both databases keep the same value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, ToSchema)]
#[schema(value_type = String, format = DateTime, examples("2026-05-01T10:00:00.000000Z"))]
pub struct Timestamp(i64);

/// The text is not an RFC 3339 time that fits the calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an RFC 3339 time such as 2026-05-01T10:00:00Z")]
pub struct InvalidTimestamp;

impl Timestamp {
    /// The time that lies `micros` microseconds after 1970-01-01T00:00:00Z.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since 1970-01-01T00:00:00Z.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// How much time has gone by from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The calendar form, for formatting. Times outside jiff's range (beyond the year 9999)
    /// are shown as the nearest time inside it.
    pub fn calendar(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }

    /// The year in UTC.
    pub fn year(self) -> i16 {
        self.calendar().to_zoned(jiff::tz::TimeZone::UTC).year()
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.calendar())
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed: jiff::Timestamp = text.parse().map_err(|_| InvalidTimestamp)?;
        Ok(Self(parsed.as_microsecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_with_six_digits_and_read_back() {
        let time = Timestamp::from_micros(1_777_629_600_000_007);
        assert_eq!(time.to_string(), "2026-05-01T10:00:00.000007Z");
        assert_eq!(time.to_string().parse(), Ok(time));
        assert_eq!(
            serde_json::to_string(&Timestamp::from_micros(0)).unwrap(),
            "\"1970-01-01T00:00:00.000000Z\""
        );
    }

    #[test]
    fn reads_offsets_and_refuses_other_text() {
        assert_eq!(
            "2026-05-01T12:00:00+02:00".parse(),
            Ok(Timestamp::from_micros(1_777_629_600_000_000))
        );
        assert_eq!("yesterday".parse::<Timestamp>(), Err(InvalidTimestamp));
    }

    #[test]
    fn time_since_a_later_time_is_zero() {
        let (early, late) = (Timestamp::from_micros(5), Timestamp::from_micros(9));
        assert_eq!(late.since(early), Duration::from_micros(4));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(
            (early + Duration::from_micros(4), late - Duration::from_micros(4)),
            (late, early)
        );
        assert_eq!(early - Duration::MAX, Timestamp::from_micros(5 - i64::MAX));
    }
}
