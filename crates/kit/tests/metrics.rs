//! Metrics that nobody asks for must not fill the memory. A program by itself: recorders are one a
//! process, and allocations are counted by thread.

use std::time::Duration;

use allocation_counter::measure;
use tokio_util::sync::CancellationToken;

#[test]
fn samples_that_nobody_asks_for_do_not_stay() {
    const SAMPLES: u32 = 200_000;
    const INTERVAL: Duration = Duration::from_millis(2);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    kit::telemetry::metrics();
    let seconds = metrics::histogram!("tried_seconds");
    let record = |kept: bool| {
        let shutdown = CancellationToken::new();
        let recorded = measure(|| {
            runtime.block_on(async {
                if kept {
                    tokio::spawn(kit::telemetry::keep_up(INTERVAL, shutdown.clone()));
                }
                for sample in 0..SAMPLES {
                    seconds.record(f64::from(sample));
                    if sample % 2_000 == 0 {
                        tokio::time::sleep(INTERVAL * 2).await;
                    }
                }
                shutdown.cancel();
            });
        });
        recorded.bytes_current
    };
    let all = i64::from(SAMPLES) * 8; // each is a number of 8 bytes
    let stayed = record(false);
    assert!(stayed > all, "{stayed} bytes: samples are kept otherwise, and need no upkeep");
    let stayed = record(true);
    assert!(stayed < all / 4, "{stayed} bytes stay of {all}");
    assert!(kit::telemetry::metrics().render().contains("tried_seconds_count 400000\n"));
}
