//! Tests of a policy, as files that an operator writes: what must become of which action. Pure: the caller reads the files.
//!
//! ```toml
//! policy = "treasury.toml"          # beside this file; or policy_text = '''…'''
//! [defaults]                        # for each case that does not say otherwise
//! type = "ApproveWithdraw"
//! time = "2026-12-02T12:00:00Z"     # a Wednesday; this is also the default's default
//! expires_in = "1h"                 # "never": the feed named no expiry
//!
//! [[case]]
//! name = "a small withdrawal to the exchange goes by itself"
//! facts = { currency = "ETH", settlements = [{ to = "0xa2Ba…", amount = "0.5 ETH", fee = 3150000 }] }
//! ledger = [{ ago = "2h", currency = "ETH", amount = "9 ETH", rule = "small" }]
//! expect = { verdict = "approve", rule = "small" }
//! ```
//!
//! docs/policy-tests.md has every key.

mod message;
mod raw;
mod run;
mod units;

use config::strict;
use raw::{RawFile, TextOrNumber};
use toml::Spanned;

pub use run::{Mismatch, Outcome};
pub use units::time;

type Spot = Spanned<TextOrNumber>;

/// A file of cases.
pub struct Suite<'a> {
    text: &'a str,
    file: RawFile,
}

/// Where a suite's policy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// Beside the file, by this name.
    File(&'a str),
    /// In the file itself.
    Text(&'a str),
}

/// Why cases were not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `LINE:COLUMN: words`, of the file of cases.
    #[error(transparent)]
    Cases(#[from] strict::Error),
    /// The same, of the policy's text.
    #[error("{0}")]
    Policy(crate::Error),
}

impl<'a> Suite<'a> {
    /// Refused, with line and column: unknown keys, wrong types, no policy or two, no case, two cases of one name.
    pub fn parse(text: &'a str) -> Result<Suite<'a>, strict::Error> {
        let file: RawFile = strict::parse(text)?;
        let suite = Suite { text, file };
        let place = Place { text };
        match (&suite.file.policy, &suite.file.policy_text) {
            (Some(_), Some(inline)) => {
                return Err(place.fault(inline.span().start, "policy and policy_text exclude each other: keep one"));
            }
            (None, None) => return Err(place.fault(0, "which policy? Say policy = \"FILE\", or policy_text")),
            _ => {}
        }
        if suite.file.case.is_empty() {
            return Err(place.fault(text.len(), "there is no [[case]]"));
        }
        for (n, case) in suite.file.case.iter().enumerate() {
            let name = &case.get_ref().name;
            let same = |other: &Spanned<raw::RawCase>| other.get_ref().name.get_ref() == name.get_ref();
            if name.get_ref().trim().is_empty() || suite.file.case.iter().take(n).any(same) {
                return Err(place.fault(name.span().start, "each case needs a name of its own"));
            }
        }
        Ok(suite)
    }

    pub fn source(&self) -> Source<'_> {
        match (&self.file.policy, &self.file.policy_text) {
            (Some(name), _) => Source::File(name.get_ref()),
            (None, text) => Source::Text(text.as_ref().map_or("", |text| text.get_ref())),
        }
    }
}

/// The text in which a value stands, for what is wrong with it.
struct Place<'a> {
    text: &'a str,
}

impl Place<'_> {
    fn fault(&self, offset: usize, words: impl Into<String>) -> strict::Error {
        strict::Error::at(self.text, offset, words)
    }

    fn value<T, V>(
        &self,
        written: &Spanned<V>,
        read: impl FnOnce(&V) -> Result<T, String>,
    ) -> Result<T, strict::Error> {
        read(written.get_ref()).map_err(|words| self.fault(written.span().start, words))
    }

    fn optional<T, V: AsValue>(
        &self,
        written: &Option<Spanned<V>>,
        read: impl FnOnce(&V::Value) -> Result<T, String>,
    ) -> Result<Option<T>, strict::Error> {
        let Some(written) = written else { return Ok(None) };
        self.value(written, |value| read(value.as_value())).map(Some)
    }
}

/// `str` for a `String`.
trait AsValue {
    type Value: ?Sized;
    fn as_value(&self) -> &Self::Value;
}

impl AsValue for String {
    type Value = str;
    fn as_value(&self) -> &str {
        self
    }
}

impl AsValue for TextOrNumber {
    type Value = TextOrNumber;
    fn as_value(&self) -> &TextOrNumber {
        self
    }
}
