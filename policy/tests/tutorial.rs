//! docs/policy.md: each of its policies is read as it says there, and each of its cases comes out; policy-keys.md has all keys.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use policy::Policy;
use policy::cases::{Source, Suite};

const DOCUMENT: &str = include_str!("../../docs/policy.md");
const KEYS: &str = include_str!("../../docs/policy-keys.md");

/// What stands between fences: its language, its text, the line where the text begins.
fn blocks() -> Vec<(&'static str, String, usize)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, String, usize)> = None;
    for (n, line) in DOCUMENT.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((language, String::new(), n + 2)),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, text, _))) => *text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is left open");
    blocks
}

/// What `policy check` prints of it.
fn checked(text: &str) -> Vec<String> {
    match Policy::parse(text) {
        Err(refused) => vec![format!("policy.toml:{refused}")],
        Ok(policy) => {
            let said = |w: &policy::Warning| format!("policy.toml:{}: warning: {}", w.line, w.words);
            policy.warnings().iter().map(said).collect()
        }
    }
}

#[test]
fn each_policy_is_taken_refused_or_warned_of_as_the_text_claims() {
    let blocks = blocks();
    let mut policies = 0;
    for (n, (language, text, line)) in blocks.iter().enumerate() {
        if *language != "toml" || text.contains("[[case]]") {
            continue;
        }
        policies += 1;
        let claimed: Vec<String> = match blocks.get(n + 1) {
            Some(("console", screen, _)) => {
                let mut lines = screen.lines();
                assert_eq!(lines.next(), Some("$ signing-agent policy check policy.toml"));
                lines.map(str::to_owned).collect()
            }
            _ => Vec::new(),
        };
        assert_eq!(checked(text), claimed, "docs/policy.md:{line}");
    }
    assert_eq!(policies, 7);
}

#[test]
fn each_case_comes_out_under_the_policy_before_it() {
    let (mut policy, mut cases, mut wrong) = (String::new(), 0, Vec::new());
    for (language, text, line) in blocks() {
        if language != "toml" {
            continue;
        }
        if !text.contains("[[case]]") {
            policy = text;
            continue;
        }
        let suite = Suite::parse(&text).unwrap_or_else(|why| panic!("docs/policy.md, block at {line}: {why}"));
        assert_eq!(suite.source(), Source::File("policy.toml"));
        for outcome in suite.run(&policy).unwrap_or_else(|why| panic!("docs/policy.md, block at {line}: {why}")) {
            cases += 1;
            wrong.extend(outcome.mismatches.iter().map(|m| {
                format!("{}: {:?}: {}: {} / {}", line + outcome.line - 1, outcome.name, m.what, m.expected, m.came)
            }));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases >= 12, "{cases}");
}

#[test]
fn the_policy_of_the_readme_is_one_without_warnings() {
    let (_, section) = include_str!("../../README.md").split_once("\n## Policy\n").unwrap();
    let (_, text) = section.split_once("```toml\n").unwrap();
    assert_eq!(checked(text.split_once("```").unwrap().0), [""; 0]);
}

/// The keys in the first column of the table below this heading.
fn keys_below(heading: &str) -> BTreeSet<&'static str> {
    let (_, rest) = KEYS.split_once(&format!("\n{heading}\n")).unwrap();
    let table = rest.split("\n#").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| row.split('|').nth(1).unwrap().split(',').map(|key| key.trim().trim_matches('`'))).collect()
}

/// Of a key that is not known, the parser says so; of one that is, something else.
fn is_known(before: &str, key: &str, after: &str) -> bool {
    let said = Policy::parse(&format!("{before}{key} = [[1]]{after}\n")).unwrap_err().to_string();
    !said.contains("unknown key")
}

#[test]
fn the_tables_have_the_keys_that_the_language_has() {
    let whole: toml::Table = include_str!("whole.toml").parse().unwrap();
    let keys = |table: &'static toml::Table| table.keys().map(String::as_str).collect::<BTreeSet<_>>();
    let whole: &'static toml::Table = Box::leak(Box::new(whole));
    let each = |name: &str| -> BTreeSet<&str> {
        let tables = whole[name].as_array().unwrap();
        tables.iter().flat_map(|table| keys(table.as_table().unwrap())).collect()
    };
    let with = |mut all: BTreeSet<&'static str>, more: &[&'static str]| {
        all.extend(more);
        all
    };
    let file: BTreeSet<&str> =
        keys(whole).into_iter().filter(|key| !whole[*key].is_table() && !whole[*key].is_array()).collect();
    assert_eq!(keys_below("## The file"), file);
    let currencies = whole["currencies"].as_table().unwrap();
    assert_eq!(
        keys_below("## `[currencies]`, `[lists]`, `[holidays]`"),
        currencies.values().flat_map(|one| keys(one.as_table().unwrap())).collect()
    );
    // What whole.toml cannot have: it would contradict another key of it.
    assert_eq!(keys_below("## `[[window]]`"), with(each("window"), &["currencies", "wallets"]));
    assert_eq!(keys_below("## `[[rule]]`"), with(each("rule"), &["allow_opaque", "unlimited"]));
}

#[test]
fn the_tables_have_no_key_that_the_language_has_not() {
    for key in keys_below("## The file") {
        assert!(is_known("", key, ""), "{key}");
    }
    for key in keys_below("## `[currencies]`, `[lists]`, `[holidays]`") {
        assert!(is_known("[currencies]\nX = { ", key, " }"), "{key}");
    }
    for key in keys_below("## `[[window]]`") {
        assert!(is_known("[[window]]\n", key, ""), "{key}");
    }
    for key in keys_below("## `[[rule]]`") {
        assert!(is_known("[[rule]]\n", key, ""), "{key}");
    }
    assert!(!is_known("[[rule]]\n", "max_amount", ""));
}
