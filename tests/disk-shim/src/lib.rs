//! Enters: a program's calls of write, pwrite, fsync, fdatasync and ftruncate; rules of a control file.
//! Leaves: what the system answers, or the error that a rule asks for, for files under one directory.
//! Never: anything outside tests.
#![allow(unsafe_code)]

mod control;
mod hooks;
mod rules;

pub use control::{Control, ENV_CONTROL, ENV_DIR};
