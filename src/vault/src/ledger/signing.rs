//! What was recorded and what was signed: the steps of an approval that only the ledger makes.

use super::actions::{Row, Settling, State, frozen, settle};
use super::audit;
use super::story::{Signing, contradiction, digest, digests};
use crate::pipeline::{Seen, Signed};
use ipc::{ActionEnd, ActionId};
use rusqlite::{Transaction, params};

/// An action whose approval, and the bytes approved, are on disk. Only the ledger makes one, and hands it out only after
/// the commit.
#[derive(Debug)]
pub struct Recorded {
    id: ActionId,
    messages: Vec<Vec<u8>>,
}

impl Recorded {
    /// For who has just written it; it goes out after the commit.
    pub(super) fn new(id: ActionId, messages: Vec<Vec<u8>>) -> Self {
        Self { id, messages }
    }
    pub fn id(&self) -> &ActionId {
        &self.id
    }
    pub fn messages(&self) -> &[Vec<u8>] {
        &self.messages
    }
}

/// Where a restart, or a new try, goes on with an action.
#[derive(Debug)]
pub enum UnderWay {
    Fetch(Seen),
    Sign(Recorded),
    Submit(Submitted),
    Withdraw,
    /// It is settled, or waits for its client.
    Nothing,
}

impl UnderWay {
    pub fn read(transaction: &Transaction<'_>, id: &ActionId) -> Result<Self, rusqlite::Error> {
        Ok(match Row::read(transaction, id)? {
            Some(Row { state: State::Seen, seen, .. }) => Self::Fetch(seen),
            Some(Row { state: State::Rejecting, .. }) => Self::Withdraw,
            Some(Row { state: State::Approving, messages: Some(messages), seen, .. }) => {
                match signatures(transaction, id)? {
                    Some(signatures) => Self::Submit(Submitted { id: seen.id, signatures }),
                    None => Self::Sign(Recorded { id: seen.id, messages }),
                }
            }
            _ => Self::Nothing,
        })
    }
}

/// Signatures that are in the ledger, and so may leave. Only this module makes one, and hands it out only after the
/// commit: there are no others for their action, ever.
#[derive(Debug, Clone)]
pub struct Submitted {
    id: ActionId,
    signatures: Vec<[u8; 49]>,
}

impl Submitted {
    pub fn id(&self) -> &ActionId {
        &self.id
    }
    pub fn signatures(&self) -> &[[u8; 49]] {
        &self.signatures
    }
}

/// What keeping an action's signatures came to.
#[derive(Debug)]
pub enum Kept {
    Submit(Submitted),
    /// The agent is frozen: nothing was kept.
    Frozen,
    /// Its time was over before anything left: it is settled as expired, and nothing was kept.
    Over,
    /// Other signatures were made for it before, or its approval is no longer under way; nothing changed.
    Contradiction,
}

/// Records signatures before any of them leaves.
pub fn keep(transaction: &Transaction<'_>, signed: &Signed, now: u64) -> Result<Kept, rusqlite::Error> {
    let id = signed.id();
    if end_in_time(transaction, id, now)? {
        return Ok(Kept::Over);
    }
    if frozen(transaction)? {
        return Ok(Kept::Frozen);
    }
    match UnderWay::read(transaction, id)? {
        UnderWay::Sign(recorded) if recorded.messages == signed.messages() => {
            let octets: Vec<&[u8]> = signed.signatures().iter().map(<[u8; 49]>::as_slice).collect();
            let octets = postcard::to_stdvec(&octets).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
            let sql = "UPDATE action SET signatures = ?2 WHERE id = ?1";
            transaction.prepare_cached(sql)?.execute(params![id.as_str(), octets])?;
            let fields = Signing {
                action: id,
                messages: digests(signed.messages()),
                signatures: signed.signatures().iter().map(|s| hex::encode(digest(s))).collect(),
            };
            audit::append(transaction, "signed", &fields)?;
            Ok(Kept::Submit(Submitted { id: id.clone(), signatures: signed.signatures().to_vec() }))
        }
        UnderWay::Submit(kept) if kept.signatures == signed.signatures() => Ok(Kept::Submit(kept)),
        _ => {
            contradiction(transaction, id, "signatures were made for what is not, or differently, under way")?;
            Ok(Kept::Contradiction)
        }
    }
}

/// Settles an approval that was never signed and whose time is over.
pub fn end_in_time(transaction: &Transaction<'_>, id: &ActionId, now: u64) -> Result<bool, rusqlite::Error> {
    let over = Row::read(transaction, id)?.is_some_and(|row| row.state == State::Approving && row.deadline() <= now);
    if !over || signatures(transaction, id)?.is_some() {
        return Ok(false);
    }
    settle(
        transaction,
        id,
        &Settling::decided(ActionEnd::Expired, "its time was over before it was signed".into()),
        now,
    )
}

fn signatures(transaction: &Transaction<'_>, id: &ActionId) -> Result<Option<Vec<[u8; 49]>>, rusqlite::Error> {
    let torn = || rusqlite::Error::InvalidColumnType(0, "signatures".into(), rusqlite::types::Type::Blob);
    let sql = "SELECT signatures FROM action WHERE id = ?1";
    let octets: Option<Vec<u8>> = transaction.prepare_cached(sql)?.query_row([id.as_str()], |row| row.get(0))?;
    let Some(octets) = octets else { return Ok(None) };
    let kept: Vec<&[u8]> = postcard::from_bytes(&octets).map_err(|_| torn())?;
    kept.into_iter().map(|s| s.try_into().map_err(|_| torn())).collect::<Result<_, _>>().map(Some)
}
