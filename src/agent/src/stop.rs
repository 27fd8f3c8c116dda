//! `signing-agent freeze`, `unfreeze`, `confirm-clock` and `recover`: what an operator does when something is wrong, and after.

use crate::ask;
use crate::change::Signed;
use crate::context::{Context, PATIENCE};
use crate::error::Error;
use crate::{own_vault, words};
use ipc::{Answer, Ask, Change};
use serde_json::{Value, json};

/// Stops all signing.
pub fn freeze(context: &Context) -> Result<(), Error> {
    let text = "Frozen: nothing is signed, and what policy would approve is held, also after a restart, until\n\
                `signing-agent unfreeze`. Rejections go on.\n";
    noted(context, context.ask(&Ask::Freeze, PATIENCE)?, text, json!({ "frozen": true }))
}

/// Allows it again.
pub fn unfreeze(context: &Context, signed: &Signed) -> Result<(), Error> {
    let text = "Unfrozen. Approvals that were on their way go on; what was held meanwhile waits for the partner app.\n";
    let answer = context.change(Change::Unfreeze, signed, PATIENCE)?;
    answer.map_or(Ok(()), |answer| noted(context, answer, text, json!({ "frozen": false })))
}

/// The wall clock, which jumped, is right.
pub fn confirm_clock(context: &Context, signed: &Signed) -> Result<(), Error> {
    let text = "The wall clock is taken as it is now, on record. What was held for nothing but the clock is judged now;\n\
                windows go by the agent's own time and are as full as they were.\n";
    let answer = context.change(Change::ConfirmClock, signed, PATIENCE)?;
    answer.map_or(Ok(()), |answer| noted(context, answer, text, json!({ "confirmed": true })))
}

/// The windows of a ledger that was restored are as it has them.
pub fn confirm_windows(context: &Context, signed: &Signed) -> Result<(), Error> {
    let text = "The windows are taken as the ledger has them, on record. What was held for them is judged anew.\n";
    let answer = context.change(Change::ConfirmWindows, signed, PATIENCE)?;
    answer.map_or(Ok(()), |answer| noted(context, answer, text, json!({ "confirmed": true })))
}

/// Takes the state directory as it is, although the token remembers a later one.
pub fn recover(context: &Context, accept_rollback: bool, signed: &Signed) -> Result<(), Error> {
    if !accept_rollback {
        return Err(Error::NotAccepted);
    }
    let asks = |question: &Ask| own_vault::ask_any(&context.config, question).map(|(answer, _)| answer);
    match signed.ask(context, Change::AcceptRollback, asks)? {
        None => Ok(()),
        Some(Answer::Recovered(told)) => {
            context.tell(|| format!("{}\n", words::plain(&told)), || json!({ "recovered": told }))
        }
        Some(_) => Err(ask::beside_the_point()),
    }
}

fn noted(context: &Context, answer: Answer, text: &str, value: Value) -> Result<(), Error> {
    match answer {
        Answer::Noted => context.tell(|| text.to_owned(), || value),
        _ => Err(ask::beside_the_point()),
    }
}
