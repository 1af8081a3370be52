//! Both services under the seeded scheduler.

mod broken;
mod repeated;
mod seeds;
