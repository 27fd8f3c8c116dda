//! SSH signatures of people (OpenSSH's PROTOCOL.sshsig), as `ssh-keygen -Y sign -n NAMESPACE` makes them. The format and
//! the curves are the ssh-key crate's; what is taken is said here.

use ssh_key::{Algorithm, EcdsaCurve, HashAlg, PublicKey, SshSig};

/// The longest text of a public key, octets.
pub const MAX_KEY: usize = 1024;
/// The longest armored signature, octets: one of the kinds taken here has less than 700.
pub const MAX_SIGNATURE: usize = 2048;
/// The format's only version; it is not part of what is signed.
const VERSION: u32 = 1;
/// The bit that says that a person touched the authenticator (WebAuthn §6.1, PROTOCOL.u2f).
const USER_PRESENT: u8 = 0x01;
/// Flags and counter, behind an authenticator's signature (PROTOCOL.u2f).
const TRAILER: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("not an OpenSSH public key: TYPE BASE64, as a .pub file has it")]
    NotAKey,
    #[error(
        "keys of this kind are not taken: make one with `ssh-keygen -t ed25519` (or ed25519-sk, ecdsa-sk, ecdsa with 256 bits); RSA is not"
    )]
    Kind,
    #[error("not an armored SSH signature: `ssh-keygen -Y sign` writes one, -----BEGIN SSH SIGNATURE----- first")]
    NotASignature,
    #[error("it was signed for another namespace: ssh-keygen -Y sign -n {0}")]
    Namespace(&'static str),
    #[error("it was signed with another key")]
    OtherKey,
    #[error("the security key was not touched: its signature lacks the user's presence")]
    NotTouched,
    #[error("it is not the signature of these octets")]
    Wrong,
}

/// A person's public key.
#[derive(Debug, Clone)]
pub struct Key(PublicKey);

impl Key {
    /// Reads `TYPE BASE64 [COMMENT]`, without the options that an `authorized_keys` may have.
    pub fn parse(text: &str) -> Result<Key, Error> {
        let text = text.trim();
        if text.len() > MAX_KEY || text.contains(char::is_control) {
            return Err(Error::NotAKey);
        }
        // Before its parts are read: what is not taken needs not be understood.
        if text.starts_with("ssh-rsa ") {
            return Err(Error::Kind);
        }
        let mut key = PublicKey::from_openssh(text).map_err(|_| Error::NotAKey)?;
        key.set_comment("");
        if taken(&key.algorithm()) { Ok(Key(key)) } else { Err(Error::Kind) }
    }

    /// `TYPE BASE64`: one text for one key, whatever its comment was.
    pub fn canonical(&self) -> Result<String, Error> {
        self.0.to_openssh().map(|text| text.trim_end().to_owned()).map_err(|_| Error::NotAKey)
    }

    /// `SHA256:…`, as `ssh-keygen -l` says it.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Whether `signature` is this key's over exactly `message`, made for `namespace`.
    pub fn verify(&self, namespace: &'static str, message: &[u8], signature: &str) -> Result<(), Error> {
        if signature.len() > MAX_SIGNATURE {
            return Err(Error::NotASignature);
        }
        let signature = SshSig::from_pem(signature.trim()).map_err(|_| Error::NotASignature)?;
        if signature.version() != VERSION {
            return Err(Error::NotASignature);
        }
        if signature.public_key() != self.0.key_data() {
            return Err(Error::OtherKey);
        }
        if signature.namespace() != namespace {
            return Err(Error::Namespace(namespace));
        }
        if signature.algorithm() != self.0.algorithm() {
            return Err(Error::Wrong);
        }
        self.0.verify(namespace, message, &signature).map_err(|_| Error::Wrong)?;
        // The flags are part of what was signed.
        if self.is_an_authenticators() && !touched(signature.signature_bytes()) {
            return Err(Error::NotTouched);
        }
        Ok(())
    }

    fn is_an_authenticators(&self) -> bool {
        matches!(self.0.algorithm(), Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256)
    }
}

fn taken(algorithm: &Algorithm) -> bool {
    use Algorithm::{Ecdsa, Ed25519, SkEcdsaSha2NistP256, SkEd25519};
    matches!(algorithm, Ed25519 | Ecdsa { curve: EcdsaCurve::NistP256 } | SkEd25519 | SkEcdsaSha2NistP256)
}

fn touched(signature: &[u8]) -> bool {
    let flags = signature.len().checked_sub(TRAILER).and_then(|at| signature.get(at));
    flags.is_some_and(|flags| flags & USER_PRESENT != 0)
}

#[cfg(test)]
#[path = "ssh_tests.rs"]
mod tests;
