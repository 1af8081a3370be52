//! What a single order is like on either side, and whether a difference is merely on its way.
//!
//! Both sides change while they are looked at, and not at one moment: so it matters in which order
//! they are. First how far the pull has come, then the copy, then ordering's order, then the copy
//! once more. What ordering had is then never newer than what the copy may be, and a copy that is
//! ahead of ordering in the first look at it is so for good.

use std::collections::HashMap;

use contract::checksum::digest;
use contract::feed::{Epoch, FeedIdentity, SequenceNr};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::{Difference, History, Kind, Progress, Result, Verifier, Watch, patiently};
use crate::pull::{PullError, Single};
use crate::store::OrderCopy;

/// How many orders are looked at together.
const BATCH: usize = 100;
/// How many of them ordering is asked for at a time.
const AT_ONCE: usize = 8;

impl Verifier {
    /// Which of these orders differ, and not only because a change is on its way.
    pub(super) async fn differences(
        &self,
        history: &mut History,
        numbers: &[i64],
        watch: Watch<'_>,
    ) -> Result<Vec<Difference>> {
        let mut suspects = Vec::new();
        for (done, batch) in numbers.chunks(BATCH).enumerate() {
            watch(Progress::LookingAgain { left: numbers.len() - done * BATCH });
            suspects.extend(self.look(history, batch).await?.iter().filter_map(Suspect::of));
        }
        for pause in self.patience {
            if suspects.is_empty() {
                break;
            }
            watch(Progress::LookingAgain { left: suspects.len() });
            tokio::time::sleep(*pause).await;
            suspects = self.not_arrived(suspects).await?;
        }
        let mut differences = Vec::with_capacity(suspects.len());
        for batch in suspects.chunks(BATCH) {
            let sights = self.look(history, &numbers_of(batch)).await?;
            differences
                .extend(batch.iter().zip(&sights).filter_map(|(it, sight)| it.confirm(sight)));
        }
        Ok(differences)
    }

    /// Those whose copies have not come to what ordering had.
    async fn not_arrived(&self, mut suspects: Vec<Suspect>) -> Result<Vec<Suspect>> {
        let mut left = Vec::new();
        while !suspects.is_empty() {
            let rest = suspects.split_off(suspects.len().min(BATCH));
            let copies = self.copies(&numbers_of(&suspects)).await?;
            suspects.retain(|it| !it.has_arrived(copies.get(&it.difference.number)));
            left.append(&mut suspects);
            suspects = rest;
        }
        Ok(left)
    }

    /// Looks at these orders on either side; what there is to see, in the same order.
    pub(super) async fn look(&self, history: &mut History, numbers: &[i64]) -> Result<Vec<Sight>> {
        let token = self.store.pull_state().await?.continuation_token;
        let mut before = self.copies(numbers).await?;
        let asked = stream::iter(numbers.to_vec()).map(|number| self.ask(number));
        let answers: Vec<_> = asked.buffered(AT_ONCE).try_collect().await?;
        let mut copies = self.copies(numbers).await?;
        let mut sights = Vec::with_capacity(numbers.len());
        for (&number, (identity, source)) in numbers.iter().zip(answers) {
            let is_of_history = token
                .as_ref()
                .is_some_and(|it| it.feed_id == identity.feed_id && it.epoch == identity.epoch);
            let token = token.as_ref().filter(|_| is_of_history);
            history.check(identity)?;
            sights.push(Sight {
                number,
                pulled_to: token.map_or(SequenceNr::BEGINNING, |token| token.sequence_nr),
                before: before.remove(&number),
                source,
                copy: copies.remove(&number),
            });
        }
        Ok(sights)
    }

    /// The order as ordering has it, `None` when it knows no such order; and which history says so.
    async fn ask(&self, number: i64) -> Result<(FeedIdentity, Option<Single>)> {
        match patiently(|| self.puller.client.order(number)).await {
            Ok(found) => Ok((found.identity.clone(), Some(found))),
            Err(PullError::NotFound(identity)) => Ok((identity, None)),
            Err(error) => Err(error.into()),
        }
    }

    /// The copies with these numbers, by number.
    async fn copies(&self, numbers: &[i64]) -> Result<HashMap<i64, OrderCopy>> {
        let copies = self.store.copies_of(numbers).await?;
        Ok(copies.into_iter().map(|copy| (copy.number, copy)).collect())
    }
}

/// What an order was like on either side.
pub(super) struct Sight {
    pub(super) number: i64,
    /// How far the pull had come.
    pulled_to: SequenceNr,
    /// The copy before ordering was asked.
    before: Option<OrderCopy>,
    /// What ordering has; `None` when it knows no such order.
    pub(super) source: Option<Single>,
    /// The copy after ordering was asked.
    pub(super) copy: Option<OrderCopy>,
}

impl Sight {
    /// How the order differs; `None` when it does not.
    fn kind(&self) -> Option<Kind> {
        let before = counted(self.before.as_ref());
        let (source, copy) = match (&self.source, counted(self.copy.as_ref())) {
            (None, None) => return None,
            // A copy that was not there before has come since ordering was asked.
            (None, Some(_)) => return before.map(|_| Kind::Extra),
            (Some(_), None) => return Some(Kind::Missing),
            (Some(source), Some(copy)) => (Source::of(source), copy),
        };
        if source.is_behind(copy) {
            // Likewise, a copy that was not ahead before has been brought up to date since.
            before.filter(|before| source.is_behind(before)).map(|_| Kind::Newer)
        } else if source.digest.is_some() && source.digest == digest_of(copy) {
            None
        } else if source.is_deleted && !copy.deleted {
            Some(Kind::NotDeleted)
        } else if source.version.is_some_and(|version| copy.row.version < version) {
            Some(Kind::Older)
        } else {
            Some(Kind::OtherContent)
        }
    }

    /// How the order differs, to be told; `None` when it does not.
    pub(super) fn difference(&self) -> Option<Difference> {
        let kind = self.kind()?;
        let source = self.source.as_ref().map(Source::of);
        let is_beyond = |nr: SequenceNr| nr == SequenceNr::UNSTAMPED || nr > self.pulled_to;
        let unfit = self.source.as_ref().and_then(|source| source.order.as_ref().err());
        Some(Difference {
            number: self.number,
            kind,
            ordering_version: source.as_ref().and_then(|source| source.version),
            billing_version: counted(self.copy.as_ref()).map(|copy| copy.row.version),
            not_yet_pulled: source.is_some_and(|source| is_beyond(source.sequence_nr)),
            quarantined: unfit.map(|unfit| unfit.reason.clone()),
            repaired: false,
        })
    }
}

/// What there is to compare of an order as ordering has it, be it one that can be taken in or not.
struct Source {
    epoch: Epoch,
    /// `None` when it cannot be read.
    version: Option<i64>,
    sequence_nr: SequenceNr,
    is_deleted: bool,
    /// `None` when the order is not one that can be taken in.
    digest: Option<[u8; 32]>,
}

impl Source {
    fn of(single: &Single) -> Self {
        let epoch = single.identity.epoch;
        match &single.order {
            Ok(order) => Self {
                epoch,
                version: Some(order.version),
                sequence_nr: order.confirmed_sequence_nr,
                is_deleted: order.is_deleted(),
                digest: Some(digest(order)),
            },
            Err(unfit) => Self {
                epoch,
                version: unfit.version,
                sequence_nr: unfit.sequence_nr,
                is_deleted: false,
                digest: None,
            },
        }
    }

    /// Whether the copy is of a later version or history.
    fn is_behind(&self, copy: &OrderCopy) -> bool {
        copy.row.epoch > self.epoch
            || self.version.is_some_and(|version| copy.row.version > version)
    }
}

/// An order that differed in the first look.
struct Suspect {
    difference: Difference,
    /// What ordering had then, and the copy is to come to; `None` when there is nothing to wait for.
    awaited: Option<Source>,
}

impl Suspect {
    fn of(sight: &Sight) -> Option<Self> {
        let difference = sight.difference()?;
        // A copy that is ahead has not to come anywhere: it is ordering that lacks something.
        let awaited = sight.source.as_ref().filter(|_| difference.kind != Kind::Newer);
        Some(Self { awaited: awaited.map(Source::of), difference })
    }

    /// Whether the copy has come to what ordering had then. What ordering has had since is no matter:
    /// an order that changes all the time would differ for ever.
    fn has_arrived(&self, copy: Option<&OrderCopy>) -> bool {
        let Some((awaited, copy)) = self.awaited.as_ref().zip(counted(copy)) else { return false };
        let is_later = |version| (copy.row.epoch, copy.row.version) > (awaited.epoch, version);
        awaited.version.is_some_and(is_later)
            || awaited.digest.is_some() && awaited.digest == digest_of(copy)
    }

    /// How the order differs still, after the last look; `None` when it does not.
    fn confirm(&self, sight: &Sight) -> Option<Difference> {
        let difference = sight.difference()?;
        let is_behind = !matches!(difference.kind, Kind::Newer | Kind::Extra);
        (!is_behind || !self.has_arrived(sight.copy.as_ref())).then_some(difference)
    }
}

fn numbers_of(suspects: &[Suspect]) -> Vec<i64> {
    suspects.iter().map(|suspect| suspect.difference.number).collect()
}

/// A copy that is marked as missing at source counts as none.
fn counted(copy: Option<&OrderCopy>) -> Option<&OrderCopy> {
    copy.filter(|copy| !copy.missing_at_source)
}

/// `None` when the copy's document is not one that can be compared.
fn digest_of(copy: &OrderCopy) -> Option<[u8; 32]> {
    copy.order.as_ref().map(digest)
}
