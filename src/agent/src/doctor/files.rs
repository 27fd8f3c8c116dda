//! Who else could write what the agent goes by, and who reads what is its own.

use super::Subject;
use super::found::{fault, good};
use config::Config;
use ipc::Finding;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files that say what the agent does, and the directories that they are found by.
pub fn look(subject: &Subject) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for path in named(&subject.path, &subject.config) {
        if let Some((words, remedy)) = loose(&path, subject.owner)
            && !findings.iter().any(|found| found.words == words)
        {
            findings.push(fault("files", words, remedy));
        }
    }
    if findings.is_empty() {
        findings.push(good(
            "files",
            "configuration, policy, module and TLS files are writable by root and the vault alone",
        ));
    }
    findings
}

fn named(path: &Path, config: &Config) -> Vec<PathBuf> {
    let mut all = vec![path.to_owned(), config.hsm.module.clone()];
    for policy in [&config.policy.file, &config.policy.shadow].into_iter().flatten() {
        let mut signatures = policy.as_os_str().to_owned();
        signatures.push(".sig");
        all.extend([policy.clone(), signatures.into()]);
    }
    all.extend(config.hsm.pin_file.clone());
    if let Some(callback) = &config.callback {
        all.push(callback.public_key_file.clone());
        all.extend(callback.ca_file.clone());
    }
    all.extend(config.backend.ca_file.clone());
    if let Some(tls) = &config.api.tls {
        all.extend([tls.cert_file.clone(), tls.key_file.clone()]);
        all.extend([&tls.client_ca_file, &tls.client_crl_file].into_iter().flatten().cloned());
    }
    all
}

/// The first of the file and its directories that others could write to, and the same behind links.
fn loose(path: &Path, owner: u32) -> Option<(String, String)> {
    let resolved = path.canonicalize().ok();
    let ways = std::iter::once(path).chain(resolved.as_deref());
    ways.flat_map(Path::ancestors).find_map(|step| {
        let meta = step.symlink_metadata().ok().filter(|meta| !meta.is_symlink())?;
        let trusted = meta.uid() == 0 || meta.uid() == owner;
        // In a directory like /tmp nobody takes away what is another's.
        let sticky = meta.is_dir() && meta.mode() & 0o1000 != 0;
        let open = meta.mode() & 0o022 != 0 && !sticky;
        let shown = step.display();
        match (trusted, open) {
            (false, _) => Some((
                format!("{shown} belongs to uid {}: who owns it changes what the agent does", meta.uid()),
                format!("chown root {shown}"),
            )),
            (true, true) => Some((
                format!("{shown} can be written to by others (mode {:04o})", meta.mode() & 0o7777),
                format!("chmod go-w {shown}; then look at what is in it"),
            )),
            (true, false) => None,
        }
    })
}

/// The state directory is the vault's alone, with all that is in it.
pub fn state(subject: &Subject) -> Vec<Finding> {
    const CHECK: &str = "state-directory";
    let dir = &subject.config.state.dir;
    let shown = dir.display();
    let meta = match std::fs::metadata(dir) {
        Ok(meta) => meta,
        Err(e) => {
            return vec![fault(
                CHECK,
                format!("{shown}: {e}"),
                "`signing-agent init` makes it; an old one comes from a backup",
            )];
        }
    };
    if meta.mode() & 0o077 != 0 {
        let words = format!("{shown}: others may reach into it (mode {:04o})", meta.mode() & 0o7777);
        return vec![fault(CHECK, words, format!("chmod 700 {shown}"))];
    }
    let Ok(entries) = std::fs::read_dir(dir) else {
        // Its owner and root alone look inside.
        return vec![good(CHECK, format!("{shown} is its owner's alone"))];
    };
    let files = entries.flatten().filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)));
    let wrong = |(path, file): (PathBuf, Metadata)| {
        let shown = path.display();
        if file.uid() != meta.uid() {
            let words = format!("{shown} belongs to uid {}, the directory to {}", file.uid(), meta.uid());
            return Some(fault(CHECK, words, format!("chown {} {shown}", meta.uid())));
        }
        let open = file.is_file() && file.mode() & 0o077 != 0;
        let words = || format!("{shown}: others may use it (mode {:04o})", file.mode() & 0o7777);
        open.then(|| fault(CHECK, words(), format!("chmod 600 {shown}")))
    };
    let found: Vec<Finding> = files.filter_map(wrong).collect();
    if found.is_empty() { vec![good(CHECK, format!("{shown} is its owner's alone"))] } else { found }
}
