use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::pass::{Pass, challenge};
use crate::curve::{G1, Scalar};
use crate::error::{Error, exactly};
use crate::hash::hashed_identity;
use crate::{G1_LEN, SCALAR_LEN, keys};

/// PINs are numbers below this; a larger one counts mod this, as in Milagro.
const PINS: u32 = 10_000;

/// s · H(id), as the server's side gives it out: a point of G1's subgroup, wiped on drop.
pub struct ClientSecret(pub(super) Zeroizing<G1>);

impl ZeroizeOnDrop for ClientSecret {}

impl ClientSecret {
    /// From 97 octets. Refused: another prefix than 04, coordinates not below p, points off the curve or outside the
    /// subgroup, infinity.
    pub fn from_bytes(octets: &[u8]) -> Result<Self, Error> {
        read_point(octets, "client secret").map(|point| Self(Zeroizing::new(point)))
    }

    pub fn to_bytes(&self) -> Zeroizing<[u8; G1_LEN]> {
        Zeroizing::new(write_point(&self.0))
    }

    /// The token: what is left of the secret without the PIN, T = CS − (pin mod 10000) · H(id).
    ///
    /// A server that knows the PIN can choose a secret whose token is infinity. Its octets are refused by
    /// [`Token::from_bytes`].
    pub fn take_pin(&self, identity: &[u8], pin: u32) -> Token {
        let part = Zeroizing::new(pin_part(&identity_point(identity), pin).neg());
        Token(Zeroizing::new(self.0.add(&part)))
    }
}

/// A client secret without its PIN: a point of G1's subgroup, wiped on drop.
pub struct Token(Zeroizing<G1>);

impl ZeroizeOnDrop for Token {}

impl Token {
    /// From 97 octets; refusals as for [`ClientSecret::from_bytes`].
    pub fn from_bytes(octets: &[u8]) -> Result<Self, Error> {
        read_point(octets, "M-Pin token").map(|point| Self(Zeroizing::new(point)))
    }

    pub fn to_bytes(&self) -> Zeroizing<[u8; G1_LEN]> {
        Zeroizing::new(write_point(&self.0))
    }
}

/// A pass for `time`, in Unix seconds.
///
/// `entropy` must be fresh from the system for every pass. x is HKDF-SHA256 over entropy ‖ token ‖ time, with the
/// identity as context: should the entropy repeat, in a restored snapshot say, another second, token or identity still
/// has another x.
pub fn one_pass(identity: &[u8], token: &Token, pin: u32, time: u64, entropy: &[u8; 32]) -> Result<Pass, Error> {
    let et = u32::try_from(time).map_err(|_| Error::Time)?;
    prove(identity, token, pin, et, &derive_x(identity, token, et, entropy)?)
}

/// A pass with a given x, 48 octets.
pub fn one_pass_with_x(
    identity: &[u8],
    token: &Token,
    pin: u32,
    time: u64,
    x: &[u8; SCALAR_LEN],
) -> Result<Pass, Error> {
    let et = u32::try_from(time).map_err(|_| Error::Time)?;
    prove(identity, token, pin, et, &Scalar::from_be(x, "x")?)
}

fn derive_x(identity: &[u8], token: &Token, et: u32, entropy: &[u8; 32]) -> Result<Scalar, Error> {
    let mut secret = Zeroizing::new([0; 32 + G1_LEN + 4]);
    secret[..32].copy_from_slice(entropy);
    secret[32..32 + G1_LEN].copy_from_slice(&*token.to_bytes());
    secret[32 + G1_LEN..].copy_from_slice(&et.to_be_bytes());
    keys::derive(&*secret, &[b"milagro m-pin x", &hashed_identity(identity)])
}

fn prove(identity: &[u8], token: &Token, pin: u32, et: u32, x: &Scalar) -> Result<Pass, Error> {
    let base = identity_point(identity);
    let u = write_point(&base.mul(x));
    let y = challenge(et, &u).ok_or(Error::Entropy)?;
    let secret = Zeroizing::new(token.0.add(&Zeroizing::new(pin_part(&base, pin))));
    if secret.is_infinity() {
        return Err(Error::Token);
    }
    let v = secret.mul(&x.add(&y).ok_or(Error::Entropy)?).neg();
    Ok(Pass { et, u, v: write_point(&v), identity: identity.to_vec() })
}

fn identity_point(identity: &[u8]) -> G1 {
    G1::map(&hashed_identity(identity))
}

fn pin_part(base: &G1, pin: u32) -> G1 {
    base.mul(&Scalar::small(pin % PINS))
}

pub(super) fn read_point(octets: &[u8], what: &'static str) -> Result<G1, Error> {
    let octets = exactly::<G1_LEN>(octets, what)?;
    match octets.split_first_chunk() {
        Some(([4], xy)) => G1::from_xy(exactly(xy, what)?, what),
        _ => Err(Error::Prefix(what)),
    }
}

/// Infinity comes out as 04 and zeros, which no reader takes.
fn write_point(point: &G1) -> [u8; G1_LEN] {
    let mut octets = [4; G1_LEN];
    octets[1..].copy_from_slice(&point.to_xy());
    octets
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;

    use super::*;
    use crate::mpin::MasterSecret;

    #[test]
    fn no_two_passes_share_an_x_unless_all_that_it_is_made_of_is_the_same() {
        let x = |identity: &[u8], master: u8, et: u32, entropy: u8| {
            let secret = MasterSecret::from_entropy(&[master; 64]).unwrap().client_secret(b"someone");
            *derive_x(identity, &secret.take_pin(b"someone", 1), et, &[entropy; 32]).unwrap().to_be()
        };
        let all = [
            x(b"someone", 1, 1_700_000_000, 9),
            x(b"someone", 1, 1_700_000_001, 9),
            x(b"someone", 2, 1_700_000_000, 9),
            x(b"someone", 1, 1_700_000_000, 8),
            x(b"another", 1, 1_700_000_000, 9),
        ];
        assert_eq!(HashSet::from(all).len(), all.len());
        assert_eq!(all[0], x(b"someone", 1, 1_700_000_000, 9));
    }

    #[test]
    fn a_secret_that_is_the_pin_alone_gives_no_token_and_no_pass() {
        let pin_alone = ClientSecret(Zeroizing::new(pin_part(&identity_point(b"someone"), 1234)));
        let token = pin_alone.take_pin(b"someone", 1234);
        assert_eq!(Token::from_bytes(&*token.to_bytes()).err(), Some(Error::Infinity("M-Pin token")));
        assert_eq!(one_pass(b"someone", &token, 0, 1, &[1; 32]).err(), Some(Error::Token));
    }
}
