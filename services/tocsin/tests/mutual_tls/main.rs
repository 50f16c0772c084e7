//! Goal: a machine that proves a certificate over TLS is the key it is bound to, on every role's routes, and nobody else is anybody; over real sockets, with
//! certificates of real authorities. What the server shows is replaced without a break.
#![allow(clippy::unwrap_used, missing_docs)]

mod authority;
mod commands;
mod exports;
mod handshakes;
mod lasting;
mod place;
mod speaking;
