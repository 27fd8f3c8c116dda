//! Enters: what a signing agent sends its custody backend, and what a test orders through the control API.
//! Leaves: the backend's answers, each after everything that came in was verified; counts of all that was accepted and refused.
//! Never: an approval that was not verified, a connection from outside this machine, a part in the daemon.
//!
//! The custody backend's side of the Partner API: registration, actions and the feed. It shares the curve with the
//! agent (`milagro`), which has test vectors of its own, but not the asset code: what is to be signed is written here by hand,
//! so that a wrong field number on either side shows.

mod action;
mod actions;
mod answer;
mod assets;
mod call;
mod control;
mod door;
mod faults;
mod feed;
mod iddoc;
mod line;
mod orders;
mod partners;
mod pass;
mod refusal;
mod register;
mod simulator;
mod slow;
mod state;
mod stats;
mod store;

pub use call::{Reply, call, exchange};
pub use door::Door;
pub use simulator::{Options, Simulator};
