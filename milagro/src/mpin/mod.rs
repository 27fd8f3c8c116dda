//! M-Pin with one pass: a client that holds the master secret's multiple of its identity, less a PIN, proves so for one
//! second, and the server, which holds only the master secret's multiple of G2, checks it.
//!
//! A pass binds the second it was made in and nothing else. Whether that second is near enough and whether the pass has
//! been seen before is for the server's caller to decide.

mod client;
mod pass;
mod server;

pub use client::{ClientSecret, Token, one_pass};
pub use pass::Pass;
pub use server::{MasterSecret, ServerSecret};

/// H_id: SHA-256 of the identity's octets, left-padded with zeros to 48.
pub fn hashed_identity(identity: &[u8]) -> [u8; 48] {
    crate::hash::hashed_identity(identity)
}

/// What test vectors fix and nobody else may: two passes with one x reveal the client secret.
#[doc(hidden)]
pub mod vectors {
    pub use super::client::one_pass_with_x;
    pub use super::pass::challenge_octets as challenge;
}
