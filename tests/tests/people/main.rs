//! Who may release what is held: any client, who has a token, or people by statements that OpenSSH signed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod command;
mod desk;
#[path = "../walls/door.rs"]
#[allow(dead_code)]
mod door;
mod statements;
mod survives;
mod tokens;
mod walls;
