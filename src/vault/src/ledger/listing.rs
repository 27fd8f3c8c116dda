//! Lists of actions, newest first. They read indexes and what stands before an action's messages, whatever those are.

use ipc::{ActionId, ActionLine, ActionList, ActionQuery, ActionState, MOST_LISTED, bounded};
use rusqlite::{OptionalExtension, Transaction, params};

/// Remembers what an action's messages say, for the list.
pub fn note(transaction: &Transaction<'_>, id: &ActionId, facts: &[String]) -> Result<(), rusqlite::Error> {
    let words = bounded(&facts.join("; "));
    if words.is_empty() {
        return Ok(());
    }
    let sql = "INSERT OR REPLACE INTO action_facts (action, words) VALUES (?1, ?2)";
    transaction.prepare_cached(sql)?.execute([id.as_str(), words.as_str()]).map(drop)
}

pub fn list(transaction: &Transaction<'_>, query: &ActionQuery) -> Result<ActionList, rusqlite::Error> {
    let limit = usize::from(query.limit.clamp(1, MOST_LISTED));
    let all = &ActionState::ALL[..];
    let states = if query.states.is_empty() { all } else { &query.states };
    let mut found = Vec::new();
    // Of each state by its index, so that what is rare is found as fast as what is not; one more tells whether there are more.
    for state in all.iter().filter(|state| states.contains(state)) {
        found.extend(of_state(transaction, *state, query, limit + 1)?);
    }
    found.sort_unstable_by(|a, b| (b.seen, &b.id).cmp(&(a.seen, &a.id)));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| (last.seen, last.id.clone()));
    let actions = found.into_iter().map(|found| whole(transaction, found)).collect::<Result<_, _>>()?;
    Ok(ActionList { actions, next })
}

/// One of them; `None` where it is not known.
pub fn line(transaction: &Transaction<'_>, id: &ActionId) -> Result<Option<ActionLine>, rusqlite::Error> {
    let sql = "SELECT state, seen, settled FROM action WHERE id = ?1";
    let read = |row: &rusqlite::Row<'_>| {
        let state = row.get::<_, String>(0)?;
        Ok(Found { id: id.clone(), state: named(&state)?, seen: row.get(1)?, settled: row.get(2)? })
    };
    let found = transaction.prepare_cached(sql)?.query_row([id.as_str()], read).optional()?;
    found.map(|found| whole(transaction, found)).transpose()
}

/// What the index has.
struct Found {
    id: ActionId,
    state: ActionState,
    seen: u64,
    settled: Option<u64>,
}

/// All of it out of the index, in its order.
const OF_STATE: &str = "SELECT id, seen, settled FROM action INDEXED BY action_listed
    WHERE state = ?1 AND seen >= ?2 AND (seen, id) < (?3, ?4) ORDER BY seen DESC, id DESC LIMIT ?5";

fn of_state(
    transaction: &Transaction<'_>,
    state: ActionState,
    query: &ActionQuery,
    most: usize,
) -> Result<Vec<Found>, rusqlite::Error> {
    let mut statement = transaction.prepare_cached(OF_STATE)?;
    let (before, id) = query.after.as_ref().map_or((i64::MAX, ""), |(seen, id)| (signed(*seen), id.as_str()));
    let values = params![state.as_str(), signed(query.since), before, id, most];
    let rows = statement.query_map(values, |row| {
        let id = row.get::<_, String>(0)?;
        let id = ActionId::try_from(id).map_err(|_| torn(0))?;
        Ok(Found { id, state, seen: row.get(1)?, settled: row.get(2)? })
    })?;
    rows.collect()
}

fn whole(transaction: &Transaction<'_>, found: Found) -> Result<ActionLine, rusqlite::Error> {
    let sql = "SELECT claim, expires, verdict, rule, why, decided_by,
                      (SELECT words FROM action_facts WHERE action_facts.action = action.id)
               FROM action WHERE id = ?1";
    let Found { id, state, seen, settled } = found;
    transaction.prepare_cached(sql)?.query_row([id.as_str()], |row| {
        let words =
            |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<String>>(column)?.map(|words| bounded(&words)));
        Ok(ActionLine {
            id: id.clone(),
            state,
            claim: words(0)?,
            expires: row.get(1)?,
            seen,
            settled,
            verdict: words(2)?,
            rule: words(3)?,
            why: words(4)?,
            decided_by: words(5)?,
            facts: words(6)?.unwrap_or_default(),
        })
    })
}

/// SQLite's numbers have a sign; times that have one are none.
fn signed(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

fn named(state: &str) -> Result<ActionState, rusqlite::Error> {
    ActionState::named(state).ok_or_else(|| torn(0))
}

fn torn(column: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(column, "action".into(), rusqlite::types::Type::Text)
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
