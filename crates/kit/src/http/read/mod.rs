//! Reading requests so that every violation is reported at once, each with its place.

mod body;
mod params;
mod violations;

pub use body::{JsonBody, ObjectReader};
pub use params::Params;
pub use violations::Violations;
