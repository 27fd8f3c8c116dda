use hkdf::Hkdf;
use sha2::Sha256;
use std::fmt;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::curve::{G1, G2, Scalar, pairings_equal};
use crate::error::{Error, exactly};
use crate::hash::hashed_message;
use crate::{G2_LEN, SCALAR_LEN, SIGNATURE_LEN, seed};

const SECRET_KEY: &str = "secret key";
const PUBLIC_KEY: &str = "public key";
const SIGNATURE: &str = "signature";

/// A BLS secret key: a scalar from 1 to r − 1, wiped on drop.
pub struct SecretKey(Scalar);

/// The scalar wipes itself.
impl ZeroizeOnDrop for SecretKey {}

impl SecretKey {
    /// From 48 octets, big-endian. Zero and everything not below r is refused.
    pub fn from_bytes(octets: &[u8]) -> Result<Self, Error> {
        Scalar::from_be(exactly(octets, SECRET_KEY)?, SECRET_KEY).map(Self)
    }

    pub fn to_bytes(&self) -> Zeroizing<[u8; SCALAR_LEN]> {
        self.0.to_be()
    }

    /// The key that Milagro makes of a 48-octet seed: to take over an agent that keeps the seed. Not for new keys.
    pub fn from_seed(seed: &[u8; 48]) -> Result<Self, Error> {
        seed::scalar(seed).map(Self).ok_or(Error::Entropy)
    }

    /// A new key: HKDF-SHA256 (RFC 5869) over 64 octets of entropy, 48 octets out, mod r, which leaves a bias below
    /// 2⁻¹²⁸. The caller draws the entropy, half of it from each of two sources.
    pub fn from_entropy(entropy: &[u8; 64]) -> Result<Self, Error> {
        derive(entropy, &[b"milagro bls381 secret key"]).map(Self)
    }

    pub fn public_key(&self) -> PublicKey {
        PublicKey(G2::of(&self.0))
    }

    /// sk · H(message). Any message will do, the empty one too: what may be signed is for the caller to know.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(G1::map_mul(&hashed_message(message), &self.0))
    }
}

/// A scalar out of secret input: 48 octets of HKDF-SHA256 mod r.
pub(crate) fn derive(secret: &[u8], info: &[&[u8]]) -> Result<Scalar, Error> {
    let mut wide = Zeroizing::new([0; SCALAR_LEN]);
    // RFC 5869 §2.3 limits the output to 255 · 32 octets, so this cannot fail; if it did, zero would be refused below.
    let filled = Hkdf::<Sha256>::new(None, secret).expand_multi_info(info, &mut *wide);
    filled.ok().and_then(|()| Scalar::reduce(&*wide)).ok_or(Error::Entropy)
}

/// A BLS public key: a point of G2's subgroup, never infinity.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(G2);

impl PublicKey {
    /// From 192 octets. Refused: coordinates not below p, points off the curve or outside the subgroup, infinity.
    pub fn from_bytes(octets: &[u8]) -> Result<Self, Error> {
        G2::from_bytes(exactly(octets, PUBLIC_KEY)?, PUBLIC_KEY).map(Self)
    }

    pub fn to_bytes(&self) -> [u8; G2_LEN] {
        self.0.to_bytes()
    }

    /// e(S, G2) = e(H(m), PK).
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), Error> {
        let holds = pairings_equal(&signature.0, &G2::generator(), &G1::map(&hashed_message(message)), &self.0);
        if holds { Ok(()) } else { Err(Error::Signature) }
    }

    /// The sum of keys, for an aggregate signature over one message. Whoever may choose a key after seeing the others
    /// can cancel them out: take only keys whose holders have proved possession.
    pub fn aggregate(keys: &[PublicKey]) -> Result<PublicKey, Error> {
        let sum = keys.iter().map(|key| key.0).reduce(|sum, key| sum.add(&key)).ok_or(Error::Empty)?;
        if sum.is_infinity() { Err(Error::Infinity(PUBLIC_KEY)) } else { Ok(Self(sum)) }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hex::encode(self.to_bytes()))
    }
}

/// A BLS signature: a point of G1's subgroup, never infinity.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature(G1);

impl Signature {
    /// From 49 octets. Refused: other prefixes than 02 and 03, x not below p, points off the curve or outside the
    /// subgroup.
    pub fn from_bytes(octets: &[u8]) -> Result<Self, Error> {
        let [prefix, x @ ..] = exactly::<SIGNATURE_LEN>(octets, SIGNATURE)?;
        match prefix {
            2 | 3 => G1::from_x(x, *prefix == 3, SIGNATURE).map(Self),
            _ => Err(Error::Prefix(SIGNATURE)),
        }
    }

    pub fn to_bytes(&self) -> [u8; SIGNATURE_LEN] {
        let xy = self.0.to_xy();
        let mut octets = [2 | (xy[95] & 1); SIGNATURE_LEN];
        octets[1..].copy_from_slice(&xy[..48]);
        octets
    }

    /// The sum of signatures.
    pub fn aggregate(signatures: &[Signature]) -> Result<Signature, Error> {
        let sum = signatures.iter().map(|one| one.0).reduce(|sum, one| sum.add(&one)).ok_or(Error::Empty)?;
        if sum.is_infinity() { Err(Error::Infinity(SIGNATURE)) } else { Ok(Self(sum)) }
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", hex::encode(self.to_bytes()))
    }
}
