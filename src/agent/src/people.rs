//! `signing-agent statement`, `approve` and `reject`: a person's word on a held action.

use crate::ask;
use crate::change::{Brought, Drafting, read};
use crate::context::Context;
use crate::error::Error;
use crate::words;
use clap::Args;
use ipc::{ActionId, Answer, Ask, Change, Credentials, Secret, StatementDraft, Verb};
use serde_json::json;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

/// The vault answers a decision once the backend has accepted it, and waits for that as long as for a client's.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Args)]
pub struct Draft {
    /// The action's id, as the feed and `actions list` have it.
    action: String,
    /// For its rejection; for its approval if absent.
    #[arg(long)]
    reject: bool,
    /// How long it is good for: 90s, 30m, 1h, 7d; seven days at the most.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = words::duration)]
    expires: Duration,
}

#[derive(Args)]
pub struct Decision {
    /// The action's id.
    action: String,
    #[command(flatten)]
    brought: Brought,
    /// A file with a bearer token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Args)]
pub struct Approval {
    #[command(flatten)]
    decision: Decision,
    #[command(flatten)]
    drafting: Drafting,
    /// What is brought is of the change signers, over a --draft: they release what nobody else must release.
    #[arg(long, requires = "statement", conflicts_with = "token_file")]
    change: bool,
}

/// Approves it, by whatever lets it go.
pub fn approve(context: &Context, approval: &Approval) -> Result<(), Error> {
    let Approval { decision, drafting, change } = approval;
    let release = || Ok::<_, Error>(Change::Release { action: action(&decision.action)? });
    if let Some(file) = &drafting.draft {
        return drafting.write(context, file, release()?, |question| context.ask(question, PATIENCE));
    }
    let credentials = credentials(decision)?;
    let question = if *change || credentials.is_empty() {
        Ask::Change { change: release()?, statements: credentials.statements }
    } else {
        Ask::Decide { action: action(&decision.action)?, verb: Verb::Approve, credentials }
    };
    decide(context, Verb::Approve, decision, &question)
}

/// Rejects it, with what was brought.
pub fn reject(context: &Context, decision: &Decision) -> Result<(), Error> {
    let (action, credentials) = (action(&decision.action)?, credentials(decision)?);
    decide(context, Verb::Reject, decision, &Ask::Decide { action, verb: Verb::Reject, credentials })
}

/// Prints what is to be signed, and says on stderr what that is about.
pub fn statement(context: &Context, draft: Draft) -> Result<(), Error> {
    let verb = if draft.reject { Verb::Reject } else { Verb::Approve };
    let seconds = draft.expires.as_secs();
    match context.ask(&Ask::Statement { action: action(&draft.action)?, verb, seconds }, PATIENCE)? {
        Answer::Statement(StatementDraft { text, facts, words: why }) => {
            context.tell(|| text.clone(), || json!({ "statement": text, "facts": facts, "words": why }))?;
            if context.json {
                return Ok(());
            }
            let mut about: String = facts.iter().map(|facts| format!("  {}\n", words::plain(facts))).collect();
            about += &format!("  {}\n", words::plain(&why));
            let hint = "Look at it, write it to a file as it is, and sign that: ssh-keygen -Y sign -n signing-agent -f KEY FILE";
            // Where stderr is closed there is nobody to tell.
            let _ = write!(io::stderr(), "The action:\n{about}{hint}\n");
            Ok(())
        }
        _ => Err(ask::beside_the_point()),
    }
}

fn decide(context: &Context, verb: Verb, decision: &Decision, question: &Ask) -> Result<(), Error> {
    let answer = context.ask(question, PATIENCE)?;
    let action = &decision.action;
    match answer {
        Answer::Decided { verb: done } if done == verb => {
            let (done, status) =
                if verb == Verb::Approve { ("Approved", "approved") } else { ("Rejected", "rejected") };
            context.tell(|| format!("{done}: {action}\n"), || json!({ "actionID": action, "status": status }))
        }
        Answer::Counted { have, needed, words: missing } => {
            let text = || format!("Counted: {have} of {needed}; held. Missing: {}\n", words::plain(&missing));
            let value =
                || json!({ "actionID": action, "status": "held", "have": have, "needed": needed, "missing": missing });
            context.tell(text, value)?;
            Err(Error::Counted)
        }
        _ => Err(ask::beside_the_point()),
    }
}

fn credentials(decision: &Decision) -> Result<Credentials, Error> {
    let Decision { brought, token_file, .. } = decision;
    let bearer = match token_file {
        // A newline at its end is the editor's.
        Some(path) => Some(Secret::new(read(path, ipc::MAX_BEARER + 1)?.trim().to_owned())),
        None => None,
    };
    Ok(Credentials { bearer, statements: brought.statements()? })
}

pub fn action(text: &str) -> Result<ActionId, Error> {
    ActionId::try_from(text.to_owned()).map_err(|e| Error::Usage(e.to_string()))
}
