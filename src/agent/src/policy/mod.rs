//! `signing-agent policy …`: what an operator does with a policy before it decides, and what they ask after it did
//! (docs/policy-tools.md).

mod check;
mod explain;
mod known;
mod reload;
mod replay;
mod screen;
mod source;
mod test;

use crate::context::Context;
use crate::error::Error;
use clap::{Args, Subcommand};
use std::path::PathBuf;

pub use source::time;

#[derive(Subcommand)]
pub enum Command {
    /// Check a policy's file, without a vault. What is wrong is told as FILE:LINE:COLUMN.
    ///
    /// Example: signing-agent policy check policy.toml --strict
    Check {
        /// The policy.
        file: PathBuf,
        /// Warnings are failures.
        #[arg(long)]
        strict: bool,
    },
    /// Tell why a verdict is what it is: the facts, each rule with the first condition that failed, and who may release it.
    ///
    /// Example: signing-agent policy explain 2IXwq4gyoiUBrIjD3VwhTpnTsxL
    Explain(Explain),
    /// Run the cases of a directory (docs/policy-tests.md), without a vault. Exit code 1 if one of them does not come out as
    /// expected.
    ///
    /// Example: signing-agent policy test cases/
    Test {
        /// The directory, or one file.
        dir: PathBuf,
    },
    /// Judge the ledger's actions by another policy: which decisions would change.
    ///
    /// Example: signing-agent policy replay --since 30d next.toml
    Replay {
        /// The other policy.
        file: PathBuf,
        /// From so long ago on (90s, 30m, 24h, 7d), or from this time on (RFC 3339).
        #[arg(long, value_name = "TIME", default_value = "30d")]
        since: String,
    },
    /// Have the running vault read its policy again: all of it, or the one before stays in force.
    ///
    /// Example: signing-agent policy reload
    Reload,
}

#[derive(Args)]
pub struct Explain {
    /// An action that the vault knows.
    #[arg(required_unless_present = "message", conflicts_with = "message")]
    action: Option<String>,
    /// In its place: the messages that would be signed.
    #[arg(long, value_name = "HEX", num_args = 1..)]
    message: Vec<String>,
    /// What the feed calls it, such as ApproveWithdraw.
    #[arg(long = "type", value_name = "TYPE", conflicts_with = "action")]
    claim: Option<String>,
    /// When its time is over: RFC 3339, or Unix seconds.
    #[arg(long, value_name = "TIME", conflicts_with = "action")]
    expires: Option<String>,
    /// When it is judged: RFC 3339, or Unix seconds. Now if absent; for an action that is settled when it was first seen.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// By this policy; the one in force if absent.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

pub fn run(context: &Context, command: Command) -> Result<(), Error> {
    match command {
        Command::Check { file, strict } => check::check(context, &file, strict),
        Command::Explain(what) => explain::explain(context, &what),
        Command::Test { dir } => test::test(&dir, context.json),
        Command::Replay { file, since } => replay::replay(context, &file, &since),
        Command::Reload => reload::reload(context),
    }
}
