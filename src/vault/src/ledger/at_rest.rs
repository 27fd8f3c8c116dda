//! The ledger of a vault that is not at work: looked at, and not touched.

use super::Error;
use super::schema::{VERSION, damage, sound};
use rusqlite::{Connection, OpenFlags, Transaction};
use std::path::Path;

/// Reads in it. Where the vault ended in order there is the file and no more, and nothing at all is written for a reading; where it did
/// not, what is in the write-ahead log counts. No vault may be at work on it in this process: SQLite's locks are the process's.
pub fn look<T>(path: &Path, look: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error>) -> Result<T, Error> {
    if !path.exists() {
        return Err(Error::Missing(path.display().to_string()));
    }
    let mut connection = open(path)?;
    let found: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(|e| damage(path, e))?;
    sound(&connection, path, found)?;
    if found != VERSION {
        return Err(Error::Schema { path: path.display().to_string(), found, known: VERSION });
    }
    Ok(look(&connection.transaction()?)?)
}

fn open(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    Ok(match std::fs::metadata(wal) {
        Ok(meta) if meta.len() > 0 => Connection::open_with_flags(path, flags)?,
        _ => Connection::open_with_flags(uri(path), flags | OpenFlags::SQLITE_OPEN_URI)?,
    })
}

/// SQLite's URI of a file that nobody changes meanwhile (sqlite.org/uri.html §3.3).
fn uri(path: &Path) -> String {
    let escaped = |octet: &u8| match octet {
        b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(*octet).to_string(),
        octet => format!("%{octet:02x}"),
    };
    let path: String = path.as_os_str().as_encoded_bytes().iter().map(escaped).collect();
    format!("file:{path}?immutable=1")
}

#[cfg(test)]
mod tests {
    use super::super::{Busy, Condition, Ledger};
    use super::*;

    fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
        let entries = std::fs::read_dir(dir).unwrap().flatten();
        let mut all: Vec<_> = entries
            .map(|entry| (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).unwrap()))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn a_ledger_at_rest_is_read_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("a dir?with #odd% names");
        std::fs::create_dir(&home).unwrap();
        let path = home.join("ledger.sqlite");
        Ledger::create(&path).unwrap();
        let ledger = Ledger::open(&path, Busy::default()).unwrap();
        ledger.call(|t| Condition::Epoch.write(t, 7)).unwrap();
        ledger.close();
        let before = files(&home);
        assert_eq!(look(&path, |t| Condition::Epoch.read(t)).unwrap(), 7);
        assert!(files(&home) == before);
        assert!(look(&path, |t| Condition::Epoch.write(t, 8)).is_err(), "it cannot be written to");
        assert!(files(&home) == before);
    }

    #[test]
    fn what_a_killed_vault_left_in_the_write_ahead_log_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.sqlite");
        Ledger::create(&path).unwrap();
        let ledger = Ledger::open(&path, Busy::default()).unwrap();
        ledger.call(|t| Condition::Epoch.write(t, 7)).unwrap();
        let copy = tempfile::tempdir().unwrap();
        for (name, octets) in files(dir.path()) {
            std::fs::write(copy.path().join(name), octets).unwrap();
        }
        let seen = look(&copy.path().join("ledger.sqlite"), |t| Condition::Epoch.read(t));
        assert_eq!(seen.unwrap(), 7);
        ledger.close();
    }
}
