//! Placeholder.
pub mod codec;
