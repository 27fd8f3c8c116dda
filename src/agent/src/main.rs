//! Enters: an operator's words on the command line, and signals.
//! Leaves: asks on the admin lane, or the three rooms, started and kept alive; a report on stdout.
//! Never: a key, a PIN or the token: what needs them, the vault does.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod ask;
mod audit;
mod backoff;
mod callback_key;
mod change;
mod doctor;
mod error;
mod handover;
mod init;
mod lanes;
mod own_vault;
mod people;
mod policy;
mod room;
mod run;
mod shim;
mod status;
mod stop;
mod token;
mod words;

use clap::{Parser, Subcommand};
use error::Error;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// A signing agent whose keys live in a PKCS#11 token.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no vault answers, 4 more people are needed
/// (an approval, or a change that people sign), 78 the configuration is at fault.
#[derive(Parser)]
#[command(name = "signing-agent", version, max_term_width = 100)]
struct Cli {
    /// The configuration.
    #[arg(long, global = true, value_name = "PATH", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make what is missing of the token's keys, the deed and the state directory; what is there stays.
    Init {
        /// Write the configuration's recipients into the deed, and seal the keys to them anew.
        #[arg(long)]
        amend: bool,
        /// The PIN that the token refused has been looked after: try it again, once.
        #[arg(long)]
        try_pin_again: bool,
        #[command(flatten)]
        signed: change::Signed,
    },
    /// Run all rooms (vault, api, courier) under this process, until SIGTERM or Ctrl-C.
    Run,
    /// Tell how the agent is doing, with its agentID and its keys' fingerprints.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Find what is wrong with this agent, and say what to do about it; nothing is changed by looking.
    ///
    /// Through the vault, or where none answers by `signing-agent-vault --check` as the vault's user. Exit code 1 where there is a
    /// fault; warnings are none.
    ///
    /// Example: signing-agent doctor
    Doctor {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the public key that the agent's questions to a callback are signed with (PEM).
    ///
    /// Example: signing-agent callback-key >agent-key.pem
    CallbackKey,
    /// The audit log: export it, or check an export.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Print what an approver is to sign about a held action; what it is about goes to stderr.
    ///
    /// Example: signing-agent statement ACTION >s && ssh-keygen -Y sign -n signing-agent -f ~/.ssh/id_ed25519 s
    Statement(people::Draft),
    /// Release a held action, with what the rule that holds it wants: nothing, a token, or people's signed statements.
    ///
    /// Example: signing-agent approve ACTION --statement s --signature s.sig
    Approve(people::Approval),
    /// Reject an action that is not decided yet.
    Reject(people::Decision),
    /// Bearer tokens: make, list and revoke them.
    #[command(subcommand)]
    Token(token::Command),
    /// The policy: check it, test it, explain a verdict, see what another one would do, read it again.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Stop all signing at once, until `unfreeze`; it outlives a restart.
    Freeze,
    /// Allow signing again.
    Unfreeze(change::Signed),
    /// The wall clock, which jumped, has been looked after and is right: approve again.
    ConfirmClock(change::Signed),
    /// Go on with a state directory that is older than the token remembers, as after a restored backup.
    ///
    /// Example: signing-agent recover --accept-rollback
    Recover {
        /// Take it as it is: that is put on record, and the agent starts frozen.
        #[arg(long)]
        accept_rollback: bool,
        #[command(flatten)]
        signed: change::Signed,
    },
    /// Tell the version.
    Version,
    /// Set LISTEN_PID and become a room: a step of `run`.
    #[command(hide = true)]
    Shim {
        #[arg(long)]
        parent: u32,
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        room: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let Cli { config, command } = Cli::parse();
    let result = match command {
        Command::Init { amend, try_pin_again, signed } => {
            init::init(&config, ipc::InitOptions { amend, try_pin_again }, &signed)
        }
        Command::Run => run::run(&config),
        Command::Status { json } => status::status(&config, json),
        Command::Doctor { json } => doctor::doctor(&config, json),
        Command::CallbackKey => callback_key::print(&config),
        Command::Audit(command) => audit::run(&config, command),
        Command::Statement(draft) => people::statement(&config, draft),
        Command::Approve(decision) => people::approve(&config, &decision),
        Command::Reject(decision) => people::reject(&config, &decision),
        Command::Token(command) => token::run(&config, command),
        Command::Policy(command) => policy::run(&config, command),
        Command::Freeze => stop::freeze(&config),
        Command::Unfreeze(signed) => stop::unfreeze(&config, &signed),
        Command::ConfirmClock(signed) => stop::confirm_clock(&config, &signed),
        Command::Recover { accept_rollback, signed } => stop::recover(&config, accept_rollback, &signed),
        Command::Version => words::print(concat!("signing-agent ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Shim { parent, room } => shim::shim(parent, &room),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !matches!(error, Error::RoomConfig | Error::Said) {
                // Where stderr is closed there is nobody left to tell.
                let _ = writeln!(std::io::stderr(), "signing-agent: {error}");
            }
            ExitCode::from(error.code())
        }
    }
}
