//! Bytes that were denied or rejected once: under another id they are held at most.

use super::story::digest;
use rusqlite::Transaction;

/// Remembers them.
pub fn note(transaction: &Transaction<'_>, messages: &[Vec<u8>]) -> Result<(), rusqlite::Error> {
    let mut statement = transaction.prepare_cached("INSERT OR IGNORE INTO refused (digest) VALUES (?1)")?;
    messages.iter().try_for_each(|m| statement.execute([digest(m).as_slice()]).map(drop))
}

/// Whether one of them was.
pub fn any(transaction: &Transaction<'_>, messages: &[Vec<u8>]) -> Result<bool, rusqlite::Error> {
    let mut statement = transaction.prepare_cached("SELECT 1 FROM refused WHERE digest = ?1")?;
    for message in messages {
        if statement.exists([digest(message).as_slice()])? {
            return Ok(true);
        }
    }
    Ok(false)
}
