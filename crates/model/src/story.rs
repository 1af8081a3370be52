//! Tells a run of the model in sentences.

use stateright::Path;

use crate::actions::Action;
use crate::consumer::Worker;
use crate::network::{Body, Server};
use crate::promises::{LeftOut, Promise, equal, left_out, settle, settled};
use crate::provider::Write;
use crate::rules::Breach;
use crate::sequencer::Phase;
use crate::words::{
    NAMES, contents, difference, effects, requested, said, stamps, token_name, writer,
};
use crate::world::{State, World};

/// A run that breaks the first promise of its world: what happens, step by step, and at last what
/// is wrong with it.
pub fn tell(world: &World, path: Path<State, Action>) -> Vec<String> {
    let mut story = Story { world, sentences: Vec::new() };
    story.beginning();
    let steps = path.into_vec();
    for pair in steps.windows(2) {
        if let (before, Some(action)) = &pair[0] {
            story.step(before, *action, &pair[1].0);
        }
    }
    if let (Some((last, _)), Some(promise)) = (steps.last(), world.promises.first()) {
        story.end(*promise, last);
    }
    story.sentences.iter().map(Sentence::text).collect()
}

struct Story<'a> {
    world: &'a World,
    sentences: Vec<Sentence>,
}

/// What one actor does, one thing after the other.
struct Sentence {
    /// Two sentences in a row of the same actor are told as one.
    actor: String,
    begins: String,
    does: Vec<String>,
}

impl Sentence {
    fn text(&self) -> String {
        let does = match self.does.as_slice() {
            [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
            does => does.concat(),
        };
        format!("{}{does}.", self.begins)
    }
}

impl Story<'_> {
    fn beginning(&mut self) {
        let scenario = &self.world.scenario;
        let orders = &NAMES[..usize::from(scenario.stamped)];
        let orders =
            orders.iter().zip(1..).map(|(name, number)| format!("{name} v1 has number {number}"));
        let orders: Vec<_> = orders.collect();
        if scenario.stamped > 0 && scenario.read {
            let token = format!("1-{}", scenario.stamped);
            self.says(format!(
                "{}, and billing has read it: its token is {token}",
                orders.join(", ")
            ));
        } else if scenario.stamped > 0 {
            self.says(format!("{}, and billing has read nothing yet", orders.join(", ")));
        }
    }

    /// A sentence that stands for itself.
    fn says(&mut self, text: impl Into<String>) {
        let (actor, begins) = (String::new(), String::new());
        self.sentences.push(Sentence { actor, begins, does: vec![text.into()] });
    }

    /// Something that somebody does.
    fn does(&mut self, actor: impl Into<String>, what: impl Into<String>) {
        let actor = actor.into();
        match self.sentences.last_mut() {
            Some(last) if last.actor == actor => last.does.push(what.into()),
            _ => {
                let begins = format!("{actor} ");
                self.sentences.push(Sentence { actor, begins, does: vec![what.into()] });
            }
        }
    }

    fn step(&mut self, before: &State, action: Action, after: &State) {
        let orders = self.world.scenario.orders;
        let database = &after.provider.database;
        match action {
            Action::Write { order, write } => self.write(before, order, write, after),
            Action::Commit { order } => self.does(writer(order), "commits"),
            Action::RollBack { order } => self.does(writer(order), "rolls back"),
            Action::Sequence { sequencer } => self.sequence(before, sequencer, after),
            Action::Abort { sequencer } => {
                self.does(format!("Sequencer {}", sequencer + 1), "crashes");
            }
            Action::Tick => self.tick(before, after),
            Action::TimeOut => self.does("The sequencer", "gives up to wait"),
            Action::Replicate => self.says("The standby replays all that is committed"),
            Action::FailOver => self.says(format!(
                "The primary is lost and the standby takes its place, where {}",
                contents(database, orders)
            )),
            Action::BackUp => self.says("A backup is taken"),
            Action::Restore { announced: true } => self.says(format!(
                "The backup is restored and epoch {} begins; {}",
                database.epoch,
                contents(database, orders)
            )),
            Action::Restore { announced: false } => self.says(format!(
                "The backup is restored and nobody says so; {}",
                contents(database, orders)
            )),
            Action::NewEpoch => self.says(format!("A person begins epoch {}", database.epoch)),
            Action::Ask { worker, request } => {
                self.does(self.worker(worker), format!("asks for {}", requested(request)));
            }
            Action::Answer { worker, by } => self.answer(worker, by, before, after),
            Action::ReadToken { worker } => {
                let Worker::Answered(_, reply) = after.workers[worker] else { return };
                let Body::Page { token: Some(token), .. } = reply.body else { return };
                self.says(format!(
                    "The token of its page is read from the counter: {}",
                    token_name(token)
                ));
            }
            Action::Keep { worker } => {
                let Worker::Answered(request, _) = before.workers[worker] else { return };
                self.says(format!("A cache keeps the answer to {}", requested(request)));
            }
            Action::Receive { worker } => {
                let Worker::Answered(_, reply) = before.workers[worker] else { return };
                for effect in effects(&before.consumer, &reply, &after.consumer) {
                    self.does(self.worker(worker), effect);
                }
            }
            Action::StorePage { worker } => self.does(self.worker(worker), "stores the page"),
            Action::Lose { worker } => {
                let half_done = matches!(before.workers[worker], Worker::HalfDone(_));
                let what = if half_done { "crashes" } else { "never gets the answer" };
                self.does(self.worker(worker), what);
            }
            Action::ResetToken => {
                self.says("A person points billing at ordering again and resets the token");
            }
        }
    }

    fn worker(&self, worker: usize) -> String {
        if self.world.scenario.workers > 1 {
            format!("Worker {}", worker + 1)
        } else {
            "Billing".to_owned()
        }
    }

    fn write(&mut self, before: &State, order: usize, write: Write, after: &State) {
        let name = NAMES[order];
        let held = self.world.scenario.transactions;
        let verb = match (write, held) {
            (Write::Confirm, true) => "confirms",
            (Write::Confirm, false) => "is confirmed",
            (Write::Change, true) => "changes",
            (Write::Change, false) => "is changed",
            (Write::Delete, true) => "deletes",
            (Write::Delete, false) => "is deleted",
        };
        let row = after.provider.writers[order].unwrap_or(after.provider.database.rows[order]);
        let same = row.version == before.provider.database.rows[order].version;
        let version = match (self.world.scenario.endless, row.number) {
            (true, _) => String::new(),
            (false, Some(number)) => format!(" (v{}, number {number})", row.version),
            (false, None) if same => format!(" (still v{})", row.version),
            (false, None) => format!(" (v{})", row.version),
        };
        if held {
            self.sentences.push(Sentence {
                actor: writer(order),
                begins: "A writer ".to_owned(),
                does: vec![format!("{verb} {name}{version}")],
            });
        } else {
            self.says(format!("{name} {verb}{version}"));
        }
    }

    fn sequence(&mut self, before: &State, which: usize, after: &State) {
        let (was, is) = (before.provider.sequencers[which], after.provider.sequencers[which]);
        let rules = self.world.rules;
        let bare = rules.broken(Breach::BareSequence);
        let text = match was.phase {
            Phase::Idle if is.phase == Phase::Peeked => {
                format!("reads {} from the counter", is.counter)
            }
            Phase::Idle if bare || rules.broken(Breach::NoCounterLock) => "begins".to_owned(),
            Phase::Idle | Phase::Peeked => "locks the counter".to_owned(),
            Phase::Locked | Phase::Stamped if bare => return,
            Phase::Locked if rules.broken(Breach::NumberFromMaximum) => {
                format!("reads the maximum, {}", is.counter)
            }
            Phase::Locked => format!("reads {}", is.counter),
            Phase::Read => match stamps(&is.stamps) {
                Some(stamps) => format!("stamps {stamps}"),
                None => "finds nothing to stamp".to_owned(),
            },
            Phase::Stamped if rules.broken(Breach::ReleaseBeforeCommit) => {
                format!("writes {} to the counter and releases it", is.counter)
            }
            Phase::Stamped => format!("writes {} to the counter", is.counter),
            Phase::Written => "commits".to_owned(),
        };
        self.does(format!("Sequencer {}", which + 1), text);
    }

    fn tick(&mut self, before: &State, after: &State) {
        let (was, is) = (&before.provider, &after.provider);
        if was.database.epoch != is.database.epoch {
            let text = format!("sees that history was lost, begins epoch {}", is.database.epoch);
            self.does("The sequencer", text);
        }
        let rows = was.database.rows.iter().zip(&is.database.rows);
        let given: Vec<Option<u8>> =
            rows.map(|(was, is)| is.number.filter(|_| was.waits() && !is.waits())).collect();
        let stamped = if self.world.scenario.endless {
            let names = NAMES.iter().zip(&given).filter(|(_, number)| number.is_some());
            let names: Vec<_> = names.map(|(name, _)| *name).collect();
            (!names.is_empty()).then(|| names.join(" and "))
        } else {
            stamps(&given)
        };
        if let Some(stamps) = stamped {
            self.does("The sequencer", format!("stamps {stamps}"));
        }
        let fairness = was.fairness.iter().zip(&is.fairness);
        for ((was, is), name) in fairness.zip(NAMES) {
            if is.found_held > was.found_held {
                self.does("The sequencer", format!("finds {name} held"));
            }
        }
        if is.waits_for != was.waits_for {
            self.does("The sequencer", "waits for the writer");
        }
    }

    fn answer(&mut self, worker: usize, by: Server, before: &State, after: &State) {
        let Worker::Answered(request, reply) = after.workers[worker] else { return };
        let by = match by {
            Server::Primary if before.provider.database.epoch != after.provider.database.epoch => {
                ", for the provider sees that history was lost"
            }
            Server::Primary => "",
            Server::Standby => " from the standby",
            Server::OldPrimary => " from the old primary",
            Server::AnotherDatabase => " from another database",
            Server::Cache => " from the cache",
        };
        self.does(self.worker(worker), format!("gets {}{by}", said(request, &reply)));
    }

    /// What becomes of the last state, and what is wrong with it.
    fn end(&mut self, promise: Promise, last: &State) {
        let orders = 0..self.world.scenario.orders;
        match promise {
            Promise::EndsEqual => {
                self.comes_to_rest(last);
                let end = settled(self.world, last);
                for order in orders.filter(|&order| !equal(&end, order)) {
                    self.says(difference(&end, order));
                }
            }
            Promise::Fair => {
                for (order, name) in orders.zip(NAMES) {
                    match left_out(self.world, last, order) {
                        Some(LeftOut::PassedOver) => self.says(format!(
                            "**{name} was passed over {} times, more often than there are other \
                             orders, and this can go on for ever**",
                            last.provider.fairness[order].passed_over
                        )),
                        Some(LeftOut::FoundHeld) => self.says(format!(
                            "**{name} was held by one transaction after another whenever the \
                             sequencer looked, and this can go on for ever**"
                        )),
                        None => {}
                    }
                }
            }
            Promise::TokenForward => self.says(
                "**The token has gone back within an epoch: billing reads again what it has, \
                 and this can go on for ever**",
            ),
            Promise::NeverCalledMissing => {
                for order in orders {
                    let copy = last.consumer.copies[order];
                    if copy.is_some_and(|copy| copy.missing_in.is_some()) {
                        self.says(format!("**{} is called missing, and is there**", NAMES[order]));
                    }
                }
            }
            Promise::PullTaken => {
                self.says("**What was pulled is newer than the copy, and is not taken**");
            }
            Promise::NumbersInOrder | Promise::TokenCovered => {
                self.says(format!("**It does not hold that {}**", promise.property().name));
            }
        }
    }

    /// The steps of [`settle`], without those that ask at the end of the feed.
    fn comes_to_rest(&mut self, last: &State) {
        for worker in 0..self.world.scenario.workers {
            if let Worker::HalfDone(_) = last.workers[worker] {
                self.step(last, Action::Lose { worker }, last);
            }
        }
        self.says("From here on nothing goes wrong");
        let mut asked = None;
        settle(self.world, last, &mut |before, action, after| {
            let reply = |state: &State| match state.workers[0] {
                Worker::Answered(_, reply) | Worker::HalfDone(reply) => Some(reply),
                _ => None,
            };
            let nothing_new = [before, after].into_iter().any(|state| {
                reply(state).is_some_and(|reply| match reply.body {
                    Body::Page { rows, .. } => rows.iter().all(Option::is_none),
                    _ => false,
                })
            });
            match action {
                Action::Ask { .. } => asked = Some((*before, action, *after)),
                _ if nothing_new && before.consumer == after.consumer => asked = None,
                _ => {
                    if let Some((before, action, after)) = asked.take() {
                        self.step(&before, action, &after);
                    }
                    self.step(before, action, after);
                }
            }
        });
    }
}
