//! Who else could write what the agent goes by, and who reads what is its own.

use super::Subject;
use super::found::{fault, good};
use config::guard::{self, Fault, Room};
use ipc::Finding;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Files that say what the agent does, and the directories that they are found by: each as the room that reads it would look at it.
pub fn look(subject: &Subject) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for (path, user) in named(subject) {
        if let Err(Fault { words, remedy }) = guard::check_as(&path, user) {
            let found = fault("files", words, remedy);
            if !findings.iter().any(|other| other.words == found.words) {
                findings.push(found);
            }
        }
    }
    if findings.is_empty() {
        let words =
            "configuration, policy, module and TLS files are writable by root and the room that reads them alone";
        findings.push(good("files", words));
    }
    findings
}

/// Each with the user of the room that reads it.
fn named(subject: &Subject) -> Vec<(PathBuf, u32)> {
    let Subject { config, path, .. } = subject;
    let mut all = Vec::new();
    for room in [Room::Vault, Room::Api, Room::Courier] {
        all.push((path.clone(), subject.user(room)));
        all.extend(guard::files(config, room).into_iter().map(|file| (file.to_owned(), subject.user(room))));
    }
    for policy in [&config.policy.file, &config.policy.shadow].into_iter().flatten() {
        let mut signatures = policy.as_os_str().to_owned();
        signatures.push(".sig");
        all.extend([(policy.clone(), subject.owner), (signatures.into(), subject.owner)]);
    }
    all.extend(config.hsm.pin_file.clone().map(|file| (file, subject.owner)));
    all
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
