//! The api's promises, before a vault that says what a test wants.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bad_input;
mod beyond;
mod ends;
mod feed;
mod process;
mod support;
mod table;
