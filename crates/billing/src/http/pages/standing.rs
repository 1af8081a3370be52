//! How the pull stands, in one word.

use crate::store::{AtSource, PullState};

/// How the pull stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// Only an operator can make it go on.
    Blocked,
    /// The last pull failed; it is tried again.
    Failing,
    /// There was no answer yet.
    NotBegun,
    /// The feed is read again from its beginning, and some orders have not been seen again yet.
    ReadingAgain,
    /// There is more to read.
    CatchingUp,
    /// Everything is here.
    UpToDate,
}

impl Standing {
    /// How `state` is to be seen; `blocked` when another feed answers.
    pub(super) fn of(state: &PullState, at_source: &AtSource, blocked: bool) -> Self {
        if blocked {
            Self::Blocked
        } else if state.consecutive_failures > 0 {
            Self::Failing
        } else if state.identity.is_none() {
            Self::NotBegun
        } else if state.continuation_token.is_none() || at_source.reread.is_some() {
            Self::ReadingAgain
        } else if state.behind().is_none_or(|orders| orders > 0) {
            Self::CatchingUp
        } else {
            Self::UpToDate
        }
    }

    /// The words for it.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Blocked => "Stopped",
            Self::Failing => "Failing",
            Self::NotBegun => "Not begun",
            Self::ReadingAgain => "Reading again from the beginning",
            Self::CatchingUp => "Catching up",
            Self::UpToDate => "Up to date",
        }
    }

    /// The style sheet's class for it.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Blocked | Self::Failing => "failed",
            Self::NotBegun | Self::ReadingAgain | Self::CatchingUp => "waiting",
            Self::UpToDate => "good",
        }
    }
}

#[cfg(test)]
mod tests {
    use contract::feed::{Epoch, SequenceNr};

    use super::*;
    use crate::store::Reread;

    #[test]
    fn the_worst_that_holds_is_said() {
        let all_seen = AtSource { missing: 3, undecided: 0, reread: None };
        let of = |state: &PullState, blocked| Standing::of(state, &all_seen, blocked);
        let token = "abc-7-40".parse::<contract::feed::ContinuationToken>().unwrap();
        let identity =
            contract::feed::FeedIdentity { feed_id: token.feed_id.clone(), epoch: token.epoch };
        let mut state = PullState::default();
        assert_eq!(of(&state, false), Standing::NotBegun);
        state.identity = Some(identity);
        state.last_sequence_nr = Some(SequenceNr(42));
        assert_eq!(of(&state, false), Standing::ReadingAgain);
        state.continuation_token = Some(token);
        assert_eq!((of(&state, false), state.behind()), (Standing::CatchingUp, Some(2)));
        state.last_sequence_nr = Some(SequenceNr(40));
        assert_eq!((of(&state, false), state.behind()), (Standing::UpToDate, Some(0)));
        let reread = Reread { epoch: Epoch(7), since: None, seen: 1, unseen: 1 };
        let some_unseen = AtSource { reread: Some(reread), ..all_seen };
        assert_eq!(Standing::of(&state, &some_unseen, false), Standing::ReadingAgain);
        state.consecutive_failures = 1;
        assert_eq!((of(&state, false), state.behind()), (Standing::Failing, None));
        assert_eq!(of(&state, true), Standing::Blocked);
    }
}
