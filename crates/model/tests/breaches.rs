//! Without a rule, the search finds what breaks.

use std::sync::LazyLock;

use model::counterexamples::{self, shows};
use model::promises::Promise;
use model::rules::{Breach, Rules};
use model::scenarios::{self, Scenario};
use model::search::search;
use model::world::World;

fn is_broken(breach: Breach, scenario: Scenario, promise: Promise) -> bool {
    let world = World { promises: vec![promise], ..World::new(scenario, Rules::but(breach)) };
    search(&world).broken.is_some()
}

/// What the search finds, for all breaches. It takes a while.
static SECTION: LazyLock<String> = LazyLock::new(counterexamples::section);

#[test]
fn every_breach_has_a_counterexample() {
    for &breach in Breach::ALL {
        let harmless = [Breach::WaitingHidden, Breach::PastServes].contains(&breach);
        assert_eq!(shows(breach).is_none(), harmless, "{breach}");
        assert_ne!(SECTION.contains(&breach.to_string()), harmless, "{breach}");
    }
}

#[test]
fn every_rule_is_broken_by_something() {
    for rule in ["P1", "P2", "P3", "P4", "P5", "P6", "P7", "C1", "C2", "C3", "C4", "C5", "C6"] {
        let harmful = |breach: &&Breach| breach.rule() == rule && shows(**breach).is_some();
        assert!(Breach::ALL.iter().any(|breach| harmful(&breach)), "{rule}");
    }
}

/// The promises that no breach above is shown by can fail as well.
#[test]
fn every_promise_can_be_broken() {
    let shown: Vec<Promise> =
        Breach::ALL.iter().filter_map(|&breach| Some(shows(breach)?.1)).collect();
    let others = [
        (Breach::BareSequence, scenarios::SEQUENCERS, Promise::NumbersInOrder),
        (Breach::PullMovesToken, scenarios::WORKERS, Promise::TokenCovered),
    ];
    for (breach, scenario, promise) in others {
        assert!(is_broken(breach, scenario, promise), "{breach} breaks {promise:?}");
    }
    for promise in Promise::ALL {
        assert!(shown.contains(&promise) || others.iter().any(|other| other.2 == promise));
    }
}

/// What the documentation shows is what is found.
#[test]
fn the_documentation_shows_the_counterexamples() {
    let text = include_str!("../../../docs/PROTOCOL.md");
    let section = text
        .split_once(counterexamples::BEGIN)
        .and_then(|(_, rest)| rest.split_once(counterexamples::END))
        .map(|(section, _)| section);
    assert!(
        section == Some(&SECTION),
        "docs/PROTOCOL.md is not what the search finds: \
         cargo run -p model --example counterexamples -- --write"
    );
}
