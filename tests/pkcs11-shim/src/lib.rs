//! Enters: calls of PKCS#11, a real module's path, rules of a control file.
//! Leaves: what the real module answers, or the fault that a rule asks for; a line for each login.
//! Never: anything outside tests.
#![allow(unsafe_code)]

mod control;
mod module;
mod rules;

pub use control::{Control, ENV_CONTROL, ENV_MODULE};
