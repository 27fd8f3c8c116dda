//! The vault's part: asked by its lane; where none answers, `signing-agent-vault --check` looks in its place.

use super::alone;
use super::found::{fault, good, unknown, warning};
use crate::ask::{ADMIN_LANE_VARIABLE, Places};
use crate::error::Error;
use config::Config;
use ipc::{Answer, Ask, Finding, FindingHealth};
use std::path::Path;
use std::time::Duration;

/// Longer than the vault gives the token and the ledger.
const PATIENCE: Duration = Duration::from_secs(45);
/// A registration window that is open for longer is told of, seconds.
const LONG: u64 = 60 * 60;

/// What it said, or what was seen in its place.
pub struct Report {
    pub findings: Vec<Finding>,
    /// A vault answered.
    pub answered: bool,
    /// Who looked, in words.
    pub by: String,
}

pub fn ask(path: &Path, config: Option<&Config>) -> Report {
    let places = places(path, config);
    let found = match places.ask(&Ask::Doctor, PATIENCE) {
        Ok(Some(Answer::Findings(mut findings))) => {
            findings.insert(0, good("vault", "it answers"));
            findings.extend(registration(&places));
            return Report { findings, answered: true, by: "the vault, by its lane".into() };
        }
        Ok(Some(_)) => fault(
            "vault",
            "its answer is not one to this question",
            "install the command and the rooms of one version together, and restart the agent",
        ),
        Ok(None) => fault(
            "vault",
            places.nobody(),
            "`systemctl start signing-agent.target`, or `signing-agent run`; if it does not stay up, the other faults here and its log say why",
        ),
        Err(e @ Error::Closed { .. }) => {
            unknown("vault", e, "type this as root, or as a member of the group signing-agent-admin")
        }
        // It hangs; or it was started for this connection, and did not stay.
        Err(e) => fault(
            "vault",
            e,
            "its log says why (`journalctl -u signing-agent-vault`); `systemctl restart signing-agent.target` when that is put right",
        ),
    };
    let (mut findings, by) = match config {
        Some(config) if found.health == FindingHealth::Fault => alone::look(path, config),
        _ => (Vec::new(), "this command alone".into()),
    };
    findings.insert(0, found);
    Report { findings, answered: false, by }
}

/// As for any other ask; with a configuration that cannot be read the system's lane is left.
fn places(path: &Path, config: Option<&Config>) -> Places {
    match Places::find(path) {
        Ok(places) => places,
        Err(_) if std::env::var_os(ADMIN_LANE_VARIABLE).is_none() && path != Path::new(config::DEFAULT_PATH) => {
            Places { lanes: Vec::new(), config: config.cloned() }
        }
        Err(_) => Places { lanes: vec![Path::new(ipc::SYSTEM_LANES).join("admin.sock")], config: None },
    }
}

fn registration(places: &Places) -> Option<Finding> {
    const CHECK: &str = "registration-window";
    match places.ask(&Ask::RegistrationWindow, PATIENCE) {
        Ok(Some(Answer::RegistrationWindow(Some(seconds)))) if seconds > LONG => Some(warning(
            CHECK,
            format!("whoever may register can do so for {} minutes still", seconds / 60),
            "`signing-agent registration close`, and open it when it is needed",
        )),
        Ok(Some(Answer::RegistrationWindow(Some(seconds)))) => {
            Some(good(CHECK, format!("open for {} minutes still", seconds.div_ceil(60))))
        }
        Ok(Some(Answer::RegistrationWindow(None))) => Some(good(CHECK, "closed")),
        _ => None,
    }
}
