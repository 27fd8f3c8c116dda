//! `signing-agent statement`, `approve` and `reject`: a person's word on a held action.

use crate::ask;
use crate::context::Context;
use crate::error::Error;
use crate::words;
use clap::Args;
use ipc::{ActionId, Answer, Ask, Change, Credentials, Secret, SignedStatement, StatementDraft, Verb};
use serde_json::json;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
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
    /// A statement that `signing-agent statement` wrote; with --signature, and again for each person.
    #[arg(long, value_name = "FILE", requires = "signature")]
    statement: Vec<PathBuf>,
    /// The signature that `ssh-keygen -Y sign` made of it, in the same order.
    #[arg(long, value_name = "FILE", requires = "statement")]
    signature: Vec<PathBuf>,
    /// A file with a bearer token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
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

/// Approves or rejects it, with what was brought.
pub fn decide(context: &Context, verb: Verb, decision: Decision) -> Result<(), Error> {
    let id = action(&decision.action)?;
    let credentials = credentials(&decision)?;
    let answer = match verb {
        Verb::Approve if credentials.is_empty() => context.change(Change::Release { action: id }, PATIENCE)?,
        _ => context.ask(&Ask::Decide { action: id, verb, credentials }, PATIENCE)?,
    };
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
    let Decision { statement, signature, token_file, .. } = decision;
    if statement.len() != signature.len() || statement.len() > ipc::MAX_STATEMENTS {
        return Err(Error::Pairs(ipc::MAX_STATEMENTS));
    }
    let pairs = statement.iter().zip(signature).map(|(statement, signature)| {
        Ok(SignedStatement {
            statement: read(statement, ipc::MAX_STATEMENT)?,
            signature: read(signature, ipc::MAX_SIGNATURE)?,
        })
    });
    let bearer = match token_file {
        // A newline at its end is the editor's.
        Some(path) => Some(Secret::new(read(path, ipc::MAX_BEARER + 1)?.trim().to_owned())),
        None => None,
    };
    Ok(Credentials { bearer, statements: pairs.collect::<Result<_, Error>>()? })
}

/// A file's octets, which are text and so many at the most.
fn read(path: &Path, most: usize) -> Result<String, Error> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(most as u64 + 1).read_to_string(&mut text));
    match read {
        Ok(octets) if octets <= most => Ok(text),
        Ok(_) => Err(Error::at(path)(io::Error::other(format!("longer than {most} octets: it is something else")))),
        Err(e) => Err(Error::at(path)(e)),
    }
}

pub fn action(text: &str) -> Result<ActionId, Error> {
    ActionId::try_from(text.to_owned()).map_err(|e| Error::Usage(e.to_string()))
}
