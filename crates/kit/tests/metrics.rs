//! Metrics that nobody asks for must not fill the memory. A program by itself: recorders are one a
//! process, and allocations are counted by thread.

use std::time::Duration;

use allocation_counter::measure;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

#[test]
fn samples_that_nobody_asks_for_do_not_stay() {
    const ROUNDS: u32 = 100;
    const SAMPLES: u32 = 2_000;
    const INTERVAL: Duration = Duration::from_millis(2);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    kit::telemetry::metrics();
    let seconds = metrics::histogram!("tried_seconds");
    // How many bytes more there are afterwards than before.
    let stay = |is_kept_up: bool| {
        let recorded = measure(|| {
            runtime.block_on(async {
                let shutdown = CancellationToken::new();
                if is_kept_up {
                    tokio::spawn(kit::telemetry::keep_up(INTERVAL, shutdown.clone()));
                }
                for _ in 0..ROUNDS {
                    (0..SAMPLES).for_each(|sample| seconds.record(f64::from(sample)));
                    sleep(INTERVAL * 2).await;
                }
                shutdown.cancel();
            });
        });
        recorded.bytes_current
    };
    let all = i64::from(ROUNDS * SAMPLES) * 8; // each is a number of 8 bytes
    let kept_up = stay(true);
    assert!(kept_up < all / 4, "{kept_up} bytes stay of {all}");
    let left = stay(false);
    assert!(left > all, "{left} bytes stay: this library needs no upkeep any more");
    assert!(kit::telemetry::metrics().render().contains("tried_seconds_count 400000\n"));
}
