//! Asks that can be made where no vault runs: one is started for them.

use crate::ask::{self, Places};
use crate::error::Error;
use crate::handover::{Kind, Recipe};
use crate::lanes::Lanes;
use crate::room;
use config::Config;
use ipc::{Answer, Ask};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// Tokens take their time to generate keys.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the vault has to end by itself.
const LAST_WORDS: Duration = Duration::from_secs(2);
const FAREWELL: Duration = Duration::from_secs(12);

/// The answer of the vault that runs, or else of one that is started for this ask; and whether it runs.
pub fn ask_any(config_path: &Path, question: &Ask) -> Result<(Answer, bool), Error> {
    let places = Places::find(config_path)?;
    match (places.ask(question, PATIENCE)?, &places.config) {
        (Some(answer), _) => Ok((answer, true)),
        (None, Some(config)) => Ok((ask_a_vault_of_our_own(config_path, config, question)?, false)),
        (None, None) => Err(places.nobody()),
    }
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
