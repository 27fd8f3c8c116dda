//! The registered agent: its BLS key and M-Pin token, unsealed, in locked memory, in this room alone.

use crate::clock;
use crate::pipeline::{Recorded, Signed};
use hsm::{Token, seal};
use jail::Locked;
use milagro::{PublicKey, SecretKey, mpin};
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the system's randomness failed: {0}")]
    Random(#[from] getrandom::Error),
    #[error(transparent)]
    Token(#[from] hsm::Error),
    #[error(transparent)]
    Curve(#[from] milagro::Error),
    #[error("{path}: {cause}")]
    File { path: String, cause: std::io::Error },
    #[error("locking memory for a key: {0}; raise RLIMIT_MEMLOCK")]
    Memory(std::io::Error),
}

impl Error {
    /// The sealed file itself is at fault: no later try will open it.
    pub fn is_for_good(&self) -> bool {
        use hsm::Error::{NoMatchingKey, NotAgeFile, SealedTooLong, Tampered};
        match self {
            Error::Token(e) => matches!(e, NoMatchingKey | NotAgeFile(_) | SealedTooLong { .. } | Tampered),
            Error::File { cause, .. } => cause.kind() == std::io::ErrorKind::NotFound,
            Error::Curve(_) => true,
            Error::Random(_) | Error::Memory(_) => false,
        }
    }
}

impl Error {
    /// It may be well by itself later. A refused PIN stays refused until the operator speaks.
    pub fn may_pass(&self) -> bool {
        !self.is_for_good() && !matches!(self, Error::Token(e) if e.is_of_the_pin())
    }
}

/// What the agent signs and proves itself with.
pub struct Secrets {
    key: Locked<SecretKey>,
    public: PublicKey,
    token: Locked<mpin::Token>,
}

impl Secrets {
    pub fn new(key: SecretKey, token: mpin::Token) -> Result<Self, Error> {
        let public = key.public_key();
        let (key, token) = (Locked::new(key), Locked::new(token));
        Ok(Self { key: key.map_err(Error::Memory)?, public, token: token.map_err(Error::Memory)? })
    }

    /// Unseals both files with the token's sealing key.
    pub fn open(token: &Token, bls: &Path, mpin: &Path) -> Result<Self, Error> {
        let unseal = |path: &Path| {
            let sealed = std::fs::read(path);
            let sealed = sealed.map_err(|cause| Error::File { path: path.display().to_string(), cause })?;
            Ok::<_, Error>(seal::open(token, &sealed)?)
        };
        Self::of(&unseal(bls)?, &unseal(mpin)?)
    }

    /// From what was sealed.
    pub fn of(bls: &[u8], mpin: &[u8]) -> Result<Self, Error> {
        Self::new(SecretKey::from_bytes(bls)?, mpin::Token::from_bytes(mpin)?)
    }

    /// The two files' octets, sealed to `recipients`.
    pub fn seal(&self, recipients: &[String]) -> Result<[Vec<u8>; 2], Error> {
        Ok([seal::seal(&*self.key.to_bytes(), recipients)?, seal::seal(&*self.token.to_bytes(), recipients)?])
    }

    /// 192 octets.
    pub fn bls_public(&self) -> [u8; 192] {
        self.public.to_bytes()
    }

    /// 49 octets, verified.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 49], Error> {
        let signature = self.key.sign(message);
        self.public.verify(message, &signature)?;
        Ok(signature.to_bytes())
    }
}

/// A new BLS key from 32 octets of the token's generator and 32 of the system's.
pub fn new_key(token: &Token) -> Result<SecretKey, Error> {
    let mut entropy = Zeroizing::new([0; 64]);
    let (from_token, from_system) = entropy.split_at_mut(32);
    token.random(from_token)?;
    getrandom::fill(from_system)?;
    Ok(SecretKey::from_entropy(&entropy)?)
}

/// A registered agent, or one that is about to finish its registration.
pub struct Agent {
    /// The accountCode.
    pub id: String,
    pub name: String,
    /// The M-Pin identity's octets.
    pub identity: Vec<u8>,
    pub pin: u32,
    pub feed_url: String,
    /// Unix seconds.
    pub registered_at: u64,
    pub secrets: Arc<Secrets>,
}

impl Agent {
    /// A fresh `x-api-zkp` header: one an attempt (protocol.md §5).
    pub fn pass(&self) -> Result<String, Error> {
        let mut entropy = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *entropy)?;
        let pass = mpin::one_pass(&self.identity, &self.secrets.token, self.pin, clock::now(), &entropy)?;
        Ok(pass.header())
    }

    pub fn sign(&self, recorded: Recorded) -> Result<Signed, Error> {
        Signed::new(recorded, |message| self.secrets.sign(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 97 octets: the generator of G1, uncompressed, which is a point and so a token.
    const GENERATOR: &str = "0417f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb\
                             08b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1";

    #[test]
    fn a_signature_that_does_not_verify_is_never_given_out() {
        let key = |octet| SecretKey::from_entropy(&[octet; 64]).unwrap();
        let token = || mpin::Token::from_bytes(&hex::decode(GENERATOR).unwrap()).unwrap();
        let good = Secrets::new(key(1), token()).unwrap();
        assert!(good.sign(b"move it").is_ok());
        // As after a flipped bit in the key, or a miscalculation.
        let spoiled = Secrets { key: Locked::new(key(2)).unwrap(), ..good };
        assert!(matches!(spoiled.sign(b"move it"), Err(Error::Curve(_))));
    }
}
