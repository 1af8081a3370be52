//! When a failed attempt is followed by another, and when by none.

use std::time::Duration;

use contract::time::Timestamp;

use super::task::{DispatchFault, Ending};
use crate::upstream::{AtFault, Fault};

/// After so many attempts in vain a dispatch is given up. With the pauses below that is 5 to 8 hours
/// after the first one: an outage of a night is not outlasted, and nobody waits for days to learn
/// that something is wrong.
const MAX_ATTEMPTS: i64 = 16;
/// After the first failure, jitter not counted. It doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Between any two attempts, jitter not counted. Also how far the other side's own wish is followed:
/// a wrong `Retry-After` must not put a delivery off for days.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// What `fault` means for a dispatch that has failed `failures` times before. `draw`, in `0.0..1.0`,
/// makes the pause up to half as long again, so that those who failed together do not all come back
/// together.
pub(super) fn ending(fault: &Fault, failures: i64, now: Timestamp, draw: f64) -> Ending {
    let failures = failures + 1;
    let in_vain = is_in_vain(fault);
    let asked = fault.retry_after.unwrap_or_default().min(LONGEST_PAUSE);
    let fault = DispatchFault {
        code: fault.code,
        message: fault.to_string(),
        status: fault.status,
        original_code: fault.original_code.clone(),
        request_id: fault.request_id.clone(),
        at: now,
    };
    if in_vain || failures >= MAX_ATTEMPTS {
        return Ending::Failed { fault };
    }
    let pause = pause(failures).mul_f64(1.0 + draw / 2.0);
    Ending::TryAgain { fault, next_attempt_at: now + pause.max(asked) }
}

/// Whether the same again would end the same: the answer was a 4xx other than 408 and 429, or the
/// request cannot even be written. Whom a SOAP fault blames does not count: receivers are promised
/// that whatever they answer with 5xx is tried again.
fn is_in_vain(fault: &Fault) -> bool {
    match fault.status {
        Some(408 | 429) => false,
        Some(status) => (400..500).contains(&status),
        None => fault.at_fault == AtFault::Us,
    }
}

/// The pause after so many failures, jitter not counted.
fn pause(failures: i64) -> Duration {
    // More doublings than this are beyond the longest pause anyway.
    let doublings = (failures - 1).clamp(0, 20);
    FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use contract::problem::ProblemCode;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_777_629_600_000_000);

    fn timeout() -> Fault {
        Fault::timeout("The customer's system")
    }

    /// How long after now the next attempt may begin; `None` when it is given up.
    fn pause_after(fault: &Fault, failures: i64, draw: f64) -> Option<Duration> {
        match ending(fault, failures, NOW, draw) {
            Ending::TryAgain { next_attempt_at, .. } => Some(next_attempt_at.since(NOW)),
            Ending::Failed { .. } => None,
            Ending::Delivered => panic!("a fault delivers nothing"),
        }
    }

    #[test]
    fn pauses_grow_from_seconds_to_an_hour_and_end_after_some_hours() {
        let pauses: Vec<_> =
            (0..).map_while(|failures| pause_after(&timeout(), failures, 0.0)).collect();
        let seconds: Vec<_> = pauses.iter().map(Duration::as_secs).collect();
        let expected =
            [2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 3_600, 3_600, 3_600, 3_600];
        assert_eq!(seconds, expected);
        let total: Duration = pauses.iter().sum();
        assert!((5.0..5.5).contains(&(total.as_secs_f64() / 3_600.0)), "{total:?}");
    }

    #[test]
    fn jitter_makes_a_pause_at_most_half_as_long_again() {
        assert_eq!(pause_after(&timeout(), 0, 0.5), Some(Duration::from_millis(2_500)));
        assert_eq!(pause_after(&timeout(), 14, 0.999), Some(Duration::from_millis(5_398_200)));
    }

    #[test]
    fn the_other_side_s_wish_is_followed_within_reason() {
        let asks = |seconds| Fault { retry_after: Some(Duration::from_secs(seconds)), ..timeout() };
        assert_eq!(pause_after(&asks(40), 0, 0.0), Some(Duration::from_secs(40)));
        assert_eq!(pause_after(&asks(1), 3, 0.0), Some(Duration::from_secs(16)));
        assert_eq!(pause_after(&asks(86_400), 0, 0.0), Some(LONGEST_PAUSE));
    }

    #[test]
    fn only_what_would_end_the_same_is_given_up_at_once() {
        for status in 100..600 {
            // Whoever is to blame: a SOAP fault with 500 may say that it is us.
            for at_fault in [AtFault::Us, AtFault::Them] {
                let fault = Fault { status: Some(status), at_fault, ..timeout() };
                let given_up = (400..500).contains(&status) && status != 408 && status != 429;
                assert_eq!(pause_after(&fault, 0, 0.0).is_none(), given_up, "{status}");
            }
        }
        let unsendable = Fault { at_fault: AtFault::Us, ..timeout() };
        assert_eq!(pause_after(&unsendable, 0, 0.0), None);
        assert!(pause_after(&timeout(), 0, 0.0).is_some());
    }

    #[test]
    fn the_fault_is_kept_as_a_sentence() {
        let fault = Fault {
            original_code: Some("X-1".into()),
            request_id: Some("r7".into()),
            ..Fault::not_as_agreed("The customer's system", 302, "a redirect")
        };
        let Ending::Failed { fault } = ending(&fault, 15, NOW, 0.0) else { panic!("was the last") };
        let expected = DispatchFault {
            code: ProblemCode::UpstreamInvalid,
            message: "The customer's system answered 302, but not as agreed: a redirect".into(),
            status: Some(302),
            original_code: Some("X-1".into()),
            request_id: Some("r7".into()),
            at: NOW,
        };
        assert_eq!(fault, expected);
    }

    #[test]
    fn no_count_of_failures_overflows() {
        assert_eq!(pause(i64::MAX), LONGEST_PAUSE);
        assert_eq!(pause(0), FIRST_PAUSE);
    }
}
