//! The log of a room: standard error, text or JSON, or systemd's journal; each line with the room's name (docs/logs.md).
//!
//! Only what our own crates say is ever written, whatever the level: HTTP and TLS libraries put headers and bodies, and so
//! API keys, into their trace events. Nothing bridges from the `log` crate, for the same reason.

mod journal;

use std::fmt;
use std::path::Path;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, format};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use crate::logging::journal::Journal;
use crate::{Level, Log, LogFormat};

/// The crates that may speak, besides `signing_agent` and `signing_agent_*`.
const OURS: [&str; 3] = ["hsm", "milagro", "policy"];

/// Starts the log of this process; `room` is `api`, `courier`, `vault` or what else names it. Only the first call counts.
/// An event is judged by its target's first segment: leave `target:` alone and it is the crate's name.
/// Where there is no journal, the lines go to standard error as text.
pub fn init(room: &'static str, log: &Log) {
    let journal = match log.format {
        LogFormat::Journal => Journal::connect(room, Path::new(journal::SOCKET)).map(Some),
        _ => Ok(None),
    };
    let missing = journal.as_ref().err().map(|e| format!("there is no journal to log to: {}: {e}", journal::SOCKET));
    let log = subscriber(room, log, std::io::stderr, journal.ok().flatten());
    // The error means that a log was started before; two logs would be worse than the first one.
    if tracing::subscriber::set_global_default(log).is_ok()
        && let Some(missing) = missing
    {
        tracing::warn!("{missing}");
    }
}

fn subscriber<W>(room: &'static str, log: &Log, writer: W, journal: Option<Journal>) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let level = match log.level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let ours = filter_fn(move |event| *event.level() <= level && is_ours(event)).with_max_level_hint(level);
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    let layer = match (log.format, journal) {
        (LogFormat::Journal, Some(journal)) => journal.boxed(),
        (LogFormat::Text | LogFormat::Journal, _) => layer.event_format(Text { room, inner: format() }).boxed(),
        (LogFormat::Json, _) => {
            layer.json().event_format(Json { room, inner: format().json().flatten_event(true) }).boxed()
        }
    };
    Registry::default().with(layer.with_filter(ours))
}

fn is_ours(event: &Metadata<'_>) -> bool {
    let name = event.target().split("::").next().unwrap_or_default();
    name == "signing_agent" || name.starts_with("signing_agent_") || OURS.contains(&name)
}

/// `ROOM TIME LEVEL …`, one line an event: a newline in a value would forge another room's line.
struct Text<F> {
    room: &'static str,
    inner: F,
}

impl<S, F> FormatEvent<S, DefaultFields> for Text<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: FormatEvent<S, DefaultFields>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        write!(writer, "{:<7} ", self.room)?;
        for c in line.trim_end_matches('\n').chars() {
            if c.is_control() { write!(writer, "{}", c.escape_default())? } else { writer.write_char(c)? }
        }
        writer.write_char('\n')
    }
}

/// The object that tracing-subscriber writes, with `room` as its first member.
struct Json<F> {
    room: &'static str,
    inner: F,
}

impl<S, N, F> FormatEvent<S, N> for Json<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'w> FormatFields<'w> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        let members = line.strip_prefix('{').ok_or(fmt::Error)?;
        write!(writer, "{{\"room\":\"{}\",{members}", self.room)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat, level: Level, say: impl FnOnce()) -> String {
        let paper = Paper::default();
        let writer = paper.clone();
        let log = subscriber("vault", &Log { format, level }, move || writer.clone(), None);
        tracing::subscriber::with_default(log, say);
        let bytes = paper.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn only_our_own_crates_are_heard_even_at_trace() {
        let log = written(LogFormat::Text, Level::Trace, || {
            tracing::error!(target: "hyper::proto", "x-api-key: secret");
            tracing::trace!(target: "rustls", "secret");
            tracing::error!(target: "hsmx", "secret");
            tracing::error!(target: "custody_simulator", "secret");
            tracing::error!(target: "signing_agentx", "secret");
            let span = tracing::error_span!(target: "reqwest", "request", key = "secret");
            let _inside = span.enter();
            tracing::trace!(target: "signing_agent_vault::gate", "ours");
            tracing::trace!(target: "hsm", "ours too");
        });
        assert!(!log.contains("secret"), "{log}");
        assert!(log.contains("ours") && log.contains("ours too"), "{log}");
    }

    #[test]
    fn the_level_is_kept() {
        let log = written(LogFormat::Text, Level::Warn, || {
            tracing::info!("low");
            tracing::warn!("high");
        });
        assert!(!log.contains("low") && log.contains("high"), "{log}");
    }

    #[test]
    fn each_line_names_the_room_and_none_can_be_forged() {
        let say = || tracing::info!(words = %"a\nvault   forged\x1b[2J", "said \n{}", "b\r\nc");
        let text = written(LogFormat::Text, Level::Info, say);
        assert!(text.starts_with("vault   ") && text.lines().count() == 1, "{text:?}");
        assert!(!text.trim_end().chars().any(char::is_control), "{text:?}");
        let json = written(LogFormat::Json, Level::Info, say);
        assert!(json.starts_with("{\"room\":\"vault\",\"timestamp\"") && json.lines().count() == 1, "{json:?}");
        assert!(json.ends_with("}\n") && json.contains(",\"words\":"), "{json:?}");
        let journal = written(LogFormat::Journal, Level::Info, say);
        assert_eq!(journal.split(' ').next(), text.split(' ').next(), "where there is none");
    }
}
