//! Lets exactly one actor go on, from its gate to its next one.
//!
//! Actors are polled here and nowhere else, so between two steps all of them stand at gates. Their
//! calls of a database run on threads and sockets of its driver, at whatever speed; the step is over
//! only when they have come back. That is what makes two runs of one seed equal with real databases.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::sim::Sim;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// All actors of a run.
pub(crate) struct Scheduler {
    sim: Arc<Sim>,
    actors: Vec<Actor>,
}

struct Actor {
    name: &'static str,
    /// How often it is chosen, compared with the others.
    weight: u64,
    /// `None` once it has ended.
    work: Option<Work>,
    call: Arc<Call>,
}

/// Whether an actor has been woken, and who is to be told.
struct Call {
    woken: AtomicBool,
    outer: Mutex<Option<Waker>>,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        if let Some(outer) = &*self.outer.lock().unwrap_or_else(PoisonError::into_inner) {
            outer.wake_by_ref();
        }
    }
}

impl Scheduler {
    pub(crate) fn new(sim: Arc<Sim>) -> Self {
        Self { sim, actors: Vec::new() }
    }

    /// Adds an actor; it does nothing before its first gate.
    pub(crate) fn add(
        &mut self,
        name: &'static str,
        weight: u64,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let call = Arc::new(Call { woken: AtomicBool::new(true), outer: Mutex::new(None) });
        self.actors.push(Actor { name, weight, work: Some(Box::pin(work)), call });
    }

    /// Lets one go on, chosen by the dice; `false` when all have ended, or something is wrong.
    pub(crate) async fn step(&mut self) -> bool {
        self.settle().await;
        let candidates = self.sim.gates.candidates();
        let weight = |actor: usize| self.actors[actor].weight;
        let mut actors: Vec<_> = candidates.iter().map(|candidate| candidate.actor).collect();
        actors.dedup();
        if actors.is_empty() {
            let stuck: Vec<_> =
                self.actors.iter().filter(|it| it.work.is_some()).map(|it| it.name).collect();
            if !stuck.is_empty() {
                self.sim.violation(format!("nobody can go on, but these are not done: {stuck:?}"));
            }
            return false;
        }
        let mut draw = self.sim.dice.below(actors.iter().map(|&actor| weight(actor)).sum());
        let chosen = actors.iter().copied().find(|&actor| {
            let hit = draw < weight(actor);
            draw = draw.saturating_sub(weight(actor));
            hit
        });
        let at_gates: Vec<_> =
            candidates.iter().filter(|candidate| Some(candidate.actor) == chosen).collect();
        let candidate = at_gates[self.sim.dice.index(at_gates.len())];
        self.sim.pass_time();
        self.sim.trace(format!("{}: {}", self.actors[candidate.actor].name, candidate.label));
        self.sim.gates.open(candidate);
        self.settle().await;
        !self.sim.has_violation()
    }

    /// Runs everybody who has been woken, until all stand at gates.
    async fn settle(&mut self) {
        while let Some(place) =
            self.actors.iter().position(|actor| actor.call.woken.load(Ordering::SeqCst))
        {
            self.sim.gates.set_actor(place);
            self.actors[place].run_to_gate(&self.sim).await;
        }
    }
}

impl Actor {
    async fn run_to_gate(&mut self, sim: &Sim) {
        let waker = Waker::from(Arc::clone(&self.call));
        let (work, call) = (&mut self.work, &self.call);
        poll_fn(|outer| {
            *call.outer.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(outer.waker().clone());
            loop {
                call.woken.store(false, Ordering::SeqCst);
                let Some(running) = work else { return Poll::Ready(()) };
                if running.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                    *work = None;
                    return Poll::Ready(());
                }
                if sim.gates.is_quiet() && !call.woken.load(Ordering::SeqCst) {
                    return Poll::Ready(());
                }
                if !call.woken.load(Ordering::SeqCst) {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }
}
