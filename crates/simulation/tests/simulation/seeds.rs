//! Both sides end equal, whatever the seed.

use std::ops::Range;
use std::thread;

use simulation::{Kind, Options, run};

/// How many runs there are at once: as many as this machine can do, but never the whole of a large
/// one.
fn threads() -> u64 {
    thread::available_parallelism().map_or(1, |count| count.get().min(4) as u64)
}

/// Runs all seeds; how often ordering was restored in them.
fn all_end_well(seeds: Range<u64>, options: Options) -> u64 {
    let threads = threads();
    thread::scope(|scope| {
        let share = |first: u64| seeds.clone().filter(move |seed| seed % threads == first);
        let runs: Vec<_> = (0..threads)
            .map(|first| {
                let share = share(first);
                scope.spawn(move || share.map(|seed| ends_well(seed, options)).sum::<u64>())
            })
            .collect();
        runs.into_iter().map(|run| run.join().expect("a seed failed, see above")).sum()
    })
}

fn ends_well(seed: u64, options: Options) -> u64 {
    let report = run(seed, options);
    assert!(
        report.violations.is_empty(),
        "{}\nseed {seed}: {:#?}",
        report.trace.join("\n"),
        report.violations
    );
    report.restores
}

#[test]
fn both_sides_end_equal_on_sqlite() {
    let restores = all_end_well(0..120, Options::on(Kind::Sqlite));
    // What the seeds try is what the test is worth.
    assert!(restores > 30, "only {restores} restores");
}

#[test]
fn both_sides_end_equal_on_postgres() {
    all_end_well(0..8, Options::on(Kind::Postgres));
}
