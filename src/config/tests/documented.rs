//! The page of the configuration's keys is what the code takes, no more and no less.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use signing_agent_config::Config;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const UNKNOWN: &str = "qqqqqqqqqq";

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

/// What the code says it knows, where it meets a key that it does not.
fn known(header: &str) -> Vec<String> {
    let text = format!("{header}\n{UNKNOWN} = 1\n");
    let refused = Config::parse(&text, Path::new("/etc")).expect_err("nobody knows it").to_string();
    let (_, known) = refused.split_once("known here: ").unwrap_or_else(|| panic!("{header}: {refused}"));
    known.split(", ").map(str::to_owned).collect()
}

/// A key as the file has it.
struct Key {
    section: String,
    name: String,
    value: String,
    /// It is only shown: without it there is nothing.
    example: bool,
    words: String,
}

fn written() -> Vec<Key> {
    let text = fs::read_to_string(docs("signing-agent.toml")).unwrap();
    let (mut keys, mut section) = (Vec::new(), String::new());
    for line in text.lines().skip_while(|line| !line.starts_with('[')).filter(|line| !line.is_empty()) {
        let example = line.starts_with("# ");
        let line = line.strip_prefix("# ").unwrap_or(line);
        if line.starts_with('[') {
            section = line.split_whitespace().next().unwrap().to_owned();
        } else {
            let (name, rest) = line.split_once(" = ").unwrap_or_else(|| panic!("{line:?} is no key"));
            let (value, words) = rest.split_once(" # ").unwrap_or((rest, ""));
            let [name, value, words] = [name, value, words].map(|text| text.trim().to_owned());
            keys.push(Key { section: section.clone(), name, value, example, words });
        }
    }
    keys
}

#[test]
fn every_key_that_is_taken_is_written_down_and_no_other() {
    let mut taken: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for section in known("") {
        taken.insert(format!("[{section}]"), known(&format!("[{section}]")));
    }
    let clients = taken.get_mut("[api]").unwrap();
    clients.retain(|key| key != "client");
    taken.insert("[[api.client]]".into(), known("[[api.client]]"));
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Key { section, name, .. } in written() {
        found.entry(section).or_default().push(name);
    }
    for keys in taken.values_mut().chain(found.values_mut()) {
        keys.sort();
    }
    assert_eq!(found, taken);
}

#[test]
fn every_example_is_of_the_kind_that_is_taken() {
    for Key { section, name, value, .. } in written().iter().filter(|key| key.example) {
        let base = if section == "[backend]" { "" } else { "[backend]\nurl = \"https://backend.example/p\"\n" };
        let url = if section == "[backend]" { "url = \"https://backend.example/p\"\n" } else { "" };
        let text = format!("{base}{section}\n{url}{name} = {value}\n");
        if let Err(refused) = Config::parse(&text, Path::new("/etc")) {
            // It may want others beside it, and they are not here.
            let refused = refused.to_string();
            let wants = ["is missing", "belong together", "without", "needs", "there is no"]
                .iter()
                .any(|word| refused.contains(word));
            assert!(wants && !refused.contains("must be") && !refused.contains("unknown"), "{text}{refused}");
        }
    }
}

#[test]
fn the_page_has_each_key_as_the_file_has_it() {
    let mut table = String::from("\n| section | key | default | what |\n|---|---|---|---|\n");
    for Key { section, name, value, example, words } in written() {
        let value = if example { format!("(`{value}`)") } else { format!("`{value}`") };
        table += &format!("| `{section}` | `{name}` | {value} | {} |\n", words.replace('|', "\\|"));
    }
    table += "\n";
    let page = fs::read_to_string(docs("configuration.md")).unwrap();
    let (head, rest) = page.split_once("UPDATE_DOCS=1 -->\n").unwrap();
    let (found, tail) = rest.split_once("<!-- end -->").unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(docs("configuration.md"), format!("{head}UPDATE_DOCS=1 -->\n{table}<!-- end -->{tail}")).unwrap();
    } else {
        assert_eq!(found, table, "UPDATE_DOCS=1 writes it anew");
    }
}
