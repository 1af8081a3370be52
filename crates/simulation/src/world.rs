//! The processes of both services, which live, die and start again.

use std::sync::{Arc, Mutex};

use crate::Options;
use crate::database::Databases;
use crate::network::{Network, Providers};
use crate::processes::{BillingProcess, OrderingProcess};
use crate::sim::{Sim, lock};
use crate::stores::{BillingStore, OrderingStore};

/// How many processes each service has.
pub(crate) const PROCESSES: usize = 2;

/// Both services.
pub(crate) struct World {
    pub(crate) sim: Arc<Sim>,
    pub(crate) databases: Databases,
    pub(crate) providers: Arc<Providers>,
    billing: Mutex<Vec<Arc<BillingProcess>>>,
    network: Network,
    options: Options,
}

impl World {
    /// Both services on fresh databases, all processes started.
    pub(crate) async fn new(sim: &Arc<Sim>, options: Options) -> Arc<Self> {
        let providers = Arc::new(Providers::default());
        let world = Arc::new(Self {
            sim: Arc::clone(sim),
            databases: Databases::new(options.database).await,
            network: Network::new(Arc::clone(sim), Arc::clone(&providers)),
            providers,
            billing: Mutex::default(),
            options,
        });
        world.start_ordering().await;
        for _ in 0..PROCESSES {
            let process = world.new_billing().await;
            lock(&world.billing).push(process);
        }
        world
    }

    /// The process of ordering at this place.
    pub(crate) fn ordering(&self, place: usize) -> Arc<OrderingProcess> {
        Arc::clone(&lock(&self.providers.current)[place])
    }

    /// The process of billing at this place.
    pub(crate) fn billing(&self, place: usize) -> Arc<BillingProcess> {
        Arc::clone(&lock(&self.billing)[place])
    }

    /// Kills a process of ordering wherever it is, and starts another one.
    pub(crate) async fn restart_ordering(&self, place: usize) {
        self.ordering(place).life.kill();
        let process = self.new_ordering().await;
        lock(&self.providers.current)[place] = process;
    }

    /// Kills a process of billing wherever it is, and starts another one.
    pub(crate) async fn restart_billing(&self, place: usize) {
        self.billing(place).life.kill();
        let process = self.new_billing().await;
        lock(&self.billing)[place] = process;
    }

    /// Lets ordering go on from the backup. What it was before is killed, but for one process that
    /// nobody switches off when there `is_past` to remain.
    pub(crate) async fn restore_ordering(&self, is_past: bool) {
        let killed = std::mem::take(&mut *lock(&self.providers.current));
        for process in &killed[usize::from(is_past)..] {
            process.life.kill();
        }
        let past = killed.into_iter().next().filter(|_| is_past);
        if let Some(past) = std::mem::replace(&mut *lock(&self.providers.past), past) {
            past.life.kill();
        }
        self.databases.restore();
        self.start_ordering().await;
    }

    /// Ends everything, so that nothing is kept open.
    pub(crate) fn kill_all(&self) {
        let past = lock(&self.providers.past).take();
        for process in lock(&self.providers.current).drain(..).chain(past) {
            process.life.kill();
        }
        for process in lock(&self.billing).drain(..) {
            process.life.kill();
        }
    }

    async fn start_ordering(&self) {
        self.sim.witness().source_url = self.databases.ordering();
        let mut processes = Vec::new();
        for _ in 0..PROCESSES {
            processes.push(self.new_ordering().await);
        }
        *lock(&self.providers.current) = processes;
    }

    async fn new_ordering(&self) -> Arc<OrderingProcess> {
        let url = self.databases.ordering();
        let gated = |inner| OrderingStore {
            inner,
            sim: Arc::clone(&self.sim),
            url: url.clone(),
            broken: self.options.broken,
        };
        OrderingProcess::start(&self.sim, gated, &url).await
    }

    async fn new_billing(&self) -> Arc<BillingProcess> {
        let url = self.databases.billing();
        let gated = |inner| BillingStore {
            inner,
            sim: Arc::clone(&self.sim),
            url: url.clone(),
            broken: self.options.broken,
        };
        BillingProcess::start(&self.sim, gated, &url, self.network.clone()).await
    }
}
