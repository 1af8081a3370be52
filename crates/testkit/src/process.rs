//! The real programs as processes: start, stop, kill, read their log.

mod log;
mod program;
mod service;

pub use program::Program;
pub use service::Service;
