//! What the operator and the health endpoints are told of actions: one of them, how many there are, or all since some time, page by page.

use ipc::{ActionId, ActionPage, KnownAction};
use rusqlite::{OptionalExtension, Row, Transaction, params};

/// What a page holds of messages, octets; one action more may go over it.
const PAGE: usize = 256 << 10;
const MOST: usize = 512;

const COLUMNS: &str = "id, state, claim, expires, seen, messages, verdict, rule, why, decided_by, policy";

pub fn known(transaction: &Transaction<'_>, id: &ActionId) -> Result<Option<KnownAction>, rusqlite::Error> {
    let sql = format!("SELECT {COLUMNS} FROM action WHERE id = ?1");
    transaction.prepare_cached(&sql)?.query_row([id.as_str()], from_sql).optional()
}

/// In the order in which they were first seen.
pub fn since(
    transaction: &Transaction<'_>,
    since: u64,
    after: Option<&(u64, ActionId)>,
) -> Result<ActionPage, rusqlite::Error> {
    let sql = format!("SELECT {COLUMNS} FROM action WHERE (seen, id) > (?1, ?2) ORDER BY seen, id");
    let mut statement = transaction.prepare_cached(&sql)?;
    // No id is the empty one.
    let (seen, id) = after.map_or((since, ""), |(seen, id)| (*seen, id.as_str()));
    let mut rows = statement.query(params![seen, id])?;
    let (mut actions, mut octets) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        if octets > PAGE || actions.len() == MOST {
            return Ok(ActionPage { actions, more: true });
        }
        let action = from_sql(row)?;
        octets += action.messages.iter().map(Vec::len).sum::<usize>();
        actions.push(action);
    }
    Ok(ActionPage { actions, more: false })
}

impl super::actions::Row {
    /// The expiry of what is unsettled and expires next, Unix seconds.
    pub fn next_expiry(transaction: &Transaction<'_>) -> Result<Option<u64>, rusqlite::Error> {
        transaction.query_row("SELECT min(expires) FROM action WHERE settled IS NULL", [], |row| row.get(0))
    }

    /// How many approvals expire within `close` seconds, are not settled, and were known for `known` seconds.
    pub fn overdue(transaction: &Transaction<'_>, now: u64, close: u64, known: u64) -> Result<u64, rusqlite::Error> {
        let sql = "SELECT count(*) FROM action
                   WHERE settled IS NULL AND state = 'approving' AND expires <= ?1 AND seen <= ?2";
        let mut statement = transaction.prepare_cached(sql)?;
        statement.query_row([now + close, now.saturating_sub(known)], |row| row.get(0))
    }

    /// How many are open in each of these states. What is settled is not read: there is no end to it.
    pub fn count_open(
        transaction: &Transaction<'_>,
        states: [&'static str; 4],
    ) -> Result<[(&'static str, u64); 4], rusqlite::Error> {
        let mut statement =
            transaction.prepare_cached("SELECT count(*) FROM action WHERE settled IS NULL AND state = ?1")?;
        let mut counts = states.map(|state| (state, 0));
        for (state, count) in &mut counts {
            *count = statement.query_row([*state], |row| row.get(0))?;
        }
        Ok(counts)
    }

    pub fn count(transaction: &Transaction<'_>) -> Result<Vec<(String, u64)>, rusqlite::Error> {
        let mut statement = transaction.prepare("SELECT state, count(*) FROM action GROUP BY state ORDER BY state")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }
}

fn from_sql(row: &Row<'_>) -> Result<KnownAction, rusqlite::Error> {
    let torn = |column: usize| rusqlite::Error::InvalidColumnType(column, "action".into(), rusqlite::types::Type::Blob);
    let messages: Option<Vec<u8>> = row.get(5)?;
    Ok(KnownAction {
        id: ActionId::try_from(row.get::<_, String>(0)?).map_err(|_| torn(0))?,
        state: row.get(1)?,
        claim: row.get(2)?,
        expires: row.get(3)?,
        seen: row.get(4)?,
        messages: match messages {
            Some(octets) => postcard::from_bytes(&octets).map_err(|_| torn(5))?,
            None => Vec::new(),
        },
        verdict: row.get(6)?,
        rule: row.get(7)?,
        why: row.get(8)?,
        decided_by: row.get(9)?,
        policy: row.get::<_, Option<[u8; 32]>>(10)?.map(hex::encode),
    })
}
