//! What all commands go by: the configuration, and whether their results are for a person or for a program.

use crate::ask::{self, Places};
use crate::change::Signed;
use crate::error::Error;
use crate::words;
use ipc::{Answer, Ask, Change, Status};
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// What most asks may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub struct Context {
    pub config: PathBuf,
    pub json: bool,
}

impl Context {
    pub fn places(&self) -> Result<Places, Error> {
        Places::find(&self.config)
    }

    /// The answer of the vault that runs. A refusal is an error.
    pub fn ask(&self, question: &Ask, patience: Duration) -> Result<Answer, Error> {
        let places = self.places()?;
        places.ask(question, patience)?.ok_or_else(|| places.nobody())
    }

    /// What gives power to somebody, with what was signed for it; `None` where it was only drafted.
    pub fn change(&self, change: Change, signed: &Signed, patience: Duration) -> Result<Option<Answer>, Error> {
        signed.ask(self, change, |question| self.ask(question, patience))
    }

    pub fn status(&self) -> Result<Box<Status>, Error> {
        match self.ask(&Ask::Status, PATIENCE)? {
            Answer::Status(status) => Ok(status),
            _ => Err(ask::beside_the_point()),
        }
    }

    /// Writes the result to stdout: in words, or as JSON where that was asked for.
    pub fn tell(&self, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) -> Result<(), Error> {
        words::print(&if self.json { words::json(&json())? } else { text() })
    }

    /// Says on stderr what is not the result. Programs find it in the result.
    pub fn note(&self, words: &str) {
        if !self.json {
            // Where stderr is closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "signing-agent: {words}");
        }
    }
}
