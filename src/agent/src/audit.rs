//! `signing-agent audit export` and `audit verify` (docs/audit-log.md).

use crate::ask::{self, Places};
use crate::context::Context;
use crate::error::Error;
use crate::progress::Progress;
use crate::words;
use ::audit::{VerifyingKey, export};
use clap::Subcommand;
use ipc::{Answer, Ask, AuditPage};
use serde_json::json;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Subcommand)]
pub enum Command {
    /// Write the whole audit log as JSON lines; it ends with a fresh checkpoint.
    ///
    /// Example: signing-agent audit export --output audit-2026-01-31.jsonl
    Export {
        /// A new file; standard output if absent.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Check an export, without a vault if the key is given. Exit code 0 only if every octet of it is good.
    ///
    /// Example: signing-agent audit verify audit-2026-01-31.jsonl --public-key @audit-key.txt
    Verify {
        /// The export; - is standard input, which wants the key that signed first where there were several.
        file: PathBuf,
        /// The checkpoints' key as `status` shows it (NAME+ID+BASE64), or @FILE with it; the running vault's if absent.
        #[arg(long, value_name = "KEY")]
        public_key: Option<String>,
    },
}

pub fn run(context: &Context, command: Command) -> Result<(), Error> {
    match command {
        Command::Export { output } => export(context, output.as_deref()),
        Command::Verify { file, public_key } => verify(context, &file, public_key.as_deref()),
    }
}

fn export(context: &Context, output: Option<&Path>) -> Result<(), Error> {
    let places = context.places()?;
    let progress = Progress::of("exporting", "lines");
    let ask = |question: Ask| places.ask_unseen(&question, PATIENCE)?.ok_or_else(|| places.nobody());
    let Answer::AuditCheckpoint { size } = ask(Ask::AuditCheckpoint)? else { return Err(ask::beside_the_point()) };
    let mut next = Some(0);
    let mut page = || match next.take() {
        None => Ok(None),
        Some(record) => match ask(Ask::AuditFrom { record })? {
            Answer::AuditPage(page) => {
                next = page.next;
                progress.more(page.lines.len() as u64);
                Ok(Some(page))
            }
            _ => Err(ask::beside_the_point()),
        },
    };
    let key = match output {
        None => match write(&mut io::stdout().lock(), &mut page) {
            // Who reads it has seen enough.
            Err(Error::System { cause, .. }) if cause.kind() == ErrorKind::BrokenPipe => return Ok(()),
            done => done?,
        },
        Some(path) => {
            let file = File::options().write(true).create_new(true).mode(0o600).open(path).map_err(Error::at(path))?;
            let mut out = BufWriter::new(file);
            let key = write(&mut out, &mut page)?;
            out.into_inner().map_err(|e| e.into_error()).and_then(|file| file.sync_all()).map_err(Error::at(path))?;
            key
        }
    };
    drop(progress);
    let text = format!(
        "{size} records and more; verify them with this key, and keep it where this machine does not reach:\n{}",
        words::plain(&key)
    );
    let value = || json!({ "records": size, "key": key, "file": output });
    match output {
        // The export itself is what stands on stdout.
        None if context.json => {
            let _ = writeln!(io::stderr(), "{}", words::escaped(&value().to_string()));
            Ok(())
        }
        _ if !context.json => {
            context.note(&text);
            Ok(())
        }
        _ => context.tell(String::new, value),
    }
}

/// Writes up to the last checkpoint: what was recorded after it is the next export's. The checkpoints' key.
fn write(out: &mut dyn Write, page: &mut dyn FnMut() -> Result<Option<AuditPage>, Error>) -> Result<String, Error> {
    let mut held_back = Vec::new();
    let mut own = String::new();
    while let Some(AuditPage { lines, key, .. }) = page()? {
        own = key;
        for line in lines {
            let is_checkpoint = line.starts_with(r#"{"checkpoint":"#);
            held_back.extend_from_slice(line.as_bytes());
            held_back.push(b'\n');
            if is_checkpoint {
                out.write_all(&held_back).map_err(Error::system("write the export"))?;
                held_back.clear();
            }
        }
    }
    out.flush().map_err(Error::system("write the export"))?;
    Ok(own)
}

fn verify(context: &Context, file: &Path, key: Option<&str>) -> Result<(), Error> {
    let text = match key {
        Some(key) => match key.strip_prefix('@') {
            Some(path) => std::fs::read_to_string(path).map_err(Error::at(path))?,
            None => key.to_owned(),
        },
        None => key_of_the_vault(&context.config)?,
    };
    let key: VerifyingKey = text.trim().parse().map_err(|e: ::audit::Error| Error::Key(e.to_string()))?;
    let open = || File::open(file).map(BufReader::new).map_err(Error::at(file));
    let progress = Progress::of("verifying", "");
    let verified = match file.to_str() {
        // Read once, so the key must be the one that signed first.
        Some("-") => export::verify(io::stdin().lock(), &key),
        _ => {
            let first = export::first_key(open()?, &key).map_err(|e| Error::BadExport(words::plain(&e.to_string())))?;
            export::verify_from(open()?, first, &key)
        }
    };
    drop(progress);
    match verified {
        Ok(report) => context.tell(|| good(&report), || as_json(&report)),
        Err(fault) => Err(Error::BadExport(words::plain(&format!("{fault}. {}", fault.known())))),
    }
}

fn key_of_the_vault(config_path: &Path) -> Result<String, Error> {
    let unknown = || Error::Key("no vault runs here to ask for it: give --public-key, from where you keep it".into());
    // A configuration that cannot be read is no matter here.
    let Ok(places) = Places::find(config_path) else { return Err(unknown()) };
    match places.ask(&Ask::Status, PATIENCE)? {
        Some(Answer::Status(status)) => status.audit.map(|audit| audit.key).ok_or_else(unknown),
        Some(_) => Err(ask::beside_the_point()),
        None => Err(unknown()),
    }
}

fn good(report: &export::Report) -> String {
    let time = |time: &Option<String>| time.clone().unwrap_or_else(|| "-".into());
    format!(
        "Good: {} records of {}, from {} to {}, under {} checkpoints.\n\
         Nothing is known after record {}: compare with the newest checkpoint from the journal or a witness.\n",
        report.records,
        words::plain(&report.keys.join(", then ")),
        time(&report.first_time),
        time(&report.last_time),
        report.checkpoints,
        report.covered.saturating_sub(1),
    )
}

fn as_json(report: &export::Report) -> serde_json::Value {
    json!({
        "good": true,
        "name": report.keys.last(),
        "names": report.keys,
        "records": report.records,
        "first_time": report.first_time,
        "last_time": report.last_time,
        "checkpoints": report.checkpoints,
        "covered": report.covered,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(lines: &[&str]) -> AuditPage {
        AuditPage { lines: lines.iter().map(ToString::to_string).collect(), next: None, key: "key".into() }
    }

    #[test]
    fn an_export_ends_with_a_checkpoint_whatever_was_recorded_meanwhile() {
        let checkpoint = r#"{"checkpoint":"…"}"#;
        let mut pages = vec![page(&[checkpoint, "three", "four"]), page(&["one", "two"])];
        let mut out = Vec::new();
        let key = write(&mut out, &mut || Ok(pages.pop())).unwrap();
        assert_eq!(key, "key");
        assert_eq!(String::from_utf8(out).unwrap(), format!("one\ntwo\n{checkpoint}\n"));
    }
}
