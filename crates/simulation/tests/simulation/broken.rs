//! A broken rule is found: a simulation that cannot fail proves nothing.

use simulation::{Kind, Options, Report, Rule, run};

/// The first seed of at most `limit` that finds the rule broken.
fn finds(rule: Rule, steps: usize, limit: u64) -> Report {
    let options = Options { broken: Some(rule), steps, ..Options::on(Kind::Sqlite) };
    (0..limit)
        .map(|seed| run(seed, options))
        .find(|report| !report.violations.is_empty())
        .unwrap_or_else(|| panic!("{limit} seeds did not find that {rule:?} is broken"))
}

/// Makes each rule a test: within how many seeds, of how many steps, it is found broken, and what is
/// seen then.
macro_rules! found {
    ($($name:ident: $rule:ident, $limit:literal seeds of $steps:literal steps, as $($seen:literal)|+;)+) => {
        $(#[test]
        fn $name() {
            let report = finds(Rule::$rule, $steps, $limit);
            println!("seed {}: {:?}", report.seed, report.violations);
            assert!(
                report.violations.iter().any(|seen| $(seen.contains($seen))||+),
                "seed {}: {:#?}", report.seed, report.violations
            );
        })+
    };
}

found! {
    a_write_that_keeps_its_number: WritesUnstamp, 20 seeds of 200 steps, as "was not taken in";
    numbers_after_the_greatest: NumbersFromCounter, 20 seeds of 200 steps, as "was not taken in";
    epochs_that_are_only_counted: EpochsNamedByTime, 50 seeds of 800 steps,
        as "was not taken in" | "did not come to rest" | "billing has";
    a_token_before_its_page: PageWithToken, 50 seeds of 200 steps, as "was not taken in";
    a_token_that_is_just_written: TokenBySwap, 50 seeds of 200 steps, as "the token went back";
    a_page_that_undoes_a_pull: NewerOnly, 100 seeds of 400 steps, as "went back";
    a_pull_that_moves_the_token: PullKeepsToken, 50 seeds of 200 steps,
        as "was not taken in" | "the token went back";
    a_reread_that_asks_for_nothing: UnseenAreAsked, 100 seeds of 400 steps,
        as "ordering does not";
}
