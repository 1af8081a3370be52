//! What breaks without each rule: the shortest way to a broken promise.

use stateright::Path;

use crate::actions::Action;
use crate::promises::Promise;
use crate::rules::{Breach, Rules};
use crate::scenarios::{self, Scenario};
use crate::search::search;
use crate::story::tell;
use crate::world::{State, World};

/// Where a breach shows, and which promise it breaks. `None`: it breaks none.
pub fn shows(breach: Breach) -> Option<(Scenario, Promise)> {
    use Breach as B;
    use Promise::{EndsEqual, Fair, NeverCalledMissing, PullTaken, TokenForward};
    Some(match breach {
        B::WriteKeepsNumber | B::WriteKeepsVersion => (scenarios::CACHE, EndsEqual),
        B::NumberFromMaximum
        | B::NoCounterLock
        | B::ReadBeforeLock
        | B::ReleaseBeforeCommit
        | B::BareSequence
        | B::WriterNumbers => (scenarios::SEQUENCERS, EndsEqual),
        B::StampById | B::PlaceLost | B::NoPatience => (scenarios::HOT_ORDERS, Fair),
        B::TokenIsCounter | B::TokenOfOtherSnapshot | B::TokenFirst => {
            (scenarios::CACHE, EndsEqual)
        }
        B::TokenFromOwnMaximum | B::PullMovesToken | B::NoGuard | B::GuardByNumberNewest => {
            (scenarios::WORKERS, EndsEqual)
        }
        B::GuardByNumberOldest => (scenarios::WORKERS, PullTaken),
        B::BlindToken => (scenarios::WORKERS, TokenForward),
        B::StandbyResets => (scenarios::STANDBY, TokenForward),
        B::LossGoesOn | B::EpochPlusOne => (scenarios::RESTORES, EndsEqual),
        B::TokenKept => (scenarios::FIRST_READ, EndsEqual),
        B::NoNewEpoch | B::PastAccepted | B::EpochOfStamp | B::NoSweep => {
            (scenarios::FAILOVER, EndsEqual)
        }
        B::MarkedUnasked => (scenarios::FAILOVER, NeverCalledMissing),
        B::AnyNotFound => (scenarios::STANDBY, EndsEqual),
        B::AnyFeed => (scenarios::ANOTHER_DATABASE, EndsEqual),
        B::WaitingHidden | B::PastServes => return None,
    })
}

/// The shortest way in which a breach breaks its promise. `None`: there is none.
pub fn shortest(breach: Breach) -> Option<(World, Path<State, Action>)> {
    let (scenario, promise) = shows(breach)?;
    let world = World { promises: vec![promise], ..World::new(scenario, Rules::but(breach)) };
    let path = search(&world).broken?;
    Some((world, path))
}

/// Stands before [`section`] in `docs/PROTOCOL.md`.
pub const BEGIN: &str = "<!-- counterexamples: begin -->\n";

/// Stands behind it.
pub const END: &str = "<!-- counterexamples: end -->\n";

/// The section of `docs/PROTOCOL.md` about what breaks without each rule.
pub fn section() -> String {
    let mut lines = vec![INTRODUCTION.to_owned()];
    for &breach in Breach::ALL {
        let Some((world, path)) = shortest(breach) else { continue };
        lines.push(format!("**{}: {}.**\n", breach.rule(), breach.words()));
        let sentences = tell(&world, path);
        lines.extend(sentences.iter().zip(1..).map(|(text, number)| format!("{number}. {text}")));
        lines.push(String::new());
    }
    lines.join("\n")
}

const INTRODUCTION: &str = "\
## What breaks without each rule: the shortest counterexamples

`crates/model` is this protocol as a model. It searches everything that can happen in some small settings and finds no way to \
break a promise; and with any one rule broken it finds one. These are the shortest. They are printed by \
`cargo run -p model --example counterexamples`, and a test sees to it that they stand here as they are found.

A, B and C are orders, drafts at first; v2 is version 2; number −1 is not stamped yet, and a page \
has such an order under the number that it was given last; token 1-3 goes on in epoch 1 after number 3. \
“From here on nothing goes wrong”: writers pause, what is open is rolled back, what is on the way is lost, and both sides run until nothing \
changes any more.
";
