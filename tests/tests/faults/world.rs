//! The processes of a round, and the faults that meet them.

use std::collections::BTreeMap;
use std::time::Duration;

use contract::time::Timestamp;
use e2e::api::Api;
use e2e::billing::Billing;
use e2e::ordering::Ordering;
use e2e::pair::{Engine, billing_program, ordering_program};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use testkit::net::free_port;
use testkit::process::Program;
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::database::{Database, Postgres};
use crate::node::Node;
use crate::plan::{Fault, Kind, Party, Plan};
use crate::proxy::Proxy;

/// The PostgreSQL servers that a row of rounds has in turn; started when they are first needed.
#[derive(Default)]
pub(crate) struct Servers {
    ordering: Option<Postgres>,
    billing: Option<Postgres>,
}

/// One service: its database, its processes, and what stands before them.
pub(crate) struct Side {
    pub(crate) party: Party,
    pub(crate) database: Mutex<Database>,
    pub(crate) nodes: Vec<Mutex<Node>>,
    /// Where writers and browsers come in.
    pub(crate) front: Proxy,
    ports: Vec<u16>,
}

pub(crate) struct World {
    pub(crate) ordering: Side,
    pub(crate) billing: Side,
    /// Where billing finds ordering.
    link: Proxy,
    /// How often each kind of fault was met so far, apart from those that the logs tell.
    met: std::sync::Mutex<BTreeMap<String, usize>>,
}

/// Longer than no proxy's delay, so that billing gives up now and then.
const PULL_TIMEOUT: &str = "1s";

impl World {
    pub(crate) async fn start(plan: &Plan, servers: &mut Servers) -> Self {
        let mut random = StdRng::seed_from_u64(plan.seed ^ 0x5eed);
        let count = if plan.twins { 2 } else { 1 };
        let ports = || (0..count).map(|_| free_port()).collect::<Vec<_>>();
        let (ordering_ports, billing_ports) = (ports(), ports());
        let link = Proxy::before(ordering_ports.clone(), random.random()).await;
        let ordering_front = Proxy::before(ordering_ports.clone(), random.random()).await;
        let billing_front = Proxy::before(billing_ports.clone(), random.random()).await;

        let ordering_program = |url: &str, port| ordering_program(url, port, billing_front.port());
        let billing_program = |url: &str, port| {
            // Small pages, so that many a fault falls between two of them.
            billing_program(url, port, link.port()).args([
                "--pull-limit",
                "10",
                "--pull-timeout",
                PULL_TIMEOUT,
            ])
        };
        let seed = random.random();
        let database = database(plan, plan.ordering, &mut servers.ordering, seed).await;
        let clocks = plan.moves_clocks(Party::Ordering);
        let ordering = Side {
            party: Party::Ordering,
            nodes: nodes(&database, clocks, &ordering_ports, ordering_program).await,
            database: Mutex::new(database),
            front: ordering_front,
            ports: ordering_ports,
        };
        let seed = random.random();
        let database = self::database(plan, plan.billing, &mut servers.billing, seed).await;
        let clocks = plan.moves_clocks(Party::Billing);
        let billing = Side {
            party: Party::Billing,
            nodes: nodes(&database, clocks, &billing_ports, billing_program).await,
            database: Mutex::new(database),
            front: billing_front,
            ports: billing_ports,
        };
        Self { ordering, billing, link, met: std::sync::Mutex::default() }
    }

    /// Gives the servers back.
    pub(crate) async fn end(self, servers: &mut Servers) {
        for (side, server) in
            [(self.ordering, &mut servers.ordering), (self.billing, &mut servers.billing)]
        {
            drop(side.nodes);
            *server = side.database.into_inner().end().await.or(server.take());
        }
    }

    /// The processes themselves, past every proxy.
    pub(crate) fn orderings(&self) -> Vec<Ordering> {
        self.ordering.apis().map(Ordering).collect()
    }

    pub(crate) fn billings(&self) -> Vec<Billing> {
        self.billing.apis().map(Billing).collect()
    }

    /// Where writers write.
    pub(crate) fn ordering_front(&self) -> Ordering {
        Ordering(Api::new(format!("http://127.0.0.1:{}", self.ordering.front.port())))
    }

    /// Where people approve, and follow links.
    pub(crate) fn billing_front(&self) -> Billing {
        Billing(Api::new(format!("http://127.0.0.1:{}", self.billing.front.port())))
    }

    /// `billing verify`, past every proxy.
    pub(crate) async fn verification(&self) -> Program {
        let database = self.billing.database.lock().await;
        let ordering = format!("http://127.0.0.1:{}", self.ordering.ports[0]);
        let verify = Program::new("billing")
            .args(["verify", "--json", "--database-url", &database.url()])
            .args(["--ordering-url", &ordering]);
        database.seen_by(verify)
    }

    /// Lets `fault` happen in its time. Two that want the same thing come one after the other.
    pub(crate) async fn meet(&self, fault: &Fault) {
        sleep(fault.at).await;
        let side = match fault.party {
            Party::Ordering => &self.ordering,
            Party::Billing => &self.billing,
        };
        let lasting = fault.lasting;
        let met = match fault.kind {
            Kind::Kill => {
                let mut node = side.some_node(fault).lock().await;
                node.kill();
                sleep(lasting).await;
                node.start_when_possible().await;
                1
            }
            Kind::Freeze => {
                let mut node = side.some_node(fault).lock().await;
                node.freeze();
                sleep(lasting).await;
                node.thaw();
                1
            }
            Kind::DatabaseDies => {
                side.database.lock().await.die(lasting).await;
                1
            }
            Kind::DatabaseStalls => {
                side.database.lock().await.stall(lasting).await;
                1
            }
            Kind::StatementTimeout => {
                side.database.lock().await.hurry(fault).await;
                return; // whether it was met, the logs tell
            }
            Kind::DiskFull => {
                side.database.lock().await.fill(lasting).await;
                return;
            }
            Kind::ReadOnly => return side.refuse_writes(lasting).await,
            Kind::ClockJump => side.jump(fault).await,
            Kind::Link(trick) => self.link.play(trick, lasting).await,
            Kind::Front(trick) => side.front.play(trick, lasting).await,
            Kind::Wire(trick) => side.database.lock().await.wire().play(trick, lasting).await,
        };
        let mut all = self.met.lock().expect("nobody panics while holding it");
        *all.entry(fault.kind.to_string()).or_default() += met;
    }

    /// How often each kind of fault was met.
    pub(crate) async fn met(&self) -> BTreeMap<String, usize> {
        let mut met = self.met.lock().expect("nobody panics while holding it").clone();
        for side in [&self.ordering, &self.billing] {
            let log = side.log().await;
            for (kind, words) in TOLD {
                let told: usize = words.iter().map(|words| log.matches(words).count()).sum();
                if told > 0 {
                    *met.entry(kind.to_string()).or_default() += told;
                }
            }
        }
        met
    }
}

/// Faults that the services tell of, and in which words of their databases.
const TOLD: &[(Kind, &[&str])] = &[
    (Kind::StatementTimeout, &["canceling statement due to statement timeout"]),
    (Kind::DiskFull, &["database or disk is full", "No space left on device"]),
    (
        Kind::ReadOnly,
        &["in a read-only transaction", "readonly database", "unable to open database file"],
    ),
];

impl Side {
    fn apis(&self) -> impl Iterator<Item = Api> {
        self.ports.iter().map(|port| Api::new(format!("http://127.0.0.1:{port}")))
    }

    /// All that its processes have ever said.
    pub(crate) async fn log(&self) -> String {
        let mut all = String::new();
        for node in &self.nodes {
            all.push_str(&node.lock().await.log());
        }
        all
    }

    fn some_node(&self, fault: &Fault) -> &Mutex<Node> {
        let mut random = StdRng::seed_from_u64(fault.seed);
        self.nodes.choose(&mut random).expect("there is one at least")
    }

    /// A file that is open for writing keeps its file system writable: so the processes of SQLite
    /// are killed first, and meet the read-only file when they start, and again when it is over.
    async fn refuse_writes(&self, lasting: Duration) {
        let mut nodes = Vec::new();
        for node in &self.nodes {
            nodes.push(node.lock().await);
        }
        let mut database = self.database.lock().await;
        if database.engine() == Engine::Postgres {
            drop(nodes);
            return database.refuse_writes(lasting).await;
        }
        let disk = database.disk().expect("SQLite's file is on one");
        for node in &mut nodes {
            node.kill();
        }
        disk.set_read_only(true);
        for node in &mut nodes {
            node.try_start().await;
        }
        sleep(lasting).await;
        for node in &mut nodes {
            if node.is_running() {
                node.kill();
            }
        }
        disk.set_read_only(false);
        for node in &mut nodes {
            node.start_when_possible().await;
        }
    }

    /// How often the process was seen at another time.
    async fn jump(&self, fault: &Fault) -> usize {
        let mut seen = 0;
        let mut before = self.time_at(fault).await;
        for hours in [1, -1, 0] {
            let node = self.some_node(fault).lock().await;
            node.clock.as_ref().expect("the plan says whose clocks move").set(hours * 3600);
            drop(node); // others may kill it meanwhile
            sleep(fault.lasting).await;
            let now = self.time_at(fault).await;
            let apart = before.zip(now).is_some_and(|(before, now): (i64, i64)| {
                before.abs_diff(now) > 30 * 60 * 1_000_000
            });
            seen += usize::from(apart);
            before = now.or(before);
        }
        seen
    }

    /// When this process last stamped or pulled, by its own clock, in microseconds; `None` when it
    /// does not say.
    async fn time_at(&self, fault: &Fault) -> Option<i64> {
        let node = self.some_node(fault).lock().await;
        let (path, field) = match self.party {
            Party::Ordering => ("/feed/v1/status", "lastTickAt"),
            Party::Billing => ("/api/v1/pull", "lastPullAt"),
        };
        let status: Value = node.api().get(path).await.ok()?;
        let at: Timestamp = serde_json::from_value(status[field].clone()).ok()?;
        Some(at.micros())
    }
}

async fn database(
    plan: &Plan,
    engine: Engine,
    server: &mut Option<Postgres>,
    seed: u64,
) -> Database {
    if engine == Engine::Sqlite {
        return Database::sqlite();
    }
    let postgres = match server.take() {
        Some(postgres) => postgres,
        None => Postgres::start().await,
    };
    Database::postgres(postgres, format!("round_{}", plan.seed), seed).await
}

async fn nodes(
    database: &Database,
    clocks: bool,
    ports: &[u16],
    program: impl Fn(&str, u16) -> Program,
) -> Vec<Mutex<Node>> {
    let mut nodes = Vec::new();
    for port in ports {
        let program = database.seen_by(program(&database.url(), *port));
        nodes.push(Mutex::new(Node::start(program, clocks.then(Clock::new)).await));
    }
    nodes
}
