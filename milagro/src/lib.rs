//! Enters: octets in Milagro's formats, messages to sign, entropy that the caller drew.
//! Leaves: BLS381 signatures, public keys, M-Pin passes and verdicts on them, as octets in the same formats.
//! Never: a random number made here, a clock read, a file or socket opened, a secret in an error or in `Debug`.
//!
//! BLS381 is BLS12-381 with the standard generators, signatures in G1, public keys in G2, written as Apache Milagro
//! writes them; the hash to G1 is Milagro's own and not the suite of RFC 9380. Field and points are blst's.
//!
//! Work on secrets takes the same time for all of them. Secrets are wiped when they are dropped; copies that the
//! compiler made in passing, and what the C code below leaves on its stack, are out of reach.

mod curve;
mod error;
mod hash;
mod keys;
pub mod mpin;
mod seed;

pub use error::Error;
pub use keys::{PublicKey, SecretKey, Signature};

/// Octets of a secret key or any other scalar: big-endian, left-padded with zeros.
pub const SCALAR_LEN: usize = 48;
/// Octets of a public key or any other G2 point: x.a, x.b, y.a, y.b, 48 each, the real part first.
pub const G2_LEN: usize = 192;
/// Octets of a signature: 02 or 03, then x.
pub const SIGNATURE_LEN: usize = 49;
/// Octets of any other G1 point: 04, x, y.
pub const G1_LEN: usize = 97;
