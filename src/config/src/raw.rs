//! The file as it is written: each value still knows where it stands, so that a refusal can say so.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::api::RawApi;
use crate::callback::RawCallback;
use crate::people::RawPeople;
use crate::strict::{self, Error};
use crate::{
    Audit, Backend, Config, Curve, Hsm, Jail, Ledger, Level, Log, LogFormat, Pin, PolicyFile, Profile, Sealing, State,
    Telemetry, Token, check,
};

pub(crate) type Text = Option<Spanned<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    backend: Option<Spanned<RawBackend>>,
    #[serde(default)]
    api: RawApi,
    #[serde(default)]
    hsm: RawHsm,
    #[serde(default)]
    sealing: RawSealing,
    #[serde(default)]
    people: RawPeople,
    #[serde(default)]
    policy: RawPolicy,
    callback: Option<Spanned<RawCallback>>,
    #[serde(default)]
    state: RawState,
    #[serde(default)]
    ledger: RawLedger,
    #[serde(default)]
    audit: RawAudit,
    #[serde(default)]
    jail: RawJail,
    #[serde(default)]
    log: RawLog,
    #[serde(default)]
    telemetry: RawTelemetry,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBackend {
    url: Text,
    resource: Text,
    feed_url: Text,
    pin: Option<Spanned<i64>>,
    pin_file: Text,
    ca_file: Text,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawHsm {
    module: Text,
    token: Text,
    slot: Option<Spanned<i64>>,
    profile: Text,
    pin_file: Text,
    identity_curve: Text,
    call_deadline_seconds: Option<Spanned<i64>>,
    #[serde(default)]
    writable: Vec<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawSealing {
    #[serde(default)]
    recovery_recipients: Vec<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    file: Text,
    shadow: Text,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawState {
    dir: Text,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawLedger {
    token_memory: Text,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawAudit {
    checkpoint_records: Option<Spanned<i64>>,
    checkpoint_seconds: Option<Spanned<i64>>,
    witness_dir: Text,
    #[serde(default)]
    witnesses: Vec<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawJail {
    landlock: Text,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawLog {
    format: Text,
    level: Text,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawTelemetry {
    traces_url: Text,
    ca_file: Text,
}

pub(crate) fn read(text: &str, base: &Path) -> Result<Config, Error> {
    let file: RawFile = strict::parse(text)?;
    let page = Page { text, base };
    Ok(Config {
        backend: page.backend(file.backend)?,
        api: page.api(file.api)?,
        hsm: page.hsm(file.hsm)?,
        sealing: page.sealing(file.sealing)?,
        people: page.people(&file.people)?,
        policy: PolicyFile {
            file: page.path(&file.policy.file, "[policy] file")?,
            shadow: page.path(&file.policy.shadow, "[policy] shadow")?,
        },
        callback: file.callback.map(|raw| page.callback(raw)).transpose()?,
        state: State { dir: page.path(&file.state.dir, "[state] dir")?.unwrap_or("/var/lib/signing-agent".into()) },
        ledger: page.ledger(&file.ledger)?,
        audit: page.audit(&file.audit)?,
        jail: page.jail(&file.jail)?,
        log: page.log(&file.log)?,
        telemetry: Telemetry {
            traces_url: page.value(&file.telemetry.traces_url, "[telemetry] traces_url", |s| {
                check::remote_url(s, "https", "http")
            })?,
            ca_file: page.path(&file.telemetry.ca_file, "[telemetry] ca_file")?,
        },
    })
}

pub(crate) struct Page<'a> {
    pub(crate) text: &'a str,
    base: &'a Path,
}

impl Page<'_> {
    fn backend(&self, raw: Option<Spanned<RawBackend>>) -> Result<Backend, Error> {
        const MISSING: &str = "[backend] url is missing: where is the custody backend?";
        let raw = raw.ok_or_else(|| Error::at(self.text, self.text.len(), MISSING))?;
        let here = raw.span().start;
        let raw = raw.into_inner();
        let url = self.value(&raw.url, "[backend] url", |s| check::remote_url(s, "https", "http"))?;
        Ok(Backend {
            url: url.ok_or_else(|| Error::at(self.text, here, MISSING))?,
            resource: self.value(&raw.resource, "[backend] resource", check::resource)?.unwrap_or("client".into()),
            feed_url: self.value(&raw.feed_url, "[backend] feed_url", |s| check::remote_url(s, "wss", "ws"))?,
            pin: self.pin(&raw.pin, &raw.pin_file)?,
            ca_file: self.path(&raw.ca_file, "[backend] ca_file")?,
        })
    }

    fn pin(&self, pin: &Option<Spanned<i64>>, file: &Text) -> Result<Pin, Error> {
        match (pin, self.path(file, "[backend] pin_file")?) {
            (Some(pin), Some(_)) => Err(self.fault(pin, "[backend] pin and pin_file exclude each other: keep one")),
            (None, Some(file)) => Ok(Pin::File(file)),
            (None, None) => Ok(Pin::Inline(0)),
            (Some(pin), None) => match u16::try_from(*pin.get_ref()) {
                Ok(number @ 0..=9999) => Ok(Pin::Inline(number)),
                _ => Err(self.fault(pin, "[backend] pin must be a number from 0 to 9999")),
            },
        }
    }

    fn hsm(&self, raw: RawHsm) -> Result<Hsm, Error> {
        let profile = self.value(&raw.profile, "[hsm] profile", |s| match s {
            "local" => Ok(Profile::Local),
            "network-hsm" => Ok(Profile::NetworkHsm),
            _ => {
                Err("must be \"local\", or \"network-hsm\" for a module that speaks over a network or to a service"
                    .into())
            }
        })?;
        let curve = self.value(&raw.identity_curve, "[hsm] identity_curve", |s| match s {
            "P-256" => Ok(Curve::P256),
            "secp256k1" => Ok(Curve::Secp256k1),
            _ => Err("must be \"P-256\" or \"secp256k1\"".into()),
        })?;
        let module = self.path(&raw.module, "[hsm] module")?;
        let writable = raw.writable.iter().map(|dir| {
            check::path(dir.get_ref(), self.base).map_err(|why| self.fault(dir, &format!("[hsm] writable: {why}")))
        });
        let writable = writable.collect::<Result<_, _>>()?;
        Ok(Hsm {
            module: module.unwrap_or("/usr/lib/softhsm/libsofthsm2.so".into()),
            token: self.token(&raw.token, &raw.slot)?,
            profile: profile.unwrap_or(Profile::Local),
            pin_file: self.path(&raw.pin_file, "[hsm] pin_file")?,
            writable,
            identity_curve: curve.unwrap_or(Curve::P256),
            call_deadline: Duration::from_secs(self.number(
                &raw.call_deadline_seconds,
                "[hsm] call_deadline_seconds",
                1..=3600,
                30,
            )?),
        })
    }

    fn token(&self, label: &Text, slot: &Option<Spanned<i64>>) -> Result<Token, Error> {
        let label = self.value(label, "[hsm] token", |s| match s.len() {
            0 => Err("a label must not be empty; name the token, or give a slot".into()),
            1..=32 => Ok(s.to_owned()),
            _ => Err("a token's label has at most 32 bytes".into()),
        })?;
        match (label, slot) {
            (Some(_), Some(slot)) => Err(self.fault(slot, "[hsm] token and slot exclude each other: keep one")),
            (Some(label), None) => Ok(Token::Label(label)),
            (None, None) => Ok(Token::Label("signing-agent".into())),
            (None, Some(slot)) => match u64::try_from(*slot.get_ref()) {
                Ok(number) => Ok(Token::Slot(number)),
                Err(_) => Err(self.fault(slot, "[hsm] slot must not be negative")),
            },
        }
    }

    fn sealing(&self, raw: RawSealing) -> Result<Sealing, Error> {
        let mut recovery_recipients = Vec::with_capacity(raw.recovery_recipients.len());
        for entry in &raw.recovery_recipients {
            let refuse = |why: String| self.fault(entry, &format!("[sealing] recovery_recipients: {why}"));
            let recipient = check::recipient(entry.get_ref()).map_err(refuse)?;
            if recovery_recipients.contains(&recipient) {
                return Err(refuse("the same recipient twice".into()));
            }
            recovery_recipients.push(recipient);
        }
        Ok(Sealing { recovery_recipients })
    }

    fn ledger(&self, raw: &RawLedger) -> Result<Ledger, Error> {
        let token_memory = self.value(&raw.token_memory, "[ledger] token_memory", |s| match s {
            "object" => Ok(true),
            "none" => Ok(false),
            _ => Err("must be \"object\", or \"none\" for a token without data objects".into()),
        })?;
        Ok(Ledger { token_memory: token_memory.unwrap_or(true) })
    }

    fn audit(&self, raw: &RawAudit) -> Result<Audit, Error> {
        const MOST_WITNESSES: usize = 16;
        let mut witnesses = Vec::with_capacity(raw.witnesses.len());
        for entry in &raw.witnesses {
            let refuse = |why: String| self.fault(entry, &format!("[audit] witnesses: {why}"));
            let url = check::remote_url(entry.get_ref(), "https", "http").map_err(refuse)?;
            if witnesses.contains(&url) || witnesses.len() == MOST_WITNESSES {
                return Err(refuse(format!("each once, and at most {MOST_WITNESSES}")));
            }
            witnesses.push(url);
        }
        let seconds = self.number(&raw.checkpoint_seconds, "[audit] checkpoint_seconds", 1..=3600, 10)?;
        Ok(Audit {
            checkpoint_records: self.number(
                &raw.checkpoint_records,
                "[audit] checkpoint_records",
                1..=100_000,
                1000,
            )?,
            checkpoint_interval: Duration::from_secs(seconds),
            witness_dir: self.path(&raw.witness_dir, "[audit] witness_dir")?,
            witnesses,
        })
    }

    pub(crate) fn number(
        &self,
        written: &Option<Spanned<i64>>,
        key: &str,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> Result<u64, Error> {
        let Some(written) = written else { return Ok(default) };
        match u64::try_from(*written.get_ref()) {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => Err(self.fault(written, &format!("{key} must be a number from {} to {}", range.start(), range.end()))),
        }
    }

    fn jail(&self, raw: &RawJail) -> Result<Jail, Error> {
        let required = self.value(&raw.landlock, "[jail] landlock", |s| match s {
            "best-effort" => Ok(false),
            "required" => Ok(true),
            _ => {
                Err("must be \"best-effort\", or \"required\": then no room starts on a kernel that lacks a part of it"
                    .into())
            }
        })?;
        Ok(Jail { landlock_required: required.unwrap_or(false) })
    }

    fn log(&self, raw: &RawLog) -> Result<Log, Error> {
        let format = self.value(&raw.format, "[log] format", |s| match s {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            "journal" => Ok(LogFormat::Journal),
            _ => Err("must be \"text\", \"json\", or \"journal\" for systemd's".into()),
        })?;
        let level = self.value(&raw.level, "[log] level", |s| match s {
            "error" => Ok(Level::Error),
            "warn" => Ok(Level::Warn),
            "info" => Ok(Level::Info),
            "debug" => Ok(Level::Debug),
            "trace" => Ok(Level::Trace),
            _ => Err("must be \"error\", \"warn\", \"info\", \"debug\" or \"trace\"".into()),
        })?;
        Ok(Log { format: format.unwrap_or_default(), level: level.unwrap_or_default() })
    }

    pub(crate) fn path(&self, text: &Text, key: &str) -> Result<Option<PathBuf>, Error> {
        self.value(text, key, |s| check::path(s, self.base))
    }

    pub(crate) fn value<T>(
        &self,
        text: &Text,
        key: &str,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Error> {
        let Some(text) = text else { return Ok(None) };
        check(text.get_ref()).map(Some).map_err(|why| self.fault(text, &format!("{key}: {why}")))
    }

    pub(crate) fn fault<T>(&self, at: &Spanned<T>, message: &str) -> Error {
        Error::at(self.text, at.span().start, message)
    }
}
