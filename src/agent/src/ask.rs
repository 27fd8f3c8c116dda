//! Finds the admin lane, and asks there.

use crate::error::Error;
use crate::progress::Progress;
use config::Config;
use ipc::{Answer, Ask};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Names the admin lane; then no other is tried, and the configuration is not needed.
pub const ADMIN_LANE_VARIABLE: &str = "SIGNING_AGENT_ADMIN_LANE";

/// Where the admin lane may be.
#[derive(Debug)]
pub struct Places {
    pub lanes: Vec<PathBuf>,
    /// `None` where the environment names the lane, or who asks may not read it.
    pub config: Option<Config>,
}

impl Places {
    /// The environment's lane; else that of a `run` with this configuration, and for the system's configuration that of systemd's
    /// sockets too. (Another configuration's agent is not the system's: its `init` must not reach the system's token.)
    pub fn find(config_path: &Path) -> Result<Places, Error> {
        if let Some(lane) = std::env::var_os(ADMIN_LANE_VARIABLE) {
            return Ok(Places { lanes: vec![lane.into()], config: None });
        }
        Self::of(config::load(config_path), config_path == Path::new(config::DEFAULT_PATH))
    }

    fn of(config: Result<Config, config::Error>, is_the_systems: bool) -> Result<Places, Error> {
        let system_lane = is_the_systems.then(|| Path::new(ipc::SYSTEM_LANES).join("admin.sock"));
        match config {
            Ok(config) => {
                let lanes = std::iter::once(config.state.lane_admin()).chain(system_lane).collect();
                Ok(Places { lanes, config: Some(config) })
            }
            // The lane's group need not read the configuration.
            Err(config::Error::Read { source, .. })
                if is_the_systems && source.kind() == ErrorKind::PermissionDenied =>
            {
                Ok(Places { lanes: system_lane.into_iter().collect(), config: None })
            }
            Err(e) => Err(e.into()),
        }
    }

    /// The first vault's answer; `None` where nobody listens. A refusal is an error.
    pub fn ask(&self, question: &Ask, patience: Duration) -> Result<Option<Answer>, Error> {
        let _progress = Progress::of("waiting for the vault", "");
        self.ask_unseen(question, patience)
    }

    /// The same, where somebody else tells how it goes on.
    pub fn ask_unseen(&self, question: &Ask, patience: Duration) -> Result<Option<Answer>, Error> {
        for lane in &self.lanes {
            if let Some(answer) = ask(lane, question, patience)? {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    pub fn nobody(&self) -> Error {
        let tried: Vec<String> = self.lanes.iter().map(|lane| lane.display().to_string()).collect();
        Error::NoVault { tried: tried.join(", ") }
    }
}

/// The answer of the vault on this lane; `None` where nobody listens. A refusal is an error.
pub fn ask(lane: &Path, question: &Ask, patience: Duration) -> Result<Option<Answer>, Error> {
    let no_answer = |why: String| Err(Error::NoAnswer { lane: lane.to_owned(), why });
    match ipc::ask_once(lane, question, patience) {
        Ok(Answer::Refused(refusal)) => Err(Error::RefusedBy(refusal)),
        Ok(answer) => Ok(Some(answer)),
        Err(ipc::Error::Io(cause)) => match cause.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Ok(None),
            ErrorKind::PermissionDenied => Err(Error::Closed { lane: lane.to_owned(), cause }),
            // What a socket's timeout is called.
            ErrorKind::WouldBlock | ErrorKind::TimedOut => no_answer(format!("{} s have passed", patience.as_secs())),
            _ => no_answer(cause.to_string()),
        },
        Err(cause) => no_answer(cause.to_string()),
    }
}

/// An answer that is none to this ask.
pub fn beside_the_point() -> Error {
    Error::Refused("its answer is not one to this question; are this program and the vault of one version?".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_read_the_systems_configuration_asks_by_the_systems_lane_and_no_other() {
        let unread =
            |kind: ErrorKind| Err(config::Error::Read { path: config::DEFAULT_PATH.into(), source: kind.into() });
        let places = Places::of(unread(ErrorKind::PermissionDenied), true).unwrap();
        assert_eq!(places.lanes, [Path::new(ipc::SYSTEM_LANES).join("admin.sock")]);
        assert!(places.config.is_none());
        for (kind, system) in [(ErrorKind::PermissionDenied, false), (ErrorKind::NotFound, true)] {
            assert!(matches!(Places::of(unread(kind), system), Err(Error::Config(_))), "{kind:?} {system}");
        }
    }
}
