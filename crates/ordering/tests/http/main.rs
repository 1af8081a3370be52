//! The service over HTTP: the real router on a real store; the sequencer ticks when a test says so.

mod customers;
mod description;
mod fast_path;
mod feed;
mod fixture;
mod nested;
mod orders;
mod problems;
mod serve;
mod site;
mod wait;
mod writers;
