//! The search through everything that can happen.

use stateright::{Checker, HasDiscoveries, Model, Path};

use crate::actions::Action;
use crate::world::{State, World};

/// What a search has found.
#[derive(Debug)]
pub struct Search {
    /// How many different states it has seen: all there are, if no promise is broken.
    pub states: usize,
    /// After how many steps, at most.
    pub depth: usize,
    /// The way to a state that breaks a promise; the shortest, where only one is made.
    pub broken: Option<Path<State, Action>>,
}

/// Searches breadth-first, to the end or to the first broken promise.
pub fn search(world: &World) -> Search {
    // In one thread: with more of them, what is found first need not be the shortest.
    let checker = world.clone().checker().finish_when(HasDiscoveries::AnyFailures);
    let checker = checker.threads(1).spawn_bfs().join();
    let broken = checker.discoveries().into_values().next();
    assert!(broken.is_some() || checker.is_done(), "the search ended early");
    Search { states: checker.unique_state_count(), depth: checker.max_depth(), broken }
}
