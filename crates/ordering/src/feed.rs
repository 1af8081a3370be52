//! How a continuation token is judged against the provider's own state.

use std::cmp::Ordering;

use contract::feed::{ContinuationToken, FeedIdentity, SequenceNr};

/// Which database the feed is read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The one that orders are written to: it knows the newest of its history.
    Primary,
    /// A hot standby of it: it may lag behind what a consumer has read elsewhere.
    Standby,
}

/// What a token means to this provider; the reasons are told in `docs/PROTOCOL.md`.
#[derive(Clone, PartialEq, Eq, Debug)]
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
    /// The token, which this is, is of the future of a standby that only lags: there is nothing new
    /// yet.
    Lagging(ContinuationToken),
}

/// Judges `token` (`None`: from the beginning) in the snapshot in which the provider is `identity`
/// and has issued numbers up to `last`.
pub fn judge(
    token: Option<&ContinuationToken>,
    identity: &FeedIdentity,
    last: SequenceNr,
    role: Role,
) -> Verdict {
    let Some(token) = token else { return Verdict::Continue(SequenceNr::BEGINNING) };
    if token.feed_id != identity.feed_id {
        return Verdict::UnknownFeed;
    }
    let of_the_future = |on_primary| match role {
        Role::Primary => on_primary,
        Role::Standby => Verdict::Lagging(token.clone()),
    };
    match token.epoch.cmp(&identity.epoch) {
        Ordering::Less => Verdict::Reset,
        Ordering::Greater => of_the_future(Verdict::StaleProvider),
        Ordering::Equal if token.sequence_nr > last => of_the_future(Verdict::LostHistory),
        Ordering::Equal => Verdict::Continue(token.sequence_nr),
    }
}

#[cfg(test)]
mod tests {
    use contract::feed::Epoch;

    use super::*;

    #[test]
    fn every_row_of_the_token_table() {
        let identity = FeedIdentity { feed_id: "abc".parse().unwrap(), epoch: Epoch(5) };
        let judge_as = |role, token: &str| {
            judge(Some(&token.parse().unwrap()), &identity, SequenceNr(10), role)
        };
        let judge = |token| judge_as(Role::Primary, token);
        assert_eq!(judge("abc-5-0"), Verdict::Continue(SequenceNr(0)));
        assert_eq!(judge("abc-5-10"), Verdict::Continue(SequenceNr(10)));
        assert_eq!(judge("abc-5-11"), Verdict::LostHistory);
        assert_eq!(judge("abc-4-3"), Verdict::Reset);
        assert_eq!(judge("abc-6-3"), Verdict::StaleProvider);
        assert_eq!(judge("abd-5-3"), Verdict::UnknownFeed);
        let standby = |token| judge_as(Role::Standby, token);
        assert_eq!(standby("abc-5-10"), Verdict::Continue(SequenceNr(10)));
        assert_eq!(standby("abc-5-11"), Verdict::Lagging("abc-5-11".parse().unwrap()));
        assert_eq!(standby("abc-4-3"), Verdict::Reset);
        assert_eq!(standby("abc-6-3"), Verdict::Lagging("abc-6-3".parse().unwrap()));
        assert_eq!(standby("abd-5-3"), Verdict::UnknownFeed);
        for role in [Role::Primary, Role::Standby] {
            assert_eq!(
                super::judge(None, &identity, SequenceNr(10), role),
                Verdict::Continue(SequenceNr::BEGINNING)
            );
        }
    }
}
