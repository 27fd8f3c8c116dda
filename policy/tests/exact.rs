//! No float anywhere: neither a type nor a number with a point or an exponent is in the crate's code.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};

/// The code alone: comments, texts and characters are taken out.
fn code(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if c == '"' {
            let mut escaped = false;
            let ends = |c: char| {
                let before = escaped;
                escaped = c == '\\' && !before;
                c == '"' && !before
            };
            let end = rest[1..].find(ends);
            end.map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("'\\") {
            3 + rest[3..].find('\'').unwrap()
        } else if c == '\'' && rest.chars().nth(2) == Some('\'') {
            rest.char_indices().nth(3).map_or(rest.len(), |(at, _)| at)
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        out.push(' ');
        rest = &rest[length..];
    }
    out
}

/// The first float in the text of a source file.
fn float(text: &str) -> Option<String> {
    let code: Vec<char> = code(text).chars().collect();
    let of_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = 0;
    while at < code.len() {
        if !of_word(code[at]) {
            at += 1;
            continue;
        }
        let end = (at..code.len()).find(|place| !of_word(code[*place])).unwrap_or(code.len());
        let word: String = code[at..end].iter().collect();
        let number = word.starts_with(|c: char| c.is_ascii_digit()) && !word.starts_with("0x");
        // `pair.0.1` is no number with a point.
        let field = at > 0 && code[at - 1] == '.' && !(at > 1 && code[at - 2] == '.');
        let point = code.get(end) == Some(&'.') && code.get(end + 1).is_none_or(|c| !of_word(*c) && *c != '.');
        let digits = code.get(end) == Some(&'.') && code.get(end + 1).is_some_and(char::is_ascii_digit);
        let exponent = word.contains(['e', 'E']) && !word.ends_with("size");
        let named = ["f16", "f32", "f64", "f128", "float"].iter().any(|name| word.to_lowercase().ends_with(name));
        if named || number && !field && (point || digits || exponent) {
            return Some(code[at..code.len().min(end + 10)].iter().collect());
        }
        at = end;
    }
    None
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

#[test]
fn a_float_is_found_wherever_one_can_stand() {
    for bad in [
        "let x = 0.5;",
        "let x = 1.;",
        "let x = 1e3;",
        "let x = 1_f64;",
        "let x: f32 = y;",
        "x as f64",
        "/* c */ \"text\" 2.0",
        "f64::from(1)",
        "'\\'' 1.5",
        "'a' 1.5",
        "fn f<'a>() -> f64",
        "to_f64()",
        "\"a \\\" b\" 1.5",
    ] {
        assert!(float(bad).is_some(), "{bad}");
    }
    for good in [
        "// 0.5 f64",
        "\"0.5 \\\" f64\"",
        "pair.0.1",
        "0..5",
        "0..=2",
        "1.max(2)",
        "0x1e3",
        "&'a str",
        "7usize",
        "self.0.iter()",
        "'\"' /* x */ '.'",
    ] {
        assert_eq!(float(good), None, "{good}");
    }
}

#[test]
fn no_float_is_anywhere_in_the_crate() {
    let all = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(all.len() > 20, "the sources are elsewhere: {all:?}");
    for path in all.iter().filter(|path| path.extension().is_some_and(|end| end == "rs")) {
        let text = std::fs::read_to_string(path).unwrap();
        // The first lines of lib.rs forbid it to the compiler too.
        assert_eq!(float(&text), None, "{}", path.display());
    }
}

#[test]
fn what_mutants_run_against_has_every_file_of_tests() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let all = std::fs::read_to_string(tests.join("one_build/mod.rs")).unwrap();
    for path in std::fs::read_dir(tests).unwrap().map(|entry| entry.unwrap().path()) {
        let file = path.file_name().unwrap().to_str().unwrap();
        let named = all.contains(&format!("\"../{file}\""));
        assert!(named || file == "noise.rs" || !file.ends_with(".rs"), "{file} is not in one_build/mod.rs");
    }
}
