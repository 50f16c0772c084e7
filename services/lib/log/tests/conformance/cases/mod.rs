//! What both logs promise.

mod appending;
mod committing;
mod deleted;
mod groups;
mod reading;
mod topics;

pub use appending::*;
pub use committing::*;
pub use deleted::*;
pub use groups::*;
pub use reading::*;
pub use topics::*;
