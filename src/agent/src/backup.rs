//! `signing-agent backup` (docs/backup.md): the vault makes it, sealed; what goes through here nobody can read without a recovery identity.

use crate::ask;
use crate::context::Context;
use crate::error::Error;
use crate::handover::{self, Kind};
use crate::{change, layout, own_vault, terminal, words};
use clap::{Args, Subcommand};
use ipc::{Answer, Ask, BackupMade, RestoreOptions, RestoreReport, Secret};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::time::Duration;
use zeroize::Zeroizing;

/// The ledger is copied and read through, and tokens take their time.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Octets in one part.
const PART: usize = 512 << 10;
/// The longest file of identities, octets.
const MOST: usize = 64 << 10;

#[derive(Subcommand)]
pub enum Command {
    /// Write a backup to FILE, sealed to the recovery recipients alone: the sealed keys, the ledger, policy and configuration.
    ///
    /// Keep the audit key that it names with the recovery identity: without it nobody knows whose backup it is.
    ///
    /// Example: signing-agent backup create agent-2026-01-31.age
    Create {
        /// A new file.
        file: PathBuf,
    },
    /// Prove that a backup can be restored: decrypt it, check keys, ledger and audit log; no key is shown and nothing is changed.
    ///
    /// It needs no token, no configuration and no vault: do it where the recovery identity is.
    ///
    /// Example: signing-agent backup verify agent.age --identity recovery.txt --public-key @audit-key.txt
    Verify {
        #[command(flatten)]
        from: From,
        /// Write the configuration and the policy that are in it into DIR, a new directory.
        #[arg(long, value_name = "DIR")]
        settings: Option<PathBuf>,
    },
    /// Make a backup this vault's state, where it has none: sealed to this token, under the same agentID, frozen, with full windows.
    ///
    /// Example: signing-agent backup restore agent.age --identity recovery.txt --public-key @audit-key.txt
    Restore {
        #[command(flatten)]
        from: From,
        /// The newest checkpoint of its audit log that you know of, from the journal or a witness: an older backup is refused.
        #[arg(long, value_name = "FILE")]
        newest: Option<PathBuf>,
        /// Restore it, although the token or a witness remembers more than is in it: that is put on record.
        #[arg(long)]
        accept_rollback: bool,
    },
}

#[derive(Args)]
pub struct From {
    /// The backup.
    file: PathBuf,
    /// The identity of a recovery recipient, as age-keygen wrote it.
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// The audit key that signed it, as `backup create` and `status` showed it (NAME+ID+BASE64), or @FILE with it.
    #[arg(long, value_name = "KEY")]
    public_key: String,
}

impl From {
    fn key(&self) -> Result<String, Error> {
        let text = match self.public_key.strip_prefix('@') {
            Some(path) => change::read(Path::new(path), MOST)?,
            None => self.public_key.clone(),
        };
        let key: ::audit::VerifyingKey = text.trim().parse().map_err(|e: ::audit::Error| Error::Key(e.to_string()))?;
        Ok(key.to_string())
    }

    fn identity(&self) -> Result<Secret, Error> {
        Ok(Secret::new(change::read(&self.identity, MOST)?))
    }
}

pub fn run(context: &Context, command: &Command) -> Result<(), Error> {
    match command {
        Command::Create { file } => create(context, file),
        Command::Verify { from, settings } => verify(context, from, settings.as_deref()),
        Command::Restore { from, newest, accept_rollback } => {
            restore(context, from, newest.as_deref(), *accept_rollback)
        }
    }
}

fn create(context: &Context, file: &Path) -> Result<(), Error> {
    let open = || File::options().write(true).create_new(true).mode(0o600).open(file).map_err(Error::at(file));
    let (made, _) = own_vault::with_any(&context.config, PATIENCE, |ask| {
        let Answer::BackupMade(made) = ask(&Ask::Backup)? else { return Err(ask::beside_the_point()) };
        let mut out = open()?;
        let mut offset = 0;
        loop {
            let Answer::BackupPart { octets } = ask(&Ask::BackupPart { offset })? else {
                return Err(ask::beside_the_point());
            };
            if octets.is_empty() {
                break;
            }
            out.write_all(&octets).map_err(Error::at(file))?;
            offset += octets.len() as u64;
        }
        out.sync_all().map_err(Error::at(file))?;
        if offset == made.octets { Ok(made) } else { Err(ask::beside_the_point()) }
    })?;
    context.tell(|| told(&made, file), || as_json(&made, file))
}

fn told(made: &BackupMade, file: &Path) -> String {
    let width = terminal::Look::of_stdout().width;
    let rows = [
        ("file", file.display().to_string()),
        ("agentID", made.agent_id.clone().unwrap_or_else(|| "none yet".into())),
        ("records", made.records.to_string()),
        ("sealed to", made.recipients.join(", ")),
        ("audit key", made.key.clone()),
    ];
    let rows: Vec<(String, String)> = rows.map(|(name, value)| (name.to_owned(), words::plain(&value))).into();
    let advice = "Keep the audit key where the recovery identity is. What is approved from now on is in the next backup. Prove now and then \
                  that this one can be restored: `signing-agent backup verify`.";
    format!("{}\n{}", layout::rows(&rows, width), layout::paragraph(advice, 0, width))
}

fn as_json(made: &BackupMade, file: &Path) -> Value {
    json!({
        "file": file,
        "octets": made.octets,
        "agentID": made.agent_id,
        "records": made.records,
        "key": made.key,
        "recipients": made.recipients,
    })
}

/// What `signing-agent-vault --verify-backup` reads.
#[derive(Serialize)]
struct Wanted<'a> {
    file: &'a Path,
    identity: &'a str,
    key: &'a str,
    scratch: &'a Path,
}

/// What it says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verified {
    #[serde(rename = "agentID")]
    agent_id: Option<String>,
    name: Option<String>,
    made: u64,
    software: String,
    records: u64,
    recipients: Vec<String>,
    files: Vec<String>,
    settings: BTreeMap<String, String>,
}

/// By a vault's program of its own, in its own jail: what reads a file of somebody else's holds nothing else.
fn verify(context: &Context, from: &From, settings: Option<&Path>) -> Result<(), Error> {
    let scratch = Scratch::make()?;
    let identity = from.identity()?;
    let file = std::path::absolute(&from.file).map_err(Error::at(&from.file))?;
    let (identity, key) = (identity.expose(), from.key()?);
    let mut wanted = Zeroizing::new(Vec::with_capacity(2 * MOST));
    serde_json::to_writer(&mut *wanted, &Wanted { file: &file, identity, key: &key, scratch: &scratch.0 })
        .map_err(|e| Error::Usage(e.to_string()))?;
    let mut command = Process::new(handover::program(Kind::Vault)?);
    command.arg("--verify-backup").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(Error::system("start the vault's program"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // Where it ended already, its words say why.
        let _ = stdin.write_all(&wanted);
    }
    let output = child.wait_with_output().map_err(Error::system("wait for the vault's program"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().trim_start_matches("signing-agent-vault: ");
        return Err(Error::BadBackup(words::plain(said)));
    }
    let verified: Verified = serde_json::from_slice(&output.stdout).map_err(|_| ask::beside_the_point())?;
    if let Some(dir) = settings {
        DirBuilder::new().mode(0o700).create(dir).map_err(Error::at(dir))?;
        for (name, text) in &verified.settings {
            let path = dir.join(Path::new(name).file_name().unwrap_or_default());
            fs::write(&path, text).map_err(Error::at(&path))?;
        }
    }
    context.tell(|| good(&verified), || good_json(&verified))
}

fn good(verified: &Verified) -> String {
    let width = terminal::Look::of_stdout().width;
    let agent = verified.agent_id.clone().unwrap_or_else(|| "none was registered".into());
    let rows = [
        ("agentID", agent),
        ("name", verified.name.clone().unwrap_or_else(|| "-".into())),
        ("made", words::time(verified.made)),
        ("by version", verified.software.clone()),
        ("records", verified.records.to_string()),
        ("recovery", verified.recipients.join(", ")),
        ("files", verified.files.join(", ")),
    ];
    let rows: Vec<(String, String)> = rows.map(|(name, value)| (name.to_owned(), words::plain(&value))).into();
    format!("Good: it can be restored.\n{}", layout::rows(&rows, width))
}

fn good_json(verified: &Verified) -> Value {
    json!({
        "good": true,
        "agentID": verified.agent_id,
        "name": verified.name,
        "made": verified.made,
        "software": verified.software,
        "records": verified.records,
        "recipients": verified.recipients,
        "files": verified.files,
    })
}

fn restore(context: &Context, from: &From, newest: Option<&Path>, accept_rollback: bool) -> Result<(), Error> {
    let newest = newest.map(|path| change::read(path, MOST)).transpose()?;
    let question = Ask::Restore {
        identity: from.identity()?,
        options: RestoreOptions { key: from.key()?, newest, accept_rollback },
    };
    let mut file = File::open(&from.file).map_err(Error::at(&from.file))?;
    let (report, runs) = own_vault::with_any(&context.config, PATIENCE, |ask| {
        let mut offset = 0;
        loop {
            let mut octets = Vec::with_capacity(PART);
            (&mut file).take(PART as u64).read_to_end(&mut octets).map_err(Error::at(&from.file))?;
            let length = octets.len() as u64;
            if length == 0 && offset > 0 {
                break;
            }
            match ask(&Ask::RestorePart { offset, octets })? {
                Answer::Noted => offset += length,
                _ => return Err(ask::beside_the_point()),
            }
            if length == 0 {
                break;
            }
        }
        match ask(&question)? {
            Answer::Restored(report) => Ok(report),
            _ => Err(ask::beside_the_point()),
        }
    })?;
    context.tell(|| restored(&report, runs), || restored_json(&report))
}

fn restored(report: &RestoreReport, runs: bool) -> String {
    let width = terminal::Look::of_stdout().width;
    let rows = [
        ("agentID", report.agent_id.clone().unwrap_or_else(|| "none was registered".into())),
        ("name", report.name.clone().unwrap_or_else(|| "-".into())),
        ("made", words::time(report.made)),
        ("records", report.records.to_string()),
        ("audit key", report.key.clone()),
        ("remembered", report.rollback.clone().unwrap_or_else(|| "nothing that is not in it".into())),
    ];
    let rows: Vec<(String, String)> = rows.map(|(name, value)| (name.to_owned(), words::plain(&value))).into();
    let start = if runs { "" } else { "Start the agent. " };
    let advice = format!(
        "It is frozen, and its windows count as full. {start}See to it that the machine before this one never starts again. Look at what was \
         approved after the backup was made (the backend knows), then `signing-agent unfreeze` and `signing-agent confirm-windows`. \
         Keep the audit key, and make a backup of this one."
    );
    format!("Restored.\n{}\n{}", layout::rows(&rows, width), layout::paragraph(&advice, 0, width))
}

fn restored_json(report: &RestoreReport) -> Value {
    json!({
        "restored": true,
        "agentID": report.agent_id,
        "name": report.name,
        "made": report.made,
        "records": report.records,
        "key": report.key,
        "rollback": report.rollback,
    })
}

/// A directory of this process's user alone, which goes with it.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> Result<Scratch, Error> {
        let mut number = [0; 16];
        File::open("/dev/urandom")
            .and_then(|mut file| file.read_exact(&mut number))
            .map_err(Error::system("read /dev/urandom"))?;
        let path = std::env::temp_dir().join(format!("signing-agent-backup-{}", hex::encode(number)));
        DirBuilder::new().mode(0o700).create(&path).map_err(Error::at(&path))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is for this user to see alone, and holds no key.
        let _ = fs::remove_dir_all(&self.0);
    }
}
