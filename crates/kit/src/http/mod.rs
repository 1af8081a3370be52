//! HTTP as both services do it: requests are read whole before they are judged, errors are
//! problem documents or pages, and every response carries the same headers.

pub mod assets;
pub mod auth;
pub mod docs;
pub mod error_pages;
pub mod etag;
pub mod frame;
pub mod health;
pub mod list;
pub mod openapi;
pub mod problem;
pub mod read;
pub mod site;
