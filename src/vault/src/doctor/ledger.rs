//! What the ledger says: read in one go, from the ledger of a vault at work, or from the file where none is.

use super::{Findings, within};
use crate::ledger::{self, Condition, LastSigned, RegistrationRow, Row, audit, tokens};
use crate::memory::{self, Mark};
use crate::{clock, notary};
use ::audit::VerifyingKey;
use config::{Auth, Config};
use hsm::{PublicKeys, Token};
use ipc::TokenInfo;
use rusqlite::Transaction;
use std::sync::Arc;

/// An approval that has so many seconds left, and was known for so many, should have been settled.
const CLOSE: u64 = 60;
const KNOWN: u64 = 10;
/// A token that ends within so many seconds is told of.
const SOON: u64 = 14 * 24 * 60 * 60;

pub struct Facts {
    pub registration: Option<RegistrationRow>,
    pub last_signed: Option<LastSigned>,
    /// Records, and how many of them a checkpoint covers.
    pub records: (u64, u64),
    pub frozen: bool,
    /// When the deed was written that it was last opened with, Unix seconds.
    pub deed_written: u64,
    pub stepped: bool,
    pub tokens: Vec<TokenInfo>,
    /// Approvals that should have been settled.
    pub overdue: u64,
}

impl Facts {
    pub fn read(t: &Transaction<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            registration: RegistrationRow::read(t)?,
            last_signed: LastSigned::read(t)?,
            records: audit::counts(t)?,
            frozen: Condition::Frozen.read(t)? != 0,
            deed_written: Condition::DeedWritten.read(t)?,
            stepped: Condition::ClockStepped.read(t)? != 0,
            tokens: tokens::list(t)?,
            overdue: Row::overdue(t, clock::now(), CLOSE, KNOWN)?,
        })
    }
}

/// What the token remembers, where it shall.
pub fn memory(findings: &mut Findings, config: &Config, token: &Arc<Token>) -> Option<Mark> {
    if !config.ledger.token_memory {
        return None;
    }
    let token = token.clone();
    match within(move || token.read_memory())? {
        Ok(Some(memory)) => {
            let mark = Mark::from_bytes(&memory.content);
            if mark.is_none() {
                let remedy =
                    "see who else uses this token; `signing-agent recover --accept-rollback` takes what is there";
                findings.fault("token-memory", "it is not one of this program's", remedy);
            }
            mark
        }
        Ok(None) => None,
        Err(e) => {
            super::token::refused(findings, &e);
            None
        }
    }
}

/// The file of a vault that is not at work; it is not written to.
pub fn look_at_rest(
    findings: &mut Findings,
    config: &Config,
    keys: Option<&PublicKeys>,
    mark: Option<Mark>,
) -> Option<Facts> {
    let path = config.state.ledger();
    let key = keys.and_then(|keys| notary::key(&keys.audit).ok());
    let seen = within(move || {
        ledger::look(&path, |t| {
            let log = key.map(|key: VerifyingKey| audit::check(t, &key)).transpose()?.flatten();
            let older = mark.map(|mark| memory::fits(t, mark)).transpose()?.flatten();
            Ok((Facts::read(t)?, log, older))
        })
    });
    let (facts, log, older) = match seen {
        None => {
            findings.unknown("ledger", "it is not read through within 10 s", "look at the disk: `dmesg`, `iostat`");
            return None;
        }
        Some(Err(ledger::Error::Schema { found, known, .. })) if found < known => {
            findings.unknown("ledger", "it is of an earlier version", "start the agent: the vault takes it on");
            return None;
        }
        Some(Err(e)) => {
            findings.fault(
                "ledger",
                e,
                "restore the whole state directory from a backup, then `signing-agent recover --accept-rollback`",
            );
            return None;
        }
        Some(Ok(seen)) => seen,
    };
    findings.good("ledger", "it is whole, and of this version");
    match log {
        Some(why) => {
            findings.fault("audit-log", why, "restore the state directory from a backup, and find out who changed it")
        }
        None => findings
            .good("audit-log", format!("{} records, {} of them under a checkpoint", facts.records.0, facts.records.1)),
    }
    match older {
        Some(why) => findings.fault(
            "token-memory",
            why,
            "if you restored a backup: `signing-agent recover --accept-rollback`; if not, find out who put it there",
        ),
        None if mark.is_some() => findings.good("token-memory", "the ledger is the one that the token remembers"),
        None => {}
    }
    told(findings, config, &facts);
    Some(facts)
}

/// What holds whether the vault is at work or not.
pub fn told(findings: &mut Findings, config: &Config, facts: &Facts) {
    if facts.frozen {
        findings.fault("frozen", "an operator stopped all signing", "when all is well again: `signing-agent unfreeze`");
    }
    if facts.stepped {
        findings.fault(
            "clock",
            "the wall clock jumped by more than a minute: nothing is approved",
            "compare `date -u` with another machine, then `signing-agent confirm-clock`",
        );
    }
    bearer(findings, config, &facts.tokens);
}

fn bearer(findings: &mut Findings, config: &Config, all: &[TokenInfo]) {
    let wanted = matches!(config.api.auth, Auth::Token | Auth::Both);
    if wanted && all.is_empty() {
        return findings.fault(
            "api-tokens",
            format!("[api] auth is \"{}\", and there is no token: nobody can call the API", config.api.auth.as_str()),
            "`signing-agent token add NAME --scope decide,read,feed`",
        );
    }
    let now = clock::now();
    let names = |over: &dyn Fn(u64) -> bool| -> Vec<&str> {
        all.iter().filter(|token| token.expires.is_some_and(over)).map(|token| token.name.as_str()).collect()
    };
    let (expired, soon) = (names(&|at| at <= now), names(&|at| at > now && at <= now + SOON));
    if !expired.is_empty() {
        let words = format!("expired: {}; whoever uses one is refused", expired.join(", "));
        let remedy =
            format!("`signing-agent token revoke {0}`, then `signing-agent token add {0} --scope …`", expired[0]);
        findings.warn("api-tokens", words, remedy);
    }
    if !soon.is_empty() {
        let words = format!("they expire within 14 days: {}", soon.join(", "));
        findings.warn("api-tokens", words, "make new ones in time: `signing-agent token add NAME --scope …`");
    }
    if expired.is_empty() && soon.is_empty() {
        findings.good("api-tokens", format!("{} tokens, none of them ends soon", all.len()));
    }
}
