//! What a room reads, nobody but root and the room's own user may be able to write: the file, and each directory on the way to it,
//! also on the way through symbolic links. Looked at before it is read.
//!
//! Owners and modes are looked at; access control lists are not.

use crate::{Config, Error};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Symbolic links in one path at the most, as in the kernel (path_resolution(7)).
const MOST_LINKS: usize = 40;
const OTHERS_WRITE: u32 = 0o022;
/// In a directory with this bit an entry is its owner's to replace.
const STICKY: u32 = 0o1000;

/// Whose files are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    Api,
    Courier,
    Vault,
}

/// Who else could write it, and what to do about that.
#[derive(Debug, thiserror::Error)]
#[error("{words}: {remedy}")]
pub struct Fault {
    pub words: String,
    pub remedy: String,
}

/// Reads and checks the configuration of a room, once nobody else could have written it; then the same of the files that the room
/// reads by it.
pub fn load(path: &Path, room: Room) -> Result<Config, Error> {
    check(path)?;
    let config = crate::load(path)?;
    files(&config, room).into_iter().try_for_each(check)?;
    Ok(config)
}

/// What is wrong with a file, or with the way to it. One that is missing is not at fault: whoever reads it says so.
pub fn check(file: &Path) -> Result<(), Fault> {
    check_as(file, rustix::process::geteuid().as_raw())
}

/// The same for a room of this user.
pub fn check_as(file: &Path, user: u32) -> Result<(), Fault> {
    Walk { read: file, own: user }.to(file)
}

/// What a room reads by its configuration, but for policies, secrets and what it keeps itself.
pub fn files(config: &Config, room: Room) -> Vec<&Path> {
    let callback = config.callback.as_ref();
    let some: Vec<Option<&PathBuf>> = match room {
        Room::Api => return config.api.tls.iter().flat_map(crate::Tls::all).collect(),
        Room::Courier => vec![
            config.backend.ca_file.as_ref(),
            callback.and_then(|callback| callback.ca_file.as_ref()),
            config.telemetry.ca_file.as_ref(),
        ],
        // Policies are looked at each time that they are read.
        Room::Vault => vec![Some(&config.hsm.module), callback.map(|callback| &callback.public_key_file)],
    };
    some.into_iter().flatten().map(PathBuf::as_path).collect()
}

struct Walk<'a> {
    /// As the configuration names it, for the words.
    read: &'a Path,
    own: u32,
}

impl Walk<'_> {
    fn to(&self, file: &Path) -> Result<(), Fault> {
        let unseen = |path: &Path| {
            let path = path.to_owned();
            move |cause| self.unseen(&path, &cause)
        };
        let absolute = std::path::absolute(file).map_err(unseen(file))?;
        let (mut at, mut rest, mut links) = (PathBuf::from("/"), names(&absolute), 0);
        while let Some(name) = rest.pop_front() {
            if name == OsStr::new("..") {
                // Of the directory that it really is in: links on the way are resolved here.
                at.pop();
                continue;
            }
            let next = at.join(&name);
            let entry = match next.symlink_metadata() {
                Ok(entry) => entry,
                // Who could make it has been looked at.
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    return self.directory(&at, None);
                }
                Err(e) => return Err(unseen(&next)(e)),
            };
            self.directory(&at, Some(entry.uid()))?;
            if entry.is_symlink() {
                links += 1;
                if links > MOST_LINKS {
                    let words = format!("{}: more than {MOST_LINKS} symbolic links", self.read.display());
                    return Err(Fault { words, remedy: "name the file itself".into() });
                }
                let target = std::fs::read_link(&next).map_err(unseen(&next))?;
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                for name in names(&target).into_iter().rev() {
                    rest.push_front(name);
                }
            } else {
                at = next;
            }
        }
        self.itself(&at)
    }

    /// A directory on the way, of an entry with this owner.
    fn directory(&self, path: &Path, entry: Option<u32>) -> Result<(), Fault> {
        let held = |mode: u32| mode & STICKY != 0 && entry.is_some_and(|owner| self.trusts(owner));
        self.look(path, held)
    }

    fn itself(&self, path: &Path) -> Result<(), Fault> {
        self.look(path, |_| false)
    }

    fn look(&self, path: &Path, held: impl Fn(u32) -> bool) -> Result<(), Fault> {
        let seen = path.metadata().map_err(|cause| self.unseen(path, &cause))?;
        let (owner, mode) = (seen.uid(), seen.mode() & 0o7777);
        let (shown, what, own) = (path.display(), self.what(path), self.own);
        if !self.trusts(owner) {
            return Err(Fault {
                words: format!(
                    "{shown} belongs to uid {owner} (mode {mode:o}), who could change {what}, and the room is uid {own}"
                ),
                remedy: format!("chown root {shown}, or keep the file elsewhere"),
            });
        }
        if mode & OTHERS_WRITE != 0 && !held(mode) {
            return Err(Fault {
                words: format!(
                    "{shown} can be written by others (mode {mode:o}, owner uid {owner}), who could change {what}"
                ),
                remedy: format!("chmod go-w {shown}"),
            });
        }
        Ok(())
    }

    fn unseen(&self, path: &Path, cause: &std::io::Error) -> Fault {
        Fault {
            words: format!(
                "{}: {cause}; whether others could change {} cannot be seen",
                path.display(),
                self.what(path)
            ),
            remedy: "let the room's user look there, or keep the file elsewhere".into(),
        }
    }

    fn what(&self, path: &Path) -> String {
        if path == self.read {
            "what the room reads".into()
        } else {
            format!("{}, which the room reads", self.read.display())
        }
    }

    fn trusts(&self, owner: u32) -> bool {
        owner == 0 || owner == self.own
    }
}

/// A path's names, without the root and without what leads nowhere.
fn names(path: &Path) -> VecDeque<OsString> {
    let name = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(name).collect()
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
