//! Changes that people may have to sign: what they are to sign is drafted, and what they signed is brought (docs/authority.md).

use crate::ask;
use crate::context::Context;
use crate::error::Error;
use crate::words;
use clap::Args;
use ipc::{Answer, Ask, Change, ChangeDraft, SignedStatement};
use serde_json::json;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What each change takes, where the deed says that people sign changes.
#[derive(Args, Default)]
pub struct Signed {
    #[command(flatten)]
    pub drafting: Drafting,
    #[command(flatten)]
    pub brought: Brought,
}

#[derive(Args, Default)]
pub struct Drafting {
    /// Write what people are to sign for this to FILE, say who, and do nothing else.
    #[arg(long, value_name = "FILE", conflicts_with = "statement")]
    pub draft: Option<PathBuf>,
    /// How long what they sign is good for: 90s, 30m, 12h, 7d; seven days at the most.
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = words::duration, requires = "draft")]
    pub good_for: Duration,
}

#[derive(Args, Default)]
pub struct Brought {
    /// What a person has signed, as it was drafted; with --signature, and again for each person.
    #[arg(long, value_name = "FILE", requires = "signature")]
    pub statement: Vec<PathBuf>,
    /// The signature that `ssh-keygen -Y sign` made of it, in the same order.
    #[arg(long, value_name = "FILE", requires = "statement")]
    pub signature: Vec<PathBuf>,
}

impl Signed {
    pub fn is_empty(&self) -> bool {
        self.drafting.draft.is_none() && self.brought.is_empty()
    }

    /// Asks for the change with what was brought; or has it drafted, and then there is no answer to it.
    pub fn ask(
        &self,
        context: &Context,
        change: Change,
        mut asks: impl FnMut(&Ask) -> Result<Answer, Error>,
    ) -> Result<Option<Answer>, Error> {
        match &self.drafting.draft {
            Some(file) => self.drafting.write(context, file, change, asks).map(|()| None),
            None => asks(&Ask::Change { change, statements: self.brought.statements()? }).map(Some),
        }
    }
}

impl Drafting {
    /// Writes the draft of this change to `file`, and says what it is and what to do with it.
    pub fn write(
        &self,
        context: &Context,
        file: &Path,
        change: Change,
        mut asks: impl FnMut(&Ask) -> Result<Answer, Error>,
    ) -> Result<(), Error> {
        let Answer::ChangeDraft(draft) = asks(&Ask::ChangeDraft { change, seconds: self.good_for.as_secs() })? else {
            return Err(ask::beside_the_point());
        };
        if draft.needed == 0 {
            return Err(Error::NothingToSign);
        }
        // What is there may be a statement that others have signed, or something else that is dear to somebody.
        let written = File::create_new(file).and_then(|mut new| new.write_all(draft.text.as_bytes()));
        written.map_err(Error::at(file))?;
        let value = || {
            json!({
                "draft": file, "text": draft.text, "needed": draft.needed, "signers": draft.signers, "about": draft.about
            })
        };
        context.tell(|| told(&draft, file), value)
    }
}

impl Brought {
    pub fn is_empty(&self) -> bool {
        self.statement.is_empty()
    }

    pub fn statements(&self) -> Result<Vec<SignedStatement>, Error> {
        let Brought { statement, signature } = self;
        if statement.len() != signature.len() || statement.len() > ipc::MAX_STATEMENTS {
            return Err(Error::Pairs(ipc::MAX_STATEMENTS));
        }
        let pairs = statement.iter().zip(signature);
        let read = |(statement, signature): (&PathBuf, &PathBuf)| {
            let statement = read(statement, ipc::MAX_STATEMENT)?;
            Ok(SignedStatement { statement, signature: read(signature, ipc::MAX_SIGNATURE)? })
        };
        pairs.map(read).collect()
    }
}

/// A file's octets, which are text and so many at the most.
pub fn read(path: &Path, most: usize) -> Result<String, Error> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(most as u64 + 1).read_to_string(&mut text));
    match read {
        Ok(octets) if octets <= most => Ok(text),
        Ok(_) => Err(Error::at(path)(io::Error::other(format!("longer than {most} octets: it is something else")))),
        Err(e) => Err(Error::at(path)(e)),
    }
}

fn told(draft: &ChangeDraft, file: &Path) -> String {
    let file = file.display();
    let about: String = draft.about.iter().map(|words| format!("  {}\n", words::plain(words))).collect();
    let about = if about.is_empty() { about } else { format!("It is about:\n{about}") };
    format!(
        "{file} is what {} of [{}] sign for this:\n  {}\n{about}Each looks at it, and signs it as it is:\n  \
         ssh-keygen -Y sign -n signing-agent-change -f KEY <{file} >NAME.sig\n\
         Then the same command with, in the place of --draft and for each of them, --statement {file} --signature NAME.sig\n",
        draft.needed,
        words::plain(&draft.signers.join(", ")),
        words::plain(&draft.text),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(needed: u32) -> Answer {
        Answer::ChangeDraft(ChangeDraft {
            text: "{\"ask\":\"unfreeze\"}\n".into(),
            needed,
            signers: vec!["alice".into(), "bob".into()],
            about: Vec::new(),
        })
    }

    #[test]
    fn a_draft_is_written_once_to_the_octet_and_only_where_somebody_is_to_sign() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("draft");
        let signed =
            Signed { drafting: Drafting { draft: Some(file.clone()), ..Drafting::default() }, ..Signed::default() };
        let context = Context { config: PathBuf::new(), json: false };
        let nothing = signed.ask(&context, Change::Unfreeze, |_| Ok(draft(0)));
        assert!(matches!(nothing, Err(Error::NothingToSign)) && !file.exists());
        assert!(signed.ask(&context, Change::Unfreeze, |_| Ok(draft(2))).unwrap().is_none());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"ask\":\"unfreeze\"}\n");
        assert!(
            matches!(signed.ask(&context, Change::Unfreeze, |_| Ok(draft(2))), Err(Error::At { .. })),
            "it is there already"
        );
    }

    #[test]
    fn statements_and_signatures_come_in_pairs() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "text").unwrap();
        let brought = |statements: usize, signatures: usize| Brought {
            statement: vec![file.clone(); statements],
            signature: vec![file.clone(); signatures],
        };
        assert_eq!(brought(2, 2).statements().unwrap().len(), 2);
        for (statements, signatures) in [(1, 0), (2, 1), (ipc::MAX_STATEMENTS + 1, ipc::MAX_STATEMENTS + 1)] {
            assert!(matches!(brought(statements, signatures).statements(), Err(Error::Pairs(_))));
        }
    }
}
