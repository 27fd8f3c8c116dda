//! Enters: an operator's words on the command line, and signals.
//! Leaves: asks on the admin lane, or the three rooms, started and kept alive; a report on stdout.
//! Never: a key, a PIN or the token: what needs them, the vault does. (An API key and an RSA key pass, on their way to it.)
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod actions;
mod ask;
mod audit;
mod backoff;
mod backup;
mod callback_key;
mod change;
mod commands;
mod context;
mod doctor;
mod error;
mod generate;
mod handover;
mod import;
mod init;
mod lanes;
mod layout;
mod own_vault;
mod partner_key;
mod people;
mod policy;
mod progress;
mod register;
mod registration;
mod room;
mod rotate;
mod run;
mod shim;
mod status;
mod stop;
mod terminal;
mod token;
mod words;

use clap::Parser;
use clap::error::ErrorKind;
use commands::{Cli, Command};
use context::Context;
use error::Error;
use serde_json::json;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Cli { config, json, command } = match Cli::try_parse() {
        Ok(said) => said,
        Err(error) => return misunderstood(&error),
    };
    match run(&Context { config, json }, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(told) = error.told(json) {
                // Where stderr is closed there is nobody left to tell.
                let _ = writeln!(std::io::stderr(), "{told}");
            }
            ExitCode::from(error.code())
        }
    }
}

fn run(context: &Context, command: Command) -> Result<(), Error> {
    match command {
        Command::Init(options) => init::init(context, &options),
        Command::Run => run::run(&context.config),
        Command::Status => status::status(context),
        Command::Doctor => doctor::doctor(&context.config, context.json),
        Command::Register(options) => register::register(context, &options),
        Command::Import(command) => import::run(context, &command),
        Command::Registration(command) => registration::run(context, &command),
        Command::PartnerKey(command) => partner_key::run(context, &command),
        Command::Actions(command) => actions::run(context, command),
        Command::CallbackKey => callback_key::print(context),
        Command::Audit(command) => audit::run(context, command),
        Command::Statement(draft) => people::statement(context, draft),
        Command::Approve(approval) => people::approve(context, &approval),
        Command::Reject(decision) => people::reject(context, &decision),
        Command::Token(command) => token::run(context, command),
        Command::Policy(command) => policy::run(context, command),
        Command::Freeze => stop::freeze(context),
        Command::Unfreeze(signed) => stop::unfreeze(context, &signed),
        Command::ConfirmClock(signed) => stop::confirm_clock(context, &signed),
        Command::ConfirmWindows(signed) => stop::confirm_windows(context, &signed),
        Command::Backup(command) => backup::run(context, &command),
        Command::Rotate(command) => rotate::run(context, &command),
        Command::Recover { accept_rollback, signed } => stop::recover(context, accept_rollback, &signed),
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            context.tell(|| format!("signing-agent {version}\n"), || json!({ "version": version }))
        }
        Command::Generate { dir } => generate::generate(&dir),
        Command::Shim { parent, room } => shim::shim(parent, &room),
    }
}

/// Help and the version are no errors. What is wrong with a command line is told as JSON where that stands in it.
fn misunderstood(error: &clap::Error) -> ExitCode {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if !asked && std::env::args_os().any(|argument| argument == "--json") {
        let text = error.render().to_string();
        let _ = writeln!(std::io::stderr(), "{}", error::in_json("usage", text.trim()));
    } else {
        // Where nobody reads there is nobody to tell.
        let _ = error.print();
    }
    ExitCode::from(if asked { 0 } else { 2 })
}
