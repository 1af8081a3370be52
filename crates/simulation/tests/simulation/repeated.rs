//! A seed decides a run alone.

use simulation::{Kind, Options, run};

/// Two runs of a seed do the same and leave the same; different seeds do not.
fn is_decided_by_its_seed(database: Kind, seeds: u64) {
    let mut before: Option<Vec<String>> = None;
    for seed in 0..seeds {
        let options = Options::on(database);
        let (first, second) = (run(seed, options), run(seed, options));
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.rows, second.rows, "seed {seed}");
        assert!(first.trace.len() > options.steps, "seed {seed}");
        assert_ne!(before, Some(first.trace.clone()), "seed {seed} does what the one before did");
        before = Some(first.trace);
    }
}

#[test]
fn on_sqlite() {
    is_decided_by_its_seed(Kind::Sqlite, 10);
}

#[test]
fn on_postgres() {
    is_decided_by_its_seed(Kind::Postgres, 3);
}
