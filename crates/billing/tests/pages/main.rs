//! The pages and the deep link, as a browser meets them.

mod approve;
mod dispatch;
mod every_page;
mod invoices;
mod link;
mod missing;
mod quarantine;
mod several;
mod sync;
mod verify;
mod world;
