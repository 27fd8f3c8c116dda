//! The audit key's public half: C2SP signed-note, signature type 0x02 (ECDSA).

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use p256::ecdsa::{Signature, signature::Verifier as _};
use sha2::{Digest, Sha256};

use crate::{Checkpoint, Error, Note, note};

/// C2SP signed-note, "Signature types".
const ECDSA: u8 = 0x02;
/// What stands before the 65 octets of a P-256 point in a DER SubjectPublicKeyInfo (RFC 5480 §2).
const SPKI_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A named P-256 public key that verifies notes. As text it is the vkey `NAME+HEX8+BASE64`: the key ID in hexadecimal, and
/// the base64 of 0x02 ‖ the DER SubjectPublicKeyInfo (91 octets).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    name: String,
    point: [u8; 65],
    key: p256::ecdsa::VerifyingKey,
}

impl VerifyingKey {
    /// From a key name and an uncompressed point (0x04 ‖ x ‖ y).
    ///
    /// # Errors
    /// A name with a space, a control character or a `+` in it, or none; a point that is not on the curve.
    pub fn from_point(name: &str, point: &[u8; 65]) -> Result<Self, Error> {
        note::check_name(name)?;
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| Error::Key("not a point of P-256"))?;
        Ok(Self { name: name.to_owned(), point: *point, key })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The uncompressed point.
    pub fn point(&self) -> &[u8; 65] {
        &self.point
    }

    /// As a PEM `PUBLIC KEY` (RFC 7468 §13), which other programs read.
    pub fn pem(&self) -> String {
        let text = STANDARD.encode(self.spki());
        let (first, second) = text.split_at(64);
        format!("-----BEGIN PUBLIC KEY-----\n{first}\n{second}\n-----END PUBLIC KEY-----\n")
    }

    /// The first 4 octets of SHA-256 of the DER SubjectPublicKeyInfo. Unlike other note keys' it does not depend on the name.
    pub fn key_id(&self) -> [u8; 4] {
        let digest = Sha256::digest(self.spki());
        [digest[0], digest[1], digest[2], digest[3]]
    }

    /// Takes a note apart and says what this key signed. Signatures of other keys are ignored, as C2SP wants it.
    ///
    /// # Errors
    /// Not a checkpoint note; no signature of this key; one that is wrong.
    pub fn verify(&self, note: &str) -> Result<Checkpoint, Error> {
        self.verify_parsed(&Note::parse(note)?)
    }

    pub(crate) fn verify_parsed(&self, note: &Note) -> Result<Checkpoint, Error> {
        let id = self.key_id();
        let mut ours = note.signatures.iter().filter(|line| line.name == self.name && line.key_id == id).peekable();
        if ours.peek().is_none() {
            return Err(Error::NotSigned(self.name.clone()));
        }
        ours.try_for_each(|line| self.check(&note.body, &line.signature))?;
        Ok(note.checkpoint.clone())
    }

    /// Whether `der` is this key's ECDSA signature (ASN.1 DER) over SHA-256 of the text.
    pub(crate) fn check(&self, body: &str, der: &[u8]) -> Result<(), Error> {
        Signature::from_der(der)
            .and_then(|signature| self.key.verify(body.as_bytes(), &signature))
            .map_err(|_| Error::WrongSignature(self.name.clone()))
    }

    fn spki(&self) -> [u8; 91] {
        let mut der = [0; 91];
        der[..26].copy_from_slice(&SPKI_HEAD);
        der[26..].copy_from_slice(&self.point);
        der
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ECDSA];
        key.extend(self.spki());
        write!(f, "{}+{}+{}", self.name, hex::encode(self.key_id()), STANDARD.encode(key))
    }
}

impl FromStr for VerifyingKey {
    type Err = Error;

    fn from_str(vkey: &str) -> Result<Self, Error> {
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Error::Key("there are fewer than three parts"));
        };
        let key = STANDARD.decode(key).map_err(|_| Error::Key("the third part is not base64"))?;
        let Some((&ECDSA, spki)) = key.split_first() else {
            return Err(Error::Key("another type of key"));
        };
        let point = spki.strip_prefix(&SPKI_HEAD).and_then(|point| point.try_into().ok());
        let key = Self::from_point(name, point.ok_or(Error::Key("not a SubjectPublicKeyInfo of a P-256 point"))?)?;
        if id != hex::encode(key.key_id()) {
            return Err(Error::Key("the key ID is not that of the key"));
        }
        Ok(key)
    }
}
