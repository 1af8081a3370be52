//! Both services' stores, each call of which waits at a gate first. Every call is one transaction,
//! so this puts the calls of all actors into any order that the databases may see.
//!
//! What they do is seen by the [`Witness`](crate::witness::Witness). One rule of the protocol can be
//! broken here, to prove that a broken one is found.

mod billing;
mod ordering;

pub(crate) use billing::BillingStore;
pub(crate) use ordering::OrderingStore;

/// A rule of `docs/PROTOCOL.md`, without which orders get lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// P1: a write of an exposed order takes its number away.
    WritesUnstamp,
    /// P2: numbers come from a counter, not from the greatest one there is.
    NumbersFromCounter,
    /// P7: an epoch is named after the time at which it begins.
    EpochsNamedByTime,
    /// C1: a page and its token are stored in one transaction.
    PageWithToken,
    /// C1: the token is moved only from where the page was asked for.
    TokenBySwap,
    /// C2: what is older than the stored order is not written.
    NewerOnly,
    /// C3: the pull of one order leaves the token alone.
    PullKeepsToken,
    /// C5: what a re-read did not meet is asked for by number.
    UnseenAreAsked,
}
