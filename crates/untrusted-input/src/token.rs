//! Continuation tokens.

use contract::feed::{ContinuationToken, Epoch, FeedIdentity, SequenceNr};
use ordering::feed::{Role, Verdict, judge};

/// The epoch and the last number of the provider that judges tokens here.
const EPOCH: Epoch = Epoch(1_763_683_200_000);
const LAST: SequenceNr = SequenceNr(1042);

/// A token has one spelling, in an address and in a document; and reading goes on only in the same
/// history, at a number that was issued.
pub fn check(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else { return false };
    let parsed = text.parse::<ContinuationToken>();
    let in_document = serde_json::from_value::<ContinuationToken>(text.into());
    assert_eq!(parsed.as_ref().ok(), in_document.as_ref().ok());
    let Ok(token) = parsed else { return false };
    assert_eq!(token.to_string(), text);
    assert_eq!(serde_json::to_value(&token).ok(), Some(text.into()));

    let identity = FeedIdentity { feed_id: token.feed_id.clone(), epoch: EPOCH };
    match judge(Some(&token), &identity, LAST, Role::Primary) {
        Verdict::Continue(after) => {
            assert_eq!((token.epoch, token.sequence_nr), (EPOCH, after));
            assert!((SequenceNr::BEGINNING..=LAST).contains(&after));
        }
        Verdict::Reset => assert!(token.epoch < EPOCH),
        Verdict::StaleProvider => assert!(token.epoch > EPOCH),
        Verdict::LostHistory => assert!(token.epoch == EPOCH && token.sequence_nr > LAST),
        Verdict::UnknownFeed => panic!("it is this feed"),
        Verdict::Lagging(_) => panic!("a primary never lags"),
    }
    // A standby only lags: it judges the future otherwise, and the rest alike.
    match judge(Some(&token), &identity, LAST, Role::Standby) {
        Verdict::Lagging(sent) => assert!((sent.epoch, sent.sequence_nr) > (EPOCH, LAST)),
        verdict => assert_eq!(verdict, judge(Some(&token), &identity, LAST, Role::Primary)),
    }
    true
}
