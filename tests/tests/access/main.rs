//! Who may call the HTTP API, and for what, is the vault's to say: whatever door asks, here one that is no longer its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod certificates;
mod desk;
#[path = "../walls/door.rs"]
#[allow(dead_code)]
mod door;
mod refused;
mod registration;
mod tokens;
mod trouble;
