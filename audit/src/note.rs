//! C2SP tlog-checkpoint: what a log says of its tree, as a C2SP signed-note.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use p256::ecdsa::Signature;
use sha2::{Digest, Sha256};

use crate::{Error, Hash, VerifyingKey};

/// The longest note that is read, in octets.
pub const MAX_NOTE: usize = 256 * 1024;
/// The most signatures that are read of a note. C2SP asks for 16 at the least.
pub const MAX_SIGNATURES: usize = 64;
const DASH: &str = "\u{2014} ";

/// The head of a log's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: the name of the key that signs.
    pub origin: String,
    /// The number of leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed: three lines, `origin`, `size` in decimal, `root` in base64, each with its newline.
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// The whole signed note. `sign` gets SHA-256 of the body and returns r ‖ s, 32 octets each; what it returns is
    /// verified before it is used.
    ///
    /// # Errors
    /// What `sign` says; a signature that is wrong; an origin that is not the key's name.
    pub fn sign<E: From<Error>>(
        &self,
        key: &VerifyingKey,
        sign: impl FnOnce(&[u8; 32]) -> Result<[u8; 64], E>,
    ) -> Result<String, E> {
        if self.origin != key.name() {
            return Err(Error::Origin(key.name().to_owned()).into());
        }
        let body = self.body();
        let raw = sign(&Sha256::digest(&body).into())?;
        let signature = Signature::from_slice(&raw).map_err(|_| Error::WrongSignature(key.name().to_owned()))?;
        let der = signature.to_der().as_bytes().to_vec();
        key.check(&body, &der)?;
        let line = SignatureLine { name: key.name().to_owned(), key_id: key.key_id(), signature: der };
        Ok(format!("{body}\n{line}\n"))
    }

    /// Three lines; more, the extension lines, are tolerated and not kept.
    fn parse(body: &str) -> Result<Self, Error> {
        let mut lines = body.strip_suffix('\n').ok_or(Error::Note("its text has no end"))?.split('\n');
        let mut line = || lines.next().filter(|line| !line.is_empty()).ok_or(Error::Note("fewer than three lines"));
        let (origin, size, root) = (line()?.to_owned(), line()?, line()?);
        if lines.any(str::is_empty) {
            return Err(Error::Note("an empty extension line"));
        }
        let number: u64 = size.parse().map_err(|_| Error::Note("the size is no number"))?;
        if number.to_string() != size {
            return Err(Error::Note("the size is not in plain decimal"));
        }
        let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok());
        Ok(Self { origin, size: number, root: root.ok_or(Error::Note("the root is not the base64 of 32 octets"))? })
    }
}

/// One signature of a note. As text it is the line `— NAME BASE64`, without its newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    pub name: String,
    pub key_id: [u8; 4],
    /// What it looks like is the key's affair; for ours, ASN.1 DER.
    pub signature: Vec<u8>,
}

impl SignatureLine {
    /// # Errors
    /// Anything that is not exactly such a line (without the newline).
    pub fn parse(line: &str) -> Result<Self, Error> {
        let (name, blob) =
            line.strip_prefix(DASH).and_then(|rest| rest.split_once(' ')).ok_or(Error::Note("not a signature line"))?;
        check_name(name)?;
        let blob = STANDARD.decode(blob).map_err(|_| Error::Note("a signature is not base64"))?;
        match blob.split_first_chunk() {
            Some((key_id, signature)) if !signature.is_empty() => {
                Ok(Self { name: name.to_owned(), key_id: *key_id, signature: signature.to_vec() })
            }
            _ => Err(Error::Note("a signature is too short")),
        }
    }
}

impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blob = [&self.key_id, &self.signature[..]].concat();
        write!(f, "{DASH}{} {}", self.name, STANDARD.encode(blob))
    }
}

/// A checkpoint note taken apart: nothing in it is verified. A note has one spelling: what was parsed prints as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub checkpoint: Checkpoint,
    /// What is signed: the text with its last newline, and with the extension lines if there are any.
    pub body: String,
    pub signatures: Vec<SignatureLine>,
}

impl Note {
    /// # Errors
    /// Anything that is not a note with a checkpoint and at least one signature, or is too long.
    pub fn parse(note: &str) -> Result<Self, Error> {
        if note.len() > MAX_NOTE {
            return Err(Error::Note("too long"));
        }
        if note.chars().any(|c| c < ' ' && c != '\n') {
            return Err(Error::Note("a control character"));
        }
        let at = note.rfind("\n\n").ok_or(Error::Note("no empty line before the signatures"))?;
        let (body, lines) = (&note[..=at], &note[at + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(Error::Note("its last line has no end"))?;
        let signatures: Vec<_> =
            lines.split('\n').take(MAX_SIGNATURES + 1).map(SignatureLine::parse).collect::<Result<_, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(Error::Note("too many signatures"));
        }
        Ok(Self { checkpoint: Checkpoint::parse(body)?, body: body.to_owned(), signatures })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.body)?;
        self.signatures.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// C2SP signed-note, "Format": non-empty, no Unicode spaces, no plus; and no control characters, as in all of a note.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.contains(bad) { Err(Error::Name) } else { Ok(()) }
}
