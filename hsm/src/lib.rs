//! Enters: a PKCS#11 module's path, a PIN's whereabouts, 32-byte digests, points of P-256, age files.
//! Leaves: public keys, low-S signatures that were verified, shared secrets, unsealed bytes that wipe themselves.
//! Never: a private key, a PIN in an error or a log, a second try of a refused PIN, an unverified signature.

mod call;
mod config;
mod curve;
mod ecdh;
mod error;
mod hpke;
mod keys;
mod link;
mod memory;
mod pin;
mod places;
mod recovery;
pub mod seal;
mod token;
mod watch;

pub use call::Call;
pub use config::{Config, Curve, Generations, Module, PinSource, Role, TokenSelector};
pub use error::Error;
pub use keys::PublicKeys;
pub use memory::{MAX_MEMORY, Memory};
pub use pin::clear_refused_pin;
pub use places::places;
pub use recovery::{Recovery, Sealing};
pub use token::Token;
pub use watch::Watch;
