//! What happens in a round: all of it follows from the seed. The moments in real time do not, since
//! they depend on how quickly the machine gets there.

use std::fmt;
use std::time::Duration;

use e2e::pair::Engine::{self, Postgres, Sqlite};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::{proxy, wire};
use Party::{Billing, Ordering};

/// Whom a fault meets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Party {
    Ordering,
    Billing,
}

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A process gets SIGKILL, and is started again.
    Kill,
    /// The PostgreSQL server gets SIGKILL, and is started again.
    DatabaseDies,
    /// A process gets SIGSTOP, and goes on later, with all that it holds meanwhile: a lock on the
    /// SQLite file perhaps, for which its twin waits.
    Freeze,
    /// The PostgreSQL server gets SIGSTOP, and goes on later.
    DatabaseStalls,
    /// PostgreSQL cancels statements that take longer than a few milliseconds.
    StatementTimeout,
    /// No byte more fits on the disk.
    DiskFull,
    /// PostgreSQL takes no writes; the SQLite file is on a file system that takes none.
    ReadOnly,
    /// The clock of a process jumps an hour ahead, two hours back, and into place again.
    ClockJump,
    /// Between billing and ordering.
    Link(proxy::Trick),
    /// Between writers or browsers and the service.
    Front(proxy::Trick),
    /// Between the service and PostgreSQL.
    Wire(wire::Trick),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One thing that goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) party: Party,
    /// Since the writers have begun.
    pub(crate) at: Duration,
    pub(crate) lasting: Duration,
    /// Decides the rest: which process, how many milliseconds.
    pub(crate) seed: u64,
}

/// A round.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) ordering: Engine,
    pub(crate) billing: Engine,
    /// Whether there are two processes of each service.
    pub(crate) twins: bool,
    pub(crate) faults: Vec<Fault>,
}

type Possible = (Kind, Party, Option<Engine>);

/// Each two in a line fit into one round, and every seed has its line: so that as many seeds in a
/// row as there are lines meet everything.
const LINES: &[[Possible; 2]] = &[
    [(Kind::Kill, Ordering, None), (Kind::DatabaseDies, Billing, Some(Postgres))],
    [(Kind::Kill, Billing, None), (Kind::DatabaseDies, Ordering, Some(Postgres))],
    [(Kind::Freeze, Billing, None), (Kind::DatabaseStalls, Ordering, Some(Postgres))],
    [(Kind::Freeze, Ordering, None), (Kind::DatabaseStalls, Billing, Some(Postgres))],
    [(Kind::StatementTimeout, Ordering, Some(Postgres)), (Kind::DiskFull, Billing, Some(Sqlite))],
    [(Kind::StatementTimeout, Billing, Some(Postgres)), (Kind::DiskFull, Ordering, Some(Sqlite))],
    [(Kind::DiskFull, Ordering, Some(Postgres)), (Kind::ReadOnly, Billing, Some(Sqlite))],
    [(Kind::DiskFull, Billing, Some(Postgres)), (Kind::ReadOnly, Ordering, Some(Sqlite))],
    [
        (Kind::ReadOnly, Ordering, Some(Postgres)),
        (Kind::Link(proxy::Trick::OldReply), Billing, None),
    ],
    [(Kind::ReadOnly, Billing, Some(Postgres)), (Kind::Link(proxy::Trick::Garbage), Billing, None)],
    [(Kind::ClockJump, Ordering, None), (Kind::Link(proxy::Trick::Cut), Billing, None)],
    [(Kind::ClockJump, Billing, None), (Kind::Link(proxy::Trick::Delay), Billing, None)],
    [
        (Kind::Wire(wire::Trick::LoseReply), Ordering, Some(Postgres)),
        (Kind::Link(proxy::Trick::LoseReply), Billing, None),
    ],
    [
        (Kind::Wire(wire::Trick::LoseReply), Billing, Some(Postgres)),
        (Kind::Front(proxy::Trick::LoseReply), Ordering, None),
    ],
    [
        (Kind::Wire(wire::Trick::Delay), Ordering, Some(Postgres)),
        (Kind::Front(proxy::Trick::LoseReply), Billing, None),
    ],
    [
        (Kind::Wire(wire::Trick::Delay), Billing, Some(Postgres)),
        (Kind::Front(proxy::Trick::Cut), Ordering, None),
    ],
    [
        (Kind::Front(proxy::Trick::Cut), Billing, None),
        (Kind::Front(proxy::Trick::Delay), Ordering, None),
    ],
];

/// Beside those of its line.
const FURTHER: usize = 3;

impl Plan {
    /// The round that `seed` stands for.
    pub(crate) fn of(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let lines = LINES.len() as u64;
        let mut chosen =
            LINES[usize::try_from(seed % lines).expect("there are few lines")].to_vec();
        let mut engine = |party| {
            let wanted = chosen.iter().find_map(|(_, whom, on)| on.filter(|_| *whom == party));
            wanted.unwrap_or(*[Postgres, Sqlite].choose(&mut random).expect("there are two"))
        };
        let (ordering, billing) = (engine(Ordering), engine(Billing));
        let on = |party| if party == Ordering { ordering } else { billing };
        let fits = |(_, party, engine): &Possible| engine.is_none_or(|engine| engine == on(*party));
        let fitting: Vec<_> = LINES.iter().flatten().copied().filter(fits).collect();
        chosen.extend(fitting.choose_multiple(&mut random, FURTHER));
        let faults = chosen
            .into_iter()
            .map(|(kind, party, _)| Fault {
                kind,
                party,
                at: Duration::from_millis(random.random_range(200..3000)),
                lasting: Duration::from_millis(random.random_range(500..1800)),
                seed: random.random(),
            })
            .collect();
        // Turned about with each pass over the lines.
        let twins = (seed + seed / lines).is_multiple_of(2);
        Self { seed, ordering, billing, twins, faults }
    }

    /// Whether a clock of this party's processes jumps.
    pub(crate) fn moves_clocks(&self, party: Party) -> bool {
        self.faults.iter().any(|fault| fault.kind == Kind::ClockJump && fault.party == party)
    }
}

#[test]
fn a_seed_decides_everything() {
    for seed in 0..200 {
        assert_eq!(Plan::of(seed), Plan::of(seed));
    }
}

#[test]
fn the_normal_rounds_meet_everything() {
    let plans: Vec<_> = crate::NORMAL_SEEDS.map(Plan::of).collect();
    for (kind, party, engine) in LINES.iter().flatten() {
        let met = |plan: &Plan| {
            let on = if *party == Ordering { plan.ordering } else { plan.billing };
            plan.faults.iter().any(|fault| {
                fault.kind == *kind && fault.party == *party && engine.is_none_or(|e| e == on)
            })
        };
        assert!(plans.iter().any(met), "{kind} of {party:?} on {engine:?}");
    }
    for ordering in [Postgres, Sqlite] {
        for billing in [Postgres, Sqlite] {
            let both = |plan: &Plan| (plan.ordering, plan.billing) == (ordering, billing);
            assert!(plans.iter().any(both), "{ordering:?} and {billing:?}");
        }
    }
    for (engine, twins) in [(Postgres, false), (Postgres, true), (Sqlite, false), (Sqlite, true)] {
        assert!(plans.iter().any(|plan| plan.ordering == engine && plan.twins == twins));
        assert!(plans.iter().any(|plan| plan.billing == engine && plan.twins == twins));
    }
}
