//! `signing-agent policy check FILE`.

use super::source::Source;
use crate::error::Error;
use crate::words;
use std::io::Write;
use std::path::Path;

pub fn check(file: &Path, strict: bool) -> Result<(), Error> {
    let source = match Source::of_file(file) {
        Ok(source) => source,
        // As compilers do, for editors: the place first.
        Err(Error::Policy(words)) => {
            let _ = writeln!(std::io::stderr(), "{}", words::plain(&words));
            return Err(Error::Said);
        }
        Err(other) => return Err(other),
    };
    let warnings = source.policy.warnings();
    for warning in &warnings {
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
    words::print(&words::table(&rows))?;
    if strict && !warnings.is_empty() { Err(Error::Said) } else { Ok(()) }
}
