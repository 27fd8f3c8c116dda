//! Milagro's two ways into G1.

use sha2::{Digest, Sha256};
use sha3::Shake256;
use sha3::digest::{ExtendableOutput, Update, XofReader};

/// BLS: SHAKE256 to 48 octets, which the map to G1 takes on.
pub(crate) fn hashed_message(message: &[u8]) -> [u8; 48] {
    let mut octets = [0; 48];
    Shake256::default().chain(message).finalize_xof().read(&mut octets);
    octets
}

/// M-Pin: SHA-256, left-padded to 48 octets, for the same map.
pub(crate) fn hashed_identity(identity: &[u8]) -> [u8; 48] {
    let mut octets = [0; 48];
    octets[16..].copy_from_slice(&Sha256::digest(identity));
    octets
}
