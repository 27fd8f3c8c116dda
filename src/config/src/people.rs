//! `[people]`: who may release what a rule holds for named persons, and who signs policies.

use serde::Deserialize;
use toml::Spanned;

use crate::raw::Page;
use crate::sections::{People, Person};
use crate::strict::Error;

/// Names in one list at the most.
const MOST: usize = 64;
/// The longest name, octets.
const LONGEST_NAME: usize = 64;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPeople {
    #[serde(default)]
    approvers: Vec<Spanned<String>>,
    #[serde(default)]
    policy_signers: Vec<Spanned<String>>,
    policy_signatures: Option<Spanned<i64>>,
    #[serde(default)]
    change_signers: Vec<Spanned<String>>,
    change_signatures: Option<Spanned<i64>>,
}

impl Page<'_> {
    pub(crate) fn people(&self, raw: &RawPeople) -> Result<People, Error> {
        let approvers = self.persons(&raw.approvers, "[people] approvers", &[])?;
        let policy_signers = self.persons(&raw.policy_signers, "[people] policy_signers", &approvers)?;
        let most = policy_signers.len() as u64;
        let policy_signatures = self.number(&raw.policy_signatures, "[people] policy_signatures", 0..=most, 0)?;
        let others = [&approvers[..], &policy_signers].concat();
        let change_signers = self.persons(&raw.change_signers, "[people] change_signers", &others)?;
        // All of them come in one ask.
        let most = change_signers.len().min(ipc::MAX_STATEMENTS) as u64;
        let change_signatures = self.number(&raw.change_signatures, "[people] change_signatures", 0..=most, 0)?;
        if let (Some(written), 1.., 0) = (&raw.change_signatures, change_signatures, policy_signatures) {
            return Err(self.fault(
                written,
                "[people] change_signatures needs policy_signatures of 1 or more: who writes the policy changes everything",
            ));
        }
        Ok(People { approvers, policy_signers, policy_signatures, change_signers, change_signatures })
    }

    /// One name has one key and one key has one name, in this list and in the `others`.
    fn persons(&self, raw: &[Spanned<String>], key: &str, others: &[Person]) -> Result<Vec<Person>, Error> {
        let mut persons: Vec<Person> = Vec::with_capacity(raw.len().min(MOST));
        for entry in raw {
            let refuse = |why: &str| self.fault(entry, &format!("{key}: {why}"));
            if persons.len() == MOST {
                return Err(refuse(&format!("at most {MOST}")));
            }
            let person = person(entry.get_ref()).map_err(refuse)?;
            let same = |other: &&Person| other.name == person.name || other.key == person.key;
            if persons.iter().any(|other| same(&other)) {
                return Err(refuse("the same name or the same key twice: a person counts once"));
            }
            if others.iter().find(same).is_some_and(|other| *other != person) {
                return Err(refuse("another list has this name with another key, or this key under another name"));
            }
            persons.push(person);
        }
        Ok(persons)
    }
}

/// Out of `NAME TYPE BASE64 [COMMENT]`. Whether the key means anything is the vault's to say.
fn person(text: &str) -> Result<Person, &'static str> {
    const FORM: &str = "must be a name and an OpenSSH public key: \"alice ssh-ed25519 AAAA…\"";
    if text.contains("PRIVATE KEY") {
        return Err("this is a private key: take it out of this file at once, and write the .pub file's line here");
    }
    let mut words = text.split_ascii_whitespace();
    let (Some(name), Some(kind), Some(key)) = (words.next(), words.next(), words.next()) else { return Err(FORM) };
    plain_name(name)?;
    if !key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')) {
        return Err(FORM);
    }
    Ok(Person { name: name.to_owned(), key: format!("{kind} {key}") })
}

/// A name as the audit log writes it.
pub(crate) fn plain_name(name: &str) -> Result<(), &'static str> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    if !(1..=LONGEST_NAME).contains(&name.len()) || !name.bytes().all(plain) {
        return Err("a name has 1 to 64 of a-z, 0-9, '.', '_' and '-'");
    }
    Ok(())
}
