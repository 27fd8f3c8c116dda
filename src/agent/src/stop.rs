//! `signing-agent freeze`, `unfreeze`, `confirm-clock` and `recover`: what an operator does when something is wrong, and after.

use crate::ask::{self, Places};
use crate::change::Signed;
use crate::error::Error;
use crate::{own_vault, words};
use ipc::{Answer, Ask, Change};
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// Stops all signing.
pub fn freeze(config_path: &Path) -> Result<(), Error> {
    let places = Places::find(config_path)?;
    match places.ask(&Ask::Freeze, PATIENCE)? {
        None => Err(places.nobody()),
        Some(Answer::Noted) => words::print(
            "Frozen: nothing is signed, and what policy would approve is held, also after a restart, until\n\
             `signing-agent unfreeze`. Rejections go on.\n",
        ),
        Some(_) => Err(ask::beside_the_point()),
    }
}

/// Allows it again.
pub fn unfreeze(config_path: &Path, signed: &Signed) -> Result<(), Error> {
    match change(config_path, Change::Unfreeze, signed)? {
        None => Ok(()),
        Some(Answer::Noted) => words::print(
            "Unfrozen. Approvals that were on their way go on; what was held meanwhile waits for the partner app.\n",
        ),
        Some(_) => Err(ask::beside_the_point()),
    }
}

/// The wall clock, which jumped, is right.
pub fn confirm_clock(config_path: &Path, signed: &Signed) -> Result<(), Error> {
    match change(config_path, Change::ConfirmClock, signed)? {
        None => Ok(()),
        Some(Answer::Noted) => words::print(
            "The wall clock is taken as it is now, on record. What was held for nothing but the clock is judged now;\n\
             windows go by the agent's own time and are as full as they were.\n",
        ),
        Some(_) => Err(ask::beside_the_point()),
    }
}

/// Takes the state directory as it is, although the token remembers a later one.
pub fn recover(config_path: &Path, accept_rollback: bool, signed: &Signed) -> Result<(), Error> {
    if !accept_rollback {
        return Err(Error::NotAccepted);
    }
    let asks = |question: &Ask| own_vault::ask_any(config_path, question).map(|(answer, _)| answer);
    match signed.ask(Change::AcceptRollback, asks)? {
        None => Ok(()),
        Some(Answer::Recovered(told)) => words::print(&format!("{}\n", words::plain(&told))),
        Some(_) => Err(ask::beside_the_point()),
    }
}

/// Of the vault that runs; `None` where it was only drafted.
fn change(config_path: &Path, change: Change, signed: &Signed) -> Result<Option<Answer>, Error> {
    let places = Places::find(config_path)?;
    signed.ask(change, |question| places.ask(question, PATIENCE)?.ok_or_else(|| places.nobody()))
}
