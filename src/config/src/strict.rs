//! TOML as an operator writes it: unknown keys are refused, with the line and a guess at what was meant.

use std::fmt;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

/// Reads `text` as a `T`. `T` and all that is in it must be `deny_unknown_fields`; of the values themselves no error says
/// anything, for a value in the wrong place may be a secret.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    toml::from_str(text).map_err(|error| explain(text, &error))
}

/// Where, what, and perhaps the key that was meant. Displayed as `LINE:COLUMN: MESSAGE; did you mean "KEY"?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub message: String,
    pub suggestion: Option<String>,
}

impl Error {
    /// An error at a byte offset of `text` (past its end counts as its end).
    pub fn at(text: &str, offset: usize, message: impl Into<String>) -> Error {
        let before = text.get(..offset).unwrap_or(text);
        let start_of_line = before.rfind('\n').map_or(0, |newline| newline + 1);
        Error {
            line: before.matches('\n').count() + 1,
            column: before[start_of_line..].chars().count() + 1,
            message: message.into(),
            suggestion: None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)?;
        match &self.suggestion {
            Some(key) => write!(f, "; did you mean \"{key}\"?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// serde's words are part of its interface (`serde::de::Error::unknown_field` and its kin write them); one that is not
/// recognised is passed on as it is.
fn explain(text: &str, error: &toml::de::Error) -> Error {
    let offset = error.span().map_or(text.len(), |span| span.start);
    let message = error.message();
    if let Some(rest) = message.strip_prefix("unknown field ") {
        return unknown_key(text, offset, rest);
    }
    for prefix in ["invalid type: ", "invalid value: "] {
        if let Some((found, expected)) = message.strip_prefix(prefix).and_then(|rest| rest.rsplit_once(", expected ")) {
            let kind = found.split(['"', '`', '\'']).next().unwrap_or_default().trim();
            let expected = if expected == "i64" { "an integer".to_owned() } else { plain(expected) };
            return Error::at(text, offset, format!("wrong type: expected {expected}, found {kind}"));
        }
    }
    Error::at(text, offset, plain(message))
}

fn unknown_key(text: &str, offset: usize, rest: &str) -> Error {
    let (found, expected) = rest.split_once(", expected ").unwrap_or((rest, ""));
    let found = found.trim_matches('`');
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let place = section(text, offset).map(|section| format!(" in {section}")).unwrap_or_default();
    let mut error = Error::at(text, offset, format!("unknown key \"{}\"{place}", plain(found)));
    error.suggestion = closest(found, &known);
    if error.suggestion.is_none() && !known.is_empty() {
        error.message += &format!("; known here: {}", known.join(", "));
    }
    error
}

/// The one of these names that may have been meant: at most a third of the letters wrong, and one always; capitals are none.
pub fn closest(found: &str, known: &[&str]) -> Option<String> {
    let normal = found.to_lowercase().replace('-', "_");
    let best = known.iter().map(|key| (strsim::damerau_levenshtein(&normal, &key.to_lowercase()), key)).min()?;
    (best.0 <= (best.1.len() / 3).max(1)).then(|| best.1.to_string())
}

/// The table, as its header is written, in which the key at `offset` stands; none at the top.
fn section(text: &str, offset: usize) -> Option<String> {
    fn look(table: &DeTable<'_>, offset: usize, header: Option<String>) -> Option<Option<String>> {
        for (key, value) in table {
            if key.span().start == offset {
                return Some(header);
            }
            let path = match &header {
                Some(parent) => format!("{}.{}", parent.trim_matches(['[', ']']), plain(key.get_ref())),
                None => plain(key.get_ref()),
            };
            let found = match value.get_ref() {
                DeValue::Table(inner) => look(inner, offset, Some(format!("[{path}]"))),
                DeValue::Array(entries) => entries.iter().find_map(|entry| match entry.get_ref() {
                    DeValue::Table(inner) => look(inner, offset, Some(format!("[[{path}]]"))),
                    _ => None,
                }),
                _ => None,
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }
    look(DeTable::parse(text).ok()?.get_ref(), offset, None).flatten()
}

/// One line, short, without control characters: it goes to a terminal.
fn plain(text: &str) -> String {
    text.chars().take(200).flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
