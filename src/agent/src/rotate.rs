//! `signing-agent rotate` (docs/rotation.md): another key or another PIN in the place of the one in use.

use crate::ask;
use crate::change::{self, Signed};
use crate::context::Context;
use crate::error::Error;
use crate::{layout, own_vault, terminal, words};
use clap::{Args, Subcommand};
use ipc::{Answer, Ask, Change, RotateReport, RotatedKey, Secret};
use serde_json::json;
use std::path::PathBuf;

/// The longest file with a PIN, octets.
const MOST: usize = 1024;

#[derive(Subcommand)]
pub enum Command {
    /// A new sealing key: what is sealed is sealed to it, and the vault starts anew with it.
    ///
    /// Example: signing-agent rotate sealing-key
    SealingKey(Options),
    /// A new audit key, which the old one vouches for in the log; the vault starts anew with it.
    ///
    /// Tell it to those who verify the log, to the witnesses, and to the callback's answerers.
    ///
    /// Example: signing-agent rotate audit-key
    AuditKey(Options),
    /// Another user PIN of the token. Put it into the PIN's file or credential at once: the next login takes it from there.
    ///
    /// Example: signing-agent rotate pin --new-pin-file new-pin
    Pin {
        /// A file with the new PIN; one newline at its end is no part of it.
        #[arg(long, value_name = "FILE")]
        new_pin_file: PathBuf,
    },
}

#[derive(Args)]
pub struct Options {
    /// Destroy the keys that were used before the one in use: once the agent runs with it, and you have a backup.
    #[arg(long)]
    confirm: bool,
    #[command(flatten)]
    signed: Signed,
}

pub fn run(context: &Context, command: &Command) -> Result<(), Error> {
    match command {
        Command::SealingKey(options) => rotate(context, RotatedKey::Sealing, options),
        Command::AuditKey(options) => rotate(context, RotatedKey::Audit, options),
        Command::Pin { new_pin_file } => {
            let text = Secret::new(change::read(new_pin_file, MOST)?);
            let new = text.expose();
            let new = Secret::new(new.strip_suffix('\n').unwrap_or(new).to_owned());
            match own_vault::ask_any(&context.config, &Ask::ChangePin { new })?.0 {
                Answer::Noted => context.tell(
                    || {
                        "The token has the new PIN. Now put it where the old one is ([hsm] pin_file, or the credential token-pin): the vault \
                         stays logged in, and its next login takes it from there.\n"
                            .into()
                    },
                    || json!({ "changed": true }),
                ),
                _ => Err(ask::beside_the_point()),
            }
        }
    }
}

fn rotate(context: &Context, key: RotatedKey, options: &Options) -> Result<(), Error> {
    let change = if options.confirm { Change::DestroyFormer { key } } else { Change::Rotate { key } };
    let asks = |question: &Ask| own_vault::ask_any(&context.config, question).map(|(answer, _)| answer);
    match options.signed.ask(context, change, asks)? {
        None => Ok(()),
        Some(Answer::Rotated(report)) => context.tell(
            || text(key, &report),
            || json!({ "key": report.key, "former": report.former, "destroyed": report.destroyed }),
        ),
        Some(_) => Err(ask::beside_the_point()),
    }
}

fn text(key: RotatedKey, report: &RotateReport) -> String {
    let width = terminal::Look::of_stdout().width;
    let mut rows = vec![("in use".to_owned(), words::plain(&report.key))];
    rows.extend(report.former.as_ref().map(|former| ("before it".to_owned(), words::plain(former))));
    let advice = match (&report.former, key) {
        (None, _) => format!("Objects of former keys that were destroyed in the token: {}.", report.destroyed),
        (Some(_), RotatedKey::Sealing) => {
            "The vault starts anew with it. The old key is in the token still: older copies of the sealed files open with it. Once \
             `signing-agent status` shows the new one and you have a backup, `signing-agent rotate sealing-key --confirm` destroys it."
                .to_owned()
        }
        (Some(_), RotatedKey::Audit) => {
            "The vault starts anew with it. Keep the new key where you kept the old one; whoever knows the old one goes on verifying with \
             it. Give it to the witnesses, and its PEM (`signing-agent callback-key`) to the callback's answerers. Once `signing-agent \
             status` shows it, `signing-agent rotate audit-key --confirm` destroys the old one."
                .to_owned()
        }
    };
    format!("{}\n{}", layout::rows(&rows, width), layout::paragraph(&advice, 0, width))
}
