//! `signing-agent callback-key`: what an answerer of the operator's verifies the agent's questions with (docs/callback.md).

use crate::ask::{self, Places};
use crate::error::Error;
use crate::words;
use ::audit::VerifyingKey;
use ipc::{Answer, Ask};
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

pub fn print(config_path: &Path) -> Result<(), Error> {
    let places = Places::find(config_path)?;
    let status = match places.ask(&Ask::Status, PATIENCE)? {
        None => return Err(places.nobody()),
        Some(Answer::Status(status)) => status,
        Some(_) => return Err(ask::beside_the_point()),
    };
    // The key of the checkpoints is the audit key; the other name that it goes by is left away.
    let key = status.audit.and_then(|audit| audit.key.parse::<VerifyingKey>().ok());
    match key {
        Some(key) => words::print(&key.pem()),
        None => Err(Error::Refused(status.trouble.map_or_else(
            || "the vault did not say its audit key".into(),
            |trouble| format!("the vault cannot say its audit key: {}", words::plain(&trouble)),
        ))),
    }
}
