//! What the vault knows of actions.

use super::source::PATIENCE;
use crate::ask::{self, Places};
use crate::error::Error;
use ::policy::Verdict;
use ipc::{ActionId, ActionPage, Answer, Ask, KnownAction};

pub fn action(places: &Places, id: &str) -> Result<KnownAction, Error> {
    let id = ActionId::try_from(id.to_owned()).map_err(|e| Error::Policy(e.to_string()))?;
    match places.ask(&Ask::Action(id.clone()), PATIENCE)?.ok_or_else(|| places.nobody())? {
        Answer::Action(Some(known)) => Ok(*known),
        Answer::Action(None) => {
            Err(Error::Policy(format!("the ledger has no action {id}: neither the feed nor a client has named it yet")))
        }
        _ => Err(ask::beside_the_point()),
    }
}

/// All since then, in the order in which they were first seen.
pub fn since(places: &Places, since: u64, mut each: impl FnMut(KnownAction)) -> Result<(), Error> {
    let mut after = None;
    loop {
        let question = Ask::ActionsSince { since, after: after.take() };
        let Answer::ActionPage(ActionPage { actions, more }) =
            places.ask_unseen(&question, PATIENCE)?.ok_or_else(|| places.nobody())?
        else {
            return Err(ask::beside_the_point());
        };
        after = actions.last().map(|last| (last.seen, last.id.clone()));
        actions.into_iter().for_each(&mut each);
        if !more || after.is_none() {
            return Ok(());
        }
    }
}

/// What the policy of then made of it: what it was not asked for, or what it left to others, it held.
pub fn verdict_of_then(action: &KnownAction) -> Verdict {
    ::policy::report::Then::verdict_of(action.decided_by.as_deref(), action.verdict.as_deref())
}

/// Whether somebody other than the policy let it go.
pub fn was_released(action: &KnownAction) -> bool {
    let approved = matches!(action.state.as_str(), "approving" | "approved" | "failed" | "unknown");
    approved && action.decided_by.as_deref().is_some_and(|by| by != "policy")
}

/// Whether nothing more comes of it.
pub fn is_settled(action: &KnownAction) -> bool {
    !matches!(action.state.as_str(), "seen" | "held")
}
