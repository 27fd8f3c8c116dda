//! What people say of an action: what of it is good, what it comes to together with what was said before, and what becomes
//! of the action then. All of it in one transaction.

use super::actions::{Fate, Row, State, approve, frozen, judge, other, other_bytes, reject, standing};
use super::in_force::{is_in_force, stale};
use super::{audit, held_for_clock, tokens};
use crate::access::Guest;
use crate::digest::messages_digest;
use crate::pipeline::{By, Judged};
use crate::statement::{self, Unfit, Verified};
use ipc::{ActionId, Answer, CredentialFault, Refusal, Scope, Verb};
use policy::Release;
use rusqlite::{OptionalExtension, Transaction, params};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Who brings it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Whoever was let in by the api's lane.
    Client(Guest),
    /// On the admin lane, as one who may make this change.
    Operator(String),
    /// On the admin lane, where others than the operator make changes: it lets go no more than what it came with does.
    Desk(String),
}

impl Source {
    /// A client of whom nothing is known.
    #[cfg(test)]
    pub fn anybody() -> Self {
        Source::Client(Guest::default())
    }
}

/// One asker's wish, and what came with it: verified as far as the ledger is not needed for it.
#[derive(Debug)]
pub struct Brought {
    pub ticket: u64,
    pub source: Source,
    /// SHA-256 of the bearer token.
    pub bearer: Option<[u8; 32]>,
    pub statements: Result<Vec<Verified>, Unfit>,
}

/// What the ledger found good of what was said. Only [`hear`] makes one with more in it than that somebody asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    source: Source,
    /// The name of a token with scope decide.
    token: Option<String>,
    /// Who has said it by a statement that is good now, on record.
    people: BTreeSet<String>,
}

impl Word {
    /// Of somebody who brings nothing.
    #[cfg(test)]
    pub fn bare(source: Source) -> Self {
        Self { source, token: None, people: BTreeSet::new() }
    }

    /// Whether it is what a release wants.
    pub fn meets(&self, release: &Release) -> bool {
        (!self.needs_token(release) || self.token.is_some()) && release.is_met_by(&self.people)
    }

    /// What any client may release, an operator who may not change anything is to show a token for.
    fn needs_token(&self, release: &Release) -> bool {
        release.token || matches!(self.source, Source::Desk(_)) && release.approvers.is_empty()
    }

    /// Whether it is enough to reject what a release holds: never more than a token is wanted.
    pub fn rejects(&self, release: &Release) -> bool {
        let open = !release.token && release.approvers.is_empty()
            || matches!(self.source, Source::Operator(_) | Source::Desk(_));
        open || self.token.is_some() || !self.people.is_empty()
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let people: Vec<&str> = self.people.iter().map(String::as_str).collect();
        let guest = match &self.source {
            Source::Client(guest) => guest.clone(),
            Source::Operator(_) | Source::Desk(_) => Guest::default(),
        };
        let token = self.token.as_ref().or(guest.token.as_ref()).map(|name| format!("token {name}"));
        let people = (!people.is_empty()).then(|| format!("approvers {}", people.join(" ")));
        let certificate = guest.certificate.map(|name| format!("certificate {name}"));
        let by: Vec<String> = token.into_iter().chain(people).chain(certificate).collect();
        match &self.source {
            _ if !by.is_empty() => f.write_str(&by.join(", ")),
            Source::Client(_) => f.write_str("client"),
            Source::Operator(who) | Source::Desk(who) => f.write_str(who),
        }
    }
}

/// What became of the action, if anything, and what the askers are told at once; the others wait for its end.
#[derive(Debug)]
pub struct Heard {
    pub fate: Option<Fate>,
    pub told: Vec<(u64, Answer)>,
    /// These may approve it, and somebody else is to be asked before that counts. Statements are on record.
    pub second: Option<(Judged, By)>,
}

/// Hears all who wish the same of an action. `readable`: its bytes could be read, else nothing but a rejection can come of it.
pub fn hear(
    transaction: &Transaction<'_>,
    mut judged: Judged,
    readable: bool,
    verb: Verb,
    brought: Vec<Brought>,
    approvers: &BTreeMap<String, String>,
    now: u64,
) -> Result<Heard, rusqlite::Error> {
    if let Some(fate) = closed(transaction, &judged, verb)? {
        return Ok(Heard { fate: Some(fate), told: Vec::new(), second: None });
    }
    let hearing = Hearing {
        transaction,
        id: judged.seen().id.clone(),
        messages: messages_digest(judged.messages()),
        verb,
        approvers,
        now,
    };
    let (mut told, mut lacking) = (Vec::new(), Vec::new());
    for one in brought {
        let ticket = one.ticket;
        let (word, says) = match hearing.weigh(one)? {
            Ok(good) => good,
            Err(Unfit { who, fault }) => {
                told.push((ticket, Answer::Refused(Refusal::Credential { fault, who })));
                continue;
            }
        };
        match verb {
            Verb::Approve if judged.wants_second(&By::Word(word.clone())) => {
                return Ok(Heard { fate: None, told, second: Some((judged, By::Word(word))) });
            }
            Verb::Approve => match judged.permit_by_people(word.clone()) {
                Ok(permitted) => {
                    return Ok(Heard { fate: Some(approve(transaction, &permitted, now)?), told, second: None });
                }
                Err(back) => {
                    judged = back;
                    lacking.push((ticket, lacks(&judged.judgement().release, &word, says)));
                }
            },
            Verb::Reject if judged.may_be_rejected_by(&word) => {
                let by = By::Word(word);
                let fate = reject(transaction, judged.seen(), readable.then_some(&judged), &by, now)?;
                return Ok(Heard { fate: Some(fate), told, second: None });
            }
            Verb::Reject => lacking.push((ticket, Answer::Refused(Refusal::NeedsToken))),
        }
    }
    let by_policy = readable && (judged.seen().expires.is_some() || judged.is_denied());
    let (mut fate, mut second) = (None, None);
    match Row::read(transaction, &hearing.id)? {
        Some(row)
            if (row.state != State::Seen || row.seen != *judged.seen())
                && !row.may_be_judged_anew(transaction, &judged)? =>
        {
            fate = Some(Fate::Stands);
        }
        // By policy, as if nobody had asked. What the feed did not announce was a client's wish alone.
        _ if by_policy && judged.wants_second(&By::Policy) => second = Some((judged, By::Policy)),
        _ if by_policy => fate = Some(judge(transaction, judged, now)?),
        _ => {}
    }
    let approved = matches!(fate, Some(Fate::Approve(_))) || second.is_some();
    if verb == Verb::Reject || !approved {
        told.extend(lacking);
    }
    Ok(Heard { fate, told, second })
}

/// Why nobody's word can change anything about it now, if so.
pub fn closed(transaction: &Transaction<'_>, judged: &Judged, verb: Verb) -> Result<Option<Fate>, rusqlite::Error> {
    if verb == Verb::Reject {
        let row = Row::read(transaction, &judged.seen().id)?;
        let decided = row.is_some_and(|row| !matches!(row.state, State::Seen | State::Held));
        // What a rejection needs, the policy says too.
        let stale = || Ok((!is_in_force(transaction, judged.policy())?).then(|| stale(judged)));
        return if decided { Ok(Some(Fate::Stands)) } else { stale() };
    }
    Ok(match standing(transaction, judged.seen())? {
        Some(row) if other_bytes(transaction, &row, judged)? => Some(other(&row)),
        Some(row) if row.state != State::Held || row.seen != *judged.seen() => Some(Fate::Stands),
        // It was held without any, which does not happen.
        Some(row) if row.messages().is_none() => Some(other(&row)),
        _ if !is_in_force(transaction, judged.policy())? => Some(stale(judged)),
        _ if frozen(transaction)? => Some(Fate::Frozen),
        _ if held_for_clock::stepped(transaction, judged)? => Some(Fate::ClockStepped),
        _ => None,
    })
}

/// Who has said this of an action with these messages by a statement that is good now, with the key that the deed has for them now.
pub fn on_record(
    transaction: &Transaction<'_>,
    id: &ActionId,
    verb: Verb,
    messages: &[u8; 32],
    approvers: &BTreeMap<String, String>,
    now: u64,
) -> Result<BTreeSet<String>, rusqlite::Error> {
    let sql = "SELECT approver, key FROM approval WHERE action = ?1 AND verb = ?2 AND messages = ?3 AND expires > ?4";
    let mut statement = transaction.prepare_cached(sql)?;
    let values = params![id.as_str(), statement::word(verb), messages.as_slice(), now];
    let rows = statement.query_map(values, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let still = |(name, key): (String, String)| (approvers.get(&name) == Some(&key)).then_some(name);
    rows.filter_map(|row| row.map(still).transpose()).collect()
}

struct Hearing<'a> {
    transaction: &'a Transaction<'a>,
    id: ActionId,
    messages: [u8; 32],
    verb: Verb,
    /// The deed's approvers and their keys.
    approvers: &'a BTreeMap<String, String>,
    now: u64,
}

impl Hearing<'_> {
    /// What of it is good, and whether it has a statement: one that is on record already is the same word, said again. All of it
    /// or nothing is taken.
    fn weigh(&self, brought: Brought) -> Result<Result<(Word, bool), Unfit>, rusqlite::Error> {
        let token = match &brought.bearer {
            None => None,
            Some(hash) => match tokens::holder(self.transaction, hash, Scope::Decide, self.now)? {
                Ok(name) => Some(name),
                Err(fault) => return self.unfit(Unfit { who: None, fault }),
            },
        };
        let statements = match brought.statements {
            Ok(statements) => statements,
            Err(unfit) => return self.unfit(unfit),
        };
        let mut people = on_record(self.transaction, &self.id, self.verb, &self.messages, self.approvers, self.now)?;
        let (mut fresh, says) = (Vec::new(), !statements.is_empty());
        for statement in statements {
            let who = Some(statement.approver.clone());
            if self.is_known(&statement)? {
                continue;
            }
            if self.has_nonce(&statement)? {
                return self.unfit(Unfit { who, fault: CredentialFault::NonceUsed });
            }
            if !people.insert(statement.approver.clone()) {
                return self.unfit(Unfit { who, fault: CredentialFault::CountedAlready });
            }
            fresh.push(statement);
        }
        fresh.iter().try_for_each(|statement| self.keep(statement))?;
        Ok(Ok((Word { source: brought.source, token, people }, says)))
    }

    /// Whether this very statement is on record: said again it is the same word.
    fn is_known(&self, statement: &Verified) -> Result<bool, rusqlite::Error> {
        let sql = "SELECT statement FROM approval WHERE approver = ?1 AND nonce = ?2 AND key = ?3";
        let values = params![statement.approver, statement.nonce, statement.key];
        let found: Option<String> =
            self.transaction.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?;
        Ok(found.is_some_and(|text| text == statement.signed.statement))
    }

    fn has_nonce(&self, statement: &Verified) -> Result<bool, rusqlite::Error> {
        let sql = "SELECT 1 FROM approval WHERE approver = ?1 AND nonce = ?2";
        self.transaction.prepare_cached(sql)?.exists(params![statement.approver, statement.nonce])
    }

    /// With its record in the audit log, which anybody can verify: it has the octets and the signature.
    fn keep(&self, statement: &Verified) -> Result<(), rusqlite::Error> {
        let Verified { approver, key, nonce, expires, signed } = statement;
        let (id, verb) = (self.id.as_str(), statement::word(self.verb));
        let sql = "INSERT INTO approval
                   (approver, nonce, action, verb, messages, expires, key, statement, signature, at)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let (text, signature) = (&signed.statement, &signed.signature);
        let values =
            params![approver, nonce, id, verb, self.messages.as_slice(), expires, key, text, signature, self.now];
        self.transaction.prepare_cached(sql)?.execute(values)?;
        let fields = serde_json::json!({
            "action": id, "approver": approver, "verb": verb, "key": key, "statement": text, "signature": signature,
        });
        audit::append(self.transaction, "statement", &fields)
    }

    /// On record once for an action, a cause and a person, and only for what the feed announced: a door that asks in a loop
    /// adds nothing.
    fn unfit(&self, unfit: Unfit) -> Result<Result<(Word, bool), Unfit>, rusqlite::Error> {
        let (code, who) = (unfit.fault.code(), unfit.who.as_deref());
        if Row::read(self.transaction, &self.id)?.is_some() {
            let what = format!("{code} {}", who.unwrap_or("-"));
            let sql = "INSERT OR IGNORE INTO contradiction (action, what) VALUES (?1, ?2)";
            if self.transaction.prepare_cached(sql)?.execute([self.id.as_str(), what.as_str()])? == 1 {
                tracing::warn!(action = %self.id, code, approver = who, "refused: {}", unfit.fault.words());
                let verb = statement::word(self.verb);
                let fields = serde_json::json!({ "action": self.id, "verb": verb, "refused": code, "approver": who });
                audit::append(self.transaction, "credential", &fields)?;
            }
        }
        Ok(Err(unfit))
    }
}

/// What is missing still, and what to do.
fn lacks(release: &Release, word: &Word, says: bool) -> Answer {
    if release.nobody {
        return Answer::Refused(Refusal::Denied(
            "a deny rule may be about it: nobody releases it before that is known".into(),
        ));
    }
    let no_token = word.needs_token(release) && word.token.is_none();
    let missing = release.approvers.iter().filter(|group| group.have(&word.people) < group.needed);
    let mut words: Vec<String> = missing
        .map(|group| {
            let names: Vec<&str> = group.of.iter().map(String::as_str).collect();
            format!("{} of [{}], {} so far", group.needed, names.join(", "), group.have(&word.people))
        })
        .collect();
    if words.is_empty() && no_token && !says {
        return Answer::Refused(Refusal::NeedsToken);
    }
    if no_token {
        words.push("a bearer token with scope decide, with the last of them".into());
    }
    let words = ipc::bounded(&words.join("; and "));
    if says {
        let have = release.approvers.iter().map(|group| group.have(&word.people).min(group.needed)).sum();
        let needed = release.approvers.iter().map(|group| group.needed).sum();
        return Answer::Counted { have, needed, words };
    }
    Answer::Refused(Refusal::NeedsApprovers(words))
}

#[cfg(test)]
#[path = "people_tests.rs"]
mod tests;
