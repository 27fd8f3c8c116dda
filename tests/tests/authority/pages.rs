//! What docs/authority.md and docs/bad-day.md say is so.

use signing_agent_tests::{House, Settings};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// The names of this enum's variants.
fn variants(source: &str) -> Vec<String> {
    let names = source
        .lines()
        .filter_map(|line| line.strip_prefix("    ").filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase())));
    names.map(|line| line.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap().to_owned()).collect()
}

fn of_enum<'a>(asks: &'a str, name: &str) -> &'a str {
    asks.split_once(&format!("pub enum {name} {{\n")).unwrap().1.split_once("\n}\n").unwrap().0
}

#[test]
fn the_table_has_every_ask_of_the_admin_lane_once_with_its_kind_and_every_change() {
    let (asks, page) = (text("src/ipc/src/asks.rs"), text("docs/authority.md"));
    let mut kinds = BTreeMap::new();
    for part in of_enum(&asks, "Ask").split("    // ---- ").skip(1) {
        let (title, variants_of) = part.split_once('\n').unwrap();
        if let Some(kind) = title.strip_prefix("the admin lane: ") {
            kinds.extend(variants(variants_of).into_iter().map(|name| (name, kind.to_owned())));
        }
    }
    assert!(kinds.len() >= 21, "{kinds:?}");
    let rows: Vec<Vec<&str>> =
        page.lines().filter(|line| line.starts_with("| `")).map(|line| line.split(" | ").collect()).collect();
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let mut told = BTreeMap::new();
    for row in rows.iter().filter(|row| row.len() == 3 && ["read", "operate", "change"].contains(&row[1])) {
        for name in names(row[0]) {
            assert_eq!(told.insert(name.clone(), row[1].to_owned()), None, "{name} is there twice");
        }
    }
    assert_eq!(told, kinds);
    let changes =
        page.split_once("| change | what it is on the command line |").unwrap().1.split_once("\n\n").unwrap().0;
    let changes: Vec<String> =
        changes.lines().skip(2).map(|row| names(row.split(" | ").next().unwrap()).remove(0)).collect();
    assert_eq!(changes, variants(of_enum(&asks, "Change")));
}

/// All that people read.
fn pages() -> Vec<String> {
    let docs = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().file_name().into_string().unwrap()).filter(|name| name.ends_with(".md"));
    docs.map(|name| format!("docs/{name}"))
        .chain(["README.md".into(), "CONTRIBUTING.md".into(), "SECURITY.md".into()])
        .collect()
}

/// The lines of the page's shell blocks that are this program's, without redirections and comments.
fn commands(page: &str) -> Vec<Vec<String>> {
    let blocks = page.split("```sh\n").skip(1).map(|block| block.split_once("```").unwrap().0);
    let lines = blocks.flat_map(str::lines).filter_map(|line| line.trim_start().strip_prefix("signing-agent "));
    let bare = lines.map(|line| line.split(['#', '>', '|']).next().unwrap().to_owned());
    bare.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

#[test]
fn each_command_line_of_the_pages_is_one_that_the_program_takes() {
    let dir = tempfile::tempdir().unwrap();
    let takes = |words: &[String]| {
        let mut command = std::process::Command::new(signing_agent_tests::binary("signing-agent"));
        // No configuration is there, so nothing is asked; the command line is read before.
        let output = command.args(words).args(["--config", "nowhere.toml"]).current_dir(dir.path()).output().unwrap();
        (output.status.code() != Some(2), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (mut number, mut faults) = (0, Vec::new());
    for page in pages() {
        for words in commands(&text(&page)) {
            number += 1;
            let (taken, said) = takes(&words);
            faults.extend((!taken).then(|| format!("{page}: {words:?}: {said}")));
        }
    }
    assert_eq!(faults, [""; 0], "{faults:#?}");
    assert!(number > 60, "only {number} command lines were found");
    assert!(!takes(&["thaw".to_owned()]).0 && !takes(&["unfreeze".to_owned(), "--drafts".to_owned()]).0);
}

#[test]
fn what_the_bad_days_page_says_that_a_command_says_it_says() {
    let house = House::start(Settings::default());
    assert!(house.output(&["token", "add", "desk", "--scope", "decide"]).status.success());
    let page = text("docs/bad-day.md");
    let quoted: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("> ")).collect();
    for command in [&["freeze"][..], &["unfreeze"], &["token", "revoke", "desk"], &["confirm-clock"]] {
        let said = String::from_utf8(house.output(command).stdout).unwrap();
        let first = said.lines().next().unwrap();
        assert!(
            quoted.iter().any(|quoted| first.starts_with(quoted)),
            "{command:?} says {first:?}; the page {quoted:?}"
        );
    }
}
