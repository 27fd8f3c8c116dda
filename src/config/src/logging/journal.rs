//! Lines for systemd's journal, each value a field of its own (systemd.io/JOURNAL_NATIVE_PROTOCOL).

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

pub const SOCKET: &str = "/run/systemd/journal/socket";
/// What of a value is written, octets: a line must fit into a datagram.
const MOST: usize = 16 << 10;

pub struct Journal {
    room: &'static str,
    /// `write` is the one system call that every room's walls let through.
    socket: File,
}

impl Journal {
    pub fn connect(room: &'static str, path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Self { room, socket: File::from(OwnedFd::from(socket)) })
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // RFC 5424 §6.2.1.
        let priority = match *event.metadata().level() {
            Level::ERROR => "3",
            Level::WARN => "4",
            Level::INFO => "6",
            Level::DEBUG | Level::TRACE => "7",
        };
        let mut line = Line::default();
        line.field("PRIORITY", priority);
        line.field("SYSLOG_IDENTIFIER", &format!("signing-agent-{}", self.room));
        line.field("ROOM", self.room);
        line.field("TARGET", event.metadata().target());
        event.record(&mut line);
        // Nobody is left to be told of a failure.
        let _ = (&self.socket).write(&line.0);
    }
}

#[derive(Default)]
struct Line(Vec<u8>);

impl Line {
    fn field(&mut self, name: &str, value: &str) {
        let end = (0..=value.len().min(MOST)).rev().find(|end| value.is_char_boundary(*end));
        let value = &value.as_bytes()[..end.unwrap_or_default()];
        self.0.extend_from_slice(name.as_bytes());
        if value.contains(&b'\n') {
            self.0.push(b'\n');
            self.0.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            self.0.push(b'=');
        }
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(&field.name().to_ascii_uppercase(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn each_value_is_a_field_and_none_can_be_forged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        let log = Registry::default().with(Journal::connect("vault", &path).unwrap());
        tracing::subscriber::with_default(log, || {
            tracing::warn!(action = %"w1", ms = 7, why = "a\nPRIORITY=0", "said");
            tracing::info!(long = "ä".repeat(MOST));
        });
        let mut buffer = vec![0; 64 << 10];
        let length = journal.recv(&mut buffer).unwrap();
        let mut wanted = format!(
            "PRIORITY=4\nSYSLOG_IDENTIFIER=signing-agent-vault\nROOM=vault\nTARGET={}\nMESSAGE=said\nACTION=w1\nMS=7\nWHY\n",
            module_path!()
        )
        .into_bytes();
        wanted.extend_from_slice(&12_u64.to_le_bytes());
        wanted.extend_from_slice(b"a\nPRIORITY=0\n");
        assert_eq!(String::from_utf8_lossy(&buffer[..length]), String::from_utf8_lossy(&wanted));
        let length = journal.recv(&mut buffer).unwrap();
        assert!(length > MOST && length < MOST + 200, "{length}");
    }

    #[test]
    fn without_a_journal_there_is_none() {
        assert!(Journal::connect("vault", Path::new("/nowhere/socket")).is_err());
    }
}
