//! What is held for no other cause than a wall clock that jumped: policy judges it once an operator has confirmed the clock.

use super::{actions, time};
use crate::pipeline::Judged;
use ipc::ActionId;
use rusqlite::Transaction;

/// Why it is held.
pub const WHY: &str = "the wall clock jumped: it is judged once an operator confirms the clock";

/// Whether the wall clock is not to be believed, or was not when this was judged.
pub fn stepped(transaction: &Transaction<'_>, judged: &Judged) -> Result<bool, rusqlite::Error> {
    Ok(time::look(transaction)?.stepped || !judged.had_time())
}

pub fn note(transaction: &Transaction<'_>, id: &ActionId) -> Result<(), rusqlite::Error> {
    let sql = "INSERT OR IGNORE INTO held_for_clock (action) VALUES (?1)";
    transaction.prepare_cached(sql)?.execute([id.as_str()]).map(drop)
}

/// It is not any more; whether it was.
pub fn forget(transaction: &Transaction<'_>, id: &ActionId) -> Result<bool, rusqlite::Error> {
    let mut statement = transaction.prepare_cached("DELETE FROM held_for_clock WHERE action = ?1")?;
    Ok(statement.execute([id.as_str()])? == 1)
}

/// Their ids, so many at the most.
pub fn list(transaction: &Transaction<'_>, most: usize) -> Result<Vec<ActionId>, rusqlite::Error> {
    let sql = "SELECT h.action FROM held_for_clock h JOIN action a ON a.id = h.action
               WHERE a.state = 'held' AND a.settled IS NULL LIMIT ?1";
    actions::ids(transaction.prepare_cached(sql)?.query_map([most], |row| row.get(0))?)
}
