//! A throwaway token, by the script that people use too.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A SoftHSM token in a directory of its own.
pub struct Token {
    /// What `SOFTHSM2_CONF` must be.
    pub conf: PathBuf,
    pub module: PathBuf,
    pub label: String,
    pub pin_file: PathBuf,
}

impl Token {
    /// Makes it with `softhsm-setup.sh`.
    pub fn make(dir: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../softhsm-setup.sh");
        let output = Command::new(&script).arg(dir).output().expect("softhsm-setup.sh can be started");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "softhsm-setup.sh: {}", String::from_utf8_lossy(&output.stderr));
        let value = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(&format!("export {name}=")));
            line.unwrap_or_else(|| panic!("softhsm-setup.sh did not print {name}")).to_owned()
        };
        Self {
            conf: value("SOFTHSM2_CONF").into(),
            module: value("SIGNING_AGENT_TOKEN_MODULE").into(),
            label: value("SIGNING_AGENT_TOKEN_LABEL"),
            pin_file: value("SIGNING_AGENT_TOKEN_PIN_FILE").into(),
        }
    }
}
