//! Policies that must be signed: where the deed names people who sign policies, one is taken only with the signatures of as many of
//! them as it asks for, and with a serial above that of the last. The signatures lie beside it, in `FILE.sig`.

use crate::active::Active;
use crate::ledger::LastSigned;
use crate::people::Named;
use crate::ssh::Key;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// What a person signs for: `ssh-keygen -Y sign -n signing-agent-policy -f KEY policy.toml`.
const NAMESPACE: &str = "signing-agent-policy";
/// Of all signatures together.
const LARGEST: u64 = 64 << 10;
const END: &str = "-----END SSH SIGNATURE-----";

/// Where the signatures of a policy are.
pub fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// The armored signatures, one behind the other; none where there is no such file.
pub fn read(file: &Path) -> Result<String, String> {
    let path = beside(file);
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text));
    match read {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(format!("{}: {e}", path.display())),
        Ok(_) if text.len() as u64 > LARGEST => Err(format!("{}: larger than 64 KiB", path.display())),
        Ok(_) => Ok(text),
    }
}

/// Whether this policy may come into force; what is to be remembered of it where it had to be signed. To name none is no way
/// around: what everything is held for could then be released by any client.
pub fn check(people: &Named, active: &Active, last: Option<LastSigned>) -> Result<Option<LastSigned>, String> {
    if people.policy_signatures == 0 {
        return Ok(None);
    }
    let Some(file) = active.file.as_deref() else {
        return Err("the deed asks for a signed policy, and the configuration names none: name it in [policy] file, and restart \
                    the agent"
            .into());
    };
    let signed = signers(people, active.text.as_bytes(), active.signatures.as_deref()?);
    if (signed.len() as u64) < people.policy_signatures {
        let all: Vec<&str> = people.policy_signers.keys().map(String::as_str).collect();
        let some: Vec<&str> = signed.iter().map(String::as_str).collect();
        return Err(format!(
            "{} must be signed by {} of {}; {} has good signatures of {}. Each signs it with `ssh-keygen -Y sign -n {NAMESPACE} -f KEY`, and \
             what that writes goes there, one behind the other",
            file.display(),
            people.policy_signatures,
            all.join(", "),
            beside(file).display(),
            if some.is_empty() { "nobody".to_owned() } else { some.join(", ") },
        ));
    }
    let hash = active.policy.hash();
    let Some(serial) = active.policy.serial() else {
        return Err(format!("{}: a signed policy needs a serial, above that of the last one", file.display()));
    };
    match last {
        // A restart reads the same again.
        Some(last) if last.serial == serial && last.hash != hash => Err(format!(
            "{}: serial {serial} is that of another policy, which was in force; a changed one needs a higher serial",
            file.display()
        )),
        Some(last) if last.serial > serial => Err(format!(
            "{}: serial {serial} is not above {}, which was in force: an old policy does not come back by its old signatures",
            file.display(),
            last.serial
        )),
        _ => Ok(Some(LastSigned { serial, hash })),
    }
}

/// Whose good signatures are among these. What is nobody's, or not good, says nothing.
fn signers(people: &Named, text: &[u8], signatures: &str) -> BTreeSet<String> {
    let blocks: Vec<&str> = signatures.split_inclusive(END).filter(|block| block.ends_with(END)).collect();
    let has_signed = |key: &Key| blocks.iter().any(|block| key.verify(NAMESPACE, text, block).is_ok());
    let good = people.policy_signers.iter().filter(|(_, key)| Key::parse(key).is_ok_and(|key| has_signed(&key)));
    good.map(|(name, _)| name.clone()).collect()
}
