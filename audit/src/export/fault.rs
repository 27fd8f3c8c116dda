use super::MAX_LINE;
use crate::Error;

/// The first bad place of an export, and what is known to be good before it.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, {place}: {why}. {}", self.known())]
pub struct Fault {
    /// Counted from 1.
    pub line: u64,
    pub place: Place,
    pub why: Why,
    /// Records 0 to `covered` − 1 are good: a checkpoint vouches for them.
    pub covered: u64,
}

impl Fault {
    /// What is known in spite of the fault, in words.
    pub fn known(&self) -> String {
        match self.covered.checked_sub(1) {
            None => "Nothing is known of any record".to_owned(),
            Some(0) => "Record 0 is covered by the checkpoint of size 1; nothing is known after record 0".to_owned(),
            Some(last) => format!(
                "Records 0 to {last} are covered by the checkpoint of size {}; nothing is known after record {last}",
                self.covered
            ),
        }
    }
}

/// Where an export is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Place {
    #[error("record {0}")]
    Record(u64),
    /// With the number of records before it.
    #[error("checkpoint after {0} records")]
    Checkpoint(u64),
    /// With the number of records before it.
    #[error("end of the file after {0} records")]
    End(u64),
}

/// How an export is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    #[error("reading failed: {0}")]
    Read(#[from] std::io::Error),
    #[error("the file is empty")]
    Empty,
    #[error("there is no checkpoint at the end; the export is cut off, and nothing vouches for its last records")]
    Truncated,
    #[error("the line is longer than {MAX_LINE} octets")]
    TooLong,
    #[error("the line does not end; the export is cut off")]
    Unended,
    #[error("{0}")]
    Malformed(Error),
    #[error("the line here says that it is record {found}; records are missing, doubled or out of order")]
    Number { found: u64 },
    #[error("it was changed, or does not belong here: what it says of the record before it is not so")]
    Prev,
    #[error("it was changed: what comes after it vouches for another record in its place")]
    Content,
    #[error(
        "it was changed, for the signed checkpoint after it is over other records; if records were chained anew, \
         the first of them may be any from record {since} on"
    )]
    Root { since: u64 },
    #[error("it was changed, or another key signed it: {0}")]
    Signature(Error),
    #[error(
        "from here on another key signs, which the one before it did not vouch for, as after a restore onto another token. If you \
         know it for this agent's, verify with it: {key}"
    )]
    NotVouched { key: String },
    #[error("it is a checkpoint of {found} records")]
    Size { found: u64 },
    #[error("it has the size of the checkpoint before it")]
    Again,
}
