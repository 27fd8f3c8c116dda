//! `signing-agent statement`, `approve` and `reject`: a person's word on a held action.

use crate::ask::{self, Places};
use crate::error::Error;
use crate::words;
use clap::Args;
use ipc::{ActionId, Answer, Ask, Change, Credentials, Secret, SignedStatement, StatementDraft, Verb};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The vault answers a decision once the backend has accepted it, and waits for that as long as for a client's.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Args)]
pub struct Draft {
    /// The action's id, as the feed has it.
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
pub fn statement(config_path: &Path, draft: Draft) -> Result<(), Error> {
    let verb = if draft.reject { Verb::Reject } else { Verb::Approve };
    let seconds = draft.expires.as_secs();
    let places = Places::find(config_path)?;
    match places.ask(&Ask::Statement { action: action(&draft.action)?, verb, seconds }, PATIENCE)? {
        None => Err(places.nobody()),
        Some(Answer::Statement(StatementDraft { text, facts, words: why })) => {
            words::print(&text)?;
            let mut about: String = facts.iter().map(|facts| format!("  {}\n", words::plain(facts))).collect();
            about += &format!("  {}\n", words::plain(&why));
            let hint = "Look at it, write it to a file as it is, and sign that: ssh-keygen -Y sign -n signing-agent -f KEY FILE";
            // Where stderr is closed there is nobody to tell.
            let _ = write!(io::stderr(), "The action:\n{about}{hint}\n");
            Ok(())
        }
        Some(_) => Err(ask::beside_the_point()),
    }
}

/// Approves or rejects it, with what was brought.
pub fn decide(config_path: &Path, verb: Verb, decision: Decision) -> Result<(), Error> {
    let id = action(&decision.action)?;
    let credentials = credentials(&decision)?;
    let places = Places::find(config_path)?;
    let question = match verb {
        Verb::Approve if credentials.is_empty() => {
            Ask::Change { change: Change::Release { action: id }, statements: Vec::new() }
        }
        _ => Ask::Decide { action: id, verb, credentials },
    };
    match places.ask(&question, PATIENCE)? {
        None => Err(places.nobody()),
        Some(Answer::Decided { verb: done }) if done == verb => {
            let done = if verb == Verb::Approve { "Approved" } else { "Rejected" };
            words::print(&format!("{done}: {}\n", decision.action))
        }
        Some(Answer::Counted { have, needed, words: missing }) => {
            words::print(&format!("Counted: {have} of {needed}; held. Missing: {}\n", words::plain(&missing)))?;
            Err(Error::Counted)
        }
        Some(_) => Err(ask::beside_the_point()),
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

fn action(text: &str) -> Result<ActionId, Error> {
    ActionId::try_from(text.to_owned()).map_err(|e| Error::Action(e.to_string()))
}
