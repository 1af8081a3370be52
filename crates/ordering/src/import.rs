//! Real orders from a file.
