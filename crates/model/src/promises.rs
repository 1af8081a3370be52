//! What is promised in every state.

use stateright::Property;

use crate::actions::Action;
use crate::consumer::Worker;
use crate::database::ORDERS;
use crate::network::{Request, Server};
use crate::scenarios::Scenario;
use crate::sequencer::PATIENCE;
use crate::world::{State, World};

/// Something that holds in every state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Promise {
    /// If from here on nothing goes wrong any more, both sides end equal.
    EndsEqual,
    /// A number becomes visible after all smaller ones, and once.
    NumbersInOrder,
    /// What the feed has up to billing's token, billing has.
    TokenCovered,
    /// Within an epoch the token never goes back.
    TokenForward,
    /// What an epoch began with is never marked as missing in it.
    NeverCalledMissing,
    /// A pulled order that is newer than the copy is taken.
    PullTaken,
    /// No order is passed over, or found held, more often than allowed.
    Fair,
}

impl Promise {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::EndsEqual,
        Self::NumbersInOrder,
        Self::TokenCovered,
        Self::TokenForward,
        Self::NeverCalledMissing,
        Self::PullTaken,
        Self::Fair,
    ];

    /// Whether it means anything in a scenario: fairness is about writers without end, everything
    /// else about what comes of writes that do end.
    pub fn is_about(self, scenario: &Scenario) -> bool {
        scenario.endless == (self == Self::Fair)
    }

    /// For the checker.
    pub fn property(self) -> Property<World> {
        type Condition = fn(&World, &State) -> bool;
        let (name, condition): (_, Condition) = match self {
            Self::EndsEqual => ("both sides end equal", |world, state| {
                let end = settled(world, state);
                (0..ORDERS).all(|order| equal(&end, order))
            }),
            Self::NumbersInOrder => {
                ("numbers become visible in order", |_, state| !state.provider.numbers_disordered)
            }
            Self::TokenCovered => ("the token is never ahead of what is stored", token_covered),
            Self::TokenForward => {
                ("the token never goes back", |_, state| !state.consumer.went_back)
            }
            Self::NeverCalledMissing => {
                ("what is there is never called missing", never_called_missing)
            }
            Self::PullTaken => {
                ("a newer order that is pulled is taken", |_, state| !state.consumer.pull_ignored)
            }
            Self::Fair => ("no order is left out for ever", |world, state| {
                (0..ORDERS).all(|order| left_out(world, state, order).is_none())
            }),
        };
        Property::always(name, condition)
    }
}

/// What becomes of a state when writers pause, nothing more goes wrong, and both sides run.
pub fn settled(world: &World, state: &State) -> State {
    settle(world, state, &mut |_, _, _| {})
}

/// [`settled`], step by step. What is open is rolled back and what is on the way is lost, without
/// a word: that either arrives, first, is other states.
///
/// A loss of history that nobody announced is announced late, by a person; unless billing's token
/// shows it, then the provider must notice by itself (P6).
pub fn settle(
    world: &World,
    state: &State,
    observe: &mut impl FnMut(&State, Action, &State),
) -> State {
    let mut state = at_rest(state);
    let mut step = |state: &mut State, action| {
        let before = *state;
        if world.step(state, action).is_some() {
            observe(&before, action, state);
        }
    };
    if state.consumer.stopped {
        step(&mut state, Action::ResetToken);
    }
    let database = &state.provider.database;
    let shows = state
        .consumer
        .token
        .is_some_and(|token| token.epoch == database.epoch && token.number > database.counter);
    if database.unannounced && !shows {
        step(&mut state, Action::NewEpoch);
    }
    // Each round stamps or reads something, or is the last: a few are enough.
    for _ in 0..16 {
        let before = state;
        let page = Request::Page(state.consumer.token);
        let pull = state.consumer.to_be_seen(world.rules).map(Request::Order);
        for request in [Some(page), pull].into_iter().flatten() {
            step(&mut state, Action::Ask { worker: 0, request });
            step(&mut state, Action::Answer { worker: 0, by: Server::Primary });
            step(&mut state, Action::ReadToken { worker: 0 });
            step(&mut state, Action::Receive { worker: 0 });
            step(&mut state, Action::StorePage { worker: 0 });
        }
        if state.provider.has_waiting() || state.provider.database.moved {
            step(&mut state, Action::Tick);
        }
        if state == before {
            let refused = state.consumer.epoch > state.provider.database.epoch;
            if !(refused && world.scenario.helped) {
                break;
            }
            step(&mut state, Action::NewEpoch);
        }
    }
    state
}

/// The state with nothing open and nothing on the way.
pub fn at_rest(state: &State) -> State {
    let mut state = State { workers: [Worker::Idle; 2], cache: None, ..*state };
    state.provider.crash();
    state
}

/// Whether an order is the same on both sides, or missing at its source and marked so.
pub fn equal(state: &State, order: usize) -> bool {
    let row = &state.provider.database.rows[order];
    match &state.consumer.copies[order] {
        None => !row.exposed(),
        Some(copy) if row.exposed() => {
            copy.missing_in.is_none()
                && (copy.status, copy.version, copy.content)
                    == (row.status, row.version, row.content)
        }
        Some(copy) => copy.missing_in == Some(state.provider.database.epoch),
    }
}

fn token_covered(_: &World, state: &State) -> bool {
    let database = &state.provider.database;
    let Some(token) = state.consumer.token else { return true };
    let of_this_history = (token.feed, token.epoch) == (database.feed, database.epoch)
        && !database.moved
        && !database.unannounced;
    !of_this_history
        || database.rows.iter().zip(&state.consumer.copies).all(|(row, copy)| {
            // While an order waits, nothing says which version its place in the feed stood for.
            !row.exposed()
                || row.number.is_none_or(|number| number > token.number)
                || copy
                    .is_some_and(|copy| (copy.epoch, copy.version) >= (database.epoch, row.version))
        })
}

fn never_called_missing(_: &World, state: &State) -> bool {
    let database = &state.provider.database;
    state.consumer.copies.iter().zip(database.kept).all(|(copy, kept)| {
        let missing_in = copy.and_then(|copy| copy.missing_in);
        !kept || missing_in != Some(database.epoch)
    })
}

/// How an order that waits can be left out for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeftOut {
    /// Others are stamped instead, or waited for.
    PassedOver,
    /// It is held whenever the sequencer looks.
    FoundHeld,
}

/// Whether an order is left out more often than is allowed. While it waits, each other order may
/// cost it one look; it may be found held as often as patience says; and each time-out may cost
/// one look more. Every look is one of these, or stamps it, or waits for it; and writes have no
/// bound here. So an order that is never left out more often is never left out for ever.
pub fn left_out(world: &World, state: &State, order: usize) -> Option<LeftOut> {
    let time_outs = world.scenario.bounds.time_outs - state.left.time_outs;
    let fairness = state.provider.fairness[order];
    if usize::from(fairness.passed_over) > world.scenario.orders - 1 + usize::from(time_outs) {
        Some(LeftOut::PassedOver)
    } else if fairness.found_held > PATIENCE + time_outs {
        Some(LeftOut::FoundHeld)
    } else {
        None
    }
}
