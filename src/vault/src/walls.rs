//! What the vault's jail leaves it.

use crate::files;
use config::{Config, Profile};
use jail::{Filter, Ground};
use std::path::{Path, PathBuf};

/// Open files at the most: connections of the lanes, SQLite, the module's own.
pub const FILES: u64 = 1024;

/// Builds the walls that must stand before the first thread; says what the kernel does not hold.
pub fn raise(path: &Path, config: &Config) -> Result<Option<String>, String> {
    jail::limit(FILES, false).map_err(|e| e.to_string())?;
    let state = &config.state.dir;
    // A rule needs something that it can be about.
    if !state.exists() {
        files::private_dir(state).map_err(|e| format!("{}: {e}", state.display()))?;
    }
    ground(path, config).stand().map_err(|e| e.to_string())
}

/// The filter of the module's kind.
pub fn filter(config: &Config) -> Filter {
    match config.hsm.profile {
        Profile::NetworkHsm => Filter::VaultNetworkHsm,
        _ => Filter::Vault,
    }
}

fn ground(path: &Path, config: &Config) -> Ground {
    let beside = |path: &Path| path.parent().map(Path::to_owned);
    // Modules read configurations of their own, and libraries. A file that was replaced is another one: so directories.
    let mut read: Vec<PathBuf> = ["/usr", "/lib", "/lib64", "/etc", "/opt"].map(PathBuf::from).into();
    read.extend(beside(&config.hsm.module));
    read.push("/dev/urandom".into());
    if config.hsm.profile == Profile::NetworkHsm {
        // The file itself: often it is a link to somewhere else.
        read.push("/etc/resolv.conf".into());
    }
    read.extend(beside(path));
    read.extend(config.hsm.pin_file.as_deref().and_then(beside));
    // Read again whenever the operator says so.
    read.extend([&config.policy.file, &config.policy.shadow].into_iter().flatten().filter_map(|path| beside(path)));
    if let config::Pin::File(path) = &config.backend.pin {
        read.extend(beside(path));
    }
    read.extend(std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from));
    read.extend(std::env::var_os("SOFTHSM2_CONF").and_then(|path| beside(Path::new(&path))));

    let mut write = vec![config.state.dir.clone()];
    write.extend(config.audit.witness_dir.clone());
    write.extend(hsm::places());
    write.extend(config.hsm.writable.clone());
    write.extend(config::seams::places());
    // A witness's disk that is away must not keep the vault down; what cannot be written there raises an alarm.
    write.retain(|dir| {
        let there = dir.is_dir();
        if !there {
            tracing::warn!("{} is not there: nothing is written to it until the vault is started anew", dir.display());
        }
        there
    });
    let connects = config.hsm.profile == Profile::NetworkHsm;
    Ground { read, write, connects, required: config.jail.landlock_required }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_missing_is_left_out_and_the_pins_and_policies_directories_are_read_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let text = "[backend]\nurl = \"https://a.example\"\n[hsm]\npin_file = \"pins/pin\"\n[state]\ndir = \".\"\n\
                    [audit]\nwitness_dir = \"away\"\n[policy]\nfile = \"rules/now.toml\"\nshadow = \"next/next.toml\"\n";
        let config = Config::parse(text, dir.path()).unwrap();
        let ground = ground(&dir.path().join("conf/agent.toml"), &config);
        assert!(ground.write.contains(&config.state.dir) && !ground.write.contains(&dir.path().join("away")));
        for read in ["pins", "conf", "rules", "next"].map(|name| dir.path().join(name)) {
            assert!(ground.read.contains(&read) && !ground.write.contains(&read), "{}", read.display());
        }
        assert!(!ground.connects);
    }
}
