//! A process of a round: killed and started again, its log kept.

use std::time::Duration;

use e2e::api::Api;
use testkit::process::{Program, Service};
use tokio::time::{Instant, sleep};

use crate::clock::{self, Clock};

/// While its database is away a service refuses to start, and is started again as a supervisor
/// would, until it does.
const START_LIMIT: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Node {
    program: Program,
    /// `None` only between a kill and the next start.
    service: Option<Service>,
    /// Of those that were killed, and of starts that failed.
    past_logs: String,
    pub(crate) refused_starts: usize,
    pub(crate) clock: Option<Clock>,
}

impl Node {
    pub(crate) async fn start(program: Program, clock: Option<Clock>) -> Self {
        let program = match &clock {
            Some(clock) => clock.on(program),
            None => program,
        };
        let service = Some(program.start().await);
        Self { program, service, past_logs: String::new(), refused_starts: 0, clock }
    }

    /// # Panics
    /// When it has ended by itself before: no fault may end a service.
    pub(crate) fn kill(&mut self) {
        self.assert_running();
        if let Some(mut service) = self.service.take() {
            service.kill();
            clock::tidy_up_after(service.pid());
            self.past_logs.push_str(&service.log());
        }
    }

    pub(crate) fn freeze(&mut self) {
        self.service.as_mut().expect("it is running").freeze();
    }

    pub(crate) fn thaw(&mut self) {
        self.service.as_mut().expect("it is running").thaw();
    }

    /// Starts it, if it can be started now.
    pub(crate) async fn try_start(&mut self) -> bool {
        match self.program.try_start().await {
            Ok(service) => self.service = Some(service),
            Err(why) => {
                self.past_logs.push_str(&why);
                self.refused_starts += 1;
            }
        }
        self.service.is_some()
    }

    /// # Panics
    /// When that does not succeed in good time.
    pub(crate) async fn start_when_possible(&mut self) {
        let deadline = Instant::now() + START_LIMIT;
        while !self.try_start().await {
            assert!(Instant::now() < deadline, "it does not start:\n{}", self.past_logs);
            sleep(PAUSE).await;
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.service.is_some()
    }

    pub(crate) fn api(&self) -> Api {
        Api::new(self.service.as_ref().expect("it is running").url())
    }

    /// All that it has ever said.
    pub(crate) fn log(&self) -> String {
        let now = self.service.as_ref().map(Service::log).unwrap_or_default();
        format!("{}{now}", self.past_logs)
    }

    pub(crate) fn assert_running(&mut self) {
        let ended = self.service.as_mut().and_then(Service::exit_status);
        assert!(ended.is_none(), "it ended by itself with {ended:?}:\n{}", self.log());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(service) = &mut self.service {
            service.kill();
            clock::tidy_up_after(service.pid());
        }
    }
}
