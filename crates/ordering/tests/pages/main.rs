//! The pages as a browser without scripts meets them, with the real router and store.

mod confirm;
mod customers;
mod every_page;
mod form;
mod orders;
mod world;
