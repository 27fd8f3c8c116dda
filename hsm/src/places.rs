//! Where modules keep what they write, for the wall that is built around the rest of the file system.

use std::fs;
use std::path::PathBuf;

/// The directories that SoftHSM writes in, as its configuration says (softhsm2.conf(5)): none where there is no such file.
/// Other modules say so nowhere that could be read in general.
#[must_use]
pub fn places() -> Vec<PathBuf> {
    let conf = std::env::var_os("SOFTHSM2_CONF").map_or_else(|| "/etc/softhsm/softhsm2.conf".into(), PathBuf::from);
    let text = fs::read_to_string(conf).unwrap_or_default();
    let value = |line: &str| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "directories.tokendir").then(|| PathBuf::from(value.trim()))
    };
    text.lines().filter_map(value).filter(|dir| dir.is_dir()).collect()
}
