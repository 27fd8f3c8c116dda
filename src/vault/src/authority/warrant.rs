//! Whether enough people have signed a change, and the record of it: written before the change is made.

use super::Matter;
use crate::change_statement::{self, Approved};
use crate::clock;
use crate::ledger::{Condition, Ledger, audit};
use crate::people::{self, Named};
use crate::statement::Unfit;
use ipc::{CredentialFault, Refusal, SignedStatement};
use rusqlite::Transaction;
use serde_json::{Value, json};

/// So far above the time, seconds, a serial may be: a clock that was set back a little since the draft is no fault.
const AHEAD: u64 = 60 * 60;

/// Who asks for a change, and what they brought. None of it was looked at.
pub struct Consent {
    pub who: String,
    pub statements: Vec<SignedStatement>,
}

/// A change that may be made once it is on record, and once only.
pub struct Warrant {
    who: String,
    matter: Matter,
    /// `None` where nobody needs to sign.
    approved: Option<Approved>,
}

impl Consent {
    /// Whether that is `needed` signatures of the deed's people over this. What is brought where none is needed is not looked at.
    pub fn check(self, named: &Named, needed: u64, matter: Matter) -> Result<Warrant, Refusal> {
        let Consent { who, statements } = self;
        if needed == 0 {
            return Ok(Warrant { who, matter, approved: None });
        }
        let signers =
            people::keys(&named.change_signers).map_err(|e| Refusal::Init(format!("the deed's people: {e}")))?;
        let approved = change_statement::verify(&signers, &matter.about, statements, clock::now())
            .map_err(|Unfit { who, fault }| Refusal::Credential { fault, who })?;
        let have = approved.as_ref().map_or(0, |approved| approved.by.len());
        if (have as u64) < needed {
            let names: Vec<&str> = named.change_signers.keys().map(String::as_str).collect();
            return Err(Refusal::NeedsSigners(ipc::bounded(&format!(
                "this change takes the signatures of {needed} of [{}], {have} came with it: --draft FILE writes what they sign, \
                 --statement FILE --signature FILE brings it, for each of them, all at once",
                names.join(", ")
            ))));
        }
        Ok(Warrant { who, matter, approved })
    }
}

impl Warrant {
    /// Puts it on record; who makes the change then, for the records of what comes of it.
    pub fn keep(self, ledger: &Ledger) -> Result<String, Refusal> {
        let who = match &self.approved {
            None => self.who.clone(),
            Some(approved) => {
                let names: Vec<&str> = approved.by.iter().map(|by| by.signer.as_str()).collect();
                format!("{}, signed by {}", self.who, names.join(" "))
            }
        };
        let now = clock::now();
        match ledger.call(move |t| self.record(t, now)) {
            Ok(Ok(())) => Ok(who),
            Ok(Err(fault)) => Err(Refusal::Credential { fault, who: None }),
            Err(e) => Err(Refusal::Init(ipc::bounded(&e.to_string()))),
        }
    }

    /// In one transaction, so that of two that come at once with the same serial one is refused.
    fn record(&self, t: &Transaction<'_>, now: u64) -> Result<Result<(), CredentialFault>, rusqlite::Error> {
        let mut fields = json!({
            "ask": self.matter.about.ask, "change": hex::encode(self.matter.about.digest), "by": self.who,
        });
        if let (Some(approved), Value::Object(fields)) = (&self.approved, &mut fields) {
            let last = Condition::ChangeSerial.read(t)?;
            // Far above there would be no next one, and after an old ledger was put back it would be good again.
            let most = now.saturating_add(AHEAD).max(last.saturating_add(1));
            if approved.serial <= last || approved.serial > most {
                return Ok(Err(CredentialFault::ChangeSerial));
            }
            Condition::ChangeSerial.write(t, approved.serial)?;
            fields.insert("agent".into(), json!(self.matter.about.agent));
            fields.insert("serial".into(), json!(approved.serial));
            fields.insert("statements".into(), json!(approved.by));
        }
        audit::append(t, "change", &fields)?;
        Ok(Ok(()))
    }
}

/// What was drafted before now is good for nothing from now on: somebody has stopped what it would let go.
pub fn void(t: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    let last = Condition::ChangeSerial.read(t)?;
    // Also what says that it is of the hour to come.
    Condition::ChangeSerial.write(t, last.saturating_add(1).max(clock::now().saturating_add(AHEAD)))
}

#[cfg(test)]
#[path = "warrant_tests.rs"]
mod tests;
