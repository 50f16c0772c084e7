//! Rivals ring where their rule says, once, and whatever the order of receipt.
