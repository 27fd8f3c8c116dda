//! What an operator says about the token.

use std::fmt;
use std::path::{Path, PathBuf};

use cryptoki::context::Pkcs11;

use crate::error::Error;
use crate::watch::Watch;

/// A PKCS#11 module in this process's memory. It stays there as long as this or a clone is held, and whoever opens a token of it
/// maps no code any more: a filter may forbid that from here on.
#[derive(Clone, Debug)]
pub struct Module(pub(crate) Pkcs11);

impl Module {
    /// Loads a shared library; its functions are not called yet.
    ///
    /// # Errors
    /// [`Error::Module`]: it is not there, or is no PKCS#11 module.
    pub fn load(path: &Path) -> Result<Self, Error> {
        Pkcs11::new(path).map(Self).map_err(|e| Error::Module { path: path.to_owned(), why: e.to_string() })
    }
}

/// The curve of a key. The audit and the sealing key are always P-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    P256,
    Secp256k1,
}

/// Which token of the module is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSelector {
    /// `CK_TOKEN_INFO.label`, without its trailing blanks.
    Label(String),
    /// The slot's id, for modules whose `C_GetTokenInfo` cannot be read.
    Slot(u64),
}

/// Where the user PIN is. It is read for each login and wiped after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinSource {
    /// A regular file that only its owner may read; one trailing newline is not part of the PIN.
    File(PathBuf),
    /// A systemd credential: the file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// Everything that [`crate::Token::open`] needs.
#[derive(Clone, Debug)]
pub struct Config {
    pub module: Module,
    pub token: TokenSelector,
    pub pin: PinSource,
    pub identity_curve: Curve,
    /// Which of the keys of a role is in use.
    pub generations: Generations,
    /// This file is made when the token refuses the PIN; while it is there, no login is tried. Its directory must be
    /// writable at every login.
    pub refused_pin_marker: PathBuf,
    /// How many operations may run at once; one session each, at least one.
    pub workers: usize,
    /// Where to see what is under way in the module. A process has one for its module.
    pub watch: Watch,
}

/// How often the audit key and the sealing key were replaced, from 1 on. The identity key stays with its registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generations {
    pub audit: u8,
    pub sealing: u8,
}

impl Default for Generations {
    fn default() -> Self {
        Self { audit: 1, sealing: 1 }
    }
}

impl Generations {
    pub fn of(self, role: Role) -> u8 {
        match role {
            Role::Identity => 1,
            Role::Audit => self.audit,
            Role::Sealing => self.sealing,
        }
    }

    /// With the next key of this role.
    ///
    /// # Errors
    /// [`Error::GenerationsUsedUp`]; the identity key has one generation.
    pub fn next(self, role: Role) -> Result<Self, Error> {
        let used_up = Error::GenerationsUsedUp { role };
        let next = |generation: u8| generation.checked_add(1).filter(|next| *next <= MOST_GENERATIONS);
        match role {
            Role::Identity => Err(used_up),
            Role::Audit => Ok(Self { audit: next(self.audit).ok_or(used_up)?, ..self }),
            Role::Sealing => Ok(Self { sealing: next(self.sealing).ok_or(used_up)?, ..self }),
        }
    }
}

/// What fits into the two bytes of an id.
const MOST_GENERATIONS: u8 = 80;

/// The three keys of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Identity,
    Audit,
    Sealing,
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "P-256",
            Self::Secp256k1 => "secp256k1",
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity => "identity",
            Self::Audit => "audit",
            Self::Sealing => "sealing",
        })
    }
}
