//! `signing-agent policy test DIR`: the files are read here, the cases are run by the crate `policy`.

use super::source::read;
use crate::error::Error;
use crate::words;
use ::policy::cases::{self, Outcome, Source, Suite};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What came of a file: its outcomes, or why there are none, with `FILE:LINE:COLUMN`.
type Ran = Result<Vec<Outcome>, String>;

pub fn test(dir: &Path, as_json: bool) -> Result<(), Error> {
    let files = files(dir)?;
    let mut ran: Vec<(PathBuf, Ran)> = Vec::with_capacity(files.len());
    let mut policies = BTreeSet::new();
    for file in files {
        let text = read(&file)?;
        let outcomes = run(&file, &text, &mut policies);
        ran.push((file, outcomes));
    }
    // A policy may lie beside its cases.
    ran.retain(|(file, outcomes)| outcomes.is_ok() || !policies.contains(&canonical(file)));
    let all: Vec<&Outcome> = ran.iter().filter_map(|(_, outcomes)| outcomes.as_ref().ok()).flatten().collect();
    let wrong = all.iter().filter(|outcome| !outcome.mismatches.is_empty()).count();
    let broken = ran.iter().filter(|(_, outcomes)| outcomes.is_err()).count();
    words::print(&if as_json { json(&ran, all.len(), wrong)? } else { screen(&ran, all.len(), wrong, broken) })?;
    if all.is_empty() && broken == 0 {
        return Err(Error::Policy(format!("{}: there is no case", dir.display())));
    }
    if wrong + broken > 0 { Err(Error::Said) } else { Ok(()) }
}

/// By name.
fn files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    if dir.is_file() {
        return Ok(vec![dir.to_owned()]);
    }
    let entries = std::fs::read_dir(dir).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let entries = entries.map_err(Error::at(dir))?;
    let paths = entries.into_iter().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|ext| ext == "toml") && path.is_file()).collect();
    files.sort();
    Ok(files)
}

fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn run(file: &Path, text: &str, policies: &mut BTreeSet<PathBuf>) -> Ran {
    let here = |words: &dyn std::fmt::Display| format!("{}:{words}", file.display());
    let suite = Suite::parse(text).map_err(|e| here(&e))?;
    let (policy, policy_name) = match suite.source() {
        Source::Text(text) => (text.to_owned(), format!("{}: policy_text", file.display())),
        Source::File(name) => {
            let path = file.parent().unwrap_or(Path::new("")).join(name);
            policies.insert(canonical(&path));
            (read(&path).map_err(|e| e.to_string())?, path.display().to_string())
        }
    };
    suite.run(&policy).map_err(|e| match e {
        cases::Error::Cases(fault) => here(&fault),
        cases::Error::Policy(fault) => format!("{policy_name}:{fault}"),
    })
}

fn screen(ran: &[(PathBuf, Ran)], all: usize, wrong: usize, broken: usize) -> String {
    let mut text = String::new();
    for (file, outcomes) in ran {
        match outcomes {
            Err(words) => text += &format!("{}\n", words::plain(words)),
            Ok(outcomes) => {
                for outcome in outcomes {
                    for miss in &outcome.mismatches {
                        let words = format!(
                            "{}:{}: {:?}: {}: expected {}, came {}",
                            file.display(),
                            outcome.line,
                            outcome.name,
                            miss.what,
                            miss.expected,
                            miss.came
                        );
                        text += &format!("{}\n", words::plain(&words));
                    }
                }
            }
        }
    }
    let files = ran.len();
    text += &format!("{all} cases in {files} files: {} as expected, {wrong} not", all - wrong);
    if broken > 0 {
        text += &format!("; {broken} files could not be run");
    }
    text + "\n"
}

fn json(ran: &[(PathBuf, Ran)], all: usize, wrong: usize) -> Result<String, Error> {
    let outcome = |outcome: &Outcome| {
        let miss = |m: &cases::Mismatch| json!({ "what": m.what, "expected": m.expected, "came": m.came });
        json!({
            "name": outcome.name,
            "line": outcome.line,
            "verdict": outcome.verdict.as_str(),
            "rule": outcome.rule,
            "why": outcome.why,
            "mismatches": outcome.mismatches.iter().map(miss).collect::<Vec<Value>>(),
        })
    };
    let file = |(file, outcomes): &(PathBuf, Ran)| match outcomes {
        Ok(outcomes) => json!({ "file": file, "cases": outcomes.iter().map(outcome).collect::<Vec<Value>>() }),
        Err(words) => json!({ "file": file, "error": words }),
    };
    let files: Vec<Value> = ran.iter().map(file).collect();
    words::json(&json!({ "cases": all, "wrong": wrong, "files": files }))
}
