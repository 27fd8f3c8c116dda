use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::client::{ClientSecret, read_point};
use super::pass::{Pass, challenge};
use crate::curve::{G1, G2, Scalar, pairings_equal};
use crate::error::{Error, exactly};
use crate::hash::hashed_identity;
use crate::{G2_LEN, SCALAR_LEN, keys};

const MASTER_SECRET: &str = "M-Pin master secret";
const SERVER_SECRET: &str = "M-Pin server secret";

/// The authority's scalar s, from which every client's secret follows; wiped on drop.
pub struct MasterSecret(Scalar);

/// The scalar wipes itself.
impl ZeroizeOnDrop for MasterSecret {}

impl MasterSecret {
    /// From 48 octets, big-endian. Zero and everything not below r is refused.
    pub fn from_bytes(octets: &[u8]) -> Result<Self, Error> {
        Scalar::from_be(exactly(octets, MASTER_SECRET)?, MASTER_SECRET).map(Self)
    }

    /// A new one from 64 octets of entropy that the caller draws.
    pub fn from_entropy(entropy: &[u8; 64]) -> Result<Self, Error> {
        keys::derive(entropy, &[b"milagro m-pin master secret"]).map(Self)
    }

    pub fn to_bytes(&self) -> Zeroizing<[u8; SCALAR_LEN]> {
        self.0.to_be()
    }

    /// s · H(id).
    pub fn client_secret(&self, identity: &[u8]) -> ClientSecret {
        ClientSecret(Zeroizing::new(G1::map_mul(&hashed_identity(identity), &self.0)))
    }

    /// s · G2.
    pub fn server_secret(&self) -> ServerSecret {
        ServerSecret(G2::of(&self.0))
    }
}

/// s · G2: it checks passes and makes none, so it need not be secret, whatever Milagro calls it.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerSecret(G2);

impl ServerSecret {
    /// From 192 octets. Refused: coordinates not below p, points off the curve or outside the subgroup, infinity.
    pub fn from_bytes(octets: &[u8]) -> Result<Self, Error> {
        G2::from_bytes(exactly(octets, SERVER_SECRET)?, SERVER_SECRET).map(Self)
    }

    pub fn to_bytes(&self) -> [u8; G2_LEN] {
        self.0.to_bytes()
    }

    /// e(V, G2) · e(U + y · H(id), SS) = 1, with U and V checked to be points of the subgroup. The time window and
    /// whether the pass was seen before are the caller's.
    pub fn verify(&self, pass: &Pass) -> Result<(), Error> {
        let u = read_point(&pass.u, "U of a pass")?;
        let v = read_point(&pass.v, "V of a pass")?;
        let y = challenge(pass.et, &pass.u).ok_or(Error::Pass)?;
        let claim = u.add(&G1::map_mul(&hashed_identity(&pass.identity), &y));
        let holds = !claim.is_infinity() && pairings_equal(&v.neg(), &G2::generator(), &claim, &self.0);
        if holds { Ok(()) } else { Err(Error::Pass) }
    }
}
