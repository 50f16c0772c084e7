//! Spikes are where a person would see them.
