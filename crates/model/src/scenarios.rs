//! The configurations that are searched. Each has what one group of rules is about, and leaves out
//! what another has, so that every one can be searched to the end.

use crate::database::ORDERS;

/// How often things may happen that would otherwise happen for ever.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Bounds {
    /// Changes of orders.
    pub writes: u8,
    /// Times that the sequencer gives up to wait for a writer.
    pub time_outs: u8,
    /// Failovers to the standby.
    pub failovers: u8,
    /// Backups taken.
    pub backups: u8,
    /// Restores of the last backup.
    pub restores: u8,
    /// Epochs begun by a person without need.
    pub new_epochs: u8,
    /// Answers of another database.
    pub mistakes: u8,
}

impl Bounds {
    const NONE: Self = Self {
        writes: 0,
        time_outs: 0,
        failovers: 0,
        backups: 0,
        restores: 0,
        new_epochs: 0,
        mistakes: 0,
    };
}

/// Who takes part, and how much may happen. Unbounded everywhere: what is asked, answered, kept by
/// a cache and lost, how often a standby replays, and how often the sequencer looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// How many orders there are.
    pub orders: usize,
    /// How many of them are confirmed and stamped in the beginning.
    pub stamped: u8,
    /// Whether billing has read these.
    pub read: bool,
    /// Whether writers hold what they write for a while; otherwise they commit at once.
    pub transactions: bool,
    /// How many sequencers work step by step; 0: one, whose transaction is a single step.
    pub sequencers: usize,
    /// How many orders the sequencer stamps in one transaction.
    pub batch: usize,
    /// How many orders a page holds.
    pub page: usize,
    /// How many workers billing has.
    pub workers: usize,
    /// Whether single orders are pulled.
    pub pulls: bool,
    /// Whether a cache keeps answers.
    pub cache: bool,
    /// Whether there is a standby.
    pub standby: bool,
    /// Whether a database that takes the primary's place shows it (P7): by its timeline, say.
    pub timelines: bool,
    /// Whether it answers billing.
    pub standby_serves: bool,
    /// Whether the primary that was lost comes back.
    pub old_primary: bool,
    /// Whether a person begins an epoch when billing refuses the primary for its past epoch. It
    /// happens where a provider of the past comes back and begins an epoch of its own.
    pub helped: bool,
    /// Writes have no bound. Versions and numbers, which then had none either, are left out: they
    /// do not decide who is stamped next.
    pub endless: bool,
    /// What may happen how often.
    pub bounds: Bounds,
}

const PLAIN: Scenario = Scenario {
    name: "",
    orders: 2,
    stamped: 0,
    read: true,
    transactions: false,
    sequencers: 0,
    batch: ORDERS,
    page: ORDERS,
    workers: 1,
    pulls: false,
    cache: false,
    standby: false,
    timelines: true,
    standby_serves: false,
    old_primary: false,
    helped: false,
    endless: false,
    bounds: Bounds::NONE,
};

/// Writers that hold rows, two sequencers step by step, one reader.
pub const SEQUENCERS: Scenario = Scenario {
    name: "two sequencers",
    transactions: true,
    sequencers: 2,
    bounds: Bounds { writes: 4, ..Bounds::NONE },
    ..PLAIN
};

/// Three orders that are written without end, and a sequencer that stamps one at a time.
pub const HOT_ORDERS: Scenario = Scenario {
    name: "hot orders",
    orders: 3,
    transactions: true,
    batch: 1,
    workers: 0,
    endless: true,
    bounds: Bounds { writes: 1, time_outs: 1, ..Bounds::NONE },
    ..PLAIN
};

/// Two workers that read pages of one order each and pull single orders.
pub const WORKERS: Scenario = Scenario {
    name: "two workers",
    page: 1,
    workers: 2,
    pulls: true,
    bounds: Bounds { writes: 3, ..Bounds::NONE },
    ..PLAIN
};

/// A cache that repeats old answers.
pub const CACHE: Scenario = Scenario {
    name: "a cache",
    page: 1,
    pulls: true,
    cache: true,
    bounds: Bounds { writes: 3, ..Bounds::NONE },
    ..PLAIN
};

/// A standby that lost a tail becomes the primary, and the old primary comes back.
pub const FAILOVER: Scenario = Scenario {
    name: "failover",
    stamped: 1,
    pulls: true,
    standby: true,
    old_primary: true,
    bounds: Bounds { writes: 3, failovers: 1, ..Bounds::NONE },
    ..PLAIN
};

/// The standby of a promoted standby is promoted in its turn, perhaps as it was before the first
/// epoch began.
pub const TWO_FAILOVERS: Scenario = Scenario {
    name: "two failovers",
    old_primary: false,
    bounds: Bounds { writes: 2, failovers: 2, ..Bounds::NONE },
    ..FAILOVER
};

/// A standby takes the primary's place while billing reads for the first time.
pub const FIRST_READ: Scenario = Scenario {
    name: "failover in a first read",
    stamped: 2,
    read: false,
    page: 1,
    pulls: true,
    standby: true,
    bounds: Bounds { writes: 2, failovers: 1, ..Bounds::NONE },
    ..PLAIN
};

/// The loss is announced late, or not before a token shows it; and the old primary, which sees
/// tokens beyond its counter, may begin an epoch too and outbid its successor. Billing then follows
/// it, and refuses the successor for its past epoch, until a person begins another one there.
pub const OUTBID: Scenario = Scenario {
    name: "an old primary that outbids",
    timelines: false,
    helped: true,
    bounds: Bounds { writes: 2, failovers: 1, ..Bounds::NONE },
    ..FAILOVER
};

/// One backup is restored twice, with or without telling anybody.
pub const RESTORES: Scenario = Scenario {
    name: "two restores",
    stamped: 1,
    pulls: true,
    bounds: Bounds { writes: 2, backups: 1, restores: 2, ..Bounds::NONE },
    ..PLAIN
};

/// A hot standby that lags answers too, and an epoch begins.
pub const STANDBY: Scenario = Scenario {
    name: "a hot standby",
    stamped: 1,
    pulls: true,
    standby: true,
    standby_serves: true,
    bounds: Bounds { writes: 2, new_epochs: 1, ..Bounds::NONE },
    ..PLAIN
};

/// Billing is pointed at another database for a while.
pub const ANOTHER_DATABASE: Scenario = Scenario {
    name: "another database",
    stamped: 1,
    pulls: true,
    bounds: Bounds { writes: 2, mistakes: 2, ..Bounds::NONE },
    ..PLAIN
};

/// Every one, with the bounds of the normal test run.
pub const ALL: [Scenario; 11] = [
    SEQUENCERS,
    HOT_ORDERS,
    WORKERS,
    CACHE,
    FAILOVER,
    TWO_FAILOVERS,
    FIRST_READ,
    OUTBID,
    RESTORES,
    STANDBY,
    ANOTHER_DATABASE,
];

/// The same with larger bounds, and what the small ones keep apart together.
pub const LARGE: [Scenario; 11] = [
    Scenario {
        name: "outbid",
        bounds: Bounds { writes: 3, failovers: 1, ..Bounds::NONE },
        ..OUTBID
    },
    Scenario {
        name: "two sequencers, three orders, two workers",
        orders: 3,
        workers: 2,
        bounds: Bounds { writes: 4, ..Bounds::NONE },
        ..SEQUENCERS
    },
    Scenario {
        name: "hot orders",
        bounds: Bounds { time_outs: 3, ..HOT_ORDERS.bounds },
        ..HOT_ORDERS
    },
    Scenario {
        name: "two workers and a cache",
        cache: true,
        bounds: Bounds { writes: 3, ..Bounds::NONE },
        ..WORKERS
    },
    Scenario {
        name: "a cache, three orders",
        orders: 3,
        bounds: Bounds { writes: 4, ..Bounds::NONE },
        ..CACHE
    },
    Scenario {
        name: "two failovers, the old primary",
        helped: true,
        bounds: Bounds { writes: 3, failovers: 2, ..Bounds::NONE },
        ..FAILOVER
    },
    Scenario {
        name: "failover and a cache",
        cache: true,
        bounds: Bounds { writes: 2, failovers: 1, ..Bounds::NONE },
        ..FAILOVER
    },
    Scenario {
        name: "failover, two workers",
        workers: 2,
        bounds: Bounds { writes: 2, failovers: 1, ..Bounds::NONE },
        ..FAILOVER
    },
    Scenario {
        name: "two restores",
        bounds: Bounds { writes: 3, backups: 1, restores: 2, ..Bounds::NONE },
        ..RESTORES
    },
    Scenario {
        name: "a hot standby, failover",
        bounds: Bounds { writes: 2, failovers: 1, new_epochs: 1, ..Bounds::NONE },
        ..STANDBY
    },
    Scenario {
        name: "a hot standby, a restore",
        bounds: Bounds { writes: 2, backups: 1, restores: 1, ..Bounds::NONE },
        ..STANDBY
    },
];
