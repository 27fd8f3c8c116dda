//! `signing-agent register`: for those who have no partner app. Secrets come by files, by stdin or by a prompt that shows nothing,
//! never by the command line or the environment, which others can read.

use crate::ask;
use crate::context::Context;
use crate::error::Error;
use crate::{layout, terminal, words};
use clap::Args;
use ipc::{AccessFault, Answer, Ask, MAX_NAME, MAX_PRIVATE_KEY, Refusal, Secret, Status};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// The backend is asked twice, and once more where a pass came late.
const PATIENCE: Duration = Duration::from_secs(200);

#[derive(Args)]
pub struct Options {
    /// The agent's name at the custody backend.
    #[arg(long)]
    name: String,
    /// A file with the Partner API's key.
    #[arg(long, value_name = "FILE", conflicts_with = "api_key_stdin")]
    api_key_file: Option<PathBuf>,
    /// It comes on stdin.
    #[arg(long)]
    api_key_stdin: bool,
    /// A file with the RSA key for the Partner API (PEM); the sealed partner key signs if absent.
    #[arg(long, value_name = "FILE")]
    private_key_file: Option<PathBuf>,
}

pub fn register(context: &Context, options: &Options) -> Result<(), Error> {
    may_begin(context, options)?;
    let private_key =
        options.private_key_file.as_deref().map(|path| of_file(context, path, MAX_PRIVATE_KEY)).transpose()?;
    let api_key = match &options.api_key_file {
        Some(path) => of_file(context, path, MAX_NAME * 4)?,
        None if options.api_key_stdin => {
            // The descriptor itself: std's stdin keeps what it has read.
            let stdin = io::stdin().as_fd().try_clone_to_owned().map(File::from);
            stdin
                .and_then(|mut stdin| read(&mut stdin, MAX_NAME * 4))
                .map_err(Error::system("read the API key on stdin"))?
        }
        None => trimmed(&terminal::secret("API key (it is not shown): ", MAX_NAME * 4)?),
    };
    let question = Ask::Register { name: options.name.clone(), api_key, private_key };
    let Answer::Registered { agent_id } = context.ask(&question, PATIENCE)? else {
        return Err(ask::beside_the_point());
    };
    drop(question);
    let status = context.status()?;
    let feed = context.places()?.config.map(|config| config.api.feed_url(config.api.listen));
    context.tell(|| text(&agent_id, feed.as_deref(), &status), || as_json(&agent_id, feed.as_deref(), &status))
}

/// What would be refused anyway is refused before a secret is asked for.
fn may_begin(context: &Context, options: &Options) -> Result<(), Error> {
    if context.status()?.agent.is_some() {
        return Err(Error::RefusedBy(Refusal::AlreadyRegistered));
    }
    if let Answer::RegistrationWindow(None) = context.ask(&Ask::RegistrationWindow, PATIENCE)? {
        return Err(Error::RefusedBy(Refusal::Access(AccessFault::RegistrationClosed)));
    }
    if options.private_key_file.is_none() {
        context.ask(&Ask::PartnerKey { make: false }, PATIENCE)?;
    }
    Ok(())
}

fn text(agent_id: &str, feed: Option<&str>, status: &Status) -> String {
    let width = terminal::Look::of_stdout().width;
    let mut rows = vec![("agentID".to_owned(), agent_id.to_owned())];
    rows.extend(feed.map(|feed| ("its feed for your app".to_owned(), feed.to_owned())));
    let advice = "Compare the agentID and the fingerprints with what the custody console shows, before the agent joins a custody \
                  group: it is how you notice somebody in between.";
    format!(
        "Registered.\n{}\nFingerprints (SHA-256 of the public keys):\n{}\n{}",
        layout::rows(&rows, width),
        layout::rows(&status.fingerprints, width),
        layout::paragraph(advice, 0, width)
    )
}

fn as_json(agent_id: &str, feed: Option<&str>, status: &Status) -> Value {
    let fingerprints: Map<String, Value> =
        status.fingerprints.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({ "agentID": agent_id, "feedURL": feed, "fingerprints": fingerprints })
}

fn of_file(context: &Context, path: &Path, most: usize) -> Result<Secret, Error> {
    let mut file = File::open(path).map_err(Error::at(path))?;
    if file.metadata().is_ok_and(|about| about.is_file() && about.mode() & 0o077 != 0) {
        context.note(&format!("warning: others can read {}: chmod 600", words::plain(&path.display().to_string())));
    }
    read(&mut file, most).map_err(Error::at(path))
}

/// Text of so many octets at the most, which is wiped here.
fn read(from: &mut dyn Read, most: usize) -> io::Result<Secret> {
    // Room for all of it before the first octet: a growing string would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(most + 2));
    if from.take(most as u64 + 1).read_to_string(&mut text)? > most {
        return Err(io::Error::other(format!("longer than {most} octets: it is something else")));
    }
    if text.trim().is_empty() {
        return Err(io::Error::other("there is nothing in it"));
    }
    Ok(trimmed(&text))
}

/// A newline at its end is the editor's.
fn trimmed(text: &str) -> Secret {
    Secret::new(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_whole_without_its_newline_or_not_at_all() {
        assert_eq!(read(&mut &b" key\n"[..], 8).unwrap().expose(), "key");
        for bad in [&b""[..], b"\n \n", b"far too long a key", b"\xff\xfe"] {
            assert!(read(&mut &bad[..], 8).is_err());
        }
    }
}
