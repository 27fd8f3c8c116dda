use std::io::{BufRead, Read as _};

use serde::Deserialize;

use super::{MAX_LINE, Why, checkpoint_line};
use crate::{Error, Hash, Note, record::Envelope, tree::leaf_hash};

const RECORD: &[u8] = br#"{"n":"#;
const CHECKPOINT: &[u8] = br#"{"checkpoint":"#;

/// A line that is well-formed.
pub enum Line {
    /// With the leaf hash of its octets.
    Record(Envelope, Hash),
    Checkpoint(Note),
}

/// A line that is not, and whether it begins as a checkpoint's.
pub struct Broken {
    pub checkpoint: bool,
    pub why: Why,
}

/// The lines of an export, one at a time, of bounded length.
pub struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), number: 0 }
    }

    /// The number of the line that was read last, from 1 on.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// None at the end.
    pub fn next(&mut self) -> Result<Option<Line>, Broken> {
        self.buffer.clear();
        let read = (&mut self.reader).take(MAX_LINE as u64).read_until(b'\n', &mut self.buffer);
        let length = read.map_err(|error| Broken { checkpoint: false, why: error.into() })?;
        if length == 0 {
            return Ok(None);
        }
        self.number += 1;
        let checkpoint = self.buffer.starts_with(CHECKPOINT);
        self.parse(checkpoint).map(Some).map_err(|why| Broken { checkpoint, why })
    }

    fn parse(&self, checkpoint: bool) -> Result<Line, Why> {
        let Some(line) = self.buffer.strip_suffix(b"\n") else {
            return Err(if self.buffer.len() < MAX_LINE { Why::Unended } else { Why::TooLong });
        };
        if checkpoint {
            return parse_checkpoint(line).map(Line::Checkpoint).map_err(Why::Malformed);
        }
        if !line.starts_with(RECORD) {
            return Err(Why::Malformed(Error::Record("neither a record nor a checkpoint")));
        }
        Ok(Line::Record(Envelope::parse(line).map_err(Why::Malformed)?, leaf_hash(line)))
    }
}

/// One spelling only: what is around the signed text is not signed.
fn parse_checkpoint(line: &[u8]) -> Result<Note, Error> {
    #[derive(Deserialize)]
    struct Raw {
        checkpoint: String,
    }

    let raw: Raw = serde_json::from_slice(line).map_err(|_| Error::Note("its line is not the JSON of a checkpoint"))?;
    if checkpoint_line(&raw.checkpoint).as_bytes() != line {
        return Err(Error::Note("its line is spelled in another way"));
    }
    Note::parse(&raw.checkpoint)
}
