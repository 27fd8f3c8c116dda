//! How tests steer the calls.

use std::fs;
use std::path::{Path, PathBuf};

/// The control file's path.
pub const ENV_CONTROL: &str = "DISK_SHIM_CONTROL";
/// Calls are touched for files under this directory only. The control file must not be under it.
pub const ENV_DIR: &str = "DISK_SHIM_DIR";

/// A control file: a rule a line, `FUNCTION ERROR [end=SUFFIX] [times=N]`; the first that fits a call is used. FUNCTION
/// is `write` (pwrite too), `fsync` (fdatasync too), `ftruncate` or `*`; ERROR is `EIO`, `ENOSPC`, or `SHORT` for a write
/// that does half and an EIO after it. `end` is how the file's name ends. Counting begins anew where the file changes,
/// and in every process.
#[derive(Clone, Debug)]
pub struct Control(PathBuf);

impl Control {
    /// At this path, whose directory exists; no faults at first.
    ///
    /// # Panics
    /// If the file cannot be written, as all of these.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        let control = Self(path.to_owned());
        control.clear();
        control
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// These rules and no others, at once.
    #[allow(clippy::expect_used)]
    pub fn set(&self, rules: &str) {
        let aside = self.0.with_extension("new");
        fs::write(&aside, rules).expect("the rules are written");
        fs::rename(&aside, &self.0).expect("the rules are in their place");
    }

    pub fn clear(&self) {
        self.set("");
    }

    /// How many faults happened since the file was made, in all processes.
    #[must_use]
    pub fn faults(&self) -> usize {
        fs::metadata(log_of(&self.0)).map_or(0, |meta| usize::try_from(meta.len()).unwrap_or(usize::MAX))
    }

    /// `libdisk_shim.so`, as cargo built it for the program that runs.
    ///
    /// # Panics
    /// If it is not there.
    #[must_use]
    #[allow(clippy::expect_used, clippy::panic)]
    pub fn library() -> PathBuf {
        let own = std::env::current_exe().expect("this program has a path");
        let dirs = own.ancestors().skip(1).take(2).flat_map(|dir| [dir.to_owned(), dir.join("deps")]);
        let files = dirs.filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten().map(|entry| entry.path());
        let built = files.filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("libdisk_shim") && name.ends_with(".so")
        });
        let newest = built.max_by_key(|path| fs::metadata(path).and_then(|meta| meta.modified()).ok());
        newest.unwrap_or_else(|| panic!("libdisk_shim.so is not built: `cargo build -p disk-shim`"))
    }
}

/// Where each fault leaves one octet.
pub(crate) fn log_of(control: &Path) -> PathBuf {
    let mut path = control.as_os_str().to_owned();
    path.push(".faults");
    path.into()
}
