//! seccomp: the system calls that a room may make, by the filters of `policy/seccomp/`, which are built into the program.
//!
//! A file maps names to filters of `seccompiler`. `allow` kills the process for whatever it does not list, and the kernel's
//! audit log has a line of it (type 1326). `refuse-…` filters answer an error to what they list; the kernel takes the
//! strictest word of all filters, so what is refused must be allowed too. `"own-pid"` stands for the process's own number.

use crate::{Error, seams};
use seccompiler::{BpfProgram, TargetArch};
use serde_json::Value;

const WALL: &str = "seccomp";
const ALLOW: &str = "allow";

/// Whose filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    Api,
    /// The api with TLS, which reads its certificates again.
    ApiTls,
    Courier,
    /// With a PKCS#11 module that works with files.
    Vault,
    /// With a PKCS#11 module that speaks over a network or to a service.
    VaultNetworkHsm,
}

macro_rules! of {
    ($arch:literal, $filter:expr) => {
        match $filter {
            Filter::Api => &[include_str!(concat!("../../../policy/seccomp/", $arch, "/api.json"))],
            Filter::ApiTls => &[
                include_str!(concat!("../../../policy/seccomp/", $arch, "/api.json")),
                include_str!(concat!("../../../policy/seccomp/", $arch, "/api-tls.json")),
            ],
            Filter::Courier => &[include_str!(concat!("../../../policy/seccomp/", $arch, "/courier.json"))],
            Filter::Vault => &[include_str!(concat!("../../../policy/seccomp/", $arch, "/vault.json"))],
            Filter::VaultNetworkHsm => &[
                include_str!(concat!("../../../policy/seccomp/", $arch, "/vault.json")),
                include_str!(concat!("../../../policy/seccomp/", $arch, "/vault-network-hsm.json")),
            ],
        }
    };
}

impl Filter {
    /// Holds for all threads of this process from now on. On any error the room must not go on.
    pub fn install(self) -> Result<(), Error> {
        if seams::no_jail() {
            return Ok(());
        }
        let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| Error::words(WALL, e))?;
        for program in self.programs(arch, std::process::id())? {
            seccompiler::apply_filter_all_threads(&program).map_err(|e| Error::words(WALL, e))?;
        }
        Ok(())
    }

    /// In the order in which they are installed: `allow` last, for it does not allow to install another.
    fn programs(self, arch: TargetArch, pid: u32) -> Result<Vec<BpfProgram>, Error> {
        let texts: &[&str] = match arch {
            TargetArch::x86_64 => of!("x86_64", self),
            TargetArch::aarch64 => of!("aarch64", self),
            other => return Err(Error::words(WALL, format!("no filter is written for {other:?}"))),
        };
        let filters = merged(texts, pid)?;
        let mut programs =
            seccompiler::compile_from_json(filters.to_string().as_bytes(), arch).map_err(|e| Error::words(WALL, e))?;
        let allow = programs.remove(ALLOW).ok_or_else(|| Error::words(WALL, "there is no filter \"allow\""))?;
        Ok(programs.into_values().chain([allow]).collect())
    }
}

/// A later file adds rules to `allow`, and takes the place of other filters of the same name. Where either file has a system
/// call of `allow` whatever its arguments, the later file's word on that call stands alone.
fn merged(texts: &[&str], pid: u32) -> Result<Value, Error> {
    let mut merged = serde_json::Map::new();
    for text in texts {
        let file: serde_json::Map<String, Value> = serde_json::from_str(text).map_err(|e| Error::words(WALL, e))?;
        for (name, mut filter) in file {
            fill(&mut filter, pid);
            let there = merged.get_mut(&name).filter(|_| name == ALLOW).and_then(rules);
            match (there, rules(&mut filter)) {
                (Some(there), Some(more)) => {
                    there.retain(|old| !more.iter().any(|new| same_call(old, new) && (is_whole(old) || is_whole(new))));
                    there.append(more);
                }
                _ => drop(merged.insert(name, filter)),
            }
        }
    }
    // seccompiler would drop the rule without arguments where there are others of the same call.
    let both = |rules: &Vec<Value>| {
        rules.iter().any(|one| is_whole(one) && rules.iter().any(|other| !is_whole(other) && same_call(one, other)))
    };
    if merged.values_mut().filter_map(rules).any(|rules| both(rules)) {
        return Err(Error::words(WALL, "a system call has rules with and without arguments"));
    }
    let empty = merged.values_mut().any(|filter| rules(filter).is_none_or(|rules| rules.is_empty()));
    let kills = merged
        .get(ALLOW)
        .is_some_and(|allow| allow["mismatch_action"] == "kill_process" && allow["match_action"] == "allow");
    if empty || !kills {
        return Err(Error::words(WALL, "an empty filter, or one that does not kill by default"));
    }
    Ok(Value::Object(merged))
}

fn same_call(one: &Value, other: &Value) -> bool {
    one["syscall"] == other["syscall"]
}

/// Whatever the arguments are.
fn is_whole(rule: &Value) -> bool {
    rule.get("args").is_none()
}

fn rules(filter: &mut Value) -> Option<&mut Vec<Value>> {
    filter.get_mut("filter")?.as_array_mut()
}

fn fill(value: &mut Value, pid: u32) {
    match value {
        Value::String(text) if text == "own-pid" => *value = pid.into(),
        Value::Array(values) => values.iter_mut().for_each(|value| fill(value, pid)),
        Value::Object(fields) => fields.values_mut().for_each(|value| fill(value, pid)),
        _ => {}
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
