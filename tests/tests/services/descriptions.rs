//! Both services held against their own descriptions: schemathesis (<https://schemathesis.io>) makes
//! up requests of what `/openapi.json` says, valid and invalid ones, and compares each answer with it.
//! No answer may be a fault of the service, or one that is not described. `schemathesis.toml` says
//! what is checked.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use e2e::billing::Billing;
use e2e::equal::until_equal;
use e2e::ordering::Ordering;
use e2e::pair::{Database, Engine, Node, billing_program, ordering_program};
use testkit::net::free_port;
use testkit::process::Program;
use tokio::process::Command;
use tokio::time::timeout;

use crate::SOON;

/// Both services have it, so that answers to strangers are checked too.
const TOKEN: &str = "s3cret";
const CONFIGURATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schemathesis.toml");
/// Many times what it takes for one service, on a machine that compiles at the same time.
const LIMIT: Duration = Duration::from_mins(10);

#[tokio::test]
async fn on_sqlite_every_answer_is_described() {
    check(Engine::Sqlite).await;
}

#[tokio::test]
async fn on_postgres_every_answer_is_described() {
    check(Engine::Postgres).await;
}

async fn check(engine: Engine) {
    let (ordering_db, billing_db) = (Database::new(engine).await, Database::new(engine).await);
    let seed = ["seed", "--orders", "30", "--database-url", ordering_db.url()];
    let seeded = Program::new("ordering").args(seed).run().await;
    assert!(seeded.status.success(), "{seeded:?}");
    let (ordering_port, billing_port) = (free_port(), free_port());
    let ordering = ordering_program(ordering_db.url(), ordering_port, billing_port);
    let billing = billing_program(billing_db.url(), billing_port, ordering_port)
        .env("BILLING_ORDERING_TOKEN", TOKEN)
        .env("BILLING_API_TOKEN", TOKEN);
    let mut nodes =
        [Node::start(ordering.env("ORDERING_API_TOKEN", TOKEN)).await, Node::start(billing).await];
    let [ordering, billing] = nodes.each_ref().map(|node| node.api().with_token(TOKEN));
    let (ordering, billing) = (Ordering(ordering), Billing(billing));
    until_equal(&ordering, &billing, SOON).await;

    for node in &mut nodes {
        schemathesis(node.service().url()).await;
    }
    // Whatever was made up, all that ordering took in arrives.
    until_equal(&ordering, &billing, SOON).await;
    for node in &mut nodes {
        node.assert_running();
        let log = node.service().log();
        assert!(!log.contains("panicked"), "{log}");
    }
}

/// Asserts that schemathesis finds nothing.
///
/// # Panics
/// With what it found and how to repeat each request.
async fn schemathesis(service: String) {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(installed());
    command
        .args(["--config-file", CONFIGURATION, "--no-color", "run"])
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
        .arg(format!("{service}/openapi.json"))
        .current_dir(directory.path()) // it leaves files where it runs
        .kill_on_drop(true);
    let ended = timeout(LIMIT, command.output()).await;
    let output = ended.expect("schemathesis ends").expect("schemathesis can be run");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}:\n{said}\n{complaint}", output.status);
    assert!(said.contains("Test cases:"), "it tested nothing:\n{said}");
}

/// # Panics
/// With how to get it, when it is not there.
fn installed() -> PathBuf {
    let path = env::var_os("LOCKSTEP_SCHEMATHESIS").map(PathBuf::from);
    path.filter(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "LOCKSTEP_SCHEMATHESIS does not name a program: run scripts/test.sh, which installs \
             schemathesis below target, or set it to the program `schemathesis` of an installation \
             of your own (pip install -r scripts/schemathesis.txt)"
        )
    })
}
