//! Pulling the orders that differ.

use contract::problem::ProblemCode;

use super::look::Sight;
use super::{
    Difference, History, Progress, Report, Result, Verifier, VerifyError, Watch, patiently,
};
use crate::pull::{PullError, Single};
use crate::store::Applied;

impl Verifier {
    /// Pulls the orders of `report` that differ, by number, and looks again. The token stays where it
    /// is. The invoices follow what is taken in, as always.
    ///
    /// # Errors
    /// Why it could not go on, which is never a single order that could not be pulled; what was repaired until then stays so.
    pub async fn repair(&self, report: &Report, watch: Watch<'_>) -> Result<Report> {
        let mut history = self.history().await?;
        let mut differences = Vec::with_capacity(report.differences.len());
        for (done, known) in report.differences.iter().enumerate() {
            watch(Progress::Repairing { left: report.differences.len() - done });
            differences.push(match self.repair_one(&mut history, known).await {
                Err(VerifyError::Pull(error)) if is_of_one_order(&error) => {
                    error.warn(&format!("order {} could not be repaired", known.number));
                    known.clone()
                }
                repaired => repaired?,
            });
        }
        Ok(Report { differences, ..report.clone() })
    }

    async fn repair_one(&self, history: &mut History, known: &Difference) -> Result<Difference> {
        if known.repaired {
            return Ok(known.clone());
        }
        let repaired = Difference { repaired: true, ..known.clone() };
        for sight in self.look(history, &[known.number]).await? {
            if sight.difference().is_none() {
                return Ok(repaired);
            }
            self.pull(&sight).await?;
        }
        let left = self.look(history, &[known.number]).await?;
        Ok(left.iter().find_map(Sight::difference).unwrap_or(repaired))
    }

    /// Lets the copy be what ordering has.
    async fn pull(&self, sight: &Sight) -> Result<()> {
        // Ordering knows no such order: what that means, only a greater epoch can tell.
        let Some(Single { identity, order }) = &sight.source else { return Ok(()) };
        if let (Ok(order), Some(copy)) = (order, &sight.copy)
            && (copy.row.epoch, copy.row.version) >= (identity.epoch, order.version)
        {
            // No pull would replace it, and none needs to if it has changed meanwhile.
            let (random, now) = (&self.random, self.clock.now());
            return match self.store.replace(identity, order, copy.row, random, now).await? {
                Applied::Done(_) | Applied::Superseded => Ok(()),
                Applied::WrongHistory => {
                    let answered = Some(identity.epoch);
                    Err(PullError::StaleProvider { answered, adopted: None }.into())
                }
            };
        }
        patiently(|| self.puller.pull_order(sight.number)).await?;
        Ok(())
    }
}

/// Whether, for all that is known, the others can be pulled all the same.
fn is_of_one_order(error: &PullError) -> bool {
    match error {
        PullError::NotFound(_) => true,
        PullError::Upstream(fault) => fault.code == ProblemCode::UpstreamInvalid,
        _ => false,
    }
}
