//! Where actors wait until the scheduler lets one of them go on.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// All gates at which somebody waits, and how much work is under way that is not at a gate.
#[derive(Clone, Default)]
pub(crate) struct Gates(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Who is being run: who comes to a gate now is this actor.
    actor: usize,
    next_id: u64,
    waiting: BTreeMap<u64, Waiting>,
    /// Calls of a database that have not come back.
    busy: usize,
}

struct Waiting {
    actor: usize,
    label: String,
    open: bool,
    waker: Option<Waker>,
}

/// Somebody who may be let go on. Sorted by what it is about to do, not by when it came: the parts
/// of an actor that run side by side may come in any order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Candidate {
    pub(crate) actor: usize,
    pub(crate) label: String,
    id: u64,
}

impl Gates {
    /// Waits until the scheduler lets the caller do what `label` says.
    pub(crate) fn pass(&self, label: impl Into<String>) -> Gate {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        let actor = state.actor;
        let waiting = Waiting { actor, label: label.into(), open: false, waker: None };
        state.waiting.insert(id, waiting);
        drop(state);
        Gate { gates: self.clone(), id }
    }

    /// Does work that comes back by itself, such as a call of a database: the scheduler waits for it.
    pub(crate) async fn busy<T>(&self, work: impl Future<Output = T>) -> T {
        let _busy = Busy::begin(self);
        work.await
    }

    /// From now on it is this actor that runs.
    pub(crate) fn set_actor(&self, actor: usize) {
        self.lock().actor = actor;
    }

    /// Whether nothing is under way but what waits at a gate.
    pub(crate) fn is_quiet(&self) -> bool {
        self.lock().busy == 0
    }

    /// Everybody who may be let go on.
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let state = self.lock();
        let mut candidates: Vec<_> = state
            .waiting
            .iter()
            .filter(|(_, waiting)| !waiting.open)
            .map(|(&id, waiting)| Candidate {
                actor: waiting.actor,
                label: waiting.label.clone(),
                id,
            })
            .collect();
        candidates.sort();
        candidates
    }

    /// Lets one go on.
    pub(crate) fn open(&self, candidate: &Candidate) {
        let mut state = self.lock();
        if let Some(waiting) = state.waiting.get_mut(&candidate.id) {
            waiting.open = true;
            if let Some(waker) = waiting.waker.take() {
                waker.wake();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is whole before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place at a gate; given up when it is dropped.
pub(crate) struct Gate {
    gates: Gates,
    id: u64,
}

impl Future for Gate {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.gates.lock();
        match state.waiting.get_mut(&self.id) {
            Some(waiting) if !waiting.open => {
                waiting.waker = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.gates.lock().waiting.remove(&self.id);
    }
}

struct Busy(Gates);

impl Busy {
    fn begin(gates: &Gates) -> Self {
        gates.lock().busy += 1;
        Self(gates.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.lock().busy -= 1;
    }
}
