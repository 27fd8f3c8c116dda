//! Asks that can be made where no vault runs: one is started for them.

use crate::ask::{self, Places};
use crate::error::Error;
use crate::handover::{Kind, Recipe};
use crate::lanes::Lanes;
use crate::room;
use config::Config;
use ipc::{Answer, Ask};
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// Tokens take their time to generate keys.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the vault has to end by itself.
const LAST_WORDS: Duration = Duration::from_secs(2);
const FAREWELL: Duration = Duration::from_secs(12);

/// The answer of the vault that runs, or else of one that is started for this ask; and whether it runs.
pub fn ask_any(config_path: &Path, question: &Ask) -> Result<(Answer, bool), Error> {
    with_any(config_path, PATIENCE, |ask| ask(question))
}

/// Asks the vault that runs, or else one that is started for these asks; and whether it runs.
pub fn with_any<T>(
    config_path: &Path,
    patience: Duration,
    work: impl FnOnce(&mut dyn FnMut(&Ask) -> Result<Answer, Error>) -> Result<T, Error>,
) -> Result<(T, bool), Error> {
    let places = Places::find(config_path)?;
    let mut own = None;
    let done = work(&mut |question| {
        if own.is_none() {
            match (places.ask(question, patience)?, &places.config) {
                (Some(answer), _) => return Ok(answer),
                (None, Some(config)) => own = Some(OwnVault::start(config_path, config)?),
                (None, None) => return Err(places.nobody()),
            }
        }
        own.as_mut().map_or_else(|| Err(places.nobody()), |own| own.ask(question, patience))
    });
    let runs = own.is_none();
    if let Some(mut own) = own {
        own.vault.end(FAREWELL);
    }
    Ok((done?, runs))
}

struct OwnVault {
    lane: PathBuf,
    vault: Own,
    _lanes: Lanes,
}

impl OwnVault {
    fn start(config_path: &Path, config: &Config) -> Result<OwnVault, Error> {
        jail::enter()?;
        let path = std::path::absolute(config_path).map_err(Error::system("make the configuration's path absolute"))?;
        let recipe = Recipe::find(Kind::Vault, &path, None)?;
        let mut lanes = Lanes::take(&config.state)?;
        let lane = config.state.lane_admin();
        let sockets = vec![("lane-admin", lanes.listen(&lane)?)];
        let mut command = recipe.command(&sockets).map_err(Error::system("prepare a vault"))?;
        let vault = Own(command.spawn().map_err(Error::system("start a vault"))?);
        // The vault alone holds the socket now: if it ends before it has answered, the connection ends too.
        drop((command, sockets));
        Ok(OwnVault { lane, vault, _lanes: lanes })
    }

    fn ask(&mut self, question: &Ask, patience: Duration) -> Result<Answer, Error> {
        let answer = ask::ask(&self.lane, question, patience);
        if !matches!(answer, Ok(None) | Err(Error::NoAnswer { .. })) {
            return answer.and_then(|answer| answer.ok_or_else(ask::beside_the_point));
        }
        match self.vault.wait(LAST_WORDS) {
            Some(end) if end.code() == Some(ipc::EXIT_CONFIG.into()) => Err(Error::RoomConfig),
            Some(end) => Err(Error::VaultDied(room::told(end))),
            None => Err(answer.err().unwrap_or(Error::NoVault { tried: self.lane.display().to_string() })),
        }
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
