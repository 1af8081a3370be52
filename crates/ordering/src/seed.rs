//! Made-up orders in bulk.
