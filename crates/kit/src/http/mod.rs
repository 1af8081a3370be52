//! HTTP as both services do it: requests are read whole before they are judged, errors are
//! problem documents, pages or SOAP faults, and every response carries the same headers.

pub mod assets;
pub mod auth;
pub mod docs;
pub mod error_pages;
pub mod etag;
pub mod fast_path;
pub mod frame;
pub mod health;
pub mod list;
mod measured;
pub mod openapi;
pub mod problem;
pub mod read;
pub mod representation;
pub mod site;

mod next_step;
mod soap;
