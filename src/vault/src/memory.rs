//! What the token remembers of the ledger: which start it was, and the last checkpoint. A state directory that does not have
//! what its token remembers is an older copy, or another vault's.

use crate::ledger::{Condition, Ledger, audit};
use crate::room::Trouble;
use hsm::{Memory, Token};
use rusqlite::Transaction;
use sha2::{Digest, Sha256};

/// What the operator does about it.
const REMEDY: &str = "nothing is signed. If the state directory was restored from a backup, or the token replaced, on purpose: \
                      `signing-agent recover --accept-rollback` takes it as it is, on record, and starts frozen. If it was \
                      not, somebody put it back: keep both as they are and find out who";

/// How far a ledger was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub epoch: u64,
    /// How many records the last checkpoint covers; 0 before the first.
    pub size: u64,
    /// SHA-256 of the checkpoint's note; zeros before the first.
    pub digest: [u8; 32],
}

impl Mark {
    /// Before the first checkpoint.
    pub const NONE: Mark = Mark { epoch: 0, size: 0, digest: [0; 32] };

    pub fn new(epoch: u64, size: u64, note: &str) -> Self {
        Self { epoch, size, digest: Sha256::digest(note).into() }
    }

    pub fn to_bytes(self) -> Vec<u8> {
        [&self.epoch.to_be_bytes()[..], &self.size.to_be_bytes(), &self.digest].concat()
    }

    pub fn from_bytes(octets: &[u8]) -> Option<Self> {
        let (epoch, rest) = octets.split_first_chunk()?;
        let (size, digest) = rest.split_first_chunk()?;
        let (epoch, size) = (u64::from_be_bytes(*epoch), u64::from_be_bytes(*size));
        Some(Self { epoch, size, digest: digest.try_into().ok()? })
    }
}

/// Reads the token's memory and compares the ledger with it. A new ledger has it made, so that one that has checkpoints
/// always has a memory too.
pub fn compare(token: &Token, ledger: &Ledger) -> Result<Memory, Trouble> {
    let of_the_token = |e: hsm::Error| match e {
        hsm::Error::MemoryMalformed(_) => Trouble::rollback(e),
        hsm::Error::MemoryNotOffered { .. } => Trouble::lasting(e),
        e => Trouble::passing(e),
    };
    let found = token.read_memory().map_err(of_the_token)?;
    let (_, covered) = ledger.call(audit::counts).map_err(Trouble::lasting)?;
    let Some(memory) = found else {
        if covered > 0 {
            let words = format!("the token does not remember this ledger, although it has checkpoints: {REMEDY}");
            return Err(Trouble::rollback(words));
        }
        return token.write_memory(None, &Mark::NONE.to_bytes()).map_err(of_the_token);
    };
    let Some(mark) = Mark::from_bytes(&memory.content) else {
        return Err(Trouble::rollback(format!("the token's memory is not one of this program's: {REMEDY}")));
    };
    match ledger.call(move |t| fits(t, mark)).map_err(Trouble::lasting)? {
        None => Ok(memory),
        Some(why) => Err(Trouble::rollback(format!("{why}: {REMEDY}"))),
    }
}

/// Why the ledger is not the one that the token remembers, or a later one.
pub fn fits(t: &Transaction<'_>, mark: Mark) -> Result<Option<String>, rusqlite::Error> {
    if mark == Mark::NONE {
        return Ok(None);
    }
    let (note, covered, epoch) = (audit::checkpoint(t, mark.size)?, audit::counts(t)?.1, Condition::Epoch.read(t)?);
    let Mark { size, .. } = mark;
    Ok(match note {
        _ if size > covered => Some(format!(
            "the state directory is older than the token's memory of it: the token remembers a checkpoint of {size} records, \
             here the last one is of {covered}"
        )),
        Some(note) if Mark::new(mark.epoch, size, &note) == mark && mark.epoch <= epoch => None,
        _ => {
            Some(format!("the token remembers another ledger than this: its checkpoint of {size} records is not here"))
        }
    })
}

/// What is told of it in `status`.
pub fn words(config: &config::Config, memory: Option<&Memory>) -> String {
    let Some(mark) = memory.and_then(|memory| Mark::from_bytes(&memory.content)) else {
        return "none ([ledger] token_memory): an older copy of the state directory would not be noticed".into();
    };
    let module = config.hsm.module.to_string_lossy().to_lowercase();
    let Mark { epoch, size, .. } = mark;
    let mut words = format!("start {epoch}, checkpoint of {size} records");
    if module.contains("softhsm") {
        words += "; this token lies on the same machine's disk (SoftHSM): who puts back an older copy of both is not noticed";
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_nothing_else_is_one() {
        let mark = Mark::new(7, 1200, "note");
        assert_eq!(Mark::from_bytes(&mark.to_bytes()), Some(mark));
        assert_eq!(Mark::from_bytes(&Mark::NONE.to_bytes()), Some(Mark::NONE));
        for octets in [&[][..], &mark.to_bytes()[1..], &[mark.to_bytes(), vec![0]].concat()] {
            assert_eq!(Mark::from_bytes(octets), None);
        }
    }

    #[test]
    fn an_older_or_another_ledger_is_told_from_the_one_that_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        Ledger::create(&path).unwrap();
        let ledger = Ledger::open(&path, crate::ledger::Busy::default()).unwrap();
        let keep = |size, note: &'static str| ledger.call(move |t| audit::keep_checkpoint(t, size, note)).unwrap();
        ledger.call(|t| Condition::Epoch.write(t, 3)).unwrap();
        let fits = |mark| ledger.call(move |t| fits(t, mark)).unwrap();
        assert_eq!(fits(Mark::NONE), None, "a first start");
        keep(10, "ten");
        keep(20, "twenty");
        let said = |mark| fits(mark).unwrap_or_default();
        assert_eq!(said(Mark::new(3, 20, "twenty")), "");
        assert_eq!(said(Mark::new(2, 10, "ten")), "", "a crash before the token heard of the later one");
        assert!(said(Mark::new(3, 30, "thirty")).contains("older than the token"));
        assert!(said(Mark::new(3, 20, "other")).contains("another ledger"));
        assert!(said(Mark::new(3, 15, "fifteen")).contains("another ledger"));
        assert!(said(Mark::new(4, 20, "twenty")).contains("another ledger"), "a start that this ledger never had");
    }
}
