//! age files to the sealing key and to recovery keys (C2SP age specification, v1, with the p256tag recipient type).

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::iter;

use age::{DecryptError, Decryptor, Encryptor, Identity};
use age_core::format::{FileKey, Stanza};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use hkdf::Hkdf;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::curve::Point;
use crate::error::Error;
use crate::{Generations, Token, hpke};

/// The longest sealed file that is opened, in bytes.
pub const MAX_SEALED: usize = 64 * 1024;

const STANZA: &str = "p256tag";
const INFO: &[u8] = b"age-encryption.org/p256tag";

/// A binary age file that each of the recipients can open: `age1tag1…` (a token) or `age1…` (X25519).
///
/// # Errors
/// No recipient, one that [`parse_recipient`] refuses, or more than [`MAX_SEALED`] bytes.
pub fn seal(plaintext: &[u8], recipients: &[String]) -> Result<Vec<u8>, Error> {
    if recipients.is_empty() {
        return Err(Error::NoRecipients);
    }
    let recipients = recipients.iter().map(|text| parse(text)).collect::<Result<Vec<_>, _>>()?;
    let failed = |e: String| Error::Seal(e);
    let encryptor =
        Encryptor::with_recipients(recipients.iter().map(AsRef::as_ref)).map_err(|e| failed(e.to_string()))?;
    let mut sealed = Vec::new();
    let mut writer = encryptor.wrap_output(&mut sealed).map_err(|e| failed(e.to_string()))?;
    writer.write_all(plaintext).and_then(|()| writer.finish().map(drop)).map_err(|e| failed(e.to_string()))?;
    if sealed.len() > MAX_SEALED {
        return Err(Error::SealedTooLong { limit: MAX_SEALED });
    }
    Ok(sealed)
}

/// Opens a binary age file of at most [`MAX_SEALED`] bytes with the sealing key in the token.
///
/// # Errors
/// [`Error::NoMatchingKey`], [`Error::Tampered`], [`Error::NotAgeFile`], or what the token failed with.
pub fn open(token: &Token, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    open_as(token, token.generations(), sealed)
}

/// The same with the sealing key of these generations.
///
/// # Errors
/// As [`open`].
pub fn open_as(token: &Token, generations: Generations, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    if sealed.len() > MAX_SEALED {
        return Err(Error::SealedTooLong { limit: MAX_SEALED });
    }
    let decryptor = Decryptor::new_buffered(sealed).map_err(|e| refusal(&e))?;
    let identity = TokenIdentity {
        token,
        generations,
        public: token.public_keys_of(generations)?.sealing,
        failure: RefCell::new(None),
    };
    let mut reader = match decryptor.decrypt(iter::once(&identity as &dyn Identity)) {
        Ok(reader) => reader,
        Err(error) => return Err(identity.failure.take().unwrap_or_else(|| refusal(&error))),
    };
    // The plaintext is shorter than the file, so that the buffer never moves and leaves a copy.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(sealed.len()));
    reader.read_to_end(&mut plaintext).map_err(|_| Error::Tampered)?;
    Ok(plaintext)
}

/// Is it a recipient that [`seal`] takes?
///
/// # Errors
/// [`Error::Recipient`], which shows the beginning of the text and never a secret key.
pub fn parse_recipient(text: &str) -> Result<(), Error> {
    parse(text).map(drop)
}

pub(crate) fn parse(text: &str) -> Result<Box<dyn age::Recipient>, Error> {
    let refuse = |why| {
        let shown = if text.to_ascii_uppercase().contains("SECRET-KEY") { "…".into() } else { shorten(text) };
        Error::Recipient { text: shown, why }
    };
    if text.to_ascii_uppercase().starts_with("AGE-") {
        return Err(refuse(
            "this is a secret key; give its recipient (`age-keygen -y`), and keep the key away from here",
        ));
    }
    if text.starts_with("age1tagpq1") {
        return Err(refuse("post-quantum recipients do not mix with the token's"));
    }
    if text.starts_with("age1tag1") {
        return Ok(Box::new(text.parse::<age::tag::Recipient>().map_err(refuse)?));
    }
    if !text.starts_with("age1") {
        return Err(refuse("it does not begin with age1"));
    }
    let recipient: age::x25519::Recipient = text.parse().map_err(refuse)?;
    if is_low_order(text) {
        return Err(refuse("it is a point of low order, which seals to everybody"));
    }
    Ok(Box::new(recipient))
}

fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(20).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// Curve25519's points of low order (RFC 7748, section 6.1; the list is libsodium's): the agreement with them is zero,
/// and the age crate would panic.
fn is_low_order(text: &str) -> bool {
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
            0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
        ],
        [
            0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
            0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
        ],
    ];
    let Ok(checked) = bech32::primitives::decode::CheckedHrpstring::new::<bech32::Bech32>(text) else { return true };
    let mut u: Vec<u8> = checked.byte_iter().collect();
    let Some(top) = u.get_mut(31) else { return true };
    *top &= 0x7f;
    // 0 and 1; p − 1, p and p + 1 with p = 2²⁵⁵ − 19.
    let (low, rest) = (u[0], &u[1..31]);
    (low <= 1 && rest.iter().all(|b| *b == 0) && u[31] == 0)
        || ((0xec..=0xee).contains(&low) && rest.iter().all(|b| *b == 0xff) && u[31] == 0x7f)
        || ORDER_8.iter().any(|point| u == point)
}

/// In words of our own: the age crate would look for its translations, from within the jail.
pub(crate) fn refusal(error: &DecryptError) -> Error {
    let not = |why: &str| Error::NotAgeFile(why.to_owned());
    match error {
        DecryptError::NoMatchingKeys => Error::NoMatchingKey,
        DecryptError::DecryptionFailed | DecryptError::InvalidMac => Error::Tampered,
        DecryptError::InvalidHeader => not("its header is malformed"),
        DecryptError::UnknownFormat => not("it is of another version of the format"),
        DecryptError::ExcessiveWork { .. } => not("it is sealed with a passphrase"),
        DecryptError::Io(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => not("it is cut off in its header"),
        DecryptError::Io(e) => not(&format!("reading failed: {}", e.kind())),
        _ => not("it needs another kind of identity"),
    }
}

/// age's identity whose Diffie-Hellman happens in the token.
struct TokenIdentity<'a> {
    token: &'a Token,
    generations: Generations,
    public: Point,
    /// What the token failed with: age's own error has no room for it.
    failure: RefCell<Option<Error>>,
}

impl Identity for TokenIdentity<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if stanza.tag != STANZA {
            return None;
        }
        let Some((tag, enc)) = arguments(stanza) else { return Some(Err(DecryptError::InvalidHeader)) };
        // Only what is addressed to us reaches the token.
        if tag != tag_of(&enc, &self.public)? {
            return None;
        }
        let opened = self.token.ecdh_as(self.generations, &enc).and_then(|dh| {
            match file_key(&dh, &enc, &self.public, &stanza.body) {
                // The file is wrong, or the token: nobody is sent to a backup for the token's fault.
                None => self.token.try_agreement(self.generations, &enc, &dh).map(|()| None),
                key => Ok(key),
            }
        });
        Some(match opened {
            Ok(key) => key.ok_or(DecryptError::DecryptionFailed),
            Err(Error::Point) => Err(DecryptError::InvalidHeader),
            Err(error) => {
                self.failure.replace(Some(error));
                Err(DecryptError::DecryptionFailed)
            }
        })
    }
}

/// `-> p256tag TAG ENC`: 4 and 65 bytes in base64 without padding, and a body of 32.
fn arguments(stanza: &Stanza) -> Option<([u8; 4], Point)> {
    let [tag, enc] = &stanza.args[..] else { return None };
    let tag = BASE64_STANDARD_NO_PAD.decode(tag).ok()?.try_into().ok()?;
    let enc = BASE64_STANDARD_NO_PAD.decode(enc).ok()?.try_into().ok()?;
    (stanza.body.len() == 32).then_some((tag, enc))
}

/// HKDF-Extract-SHA-256(salt = info, ikm = enc ‖ SHA-256(compressed recipient)[..4])[..4].
fn tag_of(enc: &Point, recipient: &Point) -> Option<[u8; 4]> {
    use p256::elliptic_curve::sec1::ToEncodedPoint as _;
    let key = p256::PublicKey::from_sec1_bytes(recipient).ok()?;
    let mut ikm = enc.to_vec();
    ikm.extend_from_slice(&Sha256::digest(key.to_encoded_point(true).as_bytes())[..4]);
    let (tag, _) = Hkdf::<Sha256>::extract(Some(INFO), &ikm);
    tag[..4].try_into().ok()
}

fn file_key(dh: &[u8; 32], enc: &Point, recipient: &Point, body: &[u8]) -> Option<FileKey> {
    let key = hpke::open(dh, enc, recipient, INFO, body)?;
    FileKey::try_init_with_mut(|out| {
        if key.len() == 16 {
            out.copy_from_slice(&key);
            Ok(())
        } else {
            Err(())
        }
    })
    .ok()
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
