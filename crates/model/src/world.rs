//! The model: a moment, and what a step makes of it.

use stateright::{Model, Property};

use crate::actions::Action;
use crate::consumer::{Consumer, Worker};
use crate::database::{Database, ORDERS, Row};
use crate::network::{Body, Reply, Request, Server};
use crate::promises::Promise;
use crate::provider::Provider;
use crate::rules::Rules;
use crate::scenarios::{Bounds, Scenario};
use crate::sequencer::Sequencer;

/// A scenario under rules, with what is promised.
#[derive(Clone, Debug)]
pub struct World {
    /// Who takes part, and how much may happen.
    pub scenario: Scenario,
    /// Which rules hold.
    pub rules: Rules,
    /// What must hold in every state.
    pub promises: Vec<Promise>,
}

/// One moment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    /// Ordering.
    pub provider: Provider,
    /// An asynchronous standby: a copy of the database as it was at some time.
    pub standby: Option<Database>,
    /// The primary of before the last failover, as it died.
    pub old_primary: Option<Database>,
    /// The last backup.
    pub backup: Option<Database>,
    /// Billing's workers.
    pub workers: [Worker; 2],
    /// What a cache kept.
    pub cache: Option<(Request, Reply)>,
    /// Billing's database.
    pub consumer: Consumer,
    /// What may still happen.
    pub left: Bounds,
    /// The time, as far as it matters: the greatest epoch that was begun so far, anywhere (P7).
    pub now: u8,
    /// How many histories there are: runs of events that go on from one database.
    pub histories: u8,
}

impl World {
    /// A scenario under rules, with all that is promised.
    pub fn new(scenario: Scenario, rules: Rules) -> Self {
        let promises = Promise::ALL.into_iter().filter(|promise| promise.is_about(&scenario));
        Self { scenario, rules, promises: promises.collect() }
    }

    /// Takes a step. `None`: it is not possible now; what it has changed up to there means nothing.
    pub fn step(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Write { .. }
            | Action::Commit { .. }
            | Action::RollBack { .. }
            | Action::Sequence { .. }
            | Action::Abort { .. }
            | Action::Tick
            | Action::TimeOut => self.provider_step(state, action),
            Action::Replicate
            | Action::FailOver
            | Action::BackUp
            | Action::Restore { .. }
            | Action::NewEpoch => self.history_step(state, action),
            Action::Ask { .. }
            | Action::Answer { .. }
            | Action::ReadToken { .. }
            | Action::Keep { .. }
            | Action::Receive { .. }
            | Action::StorePage { .. }
            | Action::Lose { .. }
            | Action::ResetToken => self.consumer_step(state, action),
        }?;
        let epochs = [Some(state.provider.database), state.old_primary];
        let latest = epochs.iter().flatten().map(|database| database.epoch).max();
        state.now = state.now.max(latest.unwrap_or(0));
        Some(())
    }

    /// The sequencer's transaction as one step.
    pub(crate) fn tick(&self, state: &mut State) {
        if self.scenario.endless {
            state.provider.fair_tick(self.scenario.batch, self.rules);
        } else {
            state.provider.tick(self.scenario.batch, state.now, self.rules);
        }
    }

    /// What a server answers. `None`: it does not exist, or has nothing to say to this.
    pub(crate) fn answer(&self, state: &mut State, by: Server, request: Request) -> Option<Reply> {
        let limit = self.scenario.page;
        let (now, rules) = (state.now, self.rules);
        match by {
            Server::Primary => Some(state.provider.database.answer(by, request, limit, now, rules)),
            Server::Standby => Some(state.standby?.answer(by, request, limit, now, rules)),
            Server::OldPrimary => {
                Some(state.old_primary.as_mut()?.answer(by, request, limit, now, rules))
            }
            Server::AnotherDatabase => {
                state.left.mistakes = state.left.mistakes.checked_sub(1)?;
                Some(Database::another().answer(by, request, limit, now, rules))
            }
            Server::Cache => {
                state.cache.filter(|(kept, _)| *kept == request).map(|(_, reply)| reply)
            }
        }
    }

    /// The other database takes the primary's place. All that was open is gone, and what is
    /// written from now on is another history.
    fn replace_primary(state: &mut State, database: Database) {
        state.histories += 1;
        state.provider.crash();
        state.provider.database = Database { history: state.histories, ..database };
    }

    fn provider_step(&self, state: &mut State, action: Action) -> Option<()> {
        let rules = self.rules;
        let provider = &mut state.provider;
        match action {
            Action::Write { order, write } => {
                let by_age = self.scenario.batch < ORDERS;
                *provider = provider.write(order, write, by_age, rules)?;
                if !self.scenario.transactions {
                    provider.commit(order, rules);
                }
                if !self.scenario.endless {
                    state.left.writes -= 1;
                }
            }
            Action::Commit { order } => provider.commit(order, rules),
            Action::RollBack { order } => provider.roll_back(order, rules),
            Action::Sequence { sequencer } => {
                *provider = provider.sequencer_step(sequencer, rules)?;
            }
            Action::Abort { sequencer } => {
                provider.sequencers[sequencer] = Sequencer::IDLE;
            }
            Action::Tick => self.tick(state),
            Action::TimeOut => {
                provider.time_out();
                state.left.time_outs -= 1;
            }
            _ => unreachable!("a step of {action:?} is none of the provider's"),
        }
        if self.scenario.endless {
            state.provider.forget_numbers();
        }
        Some(())
    }

    fn history_step(&self, state: &mut State, action: Action) -> Option<()> {
        let database = state.provider.database;
        match action {
            Action::Replicate => state.standby = Some(database),
            Action::FailOver => {
                state.left.failovers -= 1;
                state.old_primary = self.scenario.old_primary.then_some(database);
                let shows = self.scenario.timelines;
                let promoted = Database { moved: shows, unannounced: !shows, ..state.standby? };
                Self::replace_primary(state, promoted);
                let needed = self.scenario.standby_serves || state.left.failovers > 0;
                state.standby = needed.then_some(state.provider.database);
            }
            Action::BackUp => {
                state.left.backups -= 1;
                state.backup = Some(database);
            }
            Action::Restore { announced } => {
                state.left.restores -= 1;
                let restored = Database { unannounced: !announced, ..state.backup? };
                if state.left.restores == 0 && state.left.backups == 0 {
                    state.backup = None;
                }
                Self::replace_primary(state, restored);
                if announced {
                    state.provider.database.begin_epoch(self.rules, state.now);
                }
            }
            Action::NewEpoch => {
                if !database.unannounced {
                    state.left.new_epochs = state.left.new_epochs.saturating_sub(1);
                }
                state.provider.database.begin_epoch(self.rules, state.now);
            }
            _ => unreachable!("a step of {action:?} is none of a history's"),
        }
        Some(())
    }

    fn consumer_step(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Ask { worker, request } => state.workers[worker] = Worker::Asked(request),
            Action::Answer { worker, by } => {
                let Worker::Asked(request) = state.workers[worker] else { return None };
                let reply = self.answer(state, by, request)?;
                state.workers[worker] = Worker::Answered(request, reply);
            }
            Action::ReadToken { worker } => {
                let Worker::Answered(_, reply) = &mut state.workers[worker] else { return None };
                // Against the rules, the counter of this moment.
                let Body::Page { token: token @ None, .. } = &mut reply.body else { return None };
                let database = &state.provider.database;
                *token = Some(Some(database.token(database.counter)));
            }
            Action::Keep { worker } => {
                let Worker::Answered(request, reply) = state.workers[worker] else { return None };
                state.cache = Some((request, reply));
            }
            Action::Receive { worker } => {
                let Worker::Answered(request, reply) = state.workers[worker] else { return None };
                let half_done = state.consumer.receive(request, &reply, self.rules);
                state.workers[worker] =
                    if half_done { Worker::HalfDone(reply) } else { Worker::Idle };
            }
            Action::StorePage { worker } => {
                let Worker::HalfDone(reply) = state.workers[worker] else { return None };
                if let Body::Page { rows, .. } = reply.body {
                    state.consumer.store_page(&rows, reply.epoch, self.rules);
                }
                state.workers[worker] = Worker::Idle;
            }
            Action::Lose { worker } => state.workers[worker] = Worker::Idle,
            Action::ResetToken => state.consumer.reset_token(),
            _ => unreachable!("a step of {action:?} is none of the consumer's"),
        }
        Some(())
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let scenario = &self.scenario;
        let database = Database::new(scenario.stamped);
        let read = |row: Row| (scenario.read && row.exposed()).then_some(row);
        let copied = database.rows.map(read);
        let token =
            (scenario.read && scenario.stamped > 0).then(|| database.token(scenario.stamped));
        vec![State {
            provider: Provider::new(database),
            standby: scenario.standby.then_some(database),
            old_primary: None,
            backup: None,
            workers: [Worker::Idle; 2],
            cache: None,
            consumer: Consumer::new(token, &copied, self.rules),
            left: scenario.bounds,
            now: 1,
            histories: 1,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.provider_actions(state, actions);
        self.history_actions(state, actions);
        self.consumer_actions(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = *last;
        self.step(&mut state, action)?;
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        self.promises.iter().map(|promise| promise.property()).collect()
    }
}
