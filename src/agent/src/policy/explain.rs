//! `signing-agent policy explain`: an action's facts, and how each rule sees them.

use super::source::{Source, now, time};
use super::{Explain, known, screen};
use crate::context::Context;
use crate::error::Error;
use ::policy::{Action, Explanation};
use ipc::KnownAction;

/// What is told.
pub struct Told {
    /// `None`: the command line gave the messages.
    pub known: Option<KnownAction>,
    pub claim: Option<String>,
    pub expires: Option<u64>,
    /// As what time it was judged, and in words why so.
    pub at: u64,
    pub at_words: &'static str,
    pub source: Source,
    pub explanation: Explanation,
}

pub fn explain(context: &Context, what: &Explain) -> Result<(), Error> {
    // A policy and messages of the command line need neither a vault nor a configuration.
    let places = if what.action.is_some() || what.policy.is_none() { Some(context.places()?) } else { None };
    let known = match (&what.action, &places) {
        (Some(id), Some(places)) => Some(known::action(places, id)?),
        _ => None,
    };
    let source = match (&what.policy, &places) {
        (Some(file), _) => Source::of_file(file)?,
        (None, Some(places)) => Source::in_force(places)?,
        (None, None) => return Err(Error::Policy("name a policy: --policy FILE".into())),
    };
    let (claim, expires, messages) = match &known {
        Some(known) if known.messages.is_empty() => {
            return Err(Error::Policy(format!(
                "{} is {}, and its messages were never fetched: there is nothing to explain",
                known.id, known.state
            )));
        }
        Some(known) => (known.claim.clone(), known.expires, known.messages.clone()),
        None => {
            let expires = what.expires.as_deref().map(|text| time("--expires", text)).transpose()?;
            (what.claim.clone(), expires, octets(&what.message)?)
        }
    };
    let (at, at_words) = match (&what.at, &known) {
        (Some(text), _) => (time("--at", text)?, "as was asked"),
        (None, Some(known)) if known::is_settled(known) => (known.seen, "when it was first seen"),
        (None, _) => (now(), "now"),
    };
    let action = Action { claimed_type: claim.as_deref(), messages: &messages, expires, now: Some(at) };
    let explanation = source.policy.explain(&action);
    let told = Told { known, claim, expires, at, at_words, source, explanation };
    context.tell(|| screen::text(&told), || serde_json::json!(screen::report(&told)))
}

fn octets(messages: &[String]) -> Result<Vec<Vec<u8>>, Error> {
    let read = |text: &String| hex::decode(text.trim()).map_err(|e| Error::Policy(format!("--message is no hex: {e}")));
    messages.iter().map(read).collect()
}
