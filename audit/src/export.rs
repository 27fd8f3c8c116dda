//! An exported log: lines of records, and the line of a checkpoint of size N after record N−1. The last line is a checkpoint.

mod fault;
mod lines;
mod signers;

use std::io::BufRead;

use crate::{Error, Hash, Note, VerifyingKey, record, record::Envelope, tree::Frontier};
pub use fault::{Fault, Place, Why};
use lines::{Broken, Line, Lines};
use signers::Signers;

/// The longest line, in octets, with its newline.
pub const MAX_LINE: usize = record::MAX_RECORD + 1;

/// The line of a checkpoint, without its newline. The note has one signature only, the audit key's: a witness's could not be
/// verified with that key, so that a change of it would not be noticed.
pub fn checkpoint_line(note: &str) -> String {
    serde_json::json!({ "checkpoint": note }).to_string()
}

/// What a verified export says. Whether the log went on after it cannot be known from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub records: u64,
    pub checkpoints: u64,
    /// The times of the first and the last record, as they have them; none if there is no record.
    pub first_time: Option<String>,
    pub last_time: Option<String>,
    /// The size of the last checkpoint: that of the log, once all is verified.
    pub covered: u64,
    /// The root that the last checkpoint has.
    pub root: Hash,
    /// Who signed, one after the other: the names.
    pub keys: Vec<String>,
}

/// Reads an export to its end and checks all of it: each line's form, the numbers from 0 on, each record's hash of the one
/// before, each checkpoint's signature, origin, size and root. Sizes of checkpoints grow. Memory is that of a line.
///
/// `key` signs the first checkpoint. Another one goes on where a record names it and a checkpoint of the key before it covers that.
///
/// # Errors
/// The first fault. Where a record is not what its successor says of it, what stands after both decides which was changed.
pub fn verify(reader: impl BufRead, key: &VerifyingKey) -> Result<Report, Fault> {
    verify_from(reader, key.clone(), key)
}

/// The same, where `first` signs the first checkpoint, as [`first_key`] has it, and `key` alone is believed. What `key` signed
/// vouches for all that was before it; so up to there keys may follow each other that do not vouch for one another.
///
/// # Errors
/// As [`verify`]; and where `key` signed none of it.
pub fn verify_from(reader: impl BufRead, first: VerifyingKey, key: &VerifyingKey) -> Result<Report, Fault> {
    let mut walk = Walk::new(reader, Signers::new(first, key));
    loop {
        match walk.step() {
            Ok(true) => {}
            Ok(false) => return Ok(walk.report),
            Err(Bad { line, place, why }) => {
                let covered = if walk.signers.reached() { walk.report.covered } else { 0 };
                return Err(Fault { line, place, why, covered });
            }
        }
    }
}

/// The key that signs the first checkpoint of an export that goes over to `key` later on; `key` itself where it does not. Nothing of
/// this is verified.
///
/// # Errors
/// A first key that is none.
pub fn first_key(reader: impl BufRead, key: &VerifyingKey) -> Result<VerifyingKey, Error> {
    let (mut lines, mut first, key) = (Lines::new(reader), None, key.clone());
    while let Ok(Some(line)) = lines.next() {
        let Line::Record(Envelope { key: Some(change), .. }, _) = line else { continue };
        let first = first.get_or_insert_with(|| change.from.clone());
        if change.to == key.to_string() {
            return first.parse();
        }
    }
    Ok(key)
}

struct Walk<'a, R> {
    lines: Lines<R>,
    signers: Signers<'a>,
    /// The tree of all records but the last one, so that it can be asked what the root would be with another last one.
    settled: Frontier,
    /// The leaf of the last record, and the line it stands on.
    last: Hash,
    last_line: u64,
    report: Report,
}

struct Bad {
    line: u64,
    place: Place,
    why: Why,
}

impl<'a, R: BufRead> Walk<'a, R> {
    fn new(reader: R, signers: Signers<'a>) -> Self {
        let settled = Frontier::default();
        let report = Report {
            records: 0,
            checkpoints: 0,
            first_time: None,
            last_time: None,
            covered: 0,
            root: settled.root(),
            keys: Vec::new(),
        };
        Self { lines: Lines::new(reader), signers, settled, last: record::FIRST, last_line: 0, report }
    }

    /// Takes one line; false at a good end.
    fn step(&mut self) -> Result<bool, Bad> {
        let records = self.report.records;
        match self.lines.next() {
            Ok(Some(Line::Record(record, leaf))) => self.record(record, leaf).map(|()| true),
            Ok(Some(Line::Checkpoint(note))) => self.checkpoint(&note).map(|()| true),
            Ok(None) if records == 0 && self.report.checkpoints == 0 => Err(self.here(Place::End(0), Why::Empty)),
            Ok(None) if records > self.report.covered => Err(self.here(Place::End(records), Why::Truncated)),
            Ok(None) if !self.signers.reached() => {
                let why = Why::Signature(Error::NotSigned(self.signers.trusted().name().to_owned()));
                Err(self.here(Place::End(records), why))
            }
            Ok(None) => Ok(false),
            Err(Broken { checkpoint: true, why }) => Err(self.here(Place::Checkpoint(records), why)),
            Err(Broken { checkpoint: false, why }) => Err(self.here(Place::Record(records), why)),
        }
    }

    fn record(&mut self, record: Envelope, leaf: Hash) -> Result<(), Bad> {
        let report = &mut self.report;
        if record.n != report.records {
            let place = Place::Record(report.records);
            return Err(self.here(place, Why::Number { found: record.n }));
        }
        if record.prev != self.last {
            return Err(self.fork(&record, leaf));
        }
        if let Some(change) = &record.key
            && let Err(error) = self.signers.named(record.n, change)
        {
            return Err(self.here(Place::Record(record.n), Why::Malformed(error)));
        }
        let report = &mut self.report;
        if report.records > 0 {
            self.settled.append(self.last);
        }
        (self.last, self.last_line) = (leaf, self.lines.number());
        report.records += 1;
        report.first_time.get_or_insert_with(|| record.time.clone());
        report.last_time = Some(record.time);
        Ok(())
    }

    /// `record` names another one before it than the last: which of the two was changed? What vouches for one of them says.
    fn fork(&mut self, record: &Envelope, leaf: Hash) -> Bad {
        let records = self.report.records;
        let this = self.here(Place::Record(records), Why::Prev);
        if records == self.report.covered {
            // A checkpoint vouches for the last one; or this is record 0, and there is none.
            return this;
        }
        let this_is_good = match self.lines.next() {
            Ok(Some(Line::Record(next, _))) => next.n == records + 1 && next.prev == leaf,
            Ok(Some(Line::Checkpoint(note))) => {
                let mut tree = self.settled.clone();
                tree.append(record.prev);
                tree.append(leaf);
                let signed = self.signers.verify(&note);
                signed.is_ok_and(|(signed, _)| signed.size == tree.size() && signed.root == tree.root())
            }
            Ok(None) | Err(_) => false,
        };
        if !this_is_good {
            return this;
        }
        Bad { line: self.last_line, place: Place::Record(records - 1), why: Why::Content }
    }

    fn checkpoint(&mut self, note: &Note) -> Result<(), Bad> {
        let records = self.report.records;
        let bad = |why| Bad { line: self.lines.number(), place: Place::Checkpoint(records), why };
        let (signed, key) = self.signers.verify(note).map_err(bad)?;
        if signed.origin != key.name() {
            return Err(bad(Why::Signature(Error::Origin(key.name().to_owned()))));
        }
        if note.signatures.len() != 1 || signed.body() != note.body {
            return Err(bad(Why::Malformed(Error::Note("in an export it has three lines and one signature"))));
        }
        if signed.size != records {
            return Err(bad(Why::Size { found: signed.size }));
        }
        if self.report.checkpoints > 0 && records == self.report.covered {
            return Err(bad(Why::Again));
        }
        let mut tree = self.settled.clone();
        if records > 0 {
            tree.append(self.last);
        }
        if signed.root != tree.root() {
            let place = records.checked_sub(1).map_or(Place::Checkpoint(0), Place::Record);
            return Err(Bad { line: self.last_line, place, why: Why::Root { since: self.report.covered } });
        }
        self.signers.believed(&key, records);
        if self.report.keys.last().is_none_or(|last| last != key.name()) {
            self.report.keys.push(key.name().to_owned());
        }
        self.report.checkpoints += 1;
        (self.report.covered, self.report.root) = (records, signed.root);
        Ok(())
    }

    fn here(&self, place: Place, why: Why) -> Bad {
        Bad { line: self.lines.number(), place, why }
    }
}
