//! Files of the state directory: written whole or not at all, readable by the vault's user alone.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

const LOCK: &str = "vault.lock";

/// Makes the directory with mode 0700 where it is missing; one that others may write to or read is refused.
pub fn private_dir(path: &Path) -> io::Result<bool> {
    let missing = !path.exists();
    if missing {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    }
    let mode = path.metadata()?.mode();
    if mode & 0o077 != 0 {
        let words = format!("its mode is {:o}; others may reach into it: chmod 700 {}", mode & 0o777, path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, words));
    }
    Ok(missing)
}

/// Replaces the file: a crash leaves the old one or the new one.
pub fn write(path: &Path, octets: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(octets)?;
    file.sync_all()?;
    std::fs::rename(&aside, path)?;
    sync_parent(path)
}

/// Removes the file where there is one, and what an interrupted write left of it.
pub fn remove(path: &Path) -> io::Result<()> {
    for path in [path.to_path_buf(), path.with_extension("new")] {
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    sync_parent(path)
}

/// Two vaults must not share a state directory. The lock ends with the file that is given back.
pub fn lock(dir: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(dir.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another vault works on it")),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// The same for who only looks, and makes no file for it: `WouldBlock` where a vault has the lock; nothing where there is none to have.
pub fn lock_existing(dir: &Path) -> io::Result<Option<File>> {
    let file = match File::open(dir.join(LOCK)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("a/b");
        assert!(private_dir(&state).unwrap());
        assert!(!private_dir(&state).unwrap());
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o750)).unwrap();
        assert!(private_dir(&state).unwrap_err().to_string().contains("chmod 700"));
    }

    #[test]
    fn files_are_private_replaced_whole_and_removed_with_their_remains() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bls.age");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        std::fs::write(path.with_extension("new"), b"torn").unwrap();
        remove(&path).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn one_state_directory_has_one_vault() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path()).unwrap();
        assert!(lock(dir.path()).is_err());
        drop(held);
        assert!(lock(dir.path()).is_ok());
    }
}
