//! `signing-agent freeze`, `unfreeze`, `confirm-clock` and `recover`: what an operator does when something is wrong, and after.

use crate::ask::{self, Places};
use crate::error::Error;
use crate::{own_vault, words};
use ipc::{Answer, Ask, Change};
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// Stops all signing, or allows it again.
pub fn freeze(config_path: &Path, frozen: bool) -> Result<(), Error> {
    let places = Places::find(config_path)?;
    let unfreeze = || Ask::Change { change: Change::Unfreeze, statements: Vec::new() };
    match places.ask(&if frozen { Ask::Freeze } else { unfreeze() }, PATIENCE)? {
        None => Err(places.nobody()),
        Some(Answer::Noted) if frozen => words::print(
            "Frozen: nothing is signed, and what policy would approve is held, also after a restart, until\n\
             `signing-agent unfreeze`. Rejections go on.\n",
        ),
        Some(Answer::Noted) => words::print(
            "Unfrozen. Approvals that were on their way go on; what was held meanwhile waits for the partner app.\n",
        ),
        Some(_) => Err(ask::beside_the_point()),
    }
}

/// The wall clock, which jumped, is right.
pub fn confirm_clock(config_path: &Path) -> Result<(), Error> {
    let places = Places::find(config_path)?;
    match places.ask(&Ask::Change { change: Change::ConfirmClock, statements: Vec::new() }, PATIENCE)? {
        None => Err(places.nobody()),
        Some(Answer::Noted) => words::print(
            "The wall clock is taken as it is now, on record. What was held for nothing but the clock is judged now;\n\
             windows go by the agent's own time and are as full as they were.\n",
        ),
        Some(_) => Err(ask::beside_the_point()),
    }
}

/// Takes the state directory as it is, although the token remembers a later one.
pub fn recover(config_path: &Path, accept_rollback: bool) -> Result<(), Error> {
    if !accept_rollback {
        return Err(Error::NotAccepted);
    }
    let (Answer::Recovered(told), _) =
        own_vault::ask_any(config_path, &Ask::Change { change: Change::AcceptRollback, statements: Vec::new() })?
    else {
        return Err(ask::beside_the_point());
    };
    words::print(&format!("{}\n", words::plain(&told)))
}
