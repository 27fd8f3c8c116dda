use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fmt;

use crate::curve::Scalar;
use crate::error::Error;
use crate::{G1_LEN, SCALAR_LEN};

/// Longest header that is read, in characters: room for an identity of five thousand octets.
const LONGEST: usize = 16_384;

/// One pass, as it travels: public, and good for whoever carries it, so to be kept out of logs while it is fresh.
#[derive(Clone, PartialEq, Eq)]
pub struct Pass {
    /// When it was made, in Unix seconds.
    pub et: u32,
    /// x · H(id), not yet checked to be a point.
    pub u: [u8; G1_LEN],
    /// −(x + y) · CS, not yet checked to be a point.
    pub v: [u8; G1_LEN],
    /// The identity's octets.
    pub identity: Vec<u8>,
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").field("et", &self.et).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE", deny_unknown_fields)]
struct Wire {
    id: String,
    et: u32,
    u: String,
    v: String,
}

impl Pass {
    /// The value of `x-api-zkp`: lower-case hex of `{"ID":…,"ET":…,"U":…,"V":…}`, standard base64 inside.
    pub fn header(&self) -> String {
        // Base64 has no character that JSON escapes, so this is what a JSON library writes.
        hex::encode(format!(
            r#"{{"ID":"{}","ET":{},"U":"{}","V":"{}"}}"#,
            STANDARD.encode(&self.identity),
            self.et,
            STANDARD.encode(self.u),
            STANDARD.encode(self.v)
        ))
    }

    /// Reads the value of `x-api-zkp`, up to 16,384 characters. There is one way to write a pass, and any other is
    /// refused: order, case, blanks, padding. Whether U and V are points is seen when the pass is verified.
    pub fn parse(header: &str) -> Result<Self, Error> {
        if header.len() > LONGEST {
            return Err(Error::Header("longer than 16384 characters"));
        }
        let json = hex::decode(header).map_err(|_| Error::Header("not hex"))?;
        let wire: Wire = serde_json::from_slice(&json)
            .map_err(|_| Error::Header("not the JSON of ID, ET, U and V, or ET is no u32"))?;
        let pass = Self {
            et: wire.et,
            u: point_octets(&wire.u)?,
            v: point_octets(&wire.v)?,
            identity: STANDARD.decode(&wire.id).map_err(|_| Error::Header("ID is not standard base64"))?,
        };
        if pass.header() == header { Ok(pass) } else { Err(Error::Header("not written in the one way that is taken")) }
    }
}

fn point_octets(text: &str) -> Result<[u8; G1_LEN], Error> {
    let octets = STANDARD.decode(text).map_err(|_| Error::Header("U or V is not standard base64"))?;
    octets.try_into().map_err(|_| Error::Header("U or V is not 97 octets"))
}

/// y = SHA-256(time, 4 octets big-endian ‖ U) mod r; `None` in the case, never met, that it is zero.
pub(super) fn challenge(et: u32, u: &[u8; G1_LEN]) -> Option<Scalar> {
    Scalar::reduce(&Sha256::new().chain_update(et.to_be_bytes()).chain_update(u).finalize())
}

/// The same as 48 octets.
pub fn challenge_octets(et: u32, u: &[u8; G1_LEN]) -> [u8; SCALAR_LEN] {
    challenge(et, u).map_or([0; SCALAR_LEN], |y| *y.to_be())
}
