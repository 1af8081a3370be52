//! Every input that is kept in `fuzz/corpus` holds: those that were written by hand, and those that
//! fuzzing found.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use untrusted_input::{CHECKS, Check};

const FUZZ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz");

#[test]
fn every_input_that_is_kept_holds() {
    for (name, check) in CHECKS {
        replay(name, check);
    }
}

/// Checks all inputs of one target. Some must be taken in and some not: else they show nothing.
fn replay(name: &str, check: Check) {
    let directory = Path::new(FUZZ).join("corpus").join(name);
    let (mut taken, mut refused) = (0, 0);
    for file in fs::read_dir(&directory).unwrap_or_else(|error| panic!("{name}: {error}")) {
        let path = file.unwrap().path();
        let input = fs::read(&path).unwrap();
        // What is wrong is printed by the panic itself.
        let checked = catch_unwind(|| check(&input));
        if checked.unwrap_or_else(|_| panic!("{} does not hold", path.display())) {
            taken += 1;
        } else {
            refused += 1;
        }
    }
    assert!(taken > 3 && refused > 3, "{name}: {taken} inputs are taken in, {refused} are not");
}

#[test]
fn every_check_is_a_target() {
    let names = BTreeSet::from(CHECKS.map(|(name, _)| name.to_owned()));
    for (directory, extension) in [("fuzz_targets", ".rs"), ("corpus", "")] {
        let entries = fs::read_dir(Path::new(FUZZ).join(directory)).unwrap();
        let found = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let found: BTreeSet<_> =
            found.map(|name| name.trim_end_matches(extension).to_owned()).collect();
        assert_eq!(found, names, "{directory}");
    }
}
