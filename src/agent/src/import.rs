//! `signing-agent import`: from Qredo's Go program to this one (protocol.md §8). First its settings are translated; then, once this
//! agent is configured and initialised, the keys become this vault's. Nothing that belongs to the Go program is changed.

mod settings;
mod store;
mod yaml;

use crate::ask;
use crate::context::Context;
use crate::error::Error;
use crate::{layout, terminal, words};
use clap::{Args, Subcommand};
use ipc::{Answer, Ask, ImportOptions, ImportReport};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The backend is asked once.
const PATIENCE: Duration = Duration::from_secs(100);

#[derive(Subcommand)]
pub enum Command {
    /// Write the Go agent's config.yaml as a signing-agent.toml; secrets are left out, and what has no counterpart is named.
    ///
    /// Example: signing-agent import settings config.yaml >signing-agent.toml
    Settings {
        /// The Go agent's configuration (YAML).
        file: PathBuf,
    },
    /// Make the agent of a Go agent's file store this vault's: sealed, and checked before it says so.
    ///
    /// The store stays as it is. A registration must be open (`signing-agent registration open`), and the Go agent stopped.
    ///
    /// Example: signing-agent import agent ccstore.db --dry-run
    Agent(Options),
}

#[derive(Args)]
pub struct Options {
    /// The Go agent's file store (ccstore.db).
    store: PathBuf,
    /// Check all of it, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask the backend whether it believes this agent's pass.
    #[arg(long)]
    offline: bool,
}

pub fn run(context: &Context, command: &Command) -> Result<(), Error> {
    match command {
        Command::Settings { file } => translate(context, file),
        Command::Agent(options) => take_over(context, options),
    }
}

fn translate(context: &Context, file: &Path) -> Result<(), Error> {
    let text = std::fs::read_to_string(file).map_err(Error::at(file))?;
    let bad = |why| Error::Usage(format!("{}: {why}", file.display()));
    let translated = settings::translate(&yaml::leaves(&text).map_err(bad)?);
    context.tell(|| translated.toml(), || translated.json())
}

fn take_over(context: &Context, options: &Options) -> Result<(), Error> {
    let agent = store::read(&options.store)?;
    let options = (options, ImportOptions { dry_run: options.dry_run, offline: options.offline });
    let question = Ask::Import { agent, options: options.1 };
    let Answer::Imported(report) = context.ask(&question, PATIENCE)? else { return Err(ask::beside_the_point()) };
    drop(question);
    context.tell(|| text(&report, options.1, &options.0.store), || as_json(&report, options.1))
}

fn text(report: &ImportReport, options: ImportOptions, store: &Path) -> String {
    let width = terminal::Look::of_stdout().width;
    let backend = if report.known { "believes its pass" } else { "was not asked" };
    let rows = [
        ("agentID", report.agent_id.as_str()),
        ("name", &report.name),
        ("BLS key (SHA-256)", &report.bls_key),
        ("the backend", backend),
    ];
    let rows: Vec<(String, String)> = rows.map(|(name, value)| (name.to_owned(), words::plain(value))).into();
    let store = words::plain(&store.display().to_string());
    let (head, advice) = if options.dry_run {
        ("It can be imported; nothing was changed.", "The same without --dry-run imports it.".to_owned())
    } else {
        (
            "Imported.",
            format!(
                "Compare the agentID with what the custody console shows, and see to it that the Go agent does not start again: both would \
                 approve. {store} is as it was, with the keys in the clear. When this agent has approved something, destroy it, its copies \
                 and its backups: `shred -u {store}`, and where the disk is flash, or keeps snapshots, the disk's own key. Who had a copy \
                 until now can sign as this agent: if you cannot say who that is, register a new one."
            ),
        )
    };
    format!("{head}\n{}\n{}", layout::rows(&rows, width), layout::paragraph(&advice, 0, width))
}

fn as_json(report: &ImportReport, options: ImportOptions) -> Value {
    json!({
        "agentID": report.agent_id,
        "name": report.name,
        "blsKey": report.bls_key,
        "believed": report.known,
        "imported": !options.dry_run,
    })
}
