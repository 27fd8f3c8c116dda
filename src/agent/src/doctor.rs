//! `signing-agent doctor`: what is wrong, and what to type about it. What the vault sees, or where none answers
//! `signing-agent-vault --check` as its user; and what this side of the lane sees: files, network, TLS, kernel, units.

mod accounts;
mod alone;
mod files;
mod found;
mod host;
mod lanes;
mod network;
mod screen;
mod tls;
mod vault;

use crate::error::Error;
use crate::words;
use config::Config;
use config::guard::Room;
use found::fault;
use ipc::{Finding, FindingHealth};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// What all of this side's checks may take together.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is looked at, and what is known of it already.
struct Subject {
    path: PathBuf,
    config: Config,
    /// The user that the vault works as: the state directory's owner, or who asks where there is none.
    owner: u32,
    /// A vault answered.
    answered: bool,
    /// The vault says that the api is connected.
    api: bool,
}

impl Subject {
    /// Whom a room works as: a user of its own as a service, else the state directory's owner.
    fn user(&self, room: Room) -> u32 {
        let name = match room {
            Room::Vault => return self.owner,
            Room::Api => "signing-agent-api",
            Room::Courier => "signing-agent-courier",
        };
        let own = if self.path == Path::new(config::DEFAULT_PATH) { accounts::named(name) } else { None };
        own.unwrap_or(self.owner)
    }
}

pub fn doctor(config_path: &Path, as_json: bool) -> Result<(), Error> {
    let path = std::path::absolute(config_path).map_err(Error::system("make the configuration's path absolute"))?;
    let config = config::load(&path);
    let report = vault::ask(&path, config.as_ref().ok());
    let mut findings = report.findings;
    match config {
        Err(e) => findings.push(fault("configuration", e, "correct it there; docs/configuration.md has every key")),
        Ok(config) => {
            let owner = std::fs::metadata(&config.state.dir).map(|meta| meta.uid());
            let subject = Subject {
                owner: owner.unwrap_or_else(|_| rustix::process::geteuid().as_raw()),
                answered: report.answered,
                api: findings.iter().any(|found| found.check == "api-room" && found.health == FindingHealth::Good),
                path,
                config,
            };
            findings.extend(look(subject));
        }
    }
    findings.extend(host::kernel());
    let faults = findings.iter().any(|found| found.health == FindingHealth::Fault);
    let text = if as_json { screen::json(&report.by, &findings)? } else { screen::text(&report.by, findings) };
    words::print(&text)?;
    if faults { Err(Error::Said) } else { Ok(()) }
}

/// A part of this side's checks, with the name of what is not known if it says nothing in time.
type Part = (&'static str, fn(&Subject) -> Vec<Finding>);

const PARTS: [Part; 8] = [
    ("files", files::look),
    ("state-directory", files::state),
    ("disk-space", host::disk),
    ("lanes", lanes::look),
    ("port", network::port),
    ("backend", network::backend),
    ("tls-certificate", tls::look),
    ("units", host::units),
];

/// All at once; what hangs is left behind.
fn look(subject: Subject) -> Vec<Finding> {
    let (tell, told) = channel();
    let subject = Arc::new(subject);
    for (number, (_, part)) in PARTS.iter().enumerate() {
        let (tell, subject) = (tell.clone(), subject.clone());
        // Who listens has gone where this comes too late.
        thread::spawn(move || tell.send((number, part(&subject))));
    }
    drop(tell);
    let (until, mut parts) = (Instant::now() + PATIENCE, PARTS.map(|_| None));
    while let Ok((number, findings)) = told.recv_timeout(until.saturating_duration_since(Instant::now())) {
        parts[number] = Some(findings);
    }
    let late = |check| {
        let words = format!("it could not be looked at within {} s", PATIENCE.as_secs());
        vec![found::unknown(check, words, "look at the disk and the network of this machine")]
    };
    PARTS.iter().zip(parts).flat_map(|((check, _), part)| part.unwrap_or_else(|| late(check))).collect()
}
