//! Changes that people sign, what one person does at once, and who may write what the rooms read.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod amend;
mod board;
mod changes;
#[path = "../walls/door.rs"]
#[allow(dead_code)]
mod door;
mod freeze;
mod guard;
mod pages;
mod release;
mod rollback;
