//! `docs/INTEGRATION.md`: every command in it does what it says.

use std::fs;
use std::process::Command;
use std::time::Duration;

use e2e::billing::Billing;
use e2e::pair::{Database, Engine, Node, billing_program, ordering_program};
use e2e::receiver::{Receiver, SECRET};
use testkit::net::free_port;
use testkit::wait;

use crate::SOON;

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/INTEGRATION.md");

/// The commands of the guide, in their order: they build on each other.
fn commands() -> String {
    let guide = fs::read_to_string(GUIDE).unwrap();
    let blocks = guide.split("\n```sh\n").skip(1);
    blocks.map(|block| block.split("\n```").next().unwrap()).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_does_what_it_says() {
    let databases = [Database::new(Engine::Sqlite).await, Database::new(Engine::Sqlite).await];
    let (ordering_port, billing_port) = (free_port(), free_port());
    let receiver = Receiver::start(Duration::ZERO, false).await;
    let ordering = ordering_program(databases[0].url(), ordering_port, billing_port);
    let _ordering = Node::start(ordering).await;
    let billing = billing_program(databases[1].url(), billing_port, ordering_port)
        .args(["--dispatch-url", receiver.url()])
        .env("BILLING_DISPATCH_SECRET", SECRET);
    let billing = Node::start(billing).await;

    // As written, but for the addresses.
    let script = commands()
        .replace("http://127.0.0.1:8080", &format!("http://127.0.0.1:{ordering_port}"))
        .replace("http://127.0.0.1:8081", &format!("http://127.0.0.1:{billing_port}"))
        .replace("http://127.0.0.1:9000/hooks", receiver.url());
    assert!(script.contains(SECRET), "the guide uses the secret of this test");
    for program in ["bash", "curl", "openssl"] {
        let found = Command::new(program).arg("--version").output();
        let found = found.or_else(|_| Command::new(program).arg("version").output());
        assert!(found.is_ok(), "the guide needs {program}: install it");
    }
    let directory = tempfile::tempdir().unwrap();
    let run = tokio::task::spawn_blocking(move || {
        Command::new("bash")
            .args(["-euxo", "pipefail", "-c", &script])
            .current_dir(directory.path())
            .output()
            .unwrap()
    });
    let output = run.await.unwrap();
    let (printed, trace) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(output.status.success(), "{printed}\n{trace}");
    assert!(printed.contains("<title>2 orders"), "{printed}");

    let billing = Billing(billing.api());
    wait::until("the approved invoice is delivered", SOON, async || {
        let invoices = billing.invoices("state=approved").await.unwrap();
        invoices.iter().any(|invoice| invoice.dispatch.as_deref() == Some("delivered"))
    })
    .await;
    let ids: Vec<_> = receiver.seen().bodies.into_keys().collect();
    assert_eq!(ids.len(), 2, "the invoice, and the one by hand: {ids:?}");
}
