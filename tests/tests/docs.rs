//! What the documents say of tests is true: docs/security.md names a test in each row, and each named test is there and is run.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    fs::read_to_string(root().join("docs/security.md")).unwrap()
}

/// `target::path::test_name`, wherever the text has it between backticks.
fn named(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|word| word.contains("::") && !word.starts_with("target::")).map(str::to_owned).collect()
}

/// The tables' rows, cell by cell, without their heads.
fn rows(text: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    let lines: Vec<&str> = text.lines().collect();
    let heads =
        |n: usize| lines.get(n + 1).is_some_and(|next| next.starts_with("|---")) || lines[n].starts_with("|---");
    (0..lines.len()).filter(|n| lines[*n].starts_with('|') && !heads(*n)).map(|n| cells(lines[n])).collect()
}

/// The directories `tests` of all packages.
fn test_directories() -> Vec<PathBuf> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = manifest.split_once("members = [").unwrap().1.split_once(']').unwrap().0;
    let members = members.split('"').skip(1).step_by(2);
    members.map(|member| root().join(member).join("tests")).filter(|dir| dir.is_dir()).collect()
}

/// The files that could hold it: a target is a file, or a directory whose modules are files.
fn files(name: &str) -> Vec<PathBuf> {
    let parts: Vec<&str> = name.split("::").collect();
    let (target, modules) = (parts[0], &parts[1..parts.len() - 1]);
    let places = test_directories().into_iter().flat_map(|dir| match modules {
        [] => vec![dir.join(target).with_extension("rs"), dir.join(target).join("main.rs")],
        path => vec![dir.join(target).join(path.join("/")).with_extension("rs")],
    });
    places.filter(|place| place.is_file()).collect()
}

/// The attributes of this test, where the text has it.
fn attributes<'a>(text: &'a str, function: &str) -> Option<Vec<&'a str>> {
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| line.trim_start() == format!("fn {function}() {{"))?;
    let above = lines[..at].iter().rev().map(|line| line.trim()).take_while(|line| line.starts_with("#["));
    let above: Vec<&str> = above.collect();
    above.contains(&"#[test]").then_some(above)
}

/// What is wrong with it.
fn fault(name: &str, makefile: &str) -> Option<String> {
    let function = name.rsplit("::").next().unwrap();
    let texts: Vec<String> = files(name).iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let Some(attributes) = texts.iter().find_map(|text| attributes(text, function)) else {
        return Some(format!("there is no test {name}"));
    };
    let target = name.split("::").next().unwrap();
    let long = makefile.split_once("\ntest-long:").unwrap().1.split_once("\n\n").unwrap().0;
    let runs = long.lines().any(|line| line.contains(&format!("--test {target} ")) && line.contains("--ignored"));
    let ignored = attributes.iter().any(|attribute| attribute.starts_with("#[ignore"));
    (ignored && !runs).then(|| format!("{name} is ignored, and `make test-long` does not run it"))
}

#[test]
fn each_row_of_the_threat_model_names_tests_that_are_there_and_are_run() {
    let (page, makefile) = (page(), fs::read_to_string(root().join("Makefile")).unwrap());
    let names = named(&page);
    assert!(names.len() > 50, "only {} tests are named", names.len());
    let faults: Vec<String> = names.iter().filter_map(|name| fault(name, &makefile)).collect();
    assert_eq!(faults, [""; 0], "{faults:#?}");
    let rows = rows(&page);
    assert!(rows.len() > 40, "only {} rows were read", rows.len());
    for row in rows {
        assert!([3, 5].contains(&row.len()) && row.iter().all(|cell| !cell.is_empty()), "{row:?}");
        assert!(!named(row.last().unwrap()).is_empty(), "a row without a test: {row:?}");
    }
}

#[test]
fn a_test_that_is_not_there_or_not_run_is_noticed() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let own = "docs::a_test_that_is_not_there_or_not_run_is_noticed";
    assert_eq!(fault(own, &makefile), None);
    // Not a test; another module's; of no target; a name that only begins so.
    for name in ["docs::page", "walls::api::no_door_is_built_with_the_token_or_the_curve", "nowhere::x", "docs::a_test"]
    {
        assert!(fault(name, &makefile).is_some_and(|fault| fault.starts_with("there is no test")), "{name}");
    }
    let ignored = "walls::flood::a_million_asks_of_a_captured_api_leave_the_vault_up_and_small";
    assert_eq!(fault(ignored, &makefile), None);
    assert!(fault(ignored, &makefile.replace("--test walls", "--test others")).is_some());
    assert_eq!(named("`a::b` and `c`, `d::e::f`"), ["a::b", "d::e::f"]);
    assert_eq!(rows("| a | b |\n|---|---|\n| 1 | 2 |\n"), [["1", "2"]]);
}

/// All pages: those of the book, and those beside it.
fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|end| end == "md"));
    docs.chain(["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root().join(name))).collect()
}

/// A heading's anchor, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let text: String = heading.chars().filter(|c| !matches!(c, '`' | '*')).collect();
    let kept = text.trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

/// Where a page's links go: outside of code.
fn links(text: &str) -> Vec<String> {
    let prose: String = text.split("```").step_by(2).collect();
    prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// What is wrong with a link of this page.
fn broken(page: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, place) = link.split_once('#').map_or((link, None), |(file, place)| (file, Some(place)));
    let to = if file.is_empty() { page.to_owned() } else { page.parent().unwrap().join(file) };
    if !to.exists() {
        return Some(format!("{}: {link} goes nowhere", page.display()));
    }
    let place = place?;
    let text = fs::read_to_string(&to).unwrap();
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| anchor(line.trim_start_matches('#')));
    let there = headings.into_iter().any(|heading| heading == place);
    (!there).then(|| format!("{}: there is no #{place} in {}", page.display(), to.display()))
}

#[test]
fn each_page_has_its_place_in_the_book_and_each_link_goes_somewhere() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let listed = links(&summary);
    let mut faults = Vec::new();
    let mut number = 0;
    for page in pages() {
        let name = page.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&page).unwrap();
        if page.parent().unwrap().ends_with("docs") && name != "SUMMARY.md" {
            let times = listed.iter().filter(|link| **link == name).count();
            if times != 1 {
                faults.push(format!("{name} is {times} times in SUMMARY.md"));
            }
        }
        for link in links(&text) {
            number += 1;
            faults.extend(broken(&page, &link));
        }
    }
    assert_eq!(faults, [""; 0], "{faults:#?}");
    assert!(number > 150, "only {number} links were looked at");
    let readme = root().join("README.md");
    for link in ["docs/nowhere.md", "docs/backup.md#nowhere", "#nowhere"] {
        assert!(broken(&readme, link).is_some(), "{link}");
    }
    assert_eq!(broken(&readme, "docs/backup.md#what-is-refused"), None);
}
