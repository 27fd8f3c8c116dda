//! `[callback]`: who gives a second opinion before an approval counts.

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::raw::{Page, Text};
use crate::strict::Error;
use crate::{Callback, check};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawCallback {
    url: Text,
    public_key_file: Text,
    ca_file: Text,
    timeout_seconds: Option<Spanned<i64>>,
    retries: Option<Spanned<i64>>,
    retry_seconds: Option<Spanned<i64>>,
}

impl Page<'_> {
    pub(crate) fn callback(&self, raw: Spanned<RawCallback>) -> Result<Callback, Error> {
        let here = raw.span().start;
        let missing = |key: &str| {
            Error::at(
                self.text,
                here,
                format!(
                    "[callback] {key} is missing: a second opinion needs both, whom to ask and whose answer to believe"
                ),
            )
        };
        let raw = raw.into_inner();
        let url = self.value(&raw.url, "[callback] url", |s| check::remote_url(s, "https", "http"))?;
        let seconds = |number, key, range, default| self.number(number, key, range, default).map(Duration::from_secs);
        Ok(Callback {
            url: url.ok_or_else(|| missing("url"))?,
            public_key_file: self
                .path(&raw.public_key_file, "[callback] public_key_file")?
                .ok_or_else(|| missing("public_key_file"))?,
            ca_file: self.path(&raw.ca_file, "[callback] ca_file")?,
            timeout: seconds(&raw.timeout_seconds, "[callback] timeout_seconds", 1..=60, 10)?,
            retries: u32::try_from(self.number(&raw.retries, "[callback] retries", 0..=20, 3)?).unwrap_or(u32::MAX),
            retry_wait: seconds(&raw.retry_seconds, "[callback] retry_seconds", 1..=300, 5)?,
        })
    }
}
