//! How tests steer the module.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// The real module's path.
pub const ENV_MODULE: &str = "PKCS11_SHIM_MODULE";
/// The control file's path.
pub const ENV_CONTROL: &str = "PKCS11_SHIM_CONTROL";

/// A control file: a rule a line, `FUNCTION FAULT [times=N]`; the first that fits a call is used. FUNCTION is a name or
/// `*`. Counting begins anew where the file changes, and in every process. FAULT:
///
/// - `return CODE`: the real function is not called, and CODE is returned (`0x30`);
/// - `delay-ms N`: N milliseconds later;
/// - `dial ADDRESS:PORT`: a TCP connection is made first; where it cannot be, CKR_DEVICE_ERROR;
/// - `hang`: not before the file changes;
/// - `corrupt`: one bit of C_Sign's signature or of C_DeriveKey's secret is another;
/// - `zero`: C_GenerateRandom gives zeros;
/// - `empty`: C_FindObjects finds nothing;
/// - `lose`: C_CreateObject makes the object and returns CKR_DEVICE_REMOVED.
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
        let dir = self.0.parent().expect("a directory");
        let mut file = NamedTempFile::new_in(dir).expect("a temporary file");
        file.write_all(rules.as_bytes()).expect("the rules are written");
        file.persist(&self.0).expect("the rules are in their place");
    }

    pub fn clear(&self) {
        self.set("");
    }

    /// How often C_Login was called since the file was made, in all processes, also where a rule answered it.
    #[must_use]
    pub fn logins(&self) -> usize {
        self.calls().iter().filter(|name| *name == "C_Login").count()
    }

    /// The faults that happened, as `FUNCTION`, in their order; and each C_Login.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        fs::read_to_string(log_of(&self.0)).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// `libpkcs11_shim.so`, as cargo built it for the program that runs.
    ///
    /// # Panics
    /// If it is not there.
    #[must_use]
    #[allow(clippy::expect_used, clippy::panic)]
    pub fn module() -> PathBuf {
        let own = std::env::current_exe().expect("this program has a path");
        let dirs = own.ancestors().skip(1).take(2).flat_map(|dir| [dir.to_owned(), dir.join("deps")]);
        let files = dirs.filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten().map(|entry| entry.path());
        let built = files.filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("libpkcs11_shim") && name.ends_with(".so")
        });
        let newest = built.max_by_key(|path| fs::metadata(path).and_then(|meta| meta.modified()).ok());
        newest.unwrap_or_else(|| panic!("libpkcs11_shim.so is not built: `cargo build -p pkcs11-shim`"))
    }
}

/// Where the module writes its calls.
pub(crate) fn log_of(control: &Path) -> PathBuf {
    let mut path = control.as_os_str().to_owned();
    path.push(".calls");
    path.into()
}
