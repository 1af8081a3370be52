//! A comparison in the background of a running service: one at a time, and what the last one found.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use contract::time::Timestamp;
use kit::clock::SharedClock;

use super::{Progress, Report, Result, Verifier};

/// Compares and repairs in the background. What it found is kept in memory: it is of this process.
pub struct Job {
    verifier: Verifier,
    clock: SharedClock,
    state: Mutex<JobState>,
}

/// What is going on, and what came of it last.
#[derive(Clone, Default)]
pub struct JobState {
    /// The comparison or repair that is under way; `None` while none is.
    pub running: Option<Running>,
    /// How the last one ended; `None` before the first.
    pub last: Option<Ended>,
}

/// A comparison or repair that is under way.
#[derive(Clone, Copy)]
pub struct Running {
    /// When it began.
    pub since: Timestamp,
    /// How far it has come; `None` at its beginning.
    pub progress: Option<Progress>,
}

/// A comparison or repair that has ended.
#[derive(Clone)]
pub struct Ended {
    /// When it ended.
    pub at: Timestamp,
    /// What it found, or why it found nothing.
    pub outcome: std::result::Result<Arc<Report>, String>,
}

/// What is to be done.
enum Task {
    Compare,
    /// Repairs what this report found.
    Repair(Arc<Report>),
}

impl Job {
    /// Nothing is compared yet.
    pub fn new(verifier: Verifier, clock: SharedClock) -> Self {
        Self { verifier, clock, state: Mutex::default() }
    }

    /// What is going on now.
    pub fn state(&self) -> JobState {
        self.lock().clone()
    }

    /// Starts a comparison; when something is under way, it stays with that.
    pub fn compare(self: &Arc<Self>) {
        self.start(|_| Some(Task::Compare));
    }

    /// Starts to repair what the last comparison found; when something is under way, or nothing was
    /// found, it stays with that.
    pub fn repair(self: &Arc<Self>) {
        self.start(|last| Some(Task::Repair(Arc::clone(last?.outcome.as_ref().ok()?))));
    }

    fn start(self: &Arc<Self>, choose: impl FnOnce(Option<&Ended>) -> Option<Task>) {
        let mut state = self.lock();
        if state.running.is_some() {
            return;
        }
        let Some(task) = choose(state.last.as_ref()) else { return };
        state.running = Some(Running { since: self.clock.now(), progress: None });
        drop(state);
        let job = Arc::clone(self);
        tokio::spawn(async move {
            let running = Arc::clone(&job);
            // In a task of its own, so that even a panic ends it for those who look.
            let outcome = tokio::spawn(async move { running.run(task).await }).await;
            let outcome = match outcome {
                Ok(Ok(report)) => {
                    tracing::info!(verify.left = report.left(), "{}", report.summary());
                    Ok(Arc::new(report))
                }
                Ok(Err(error)) => {
                    let text = kit::telemetry::chain(&error);
                    tracing::warn!(error = text, "both sides could not be compared");
                    Err(error.to_string())
                }
                Err(_) => Err("The comparison broke off; the log says why".to_owned()),
            };
            let ended = Ended { at: job.clock.now(), outcome };
            *job.lock() = JobState { running: None, last: Some(ended) };
        });
    }

    async fn run(&self, task: Task) -> Result<Report> {
        let watch = |progress| {
            if let Some(running) = &mut self.lock().running {
                running.progress = Some(progress);
            }
        };
        match task {
            Task::Compare => self.verifier.compare(&watch).await,
            Task::Repair(report) => self.verifier.repair(&report, &watch).await,
        }
    }

    fn lock(&self) -> MutexGuard<'_, JobState> {
        // Only ever replaced part by part, so that a panic elsewhere leaves it usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
