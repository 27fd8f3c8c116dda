//! What is installed, and that a package holds the same.

use crate::{install, modes, source};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// What the build makes of the command line.
fn generated() -> TempDir {
    let dir = TempDir::with_prefix("signing-agent-generated-").unwrap();
    let program = signing_agent_tests::binary("signing-agent");
    let made = Command::new(source("packaging/generate.sh")).arg(program).arg(dir.path()).output();
    let made = made.expect("the script is there");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    dir
}

/// The files that `[package.metadata.deb]` puts into the package, with their modes.
fn packed() -> BTreeMap<String, u32> {
    let manifest: toml::Table = fs::read_to_string(source("src/agent/Cargo.toml")).unwrap().parse().unwrap();
    let deb = &manifest["package"]["metadata"]["deb"];
    let generated = generated();
    // What cargo-deb makes of `license-file`.
    let mut found = BTreeMap::from([("usr/share/doc/signing-agent/copyright".to_owned(), 0o644)]);
    assert_eq!(deb["license-file"].as_str(), Some("../../packaging/debian/copyright"));
    for asset in deb["assets"].as_array().unwrap() {
        let [from, to, mode] = [0, 1, 2].map(|at| asset[at].as_str().unwrap());
        let mode = u32::from_str_radix(mode, 8).unwrap();
        let from = Path::new(from);
        let name = from.file_name().unwrap().to_str().unwrap();
        let names = match name.split_once('*') {
            None => vec![name.to_owned()],
            Some((_, end)) => {
                let dir = match from.strip_prefix("target/release/generated") {
                    Ok(part) => generated.path().join(part.parent().unwrap()),
                    Err(_) => source("src/agent").join(from.parent().unwrap()),
                };
                let names = fs::read_dir(dir).unwrap().flatten().filter(|entry| entry.path().is_file());
                let names = names.map(|entry| entry.file_name().into_string().unwrap());
                names.filter(|name| name.ends_with(end)).collect()
            }
        };
        assert!(!names.is_empty(), "{} is nothing", from.display());
        found.extend(names.into_iter().map(|name| (format!("{to}{name}"), mode)));
    }
    found
}

#[test]
fn the_package_holds_what_make_install_installs() {
    let root = install("/usr");
    assert_eq!(packed(), modes(root.path()));
}

#[test]
fn every_unit_drop_in_and_document_of_the_source_is_installed() {
    let root = install("/usr");
    let installed = modes(root.path());
    let installed: Vec<_> = installed.keys().map(|path| path.rsplit('/').next().unwrap()).collect();
    let examples = ["packaging/examples", "docs/examples", "docs/policies", "docs/policies/cases"];
    for dir in
        ["systemd", "systemd/signing-agent-.service.d", "systemd/drop-ins", "docs", "docs/prometheus", "docs/grafana"]
            .into_iter()
            .chain(examples)
    {
        for entry in fs::read_dir(source(dir)).unwrap().flatten().filter(|entry| entry.path().is_file()) {
            let name = entry.file_name().into_string().unwrap();
            assert!(installed.contains(&name.as_str()), "{dir}/{name} is not installed");
        }
    }
}

#[test]
fn manual_pages_and_completions_name_every_command_and_are_the_same_each_time() {
    let (made, again) = (generated(), generated());
    let dir = made.path();
    let help = |command: &[String]| -> Vec<String> {
        let mut ask = Command::new(signing_agent_tests::binary("signing-agent"));
        let help = ask.args(command).arg("--help").output().unwrap().stdout;
        let help = String::from_utf8(help).unwrap();
        let Some((_, list)) = help.split_once("Commands:\n") else { return Vec::new() };
        let names = list.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
        let names = names.filter(|line| !line.starts_with(' ')).filter_map(|line| line.split(' ').next());
        names.filter(|name| *name != "help").map(str::to_owned).collect()
    };
    let mut all = vec![Vec::new()];
    let mut at = 0;
    while at < all.len() {
        let command: Vec<String> = all[at].clone();
        all.extend(help(&command).into_iter().map(|name| [command.clone(), vec![name]].concat()));
        at += 1;
    }
    assert!(all.len() > 30, "{all:?}");
    let completions: Vec<String> = ["bash/signing-agent", "zsh/_signing-agent", "fish/signing-agent.fish"]
        .map(|name| fs::read_to_string(dir.join(name)).unwrap())
        .into();
    for command in &all {
        let page =
            format!("man/signing-agent{}.1.gz", command.iter().map(|name| format!("-{name}")).collect::<String>());
        let text = Command::new("gzip").arg("-dc").arg(dir.join(&page)).output().unwrap();
        let text = String::from_utf8(text.stdout).unwrap();
        assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{page}");
        for completion in &completions {
            assert!(command.iter().all(|name| completion.contains(name.as_str())), "{command:?}");
        }
    }
    for completion in &completions {
        assert!(!completion.contains("shim"), "a step of something else is no command");
    }
    assert_eq!(
        fs::read_dir(dir.join("man")).unwrap().count(),
        all.len(),
        "no page of what is a step of something else"
    );
    for part in ["man", "bash", "zsh", "fish"] {
        for entry in fs::read_dir(dir.join(part)).unwrap().flatten() {
            let other = again.path().join(part).join(entry.file_name());
            assert!(fs::read(entry.path()).unwrap() == fs::read(&other).unwrap(), "{}", other.display());
        }
    }
}

#[test]
fn the_list_of_what_the_programs_are_made_of_is_cargos_and_the_same_each_time() {
    let (made, again) = (generated(), generated());
    let read = |dir: &TempDir| fs::read(dir.path().join("sbom.cdx.json")).unwrap();
    assert!(read(&made) == read(&again));
    let list: serde_json::Value = serde_json::from_slice(&read(&made)).unwrap();
    assert_eq!((&list["bomFormat"], &list["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let lock: toml::Table = fs::read_to_string(source("Cargo.lock")).unwrap().parse().unwrap();
    let locked: Vec<&toml::Value> = lock["package"].as_array().unwrap().iter().collect();
    let components = list["components"].as_array().unwrap();
    let purls: BTreeSet<&str> = components.iter().map(|one| one["purl"].as_str().unwrap()).collect();
    for component in components {
        let of = |key: &str| component[key].as_str().unwrap();
        let same = |one: &&&toml::Value| {
            one["name"].as_str() == Some(of("name")) && one["version"].as_str() == Some(of("version"))
        };
        let entry = locked.iter().find(same).unwrap_or_else(|| panic!("{component:#} is not locked"));
        let checksum = entry.get("checksum").and_then(toml::Value::as_str);
        assert_eq!(component["hashes"][0]["content"].as_str(), checksum, "{component:#}");
        assert!(component["licenses"][0]["expression"].is_string(), "{component:#}");
    }
    // What each program is, and what holds its keys, answers and remembers; nothing that only tests use.
    let has = |name: &str| purls.iter().any(|purl| purl.starts_with(&format!("pkg:cargo/{name}@")));
    for name in [
        "signing-agent",
        "signing-agent-vault",
        "signing-agent-api",
        "signing-agent-courier",
        "blst",
        "age",
        "cryptoki",
        "rustls",
        "rusqlite",
    ] {
        assert!(has(name), "{name} is not in the list");
    }
    assert!(["proptest", "criterion", "rcgen", "custody-simulator"].iter().all(|name| !has(name)), "{purls:?}");
    for edge in list["dependencies"].as_array().unwrap() {
        let all = edge["dependsOn"].as_array().unwrap().iter().map(|purl| purl.as_str().unwrap());
        assert!(all.clone().all(|purl| purls.contains(purl)), "{edge:#}");
    }
}

#[test]
fn nothing_secret_and_nothing_writable_is_installed_and_no_unit_is_enabled() {
    let root = install("/usr");
    for (path, mode) in modes(root.path()) {
        assert!(mode == 0o644 || mode == 0o755, "{path} has mode {mode:o}");
        assert!(path.starts_with("usr/"), "{path} would be an administrator's, or a conffile");
        assert!(!path.contains(".wants/"), "{path} enables something");
    }
}

#[test]
fn under_another_prefix_units_name_the_programs_there() {
    let root = install("/usr/local");
    let units = root.path().join("usr/local/lib/systemd/system");
    for room in ["vault", "api", "courier"] {
        let unit = fs::read_to_string(units.join(format!("signing-agent-{room}.service"))).unwrap();
        let program = format!("/usr/local/libexec/signing-agent/signing-agent-{room}");
        for line in [format!("ExecStart={program}"), format!("ExecPaths={program}")] {
            assert!(unit.lines().any(|l| l == line), "{room}: no line {line}");
        }
        assert!(root.path().join(program.trim_start_matches('/')).is_file());
    }
    for (path, _) in modes(&units) {
        let text = fs::read_to_string(units.join(&path)).unwrap();
        assert!(!text.contains("=/usr/libexec/") && !text.contains("=file:///usr/share/"), "{path} looks below /usr");
    }
}
