//! `signing-agent policy check FILE`.

use super::source::Source;
use crate::context::Context;
use crate::error::Error;
use crate::words;
use serde_json::json;
use std::io::Write;
use std::path::Path;

pub fn check(context: &Context, file: &Path, strict: bool) -> Result<(), Error> {
    let source = match Source::of_file(file) {
        Ok(source) => source,
        // As compilers do, for editors: the place first.
        Err(Error::Policy(words)) if !context.json => {
            let _ = writeln!(std::io::stderr(), "{}", words::plain(&words));
            return Err(Error::Said);
        }
        Err(other) => return Err(other),
    };
    let warnings = source.policy.warnings();
    for warning in warnings.iter().filter(|_| !context.json) {
        let words = format!("{}:{}: warning: {}", source.name, warning.line, warning.words);
        let _ = writeln!(std::io::stderr(), "{}", words::plain(&words));
    }
    let mut rows = vec![
        ("file".to_owned(), source.name.clone()),
        ("SHA-256".to_owned(), source.hash()),
        ("rules".to_owned(), source.policy.len().to_string()),
        ("warnings".to_owned(), warnings.len().to_string()),
    ];
    if let Some(serial) = source.policy.serial() {
        rows.insert(2, ("serial".to_owned(), serial.to_string()));
    }
    let value = || {
        let warning = |warning: &::policy::Warning| json!({ "line": warning.line, "words": warning.words });
        json!({
            "file": source.name,
            "hash": source.hash(),
            "serial": source.policy.serial(),
            "rules": source.policy.len(),
            "warnings": warnings.iter().map(warning).collect::<Vec<_>>(),
        })
    };
    context.tell(|| words::table(&rows), value)?;
    if strict && !warnings.is_empty() { Err(Error::Said) } else { Ok(()) }
}
