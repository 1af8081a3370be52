//! Measures the pair: how fast orders arrive in billing, how much memory that takes, and how soon
//! the demo is up. The figures are explained in `docs/PERFORMANCE.md`.
//!
//! ```sh
//! cargo build --release --workspace --bins
//! cargo run --release -p e2e --example measure -- 100000
//! ```

use std::time::{Duration, Instant};

use e2e::api::Api;
use e2e::billing::Billing;
use e2e::ordering::Ordering;
use testkit::process::{Program, Service};

/// How long any step may take.
const LIMIT: Duration = Duration::from_mins(15);

#[tokio::main]
async fn main() {
    let orders = std::env::args().nth(1).map_or(Ok(100_000), |n| n.parse());
    let orders: i64 = orders.expect("the argument is a number of orders");
    println!("{orders} orders of 3 lines; rates in orders per second, memory at its peak\n");
    println!("| database | seed | stamp | pull, apply, invoice | ordering | billing |");
    println!("|---|---:|---:|---:|---:|---:|");

    let files = (testkit::sqlite::file(), testkit::sqlite::file());
    pair("SQLite", orders, &files.0.url(), &files.1.url()).await;

    let server = testkit::postgres::Server::start_durable().await;
    let databases =
        (server.create_database("ordering").await, server.create_database("billing").await);
    pair("PostgreSQL", orders, &databases.0, &databases.1).await;

    println!("\ndemo, from the start of the process to the last of its two addresses, 5 times:");
    for run in 1..=5 {
        println!("  {run}: {:.0} ms", demo_start().await.as_secs_f64() * 1000.0);
    }
}

/// Seeds with billing off, lets the sequencer stamp, then switches billing on.
async fn pair(name: &str, orders: i64, ordering_database: &str, billing_database: &str) {
    let begin = Instant::now();
    let seeded = Program::new("ordering")
        .args(["seed", "--orders", &orders.to_string(), "--database-url", ordering_database])
        .run()
        .await;
    assert!(seeded.status.success(), "{}", String::from_utf8_lossy(&seeded.stderr));
    let seeding = begin.elapsed();

    let begin = Instant::now();
    let ordering_process = Program::new("ordering")
        .args(["serve", "--listen", "127.0.0.1:0", "--database-url", ordering_database])
        .start()
        .await;
    let ordering = Ordering(Api::new(ordering_process.url()));
    testkit::wait::until("everything is stamped", LIMIT, async || {
        ordering.status().await.is_ok_and(|status| status.unstamped == 0)
    })
    .await;
    let stamping = begin.elapsed();

    let begin = Instant::now();
    let billing_process = Program::new("billing")
        .args(["serve", "--listen", "127.0.0.1:0", "--database-url", billing_database])
        .args(["--ordering-url", &ordering_process.url()])
        .start()
        .await;
    let billing = Billing(Api::new(billing_process.url()));
    testkit::wait::until("everything is pulled", LIMIT, async || {
        billing.pull_status().await.is_ok_and(|pull| pull.totals.new == orders)
    })
    .await;
    let pulling = begin.elapsed();

    println!(
        "| {name} | {} | {} | {} | {} | {} |",
        rate(orders, seeding),
        rate(orders, stamping),
        rate(orders, pulling),
        peak_memory(&ordering_process),
        peak_memory(&billing_process),
    );
}

fn rate(orders: i64, took: Duration) -> i64 {
    let micros = i64::try_from(took.as_micros()).unwrap_or(i64::MAX).max(1);
    orders.saturating_mul(1_000_000) / micros
}

/// `VmHWM`, the most memory that the process ever had resident.
fn peak_memory(process: &Service) -> String {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid()));
    let status = status.expect("the process runs, on Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line
        .and_then(|text| text.trim().strip_suffix(" kB")?.trim().parse().ok())
        .expect("VmHWM is in kB");
    format!("{} MiB", kib / 1024)
}

/// The demo with an empty folder, sample orders included.
async fn demo_start() -> Duration {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (ordering, billing) = (testkit::net::free_port(), testkit::net::free_port());
    let begin = Instant::now();
    let demo = Program::new("lockstep")
        .arg("--data")
        .arg(folder.path())
        .args(["--ordering-listen", &format!("127.0.0.1:{ordering}")])
        .args(["--billing-listen", &format!("127.0.0.1:{billing}")])
        .start()
        .await;
    let billing = Billing(Api::new(format!("http://127.0.0.1:{billing}")));
    testkit::wait::until("billing answers", LIMIT, async || billing.readiness().await.is_ok())
        .await;
    let took = begin.elapsed();
    drop(demo);
    took
}
