//! One audit record: a JSON object on one line. Its octets, without the newline, are the leaf of the tree.

use serde::{Deserialize, Serialize};

use crate::{Error, Hash, time};

/// The longest record, in octets, without the newline.
pub const MAX_RECORD: usize = 1024 * 1024 - 1;
/// What the first record has for the hash of the one before.
pub const FIRST: Hash = [0; 32];

/// The line of a record: `{"n":…,"prev":"…","time":"…","kind":"…"` and then the fields, in their order.
///
/// `n` counts from 0. `prev` is [`crate::tree::leaf_hash`] of the record before, [`FIRST`] for the first. `kind` is 1 to 64
/// of `a-z 0-9 - _ .`. `fields` serialises to a JSON object (a struct or a map) in which those four names do not occur.
///
/// # Errors
/// Fields or a kind that are not so; a time after the year 9999; a line longer than [`MAX_RECORD`].
pub fn line(n: u64, prev: &Hash, time_unix_ms: u64, kind: &str, fields: &impl Serialize) -> Result<String, Error> {
    let time = time::format(time_unix_ms).ok_or(Error::Record("its time is after the year 9999"))?;
    let fields = serde_json::to_string(fields).map_err(|_| Error::Record("its fields cannot be written as JSON"))?;
    let fields = fields.strip_prefix('{').ok_or(Error::Record("its fields are not an object"))?;
    let mut line = head(n, &hex::encode(prev), &time, kind);
    if fields != "}" {
        line.push(',');
    }
    line.push_str(fields);
    // Read back, so that nothing is written that would be refused later: the names twice, a newline, too long.
    Envelope::parse(line.as_bytes())?;
    Ok(line)
}

/// The kind of the records that name another key for the log's checkpoints.
pub const KEY: &str = "audit-key";

/// What all records have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub n: u64,
    pub prev: Hash,
    /// RFC 3339, UTC, milliseconds.
    pub time: String,
    pub kind: String,
    /// Of a record of the kind [`KEY`].
    pub key: Option<KeyChange>,
}

/// Who signs the log's checkpoints from here on, in the place of whom: the keys as their vkeys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    pub from: String,
    pub to: String,
}

impl Envelope {
    /// Takes a line without its newline apart: strictly as [`line`] writes the first four names, any JSON after them.
    ///
    /// # Errors
    /// [`Error::Record`] with what is wrong.
    pub fn parse(line: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Raw {
            n: u64,
            prev: String,
            time: String,
            kind: String,
        }

        if line.len() > MAX_RECORD {
            return Err(Error::Record("too long"));
        }
        let text = str::from_utf8(line).map_err(|_| Error::Record("not UTF-8"))?;
        if text.contains('\n') {
            return Err(Error::Record("more than one line"));
        }
        let Raw { n, prev, time, kind } = serde_json::from_str(text)
            .map_err(|_| Error::Record("not a JSON object with n, prev, time and kind once"))?;
        if !text.starts_with(&head(n, &prev, &time, &kind)) || !text.ends_with('}') {
            return Err(Error::Record("does not begin with n, prev, time and kind, or has space around it"));
        }
        if !time::is_spelled(&time) {
            return Err(Error::Record("its time is not spelled YYYY-MM-DDTHH:MM:SS.mmmZ"));
        }
        if !(1..=64).contains(&kind.len())
            || !kind.bytes().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
        {
            return Err(Error::Record("its kind is not 1 to 64 of a-z 0-9 - _ ."));
        }
        let mut hash = FIRST;
        hex::decode_to_slice(&prev, &mut hash).map_err(|_| Error::Record("its prev is not 64 hexadecimal digits"))?;
        if hex::encode(hash) != prev {
            return Err(Error::Record("its prev is not in lower case"));
        }
        let key = match kind.as_str() {
            KEY => Some(serde_json::from_str(text).map_err(|_| Error::Record("it names no two keys"))?),
            _ => None,
        };
        Ok(Self { n, prev: hash, time, kind, key })
    }
}

fn head(n: u64, prev: &str, time: &str, kind: &str) -> String {
    format!(r#"{{"n":{n},"prev":"{prev}","time":"{time}","kind":"{kind}""#)
}
