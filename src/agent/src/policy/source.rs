//! Where a policy comes from: a file, or the running vault; and the times of the command line.

use crate::ask::{self, Places};
use crate::error::Error;
use ::policy::Policy;
use ipc::{Answer, Ask, PolicyPart};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What is larger is no policy, and no file of cases.
const LARGEST: u64 = 16 << 20;
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A policy, and what people know it by.
pub struct Source {
    pub policy: Policy,
    pub name: String,
}

impl Source {
    pub fn of_file(file: &Path) -> Result<Source, Error> {
        let text = read(file)?;
        let policy = Policy::parse(&text).map_err(|e| Error::Policy(format!("{}:{e}", file.display())))?;
        Ok(Source { policy, name: file.display().to_string() })
    }

    /// The one that the vault judges by.
    pub fn in_force(places: &Places) -> Result<Source, Error> {
        // Once more where it is replaced between two parts.
        for _ in 0..3 {
            if let Some(Whole { name, hash, text }) = whole_text(places)? {
                let hold_all = Policy::hold_all();
                // No file is named, or the one that is was refused.
                let held = hash == hex::encode(hold_all.hash());
                return Ok(Source { policy: if held { hold_all } else { parse(&text)? }, name });
            }
        }
        Err(Error::Policy("the policy in force was replaced again and again while it was read; try once more".into()))
    }

    pub fn hash(&self) -> String {
        hex::encode(self.policy.hash())
    }
}

fn parse(text: &str) -> Result<Policy, Error> {
    // The vault took it: it is of another version than this program where this one does not.
    Policy::parse(text).map_err(|e| Error::Policy(format!("the policy in force, as this version reads it: {e}")))
}

struct Whole {
    name: String,
    hash: String,
    text: String,
}

fn whole_text(places: &Places) -> Result<Option<Whole>, Error> {
    let mut octets = Vec::new();
    let mut first: Option<String> = None;
    loop {
        let question = Ask::PolicyText { offset: octets.len() as u64 };
        let Answer::PolicyPart(PolicyPart { hash, source, total, octets: part, .. }) =
            places.ask(&question, PATIENCE)?.ok_or_else(|| places.nobody())?
        else {
            return Err(ask::beside_the_point());
        };
        if first.get_or_insert_with(|| hash.clone()) != &hash {
            return Ok(None);
        }
        let ended = part.is_empty();
        octets.extend(part);
        if octets.len() as u64 == total {
            let text = String::from_utf8(octets).map_err(|_| ask::beside_the_point())?;
            return Ok(Some(Whole { name: source, hash, text }));
        }
        if ended || octets.len() as u64 > LARGEST {
            return Err(ask::beside_the_point());
        }
    }
}

/// Text of at most 16 MiB.
pub fn read(file: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let mut read = || {
        File::open(file)?.take(LARGEST + 1).read_to_string(&mut text)?;
        if text.len() as u64 > LARGEST {
            Err(io::Error::other("larger than 16 MiB: this is no policy"))
        } else {
            Ok(())
        }
    };
    read().map_err(Error::at(file))?;
    Ok(text)
}

/// RFC 3339, or Unix seconds.
pub fn time(option: &str, text: &str) -> Result<u64, Error> {
    match text.parse() {
        Ok(seconds) => Ok(seconds),
        Err(_) => {
            ::policy::cases::time(text).map_err(|words| Error::Policy(format!("{option} {words}, or Unix seconds")))
        }
    }
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
