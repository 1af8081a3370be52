//! Background tasks, signals, and a stop that drains what is in flight.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::http::fast_path::{FastPath, Front};
use crate::telemetry;

/// How long requests and background tasks may take to finish after a signal.
///
/// Shorter than the ten seconds after which `docker stop` kills, by default.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);

/// How often metrics are tidied up: few samples come to wait in that time.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The background tasks of a process. When one of them ends before the process is told to stop,
/// the process ends with a failure, so that a supervisor restarts it: half a service is worse
/// than none.
pub struct Lifecycle {
    terminate: Signal,
    interrupt: Signal,
    shutdown: CancellationToken,
    tasks: JoinSet<(&'static str, Result<(), BoxError>)>,
}

/// Any error that can cross threads.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a process could not go on.
#[derive(Debug)]
pub struct TaskFailed {
    task: String,
    cause: Option<BoxError>,
}

impl fmt::Display for TaskFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Some(cause) => write!(f, "the {} failed: {cause}", self.task),
            None => write!(f, "the {} ended although it was not told to", self.task),
        }
    }
}

impl std::error::Error for TaskFailed {}

impl Lifecycle {
    /// A process whose only task yet is the upkeep of metrics, which each one needs that runs for long.
    /// From here on SIGTERM and SIGINT are noticed, so that a signal which comes while the process starts
    /// stops it as well as any later one.
    ///
    /// # Errors
    /// When the system does not let the process handle signals.
    pub fn new() -> std::io::Result<Self> {
        let mut lifecycle = Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            shutdown: CancellationToken::new(),
            tasks: JoinSet::new(),
        };
        let upkeep = telemetry::keep_up(UPKEEP_INTERVAL, lifecycle.shutdown_token());
        lifecycle.spawn("upkeep of metrics", async {
            upkeep.await;
            Ok(())
        });
        Ok(lifecycle)
    }

    /// Cancelled when the process is told to stop. Loops and waiting requests end at it.
    pub fn shutdown_token(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Starts a task that runs until the shutdown token is cancelled.
    pub fn spawn<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.tasks.spawn(async move { (name, task.await) });
    }

    /// Serves `service` on a listener that is bound already, and logs its address.
    pub fn serve(&mut self, name: &'static str, listener: TcpListener, service: Router) {
        announce(name, &listener);
        let stop = self.shutdown.clone().cancelled_owned();
        self.spawn(name, async move {
            axum::serve(listener, service).with_graceful_shutdown(stop).into_future().await?;
            Ok(())
        });
    }

    /// The same for a service with a fast path.
    pub fn serve_behind<F: FastPath>(
        &mut self,
        name: &'static str,
        listener: TcpListener,
        front: Front<F>,
    ) {
        announce(name, &listener);
        let stop = self.shutdown.clone();
        self.spawn(name, async move { Ok(front.serve(listener, stop).await?) });
    }

    /// Waits for SIGTERM, SIGINT or the end of a task; then stops all tasks and lets them finish.
    ///
    /// # Errors
    /// When a task failed, panicked, or ended by itself.
    pub async fn run(self) -> Result<(), TaskFailed> {
        self.run_until(std::future::pending()).await
    }

    /// Like [`Lifecycle::run`], with something else than a signal to stop at as well.
    ///
    /// # Errors
    /// When a task failed, panicked, or ended by itself.
    pub async fn run_until(mut self, stop: impl Future<Output = ()>) -> Result<(), TaskFailed> {
        let mut outcome = tokio::select! {
            () = stop => Ok(()),
            _ = self.terminate.recv() => {
                tracing::info!("SIGTERM received, draining");
                Ok(())
            }
            _ = self.interrupt.recv() => {
                tracing::info!("SIGINT received, draining");
                Ok(())
            }
            Some(ended) = self.tasks.join_next() => Err(match ended {
                Ok((task, Ok(()))) => TaskFailed { task: task.to_owned(), cause: None },
                Ok((task, Err(cause))) => TaskFailed { task: task.to_owned(), cause: Some(cause) },
                Err(panic) => failed("background task", panic),
            }),
        };
        self.shutdown.cancel();
        let drain = async {
            while let Some(ended) = self.tasks.join_next().await {
                let failure = match ended {
                    Ok((_, Ok(()))) => continue,
                    Ok((task, Err(cause))) => {
                        TaskFailed { task: task.to_owned(), cause: Some(cause) }
                    }
                    Err(panic) => failed("background task", panic),
                };
                // The first failure is the one to report: later ones may follow from it.
                if outcome.is_ok() {
                    outcome = Err(failure);
                }
            }
        };
        if tokio::time::timeout(DRAIN_TIMEOUT, drain).await.is_err() {
            tracing::warn!(seconds = DRAIN_TIMEOUT.as_secs(), "stopping with work still in flight");
        }
        outcome
    }
}

fn announce(service: &str, listener: &TcpListener) {
    match listener.local_addr() {
        Ok(addr) => tracing::info!(service, "listening addr={addr}"),
        Err(error) => tracing::warn!(service, %error, "listening on an unknown address"),
    }
}

fn failed(task: &str, cause: impl Into<BoxError>) -> TaskFailed {
    TaskFailed { task: task.to_owned(), cause: Some(cause.into()) }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn tasks_are_told_to_stop_and_finish_their_work() {
        let mut lifecycle = Lifecycle::new().unwrap();
        let shutdown = lifecycle.shutdown_token();
        let (done, was_done) = tokio::sync::oneshot::channel();
        lifecycle.spawn("worker", async move {
            shutdown.cancelled().await;
            done.send(()).map_err(|()| "nobody waits".into())
        });
        lifecycle.run_until(async {}).await.unwrap();
        was_done.await.unwrap();
    }

    #[tokio::test]
    async fn a_process_keeps_up_its_metrics_from_the_start() {
        let lifecycle = Lifecycle::new().unwrap();
        assert_eq!(lifecycle.tasks.len(), 1);
        lifecycle.run_until(async {}).await.unwrap();
    }

    #[tokio::test]
    async fn a_task_that_ends_by_itself_fails_the_process() {
        let mut lifecycle = Lifecycle::new().unwrap();
        lifecycle.spawn("worker", async { Ok(()) });
        let error = lifecycle.run_until(pending()).await.unwrap_err();
        assert_eq!(error.to_string(), "the worker ended although it was not told to");
    }

    #[tokio::test]
    async fn a_panic_fails_the_process() {
        let mut lifecycle = Lifecycle::new().unwrap();
        lifecycle.spawn("worker", async { panic!("on purpose") });
        assert!(lifecycle.run_until(pending()).await.is_err());
    }
}
