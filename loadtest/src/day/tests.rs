//! A day follows the laws of its plan.
