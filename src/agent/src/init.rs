//! `signing-agent init`: the vault does it, as its own user; where none runs, one is started for this one ask.

use crate::ask::{self, Places};
use crate::error::Error;
use crate::handover::{Kind, Recipe};
use crate::lanes::Lanes;
use crate::{room, words};
use config::Config;
use ipc::{Answer, Ask, InitOptions, InitReport};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// Tokens take their time to generate keys.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the vault has to end by itself.
const LAST_WORDS: Duration = Duration::from_secs(2);
const FAREWELL: Duration = Duration::from_secs(12);

pub fn init(config_path: &Path, options: InitOptions) -> Result<(), Error> {
    let places = Places::find(config_path)?;
    let question = Ask::Init(options);
    let (answer, running) = match (places.ask(&question, PATIENCE)?, &places.config) {
        (Some(answer), _) => (answer, true),
        (None, Some(config)) => (ask_a_vault_of_our_own(config_path, config, &question)?, false),
        (None, None) => return Err(places.nobody()),
    };
    let Answer::Initialised(report) = answer else { return Err(ask::beside_the_point()) };
    words::print(&text(&report, running, config_path))?;
    for warning in &report.warnings {
        // Where stderr is closed there is nobody left to warn.
        let _ = writeln!(io::stderr(), "signing-agent: warning: {}", words::plain(warning));
    }
    Ok(())
}

fn ask_a_vault_of_our_own(config_path: &Path, config: &Config, question: &Ask) -> Result<Answer, Error> {
    jail::enter()?;
    let path = std::path::absolute(config_path).map_err(Error::system("make the configuration's path absolute"))?;
    let recipe = Recipe::find(Kind::Vault, &path, None)?;
    let mut lanes = Lanes::take(&config.state)?;
    let lane = config.state.lane_admin();
    let sockets = vec![("lane-admin", lanes.listen(&lane)?)];
    let mut command = recipe.command(&sockets).map_err(Error::system("prepare a vault"))?;
    let mut vault = Own(command.spawn().map_err(Error::system("start a vault"))?);
    // The vault alone holds the socket now: if it ends before it has answered, the connection ends too.
    drop((command, sockets));
    let answer = ask::ask(&lane, question, PATIENCE);
    if !matches!(answer, Ok(None) | Err(Error::NoAnswer { .. })) {
        vault.end(FAREWELL);
        return answer.and_then(|answer| answer.ok_or_else(ask::beside_the_point));
    }
    match vault.wait(LAST_WORDS) {
        Some(end) if end.code() == Some(ipc::EXIT_CONFIG.into()) => Err(Error::RoomConfig),
        Some(end) => Err(Error::VaultDied(room::told(end))),
        None => Err(answer.err().unwrap_or(Error::NoVault { tried: lane.display().to_string() })),
    }
}

/// A child that ends with its owner.
struct Own(Child);

impl Own {
    fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            match self.0.try_wait() {
                Ok(None) if begun.elapsed() < patience => std::thread::sleep(Duration::from_millis(10)),
                ended => return ended.ok().flatten(),
            }
        }
    }

    fn end(&mut self, patience: Duration) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // Not reaped yet, so the pid is still this child's.
            let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
            self.wait(patience);
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn text(report: &InitReport, running: bool, config_path: &Path) -> String {
    let mut text = String::new();
    for (title, things) in [("Made", &report.made), ("Kept, for it was there", &report.kept)] {
        if !things.is_empty() {
            let lines: String = things.iter().map(|thing| format!("  {}\n", words::plain(thing))).collect();
            text += &format!("{title}:\n{lines}\n");
        }
    }
    if report.made.is_empty() {
        text += "Nothing was missing.\n\n";
    }
    text += &format!("Fingerprints (SHA-256 of the public keys):\n{}\n", words::table(&report.fingerprints));
    if !report.recipient.is_empty() {
        let recipient = words::plain(&report.recipient);
        text += &format!(
            "The token's age recipient (anybody can seal to it, this token alone can open):\n  {recipient}\n\n"
        );
    }
    text += &if running {
        "Next: see `signing-agent status`; a partner app can register the agent now.\n".to_owned()
    } else if config_path == Path::new(config::DEFAULT_PATH) {
        "Next: start the agent (`systemctl start signing-agent.target`, or `signing-agent run`).\n".to_owned()
    } else {
        format!("Next: `signing-agent run --config {}`\n", config_path.display())
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_was_made_what_was_kept_and_what_comes_next() {
        let report = InitReport {
            made: vec!["sealing key".into()],
            kept: vec!["identity key".into()],
            fingerprints: vec![("identity".into(), "ab12".into()), ("bls".into(), "cd34".into())],
            recipient: "age1tag1qqq".into(),
            warnings: Vec::new(),
        };
        assert_eq!(
            text(&report, false, Path::new("my.toml")),
            "Made:\n  sealing key\n\nKept, for it was there:\n  identity key\n\n\
             Fingerprints (SHA-256 of the public keys):\n  identity  ab12\n  bls       cd34\n\n\
             The token's age recipient (anybody can seal to it, this token alone can open):\n  age1tag1qqq\n\n\
             Next: `signing-agent run --config my.toml`\n"
        );
        let nothing = InitReport { made: Vec::new(), ..report };
        assert!(text(&nothing, true, Path::new("my.toml")).contains("Nothing was missing."));
    }
}
