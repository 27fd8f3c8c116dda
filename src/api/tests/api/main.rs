//! The api's promises, before a vault that says what a test wants.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod bad_input;
mod beyond;
mod cors;
mod doubts;
mod ends;
mod feed;
mod limits;
#[path = "../../../../tests/src/pki.rs"]
#[allow(dead_code)]
mod pki;
mod process;
mod refused;
mod reload;
mod secure;
mod support;
mod table;
mod tls;
