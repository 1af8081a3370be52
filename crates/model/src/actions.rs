//! What can happen next.

use crate::consumer::Worker;
use crate::network::{Body, Reply, Request, Server};
use crate::provider::Write;
use crate::sequencer::Phase;
use crate::world::{State, World};

/// A step. Orders, sequencers and workers are counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the fields say which order, sequencer or worker it is")]
pub enum Action {
    /// A transaction writes an order, and holds it.
    Write { order: usize, write: Write },
    /// The transaction that holds the order commits.
    Commit { order: usize },
    /// It rolls back, or crashes.
    RollBack { order: usize },
    /// A sequencer's transaction takes its next step.
    Sequence { sequencer: usize },
    /// A sequencer crashes: its transaction is rolled back.
    Abort { sequencer: usize },
    /// A whole transaction of the sequencer.
    Tick,
    /// The sequencer gives up to wait for an order's writer.
    TimeOut,
    /// The standby replays all that is committed.
    Replicate,
    /// The primary is lost, the standby becomes the primary.
    FailOver,
    /// A backup is taken.
    BackUp,
    /// The backup takes the primary's place. Where it is announced, an epoch begins at once.
    Restore { announced: bool },
    /// A person begins an epoch.
    NewEpoch,
    /// A worker asks.
    Ask { worker: usize, request: Request },
    /// Somebody answers it.
    Answer { worker: usize, by: Server },
    /// The page's token is read, in a snapshot of its own, against the rules.
    ReadToken { worker: usize },
    /// A cache keeps the answer.
    Keep { worker: usize },
    /// The worker takes the answer in.
    Receive { worker: usize },
    /// It stores the page whose token is stored already, against the rules.
    StorePage { worker: usize },
    /// The request or the reply is lost, or the worker crashes.
    Lose { worker: usize },
    /// A person points billing at its own provider again and resets the token.
    ResetToken,
}

impl World {
    pub(crate) fn provider_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let provider = &state.provider;
        for order in 0..self.scenario.orders {
            if state.left.writes > 0 {
                actions.extend(Write::ALL.map(|write| Action::Write { order, write }));
            }
            if provider.writers[order].is_some() {
                actions.extend([Action::Commit { order }, Action::RollBack { order }]);
            }
        }
        let sequencers = &provider.sequencers[..self.scenario.sequencers];
        // Of those that are idle only the first: they are all alike.
        let idle = sequencers.iter().position(|one| one.phase == Phase::Idle);
        for (sequencer, one) in sequencers.iter().enumerate() {
            if one.phase != Phase::Idle {
                actions.extend([Action::Sequence { sequencer }, Action::Abort { sequencer }]);
            } else if idle == Some(sequencer) && provider.has_waiting() {
                actions.push(Action::Sequence { sequencer });
            }
        }
        if sequencers.is_empty()
            && provider.waits_for.is_none()
            && (provider.has_waiting() || provider.database.moved)
        {
            actions.push(Action::Tick);
        }
        if provider.waits_for.is_some() && state.left.time_outs > 0 {
            actions.push(Action::TimeOut);
        }
    }

    #[expect(clippy::unused_self, reason = "as the two beside it")]
    pub(crate) fn history_actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.standby.is_some() {
            actions.push(Action::Replicate);
            if state.left.failovers > 0 {
                actions.push(Action::FailOver);
            }
        }
        if state.left.backups > 0 {
            actions.push(Action::BackUp);
        }
        if state.backup.is_some() && state.left.restores > 0 {
            actions.extend([true, false].map(|announced| Action::Restore { announced }));
        }
        if state.provider.database.unannounced || state.left.new_epochs > 0 {
            actions.push(Action::NewEpoch);
        }
    }

    pub(crate) fn consumer_actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.consumer.stopped {
            actions.push(Action::ResetToken);
        }
        let workers = &state.workers[..self.scenario.workers];
        // Of those that are idle only the first: they are all alike.
        let idle = workers.iter().position(|worker| *worker == Worker::Idle);
        if let Some(worker) = idle.filter(|_| !state.consumer.stopped) {
            let page = Request::Page(state.consumer.token);
            actions.push(Action::Ask { worker, request: page });
            if self.scenario.pulls {
                let pulls = (0..self.scenario.orders).map(Request::Order);
                actions.extend(pulls.map(|request| Action::Ask { worker, request }));
            }
        }
        for (worker, doing) in workers.iter().enumerate() {
            match doing {
                Worker::Idle => continue,
                Worker::Asked(_) => {
                    actions.push(Action::Answer { worker, by: Server::Primary });
                    if state.standby.is_some() && self.scenario.standby_serves {
                        actions.push(Action::Answer { worker, by: Server::Standby });
                    }
                    if state.old_primary.is_some() {
                        actions.push(Action::Answer { worker, by: Server::OldPrimary });
                    }
                    if state.left.mistakes > 0 {
                        actions.push(Action::Answer { worker, by: Server::AnotherDatabase });
                    }
                    if state.cache.is_some() {
                        actions.push(Action::Answer { worker, by: Server::Cache });
                    }
                }
                Worker::Answered(_, Reply { body: Body::Page { token: None, .. }, .. }) => {
                    actions.push(Action::ReadToken { worker });
                }
                Worker::Answered(_, reply) => {
                    actions.push(Action::Receive { worker });
                    // Errors are not to be kept (`no-store`).
                    if self.scenario.cache
                        && matches!(reply.body, Body::Page { .. } | Body::Order(_))
                    {
                        actions.push(Action::Keep { worker });
                    }
                }
                Worker::HalfDone(_) => actions.push(Action::StorePage { worker }),
            }
            actions.push(Action::Lose { worker });
        }
    }
}
