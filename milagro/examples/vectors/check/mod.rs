//! Checks whole files of vectors. A case of a list named `invalid…` passes when it is refused, any other when
//! everything in it can be recomputed and verified.

mod bls;
mod case;
mod mpin;
mod partner;
mod store;

use std::io::{self, Write};
use std::path::Path;

use case::{Case, Fault};
use serde_json::Value;

type Check = fn(&Case) -> Result<(), Fault>;

const FORMATS: [(&str, Check); 4] = [
    ("milagro-bls.json", bls::check),
    ("milagro-mpin.json", mpin::check),
    ("go-agent-store.json", store::check),
    ("partner-api-signature.json", partner::check),
];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
}

impl Tally {
    pub fn good(self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    fn count(&mut self, outcome: Result<(), String>, name: &str, out: &mut dyn Write) -> io::Result<()> {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(why) => {
                self.failed += 1;
                writeln!(out, "{name}: {why}")?;
            }
        }
        Ok(())
    }
}

pub fn directory(path: &Path, out: &mut dyn Write) -> io::Result<Tally> {
    let mut total = Tally::default();
    for (name, check) in FORMATS {
        let tally = match std::fs::read(path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                writeln!(out, "{name}: not there, skipped")?;
                continue;
            }
            Err(error) => {
                let mut tally = Tally::default();
                tally.count(Err(format!("cannot be read: {error}")), name, out)?;
                tally
            }
            Ok(content) => file(name, &content, check, out)?,
        };
        writeln!(out, "{name}: {} passed, {} failed", tally.passed, tally.failed)?;
        total.passed += tally.passed;
        total.failed += tally.failed;
    }
    if total == Tally::default() {
        writeln!(out, "nothing was checked: {} has none of these files", path.display())?;
    }
    writeln!(out, "{} passed, {} failed", total.passed, total.failed)?;
    out.flush()?;
    Ok(total)
}

fn file(name: &str, content: &[u8], check: Check, out: &mut dyn Write) -> io::Result<Tally> {
    let mut tally = Tally::default();
    match serde_json::from_slice(content) {
        Ok(root @ Value::Object(_)) => lists(name, &root, check, &mut tally, out)?,
        Ok(_) => tally.count(Err("not a JSON object".into()), name, out)?,
        Err(error) => tally.count(Err(format!("not JSON: {error}")), name, out)?,
    }
    if tally == Tally::default() {
        tally.count(Err("has no cases".into()), name, out)?;
    }
    Ok(tally)
}

/// Every list in `value`, at any depth of plain objects, is a list of cases.
fn lists(path: &str, value: &Value, check: Check, tally: &mut Tally, out: &mut dyn Write) -> io::Result<()> {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                lists(&format!("{path} {key}"), value, check, tally, out)?;
            }
        }
        Value::Array(cases) => {
            let invalid = path.contains("invalid");
            for (index, case) in cases.iter().enumerate() {
                tally.count(judge(case, invalid, check), &format!("{path}[{index}]"), out)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn judge(case: &Value, invalid: bool, check: Check) -> Result<(), String> {
    let fields = case.as_object().ok_or("the case is not a JSON object")?;
    match check(&Case { fields, complete: !invalid }) {
        Err(Fault::Malformed(why)) => Err(why),
        Err(Fault::Refused(_)) if invalid => Ok(()),
        Err(Fault::Refused(why)) => Err(why),
        Ok(()) if invalid => Err("accepted, but listed as invalid".into()),
        Ok(()) => Ok(()),
    }
}
