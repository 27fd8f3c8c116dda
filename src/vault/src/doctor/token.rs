//! Module, token, PIN and keys.

use super::{Findings, within};
use crate::init;
use config::Config;
use hsm::{Error, Module, PublicKeys, Token, Watch};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

/// Opens the token as the vault does, where its PIN is not known to be bad.
pub fn open(
    findings: &mut Findings,
    config: &Config,
    module: &Result<Module, String>,
    watch: &Watch,
) -> Option<(Arc<Token>, PublicKeys)> {
    pin_file(findings, config);
    let module = match module {
        Ok(module) => module.clone(),
        Err(words) => {
            let remedy = "install the vendor's package, or correct [hsm] module; then restart the agent";
            findings.fault("pkcs11-module", words, remedy);
            return None;
        }
    };
    findings.good("pkcs11-module", format!("{} is loaded", config.hsm.module.display()));
    if config.hsm.pin_file.is_none() && std::env::var_os("CREDENTIALS_DIRECTORY").is_none() {
        let remedy = "look as the unit does, where there is a D-Bus: `signing-agent doctor` as root; or start the agent, and ask it";
        findings.unknown("token-pin", "it is a systemd credential, which only the vault's unit gets", remedy);
        return None;
    }
    let (config, watch) = (config.clone(), watch.clone());
    let opened = within(move || init::open_token(&config, &module, watch).map(Arc::new));
    let token = answered(findings, opened)?;
    findings.good("token", "it is there");
    findings.good("token-pin", "the token takes it");
    let looked_at = token.clone();
    let keys = keys(findings, move || tried(&looked_at))?;
    Some((token, keys))
}

/// That they are there, and that they work.
pub fn keys(
    findings: &mut Findings,
    tried: impl FnOnce() -> Result<PublicKeys, Error> + Send + 'static,
) -> Option<PublicKeys> {
    let keys = answered(findings, within(tried))?;
    findings.good(
        "token-keys",
        "identity, audit and sealing key are there; the token signs and opens what is sealed to it",
    );
    Some(keys)
}

/// The keys of a token that signs, and opens what is sealed to it.
pub fn tried(token: &Token) -> Result<PublicKeys, Error> {
    let keys = token.public_keys()?;
    token.check()?;
    hsm::seal::open(token, &hsm::seal::seal(b"canary", &[token.recipient()?])?)?;
    Ok(keys)
}

fn answered<T>(findings: &mut Findings, seen: Option<Result<T, Error>>) -> Option<T> {
    match seen {
        Some(Ok(seen)) => return Some(seen),
        Some(Err(e)) => refused(findings, &e),
        None => findings.fault(
            "token",
            format!("it has not answered for {} s", super::PATIENCE.as_secs()),
            "look at the token, its cable, its service or its network, with the vendor's tool",
        ),
    }
    None
}

/// By what it is about.
pub fn refused(findings: &mut Findings, e: &Error) {
    let again = "correct the PIN if it is wrong, then `signing-agent init --try-pin-again`";
    let (check, remedy) = match e {
        Error::Module { .. } | Error::ModuleInUse => ("pkcs11-module", "correct [hsm] module, and restart the agent"),
        Error::PinSource { .. } => (
            "token-pin",
            "write the token's user PIN there, and `chmod 600` it; without [hsm] pin_file it is the systemd credential token-pin",
        ),
        Error::Marker { .. } => ("token-pin", "make the state directory the vault's own: chown it, and `chmod 700`"),
        e if e.is_of_the_pin() => ("token-pin", again),
        Error::KeyMissing { .. } => (
            "token-keys",
            "where the agent is new, `signing-agent init`; where it is not, this is another token: correct [hsm] token",
        ),
        Error::KeyDuplicate { .. } | Error::KeyHalf { .. } | Error::KeyType { .. } | Error::KeyExposed { .. } => {
            ("token-keys", "look at the keys with the vendor's tool (pkcs11-tool --list-objects), and do as it says")
        }
        Error::KeysChanged => {
            ("token-keys", "put the agent's own token back, or restart the agent if it was replaced on purpose")
        }
        Error::MemoryNotOffered { .. } | Error::MemoryChanged { .. } | Error::MemoryMalformed(_) => (
            "token-memory",
            "see who else uses this token; `signing-agent recover --accept-rollback` takes what is there",
        ),
        Error::NoMatchingKey | Error::Tampered | Error::NotAgeFile(_) | Error::Mismatch { .. } => {
            ("token-keys", "look at the token with the vendor's tool; what it computes is wrong")
        }
        _ => ("token", "correct [hsm] token or slot, or plug the token in; the vendor's tool lists what is there"),
    };
    findings.fault(check, e, remedy);
}

/// It is read at each login only: that others may read it is found here before.
pub fn pin_file(findings: &mut Findings, config: &Config) {
    if config.state.refused_pin_marker().exists() {
        findings.fault(
            "token-pin",
            "the token refused it, or did not say whether it took it: it is not tried again",
            "correct the PIN if it is wrong, then `signing-agent init --try-pin-again`",
        );
    }
    let Some(path) = &config.hsm.pin_file else { return };
    let Ok(meta) = path.metadata() else { return };
    if meta.mode() & 0o077 != 0 {
        let words = format!(
            "{}: others may use it (mode {:04o}): the next login is refused",
            path.display(),
            meta.mode() & 0o7777
        );
        findings.fault(
            "token-pin",
            words,
            format!("chmod 600 {}; who could read it knows the PIN: set another", path.display()),
        );
    }
}
