//! Landlock: the files, the ports and the processes that a room reaches, whatever its user may.

use crate::{Error, seams};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use std::path::PathBuf;

/// What is asked of the kernel: ABI 7 is of Linux 6.15, and of the rights that are handled here the last came with 6 (6.12).
const WANTED: ABI = ABI::V7;
const WALL: &str = "Landlock";
const IN_PART: &str = "this kernel has a part of it only (all of it: Linux 6.12)";
const NOT_AT_ALL: &str = "this kernel has it not, or it is not switched on (`lsm=` of its command line)";

/// Where a room stands. What is not named here it cannot open; it executes nothing, binds no TCP port, and sends no signal and
/// speaks on no abstract socket to a process that is not its own.
#[derive(Debug, Default)]
pub struct Ground {
    /// Files and whole directories that it reads. One that is missing is left out.
    pub read: Vec<PathBuf>,
    /// Directories in which it makes, changes and removes regular files and directories. They must be there.
    pub write: Vec<PathBuf>,
    /// Whether it connects to TCP ports.
    pub connects: bool,
    /// Whether it does not start on a kernel that cannot do all of this.
    pub required: bool,
}

impl Ground {
    /// What this kernel could not hold a room to, if anything. Nothing is held by asking.
    pub fn missing() -> Option<&'static str> {
        let rules = || Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        let all = rules()
            .handle_access(AccessFs::from_all(WANTED))
            .and_then(|rules| rules.handle_access(AccessNet::from_all(WANTED)))
            .and_then(|rules| rules.scope(Scope::from_all(WANTED)))
            .and_then(Ruleset::create);
        let some = || rules().handle_access(AccessFs::from_all(ABI::V1)).and_then(Ruleset::create);
        match all {
            Ok(_) => None,
            Err(_) => Some(if some().is_ok() { IN_PART } else { NOT_AT_ALL }),
        }
    }

    /// Holds for this thread and those that it starts: call it before there are others. Says what the kernel cannot hold it
    /// to, if anything.
    pub fn stand(&self) -> Result<Option<String>, Error> {
        if seams::no_jail() {
            return Ok(None);
        }
        let words = |e: &dyn std::fmt::Display| Error::words(WALL, e);
        let net = if self.connects { AccessNet::BindTcp.into() } else { AccessNet::from_all(WANTED) };
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(WANTED))
            .and_then(|rules| rules.handle_access(net))
            .and_then(|rules| rules.scope(Scope::from_all(WANTED)))
            .and_then(Ruleset::create)
            .map_err(|e| words(&e))?;
        for (path, access) in self.rights() {
            let beneath = match PathFd::new(path) {
                Ok(fd) => PathBeneath::new(fd, within(path, access)),
                Err(_) if !self.write.contains(path) => continue,
                Err(e) => return Err(Error::words(WALL, e)),
            };
            rules = rules.add_rule(beneath).map_err(|e| words(&e))?;
        }
        let status = rules.restrict_self().map_err(|e| words(&e))?;
        let missing = match status.ruleset {
            RulesetStatus::FullyEnforced => return Ok(None),
            RulesetStatus::PartiallyEnforced => IN_PART,
            RulesetStatus::NotEnforced => NOT_AT_ALL,
        };
        if self.required { Err(Error::words(WALL, missing)) } else { Ok(Some(format!("{WALL}: {missing}"))) }
    }

    fn rights(&self) -> impl Iterator<Item = (&PathBuf, BitFlags<AccessFs>)> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let write = read
            | AccessFs::WriteFile
            | AccessFs::Truncate
            | AccessFs::MakeReg
            | AccessFs::MakeDir
            | AccessFs::RemoveFile
            | AccessFs::RemoveDir;
        let reads = self.read.iter().map(move |path| (path, read));
        reads.chain(self.write.iter().map(move |path| (path, write)))
    }
}

/// A file has no rights of a directory.
fn within(path: &std::path::Path, access: BitFlags<AccessFs>) -> BitFlags<AccessFs> {
    if path.is_dir() { access } else { access & AccessFs::from_file(WANTED) }
}
