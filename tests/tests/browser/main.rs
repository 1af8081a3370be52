//! The pages in a real browser: both services as they are, on SQLite, and Chromium in between.
//! Pictures of all pages come to lie in `target/screenshots/`.

mod browser;
mod dispatch;
mod driver;
mod gallery;
mod handover;
mod invoices;
mod keyboard;
mod late;
mod order_form;
mod sample;
mod screens;
mod services;
