//! Enters: nothing; it makes what it needs in a directory of its own.
//! Leaves: a whole house (token, simulator, agent) that tests, demo and benches drive from outside; nothing stays behind.
//! Never: a part of the daemon linked in. What is driven here is the binaries, as an operator would start them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's own tools fail loudly")]

mod callback;
mod capabilities;
mod client;
mod house;
mod person;
pub mod pki;
mod token;

pub use callback::{ANSWER, Answered, Asked, Callback, jwt};
pub use capabilities::{capable, looks_inside};
pub use client::{Client, Stream};
pub use custody_simulator::{Reply, Simulator, call};
pub use house::{APPROVE_ALL, House, Settings, binary, signal, until};
pub use person::Person;
pub use pki::Pki;
pub use rustix::process::Signal;
pub use token::Token;
