//! The crate's one error: what happened by the specification's names, and what to do.

use std::io;
use std::path::PathBuf;

use crate::call::Call;
use crate::config::{Curve, Role};

/// No variant carries a PIN, a key or sealed content.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot load the PKCS#11 module {}: {why}. Check `module` in [hsm] and that the vendor's package is installed", path.display())]
    Module { path: PathBuf, why: String },
    #[error(
        "C_Initialize: CKR_CRYPTOKI_ALREADY_INITIALIZED (0x191): this process has the module open already; open the token once and share it"
    )]
    ModuleInUse,
    #[error(
        "there is no token {wanted}; the module has {there}. Check `token` in [hsm], or initialise the token (softhsm-setup.sh makes one for SoftHSM)"
    )]
    TokenMissing { wanted: String, there: String },
    #[error("{count} tokens have the label \"{label}\"; say which by `slot` instead of `token` in [hsm]")]
    TokenAmbiguous { label: String, count: usize },
    #[error("the token is not reachable: {0}; it is tried again at the next use")]
    Unreachable(String),

    #[error("cannot use the PIN in {source_name}: {why}")]
    PinSource { source_name: String, why: String },
    #[error(
        "{call}: the token refused the PIN. It is not tried again: correct the PIN file or credential, then type `signing-agent init --try-pin-again`"
    )]
    PinIncorrect { call: Call },
    #[error(
        "{call}: the token has locked the PIN. It is not tried again: let the token's security officer set a new PIN (C_InitPIN, the vendor's tool), then type `signing-agent init --try-pin-again`"
    )]
    PinLocked { call: Call },
    #[error(
        "{call}: {why}. It is not tried again: look at the token, set or correct the PIN, then type `signing-agent init --try-pin-again`"
    )]
    PinUnusable { call: Call, why: &'static str },
    #[error("the token refused this PIN before, or did not say whether it took it, so no login is tried ({} says why). Correct the PIN if it is wrong, then type `signing-agent init --try-pin-again`", marker.display())]
    PinRefusedBefore { marker: PathBuf },
    #[error("cannot keep the note that a PIN was refused, {}: {source}. Without it no login is tried: make its directory writable for this user", path.display())]
    Marker { path: PathBuf, source: io::Error },

    #[error(
        "{call}: the token keeps no data object for the agent's memory. Set `token_memory = \"none\"` in [ledger]; that the state directory was rolled back is then not noticed"
    )]
    MemoryNotOffered { call: Call },
    #[error(
        "the token's memory is not what this process left there (its counter is {}): another agent uses the token, or the token was rolled back or replaced. Nothing was written", counter.map_or("none".into(), |counter| counter.to_string())
    )]
    MemoryChanged { counter: Option<u64> },
    #[error(
        "the token's memory cannot be understood: {0}. It is the data object \"signing-agent memory\"; look who made it, then type `signing-agent recover --accept-rollback`"
    )]
    MemoryMalformed(String),
    #[error("the token's memory takes {limit} bytes and no more")]
    MemoryTooLong { limit: usize },

    #[error("{call}: {}", call.advice())]
    Pkcs11 { call: Call },
    #[error("{call}: the module does not offer {mechanism}{needed_for}. Use another module or token, or allow the mechanism in its configuration", mechanism = call.mechanism())]
    MechanismMissing { call: Call, needed_for: String },
    #[error("the PKCS#11 module answered with something that is no answer: {0}")]
    Malformed(String),

    #[error("the token has no {role} key: type `signing-agent init`")]
    KeyMissing { role: Role },
    #[error(
        "the token has {count} keys with the label of the {role} key: remove the wrong one with the vendor's tool (pkcs11-tool --delete-object); nothing is signed or opened until then"
    )]
    KeyDuplicate { role: Role, count: usize },
    #[error(
        "the token has the {role} key's private half but no public one: restore the public key with the vendor's tool"
    )]
    KeyHalf { role: Role },
    #[error(
        "wrong key type: the {role} key in the token is {found}, not {wanted}. Correct `identity_curve` in [hsm], or use another token"
    )]
    KeyType { role: Role, found: String, wanted: Curve },
    #[error("the {role} key in the token is {what}: such a key is not used. Make new keys in a fresh token")]
    KeyExposed { role: Role, what: &'static str },
    #[error(
        "the token's keys are not the ones that this process started with; if the token was replaced on purpose, start the agent again"
    )]
    KeysChanged,

    #[error("the point is not on P-256; it was not given to the token")]
    Point,
    #[error(
        "the token's {role} key and its public half do not belong together: what the token computed does not verify"
    )]
    Mismatch { role: Role },
    #[error("C_GenerateRandom gave nothing but zeros: the token's generator is broken")]
    NoRandomness,

    #[error("\"{text}\" is no recipient: {why}. Recipients are age1… (X25519) or age1tag… (P-256)")]
    Recipient { text: String, why: &'static str },
    #[error("nothing can be sealed without a recipient")]
    NoRecipients,
    #[error("cannot seal: {0}")]
    Seal(String),
    #[error("the sealed file is longer than {limit} bytes")]
    SealedTooLong { limit: usize },
    #[error("not an age file: {0}")]
    NotAgeFile(String),
    #[error(
        "not an age identity: it is a file as `age-keygen` writes it, with a line that begins with AGE-SECRET-KEY-1"
    )]
    Identity,
    #[error("the token has had as many {role} keys as it can: use a new token")]
    GenerationsUsedUp { role: Role },
    #[error(
        "the new PIN must have {least} to {most} octets, no control characters, and suit the token: it keeps the old one"
    )]
    NewPin { least: usize, most: usize },
    #[error("none of these identities is of a recipient that the file was sealed to")]
    NotARecipient,
    #[error(
        "unseal: no matching key: the file is not sealed to this token's sealing key. Use the token that it was sealed to, or a recovery key with `age --decrypt`"
    )]
    NoMatchingKey,
    #[error("unseal: the file is damaged or was tampered with; restore it from a backup")]
    Tampered,
}

impl Error {
    /// Sorts what cryptoki returns: a call that failed, a mechanism that is not there, or nonsense.
    pub(crate) fn from_cryptoki(error: cryptoki::error::Error) -> Self {
        match error {
            cryptoki::error::Error::Pkcs11(code, function) => Self::from_code(Call { function, code }),
            other => Self::Malformed(other.to_string()),
        }
    }

    pub(crate) fn from_code(call: Call) -> Self {
        if call.is_not_offered() {
            Self::MechanismMissing { call, needed_for: String::new() }
        } else {
            Self::Pkcs11 { call }
        }
    }

    /// The PIN was refused, or may have been: no login is tried before the operator has said so.
    #[must_use]
    pub fn is_of_the_pin(&self) -> bool {
        use Error::{PinIncorrect, PinLocked, PinRefusedBefore, PinUnusable};
        matches!(self, PinIncorrect { .. } | PinLocked { .. } | PinUnusable { .. } | PinRefusedBefore { .. })
    }

    /// Logging in again may help.
    pub(crate) fn is_loss(&self) -> bool {
        matches!(self, Self::Pkcs11 { call } if call.is_loss())
    }

    pub(crate) fn is_stale_handle(&self) -> bool {
        matches!(self, Self::Pkcs11 { call } if call.is_stale_handle())
    }
}

#[cfg(test)]
mod tests {
    use cryptoki::context::Function;
    use cryptoki::error::{Error as Pkcs11Error, RvError};

    use super::*;

    #[test]
    fn what_a_module_cannot_do_is_told_by_its_mechanism_and_is_no_loss() {
        for code in [RvError::MechanismInvalid, RvError::FunctionNotSupported, RvError::CurveNotSupported] {
            let error = Error::from_cryptoki(Pkcs11Error::Pkcs11(code, Function::GenerateKeyPair));
            assert!(matches!(error, Error::MechanismMissing { .. }) && !error.is_loss());
            assert!(error.to_string().contains("does not offer CKM_EC_KEY_PAIR_GEN"), "{error}");
        }
    }

    #[test]
    fn what_modules_return_when_the_token_is_gone_is_a_loss() {
        for code in [
            RvError::DeviceRemoved,
            RvError::TokenNotPresent,
            RvError::SessionHandleInvalid,
            RvError::DeviceError,
            RvError::UserNotLoggedIn,
            RvError::CryptokiNotInitialized,
            RvError::ObjectHandleInvalid,
            RvError::VendorDefined(0x8000_0001),
        ] {
            assert!(Error::from_cryptoki(Pkcs11Error::Pkcs11(code, Function::Sign)).is_loss(), "{code:?}");
        }
        for code in [RvError::PinIncorrect, RvError::PinLocked, RvError::KeyFunctionNotPermitted, RvError::DataInvalid]
        {
            assert!(!Error::from_cryptoki(Pkcs11Error::Pkcs11(code, Function::Sign)).is_loss(), "{code:?}");
        }
    }
}
