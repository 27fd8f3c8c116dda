//! The actions. What an action may become is decided in here, in the ledger's transaction, and nowhere else.

use super::audit::{self, Condition};
use super::in_force::{hold, is_in_force, stale};
use super::people::closed;
use super::signing::Recorded;
use super::story::{Decision, End, contradiction, digests};
use super::{held_for_clock, listing, refused, second, time, windows};
use crate::pipeline::{By, Judged, Permitted, Seen};
use ipc::{ActionEnd, ActionId, Verb};
use policy::{Judgement, Verdict};
use rusqlite::{OptionalExtension, Transaction, params};

/// Where an action stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Seen,
    Held,
    Approving,
    Rejecting,
    Settled(ActionEnd),
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Seen => "seen",
            State::Held => "held",
            State::Approving => "approving",
            State::Rejecting => "rejecting",
            State::Settled(ActionEnd::Approved) => "approved",
            State::Settled(ActionEnd::Rejected) => "rejected",
            State::Settled(ActionEnd::Expired) => "expired",
            State::Settled(ActionEnd::Failed) => "failed",
            State::Settled(ActionEnd::Unknown) => "unknown",
        }
    }

    fn read(name: &str) -> Option<State> {
        use ActionEnd::*;
        let settled = [Approved, Rejected, Expired, Failed, Unknown].map(State::Settled);
        let open = [State::Seen, State::Held, State::Approving, State::Rejecting];
        open.into_iter().chain(settled).find(|state| state.name() == name)
    }
}

/// What the ledger knows of an action.
#[derive(Clone, Debug)]
pub struct Row {
    pub seen: Seen,
    /// Unix seconds.
    pub first_seen: u64,
    pub state: State,
    /// Why policy holds or denies it.
    pub why: String,
    pub verdict: Option<Verdict>,
    pub(super) messages: Option<Vec<Vec<u8>>>,
    /// SHA-256 of the policy that the verdict is of.
    pub(super) policy: Option<[u8; 32]>,
}

/// How long an action that names no expiry is tried, seconds.
const NO_EXPIRY: u64 = 24 * 60 * 60;

/// What a write made of an action.
#[derive(Debug)]
pub enum Fate {
    /// Its approval is recorded: sign and submit.
    Approve(Recorded),
    /// Its rejection is recorded: tell the backend.
    Reject,
    Held(String),
    /// Policy denies it; its rejection is under way or done.
    Denied(String),
    /// Nothing changed: it stands here already.
    Stands,
    /// Nothing changed: other bytes were recorded for this id before. Whether it still waits for a decision.
    OtherBytes {
        held: bool,
    },
    /// Nothing changed: the agent is frozen.
    Frozen,
    /// Nothing changed: the wall clock jumped, and no operator has confirmed it.
    ClockStepped,
    /// Nothing changed: a window has no room for it.
    NoRoom(String),
    /// Nothing changed: another policy came into force since it was judged. Judge it anew.
    Stale(Seen, Vec<Vec<u8>>),
}

impl Row {
    pub fn read(transaction: &Transaction<'_>, id: &ActionId) -> Result<Option<Row>, rusqlite::Error> {
        let sql = "SELECT id, claim, expires, state, why, verdict, messages, seen, policy FROM action WHERE id = ?1";
        transaction.prepare_cached(sql)?.query_row([id.as_str()], Row::from_sql).optional()
    }

    fn from_sql(row: &rusqlite::Row<'_>) -> Result<Row, rusqlite::Error> {
        let torn =
            |column: usize| rusqlite::Error::InvalidColumnType(column, "action".into(), rusqlite::types::Type::Text);
        let id = ActionId::try_from(row.get::<_, String>(0)?).map_err(|_| torn(0))?;
        let messages: Option<Vec<u8>> = row.get(6)?;
        Ok(Row {
            seen: Seen { id, claim: row.get(1)?, expires: row.get(2)? },
            first_seen: row.get(7)?,
            state: State::read(&row.get::<_, String>(3)?).ok_or_else(|| torn(3))?,
            why: row.get::<_, Option<String>>(4)?.unwrap_or_default(),
            verdict: match row.get::<_, Option<String>>(5)?.as_deref() {
                Some("approve") => Some(Verdict::Approve),
                Some("hold") => Some(Verdict::Hold),
                Some("deny") => Some(Verdict::Deny),
                _ => None,
            },
            messages: match messages {
                Some(octets) => Some(postcard::from_bytes(&octets).map_err(|_| torn(6))?),
                None => None,
            },
            policy: row.get(8)?,
        })
    }

    /// When its time is over, Unix seconds: no try begins after this.
    pub fn deadline(&self) -> u64 {
        self.seen.expires.unwrap_or(self.first_seen + NO_EXPIRY)
    }

    /// The bytes that were recorded for it.
    pub fn messages(&self) -> Option<&[Vec<u8>]> {
        self.messages.as_deref()
    }

    /// The ids of what was decided and is not settled; what is held waits for its client.
    pub fn under_way(transaction: &Transaction<'_>) -> Result<Vec<ActionId>, rusqlite::Error> {
        let sql = "SELECT id FROM action WHERE settled IS NULL AND state IN ('approving', 'rejecting')";
        ids(transaction.prepare(sql)?.query_map([], |row| row.get(0))?)
    }

    /// The ids of what was seen and not judged, so many at the most: what expires first comes first.
    pub fn unjudged(transaction: &Transaction<'_>, most: usize) -> Result<Vec<ActionId>, rusqlite::Error> {
        let sql = "SELECT id FROM action WHERE settled IS NULL AND state = 'seen' ORDER BY expires LIMIT ?1";
        ids(transaction.prepare(sql)?.query_map([most], |row| row.get(0))?)
    }
}

/// Records an action that the feed brought; `false` where it is known already.
pub fn see(transaction: &Transaction<'_>, seen: &Seen, now: u64) -> Result<bool, rusqlite::Error> {
    let sql = "INSERT OR IGNORE INTO action (id, claim, expires, seen, state) VALUES (?1, ?2, ?3, ?4, 'seen')";
    let values = params![seen.id.as_str(), seen.claim, seen.expires, now];
    Ok(transaction.prepare_cached(sql)?.execute(values)? == 1)
}

/// Records what the policy says of an action that nobody has decided yet, or that an earlier policy held.
pub fn judge(transaction: &Transaction<'_>, judged: Judged, now: u64) -> Result<Fate, rusqlite::Error> {
    if !is_in_force(transaction, judged.policy())? {
        return Ok(stale(&judged));
    }
    let stepped = held_for_clock::stepped(transaction, &judged)?;
    let held = standing(transaction, judged.seen())?;
    if let Some(row) = &held {
        if other_bytes(transaction, row, &judged)? {
            return Ok(other(row));
        }
        let again = !stepped && row.state == State::Held && row.seen == *judged.seen();
        // What was held for the clock, or for want of a second opinion, is judged again too; anything else stands.
        let for_that =
            again && (held_for_clock::forget(transaction, &row.seen.id)? || second::is_awaited(transaction, row)?);
        if !for_that && (stepped || !row.may_be_judged_anew(transaction, &judged)?) {
            return Ok(Fate::Stands);
        }
    }
    if stepped && judged.judgement().verdict != Verdict::Deny {
        write(transaction, &judged, State::Held, None, held_for_clock::WHY, now)?;
        held_for_clock::note(transaction, &judged.seen().id)?;
        return Ok(Fate::Held(held_for_clock::WHY.into()));
    }
    match judged.permit_by_policy() {
        Ok(permitted) if refused::any(transaction, permitted.judged().messages())? => hold(
            transaction,
            permitted.judged(),
            held,
            "these bytes were denied or rejected before, under another id",
            now,
        ),
        Ok(permitted) if frozen(transaction)? => {
            hold(transaction, permitted.judged(), held, "the agent is frozen; policy would approve it", now)
        }
        Ok(permitted) => record(transaction, &permitted, now),
        Err(judged) => {
            let why = judged.judgement().why.clone();
            if judged.judgement().verdict == Verdict::Deny {
                write(transaction, &judged, State::Rejecting, Some(&By::Policy), &why, now)?;
                refused::note(transaction, judged.messages())?;
                Ok(Fate::Denied(why))
            } else {
                hold(transaction, &judged, held, &why, now)
            }
        }
    }
}

/// Records people's approval.
pub fn approve(transaction: &Transaction<'_>, permitted: &Permitted, now: u64) -> Result<Fate, rusqlite::Error> {
    match closed(transaction, permitted.judged(), Verb::Approve)? {
        Some(fate) => Ok(fate),
        None => record(transaction, permitted, now),
    }
}

/// Records people's rejection, and what was rejected: the bytes as judged, where they could be read.
pub fn reject(
    transaction: &Transaction<'_>,
    seen: &Seen,
    judged: Option<&Judged>,
    by: &By,
    now: u64,
) -> Result<Fate, rusqlite::Error> {
    see(transaction, seen, now)?;
    match Row::read(transaction, &seen.id)? {
        Some(Row { state: State::Seen | State::Held, messages: recorded, .. }) => {
            // Bytes that are not those on record say nothing of what is rejected.
            let judged = judged.filter(|judged| recorded.as_deref().is_none_or(|first| first == judged.messages()));
            let messages = recorded.as_deref().or(judged.map(Judged::messages)).unwrap_or_default();
            let judgement = judged.map(Judged::judgement);
            refused::note(transaction, messages)?;
            let (sql, by) = ("UPDATE action SET state = 'rejecting', decided_by = ?2 WHERE id = ?1", by.to_string());
            transaction.execute(sql, [seen.id.as_str(), by.as_str()])?;
            listing::note(transaction, &seen.id, judgement.map_or(&[], |judgement| &judgement.facts))?;
            let fields = Decision {
                action: &seen.id,
                verdict: "reject",
                by: &by,
                rule: judgement.and_then(|judgement| judgement.rule.as_deref()),
                why: judgement.map_or("its messages could not be read", |judgement| judgement.why.as_str()),
                claim: seen.claim.as_deref(),
                expires: seen.expires,
                facts: judgement.map_or(&[], |judgement| judgement.facts.as_slice()),
                policy: judged.map(|judged| hex::encode(judged.policy())),
                messages: digests(messages),
                callback: judged.and_then(Judged::heard),
            };
            audit::append(transaction, "decision", &fields)?;
            Ok(Fate::Reject)
        }
        Some(_) => Ok(Fate::Stands),
        None => Err(rusqlite::Error::QueryReturnedNoRows),
    }
}

/// How an action comes to its end.
#[derive(Clone)]
pub struct Settling {
    end: ActionEnd,
    /// Only where nobody has decided it meanwhile.
    undecided: bool,
    /// The backend's bounded words.
    detail: String,
}

impl Settling {
    pub fn undecided(end: ActionEnd, detail: String) -> Self {
        Self { end, undecided: true, detail }
    }
    pub fn decided(end: ActionEnd, detail: String) -> Self {
        Self { undecided: false, ..Self::undecided(end, detail) }
    }
}

/// Records how an action ended. One that is settled stays as it is: what comes later changes nothing.
pub fn settle(
    transaction: &Transaction<'_>,
    id: &ActionId,
    settling: &Settling,
    now: u64,
) -> Result<bool, rusqlite::Error> {
    let Settling { end, undecided, detail } = settling;
    let sql = "UPDATE action SET state = ?2, detail = ?3, settled = ?4
               WHERE id = ?1 AND settled IS NULL AND (state IN ('seen', 'held') OR NOT ?5)";
    let end = State::Settled(*end).name();
    let values = params![id.as_str(), end, detail, now, undecided];
    let settled = transaction.prepare_cached(sql)?.execute(values)? == 1;
    if settled {
        audit::append(transaction, "settled", &End { action: id, end, detail })?;
    }
    Ok(settled)
}

/// Settles what nobody has approved or rejected and whose time is over; their ids.
pub fn expire(transaction: &Transaction<'_>, now: u64) -> Result<Vec<ActionId>, rusqlite::Error> {
    let sql = "UPDATE action SET state = 'expired', settled = ?1
               WHERE settled IS NULL AND state IN ('seen', 'held') AND expires <= ?1 RETURNING id";
    let mut statement = transaction.prepare_cached(sql)?;
    let expired = ids(statement.query_map([now], |row| row.get(0))?)?;
    let end = State::Settled(ActionEnd::Expired).name();
    expired.iter().try_for_each(|id| audit::append(transaction, "settled", &End { action: id, end, detail: "" }))?;
    Ok(expired)
}

pub(super) fn ids(
    rows: impl Iterator<Item = Result<String, rusqlite::Error>>,
) -> Result<Vec<ActionId>, rusqlite::Error> {
    rows.filter_map(|id| id.map(|id| ActionId::try_from(id).ok()).transpose()).collect()
}

/// The row of an action that was decided, or of which the feed says what was not known when it was judged.
pub(super) fn standing(transaction: &Transaction<'_>, seen: &Seen) -> Result<Option<Row>, rusqlite::Error> {
    Ok(Row::read(transaction, &seen.id)?.filter(|row| row.state != State::Seen || row.seen != *seen))
}

/// The first bytes recorded for an id are its bytes for ever: others are refused, and that is on record.
pub(super) fn other_bytes(transaction: &Transaction<'_>, row: &Row, judged: &Judged) -> Result<bool, rusqlite::Error> {
    let other = row.messages().is_some_and(|first| first != judged.messages());
    if other {
        contradiction(transaction, &row.seen.id, "the backend gave other bytes for it than it did first")?;
    }
    Ok(other)
}

pub(super) fn other(row: &Row) -> Fate {
    Fate::OtherBytes { held: row.state == State::Held }
}

/// An approval, by policy or by people, with what it takes of the windows: in one transaction, before anything is signed.
fn record(transaction: &Transaction<'_>, permitted: &Permitted, now: u64) -> Result<Fate, rusqlite::Error> {
    let judged = permitted.judged();
    let judgement = judged.judgement();
    let agent = time::mark(transaction)?.agent;
    if let Err(why) = windows::room(transaction, &judgement.demands, agent)? {
        if *permitted.by() != By::Policy {
            return Ok(Fate::NoRoom(why));
        }
        write(transaction, judged, State::Held, None, &why, now)?;
        return Ok(Fate::Held(why));
    }
    let (decision, _) = audit::counts(transaction)?;
    write(transaction, judged, State::Approving, Some(permitted.by()), &judgement.why, now)?;
    windows::spend(transaction, &judged.seen().id, judgement, decision, agent)?;
    Ok(Fate::Approve(Recorded::new(judged.seen().id.clone(), judged.messages().to_vec())))
}

pub(super) fn write(
    transaction: &Transaction<'_>,
    judged: &Judged,
    state: State,
    by: Option<&By>,
    why: &str,
    now: u64,
) -> Result<(), rusqlite::Error> {
    see(transaction, judged.seen(), now)?;
    let sql =
        "UPDATE action SET state = ?2, verdict = ?3, rule = ?4, why = ?5, decided_by = ?6, messages = ?7, policy = ?8
               WHERE id = ?1 AND settled IS NULL";
    let messages = postcard::to_stdvec(judged.messages());
    let messages = messages.map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    let verdict = match judged.judgement().verdict {
        Verdict::Approve => "approve",
        Verdict::Hold => "hold",
        Verdict::Deny => "deny",
    };
    let by = by.map(By::to_string);
    let Seen { id, claim, expires } = judged.seen();
    let Judgement { rule, facts, .. } = judged.judgement();
    let policy = judged.policy().as_slice();
    let values = params![id.as_str(), state.name(), verdict, rule, why, by, messages, policy];
    transaction.prepare_cached(sql)?.execute(values)?;
    second::forget(transaction, id)?;
    listing::note(transaction, id, facts)?;
    let fields = Decision {
        action: id,
        verdict: match state {
            State::Approving => "approve",
            State::Rejecting => "deny",
            _ => "hold",
        },
        by: by.as_deref().unwrap_or("policy"),
        rule: rule.as_deref(),
        why,
        claim: claim.as_deref(),
        expires: *expires,
        facts,
        policy: Some(hex::encode(judged.policy())),
        messages: digests(judged.messages()),
        callback: judged.heard(),
    };
    audit::append(transaction, "decision", &fields)
}

pub fn frozen(transaction: &Transaction<'_>) -> Result<bool, rusqlite::Error> {
    Ok(Condition::Frozen.read(transaction)? != 0 || Condition::Unsigned.read(transaction)? != 0)
}

#[cfg(test)]
#[path = "actions_tests.rs"]
mod tests;
