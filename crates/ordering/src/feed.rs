//! How a continuation token is judged against the provider's own state.

use contract::feed::{ContinuationToken, FeedIdentity, SequenceNr};

/// What a token means to this provider; the reasons are told in `docs/PROTOCOL.md`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Reading goes on after this number.
    Continue(SequenceNr),
    /// The token is of an older epoch: read again from the beginning.
    Reset,
    /// The token is of another database.
    UnknownFeed,
    /// The token is of this epoch, but its number was never issued: history was lost and nobody
    /// announced it. A new epoch must begin.
    LostHistory,
    /// The token is of a newer epoch: this provider is of the past and serves nothing.
    StaleProvider,
}

/// Judges `token` (`None`: from the beginning) in the snapshot in which the provider is `identity`
/// and has issued numbers up to `last`.
pub fn judge(
    token: Option<&ContinuationToken>,
    identity: &FeedIdentity,
    last: SequenceNr,
) -> Verdict {
    let Some(token) = token else { return Verdict::Continue(SequenceNr::BEGINNING) };
    if token.feed_id != identity.feed_id {
        return Verdict::UnknownFeed;
    }
    match token.epoch.cmp(&identity.epoch) {
        std::cmp::Ordering::Less => Verdict::Reset,
        std::cmp::Ordering::Greater => Verdict::StaleProvider,
        std::cmp::Ordering::Equal if token.sequence_nr > last => Verdict::LostHistory,
        std::cmp::Ordering::Equal => Verdict::Continue(token.sequence_nr),
    }
}

#[cfg(test)]
mod tests {
    use contract::feed::Epoch;

    use super::*;

    #[test]
    fn every_row_of_the_token_table() {
        let identity = FeedIdentity { feed_id: "abc".parse().unwrap(), epoch: Epoch(5) };
        let judge = |token: &str| judge(Some(&token.parse().unwrap()), &identity, SequenceNr(10));
        assert_eq!(judge("abc-5-0"), Verdict::Continue(SequenceNr(0)));
        assert_eq!(judge("abc-5-10"), Verdict::Continue(SequenceNr(10)));
        assert_eq!(judge("abc-5-11"), Verdict::LostHistory);
        assert_eq!(judge("abc-4-3"), Verdict::Reset);
        assert_eq!(judge("abc-6-3"), Verdict::StaleProvider);
        assert_eq!(judge("abd-5-3"), Verdict::UnknownFeed);
        assert_eq!(
            super::judge(None, &identity, SequenceNr(10)),
            Verdict::Continue(SequenceNr::BEGINNING)
        );
    }
}
