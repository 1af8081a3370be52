//! The two services as processes.

use std::any::Any;

use testkit::net::free_port;
use testkit::process::{Program, Service};

use crate::api::Api;
use crate::billing::Billing;
use crate::ordering::Ordering;

/// Which database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// A database of its own on the shared server.
    Postgres,
    /// A file of its own.
    Sqlite,
}

/// An empty database, removed on drop.
pub struct Database {
    url: String,
    _keep: Box<dyn Any + Send + Sync>,
}

impl Database {
    /// Makes one.
    pub async fn new(engine: Engine) -> Self {
        match engine {
            Engine::Postgres => {
                let database = testkit::postgres::database().await;
                Self { url: database.url(), _keep: Box::new(database) }
            }
            Engine::Sqlite => {
                let file = testkit::sqlite::file();
                Self { url: file.url(), _keep: Box::new(file) }
            }
        }
    }

    /// Its address, as the services take it.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// `ordering serve` on this port, quick to stamp.
pub fn ordering_program(database_url: &str, port: u16, billing_port: u16) -> Program {
    Program::new("ordering")
        .args(["serve", "--listen", &format!("127.0.0.1:{port}")])
        .args(["--database-url", database_url, "--sequencer-interval", "200ms"])
        .args(["--billing-url", &format!("http://127.0.0.1:{billing_port}")])
}

/// `billing serve` on this port, quick to pull.
pub fn billing_program(database_url: &str, port: u16, ordering_port: u16) -> Program {
    Program::new("billing")
        .args(["serve", "--listen", &format!("127.0.0.1:{port}")])
        .args(["--database-url", database_url, "--pull-interval", "200ms"])
        .args(["--ordering-url", &format!("http://127.0.0.1:{ordering_port}")])
}

/// A process that can be killed and started again under the same address.
#[derive(Debug)]
pub struct Node {
    program: Program,
    service: Service,
}

impl Node {
    /// Starts it.
    pub async fn start(program: Program) -> Self {
        let service = program.start().await;
        Self { program, service }
    }

    /// Kills it at once (SIGKILL).
    ///
    /// # Panics
    /// When it has ended by itself before: no fault that a test makes may end a service.
    pub fn kill(&mut self) {
        self.assert_running();
        self.service.kill();
    }

    /// Starts it again after a kill.
    pub async fn start_again(&mut self) {
        self.service = self.program.start().await;
    }

    /// Kills it at once, and starts it again as another program, which `change` makes of this one.
    pub async fn start_differently(&mut self, change: impl FnOnce(Program) -> Program) {
        self.kill();
        self.program = change(self.program.clone());
        self.start_again().await;
    }

    /// The running process.
    pub fn service(&mut self) -> &mut Service {
        &mut self.service
    }

    /// Asserts that the process has not ended.
    ///
    /// # Panics
    /// With its log, when it has.
    pub fn assert_running(&mut self) {
        if let Some(status) = self.service.exit_status() {
            panic!("{:?} ended by itself with {status}:\n{}", self.program, self.service.log());
        }
    }

    /// Its API.
    pub fn api(&self) -> Api {
        Api::new(self.service.url())
    }
}

/// One ordering and one billing that know each other.
#[derive(Debug)]
pub struct Pair {
    /// The provider.
    pub ordering: Node,
    /// The consumer.
    pub billing: Node,
}

impl Pair {
    /// Starts both on these databases.
    pub async fn start(ordering_database: &str, billing_database: &str) -> Self {
        let (ordering_port, billing_port) = (free_port(), free_port());
        let ordering = ordering_program(ordering_database, ordering_port, billing_port);
        let billing = billing_program(billing_database, billing_port, ordering_port);
        Self { ordering: Node::start(ordering).await, billing: Node::start(billing).await }
    }

    /// Clients of both.
    pub fn clients(&self) -> (Ordering, Billing) {
        (Ordering(self.ordering.api()), Billing(self.billing.api()))
    }
}
