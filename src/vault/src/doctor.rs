//! What is wrong, and what to do: what the vault alone can look at, whether it is at work, stands in trouble, or was started for
//! this alone (`--check`). Nothing is changed by looking, but for one thing: the note of a login whose PIN is refused, so that
//! it is not tried again.

mod configured;
mod ledger;
mod outside;
mod running;
mod still;
mod token;

use crate::reply::Reply;
use crate::room::Room;
use crate::walls;
use config::Config;
use ipc::{Answer, Finding, FindingHealth};
use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// How long the token may take, and the ledger.
const PATIENCE: Duration = Duration::from_secs(10);

/// On a thread of its own, for it waits for the token.
pub fn on_ask(room: &Arc<Room>, reply: Reply) {
    let room = room.clone();
    thread::spawn(move || reply.send(Answer::Findings(examine(&room).0)));
}

fn examine(room: &Arc<Room>) -> Findings {
    let mut findings = Findings::default();
    configured::look(&mut findings, &room.config);
    configured::changed(&mut findings, room);
    match room.trouble_or_vault() {
        Ok(vault) => running::look(&mut findings, room, &vault),
        Err(trouble) => {
            findings.fault(
                "ready",
                &trouble.words,
                "put right what the faults here name; what may pass is tried again",
            );
            match room.opening.try_lock() {
                Ok(_one) => still::look(&mut findings, &room.config, &room.module, &room.token_watch),
                Err(_) => findings.unknown("token", "the vault is just being opened", "ask again in a moment"),
            }
        }
    }
    outside::rooms(&mut findings, room);
    findings
}

/// `--check`: where no vault answers. Prints the findings as JSON; the exit code is 1 where one is a fault.
pub fn check(path: &Path) -> Result<u8, String> {
    let mut findings = Findings::default();
    match config::guard::load(path, config::guard::Room::Vault) {
        // Who else could have written it would have this user load a module of theirs.
        Err(config::Error::Guard(e)) => {
            findings.fault("files", e.words, format!("{}; nothing more was looked at", e.remedy))
        }
        Err(e) => findings.fault("configuration", e, "correct it there; docs/configuration.md has every key"),
        Ok(config) => alone(&mut findings, path, &config),
    }
    let text = serde_json::to_string_pretty(&findings.0).map_err(|e| e.to_string())?;
    writeln!(std::io::stdout(), "{text}").map_err(|e| e.to_string())?;
    Ok(u8::from(findings.0.iter().any(|finding| finding.health == FindingHealth::Fault)))
}

fn alone(findings: &mut Findings, path: &Path, config: &Config) {
    configured::look(findings, config);
    // A state directory that is missing is not made for this; then there is nothing to stand on either.
    if config.state.dir.is_dir() {
        match walls::raise(path, config) {
            Ok(None) => findings.good("landlock", "the vault's ground is all that it reaches"),
            Ok(Some(missing)) => findings.warn(
                "landlock",
                missing,
                "boot a kernel of 6.12 or later with landlock in its lsm=; [jail] landlock = \"required\" then insists on it",
            ),
            Err(words) => findings.fault("landlock", words, "docs/jail.md says what the walls need"),
        }
    }
    let module = hsm::Module::load(&config.hsm.module).map_err(|e| e.to_string());
    still::look(findings, config, &module, &hsm::Watch::default());
}

/// What was found, in the order in which it was looked at.
#[derive(Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    pub fn good(&mut self, check: &str, words: impl Display) {
        self.add(check, FindingHealth::Good, &words, &"");
    }

    pub fn unknown(&mut self, check: &str, words: impl Display, remedy: impl Display) {
        self.add(check, FindingHealth::Unknown, &words, &remedy);
    }

    pub fn warn(&mut self, check: &str, words: impl Display, remedy: impl Display) {
        self.add(check, FindingHealth::Warning, &words, &remedy);
    }

    pub fn fault(&mut self, check: &str, words: impl Display, remedy: impl Display) {
        self.add(check, FindingHealth::Fault, &words, &remedy);
    }

    fn add(&mut self, check: &str, health: FindingHealth, words: &dyn Display, remedy: &dyn Display) {
        let bounded = |words: &dyn Display| ipc::bounded(&words.to_string());
        self.0.push(Finding { check: check.to_owned(), health, words: bounded(words), remedy: bounded(remedy) });
    }
}

/// What `look` says, where it says it in time; what hangs is left behind.
fn within<T: Send + 'static>(look: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (tell, told) = channel();
    thread::spawn(move || tell.send(look()));
    told.recv_timeout(PATIENCE).ok()
}
