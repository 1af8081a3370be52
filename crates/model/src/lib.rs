//! The protocol of `docs/PROTOCOL.md` as a model, to be searched for anything that breaks it.
//!
//! A [`World`](world::World) is a scenario under rules. From each of its states, every step is
//! taken that somebody could take next; so all orders of events are tried, and in each state every
//! promise is looked at. The most important: if from here on nothing goes wrong any more, both
//! sides end equal. As small cases show nearly every mistake, there are two or three orders and a
//! few writes, and several scenarios instead of one that would never end.
//!
//! A model that cannot fail proves nothing. So each rule can be broken, in each way that somebody
//! might think of, and for each a counterexample must be found. Two of these ways break nothing that
//! is promised, [`WaitingHidden`](rules::Breach::WaitingHidden) and
//! [`PastServes`](rules::Breach::PastServes); they are searched to the end in a few scenarios.
//!
//! | module | what it holds |
//! |---|---|
//! | [`rules`] | one switch for each way to break a rule |
//! | [`database`] | ordering's database; a copy of it is a snapshot, a standby, a backup |
//! | [`provider`] | transactions that write orders |
//! | [`sequencer`] | the sequencer's transaction, step by step |
//! | [`network`] | requests and replies: pages, single orders, refusals |
//! | [`consumer`] | billing's copies and token, and what an answer does to them |
//! | [`actions`] | what can happen next |
//! | [`world`] | all of it together: a moment, and what a step makes of it |
//! | [`promises`] | what holds in every state |
//! | [`scenarios`] | who takes part, and how much may happen |
//! | [`search`](mod@search) | the search |
//! | [`counterexamples`] | the shortest way to a broken promise, for each broken rule |
//! | [`story`] | a run in sentences |
//!
//! # What is modelled
//!
//! Writers that hold rows, commit and roll back in any order; two sequencers in steps; pages of one
//! snapshot that are delayed, lost, kept by a cache and repeated, in which an order that was
//! changed stands under its last number until it has the next; pulls of single orders; two workers
//! of billing; a crash of anybody at any step (its transaction is rolled back, its request is
//! lost); failovers to a standby that lost a tail, the old primary that comes back; restores of one
//! backup, announced, late or never; a hot standby that lags and answers; another database.
//!
//! # What is not
//!
//! The programs themselves: this is the protocol, and tests on the real programs show that they
//! keep to it. Orders of several rows, isolation levels, deadlocks and permissions of the real
//! databases. Clocks that go back: the time only decides the name of an epoch, and has advanced
//! between two losses of history. Refused requests of billing's own (a broken page is as good as a
//! lost one). A loss of history that is never announced and that no token shows: nobody can know
//! of it. Answers to another request than the one that was asked.

pub mod actions;
pub mod consumer;
pub mod counterexamples;
pub mod database;
pub mod network;
pub mod promises;
pub mod provider;
pub mod rules;
pub mod scenarios;
pub mod search;
pub mod sequencer;
pub mod story;
mod words;
pub mod world;
