//! The command line: what can be said, and what help says of it.

use crate::{
    actions, audit, backup, change, import, init, partner_key, people, policy, register, registration, rotate, token,
};
use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// A signing agent whose keys live in a PKCS#11 token.
///
/// Exit codes: 0 done; 1 failed, refused, or in trouble; 2 the command line is wrong; 3 no vault answers; 4 counted, more
/// people are needed; 78 the configuration is at fault; 130 Ctrl-C at a prompt.
///
/// Where to begin: signing-agent init, then signing-agent status, which says what to do next.
#[derive(Parser)]
#[command(name = "signing-agent", version, max_term_width = 100)]
pub struct Cli {
    /// The configuration.
    #[arg(long, global = true, value_name = "PATH", default_value = config::DEFAULT_PATH, display_order = 900)]
    pub config: PathBuf,
    /// Results on stdout as JSON, errors on stderr as one line of it.
    #[arg(long, global = true, display_order = 901)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Make what is missing of the token's keys, the deed and the state directory; what is there stays.
    ///
    /// Example: signing-agent init
    Init(init::Options),
    /// Run all rooms (vault, api, courier) under this process, until SIGTERM or Ctrl-C.
    ///
    /// Example: signing-agent run --config agent.toml
    Run,
    /// Tell how the agent is doing, with its agentID and its keys' fingerprints, and what to do next.
    ///
    /// Example: signing-agent status
    Status,
    /// Find what is wrong with this agent, and say what to do about it; nothing is changed by looking.
    ///
    /// Through the vault, or where none answers by `signing-agent-vault --check` as the vault's user. Exit code 1 where there is a
    /// fault; warnings are none.
    ///
    /// Example: signing-agent doctor
    Doctor,
    /// Register the agent with the custody backend, where no partner app does.
    ///
    /// The API key is asked for, unless a file or stdin has it. Without a private key's file the sealed partner key signs
    /// (`signing-agent partner-key new`).
    ///
    /// Example: signing-agent register --name desk-1
    Register(register::Options),
    /// From Qredo's Go agent to this one: translate its settings, take its keys over.
    #[command(subcommand)]
    Import(import::Command),
    /// When a registration is taken: by default within an hour after the first `init`.
    #[command(subcommand)]
    Registration(registration::Command),
    /// The RSA key for the Partner API, for those who have no partner app.
    #[command(subcommand)]
    PartnerKey(partner_key::Command),
    /// Actions: list them, tell all about one, approve or reject one, watch them.
    #[command(subcommand)]
    Actions(actions::Command),
    /// Print what an approver is to sign about a held action; what it is about goes to stderr.
    ///
    /// Example: signing-agent statement ACTION >s && ssh-keygen -Y sign -n signing-agent -f ~/.ssh/id_ed25519 s
    Statement(people::Draft),
    /// The same as `actions approve`.
    #[command(hide = true)]
    Approve(people::Approval),
    /// The same as `actions reject`.
    #[command(hide = true)]
    Reject(people::Decision),
    /// Bearer tokens: make, list and revoke them.
    #[command(subcommand)]
    Token(token::Command),
    /// The policy: check it, test it, explain a verdict, see what another one would do, read it again.
    #[command(subcommand)]
    Policy(policy::Command),
    /// The audit log: export it, or check an export.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Print the public key that the agent's questions to a callback are signed with (PEM).
    ///
    /// Example: signing-agent callback-key >agent-key.pem
    CallbackKey,
    /// Stop all signing at once, until `unfreeze`; it outlives a restart.
    ///
    /// Example: signing-agent freeze
    Freeze,
    /// Allow signing again.
    ///
    /// Example: signing-agent unfreeze
    Unfreeze(change::Signed),
    /// The wall clock, which jumped, has been looked after and is right: approve again.
    ///
    /// Example: signing-agent confirm-clock
    ConfirmClock(change::Signed),
    /// The windows are as full as the ledger has them, although it is an older one that was restored.
    ///
    /// Say so once you know (the backend does) what was approved after the backup was made; else they fill by and by, each in its period.
    ///
    /// Example: signing-agent confirm-windows
    ConfirmWindows(change::Signed),
    /// Backups: make one, prove that one can be restored, restore one onto a new machine and token.
    #[command(subcommand)]
    Backup(backup::Command),
    /// A new sealing key, a new audit key, another PIN.
    #[command(subcommand)]
    Rotate(rotate::Command),
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
    ///
    /// Example: signing-agent version
    Version,
    /// Write the manual pages and the shells' completions into DIR: a step of the build.
    #[command(hide = true)]
    Generate { dir: PathBuf },
    /// Set LISTEN_PID and become a room: a step of `run`.
    #[command(hide = true)]
    Shim {
        #[arg(long)]
        parent: u32,
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        room: Vec<OsString>,
    },
}

/// What people type: the whole tree, complete, without steps of something else.
pub fn tree() -> clap::Command {
    let mut tree = shown(&Cli::command());
    tree.build();
    tree
}

/// The same command without what is hidden below it. (clap has no way to take a subcommand out.)
fn shown(command: &clap::Command) -> clap::Command {
    let inner = command.get_subcommands().filter(|sub| !sub.is_hide_set()).map(shown);
    let mut same = clap::Command::new(command.get_name().to_owned())
        .subcommand_required(command.is_subcommand_required_set())
        .args(command.get_arguments())
        .subcommands(inner);
    if let Some(about) = command.get_about() {
        same = same.about(about.clone());
    }
    if let Some(about) = command.get_long_about() {
        same = same.long_about(about.clone());
    }
    match command.get_version() {
        Some(version) => same.version(version.to_owned()),
        None => same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::EXITS;
    use clap::error::ErrorKind;

    /// Each command that does something and is no step of something else, by its whole name, with itself.
    fn leaves(command: &clap::Command, name: &str, found: &mut Vec<(String, clap::Command)>) {
        let mut inner = command.get_subcommands().filter(|sub| sub.get_name() != "help").peekable();
        if inner.peek().is_none() {
            found.push((name.to_owned(), command.clone().term_width(0)));
        }
        inner.for_each(|sub| leaves(sub, &format!("{name} {}", sub.get_name()), found));
    }

    fn all() -> Vec<(String, clap::Command)> {
        let mut found = Vec::new();
        leaves(&tree(), "signing-agent", &mut found);
        assert!(found.len() > 25, "{}", found.len());
        found
    }

    fn page() -> String {
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/commands.md")).unwrap()
    }

    #[test]
    fn every_command_has_json_an_example_and_its_place_in_the_documents() {
        let page = page();
        for (name, mut command) in all() {
            let help = command.render_long_help().to_string();
            assert!(help.contains("--json"), "{name} has no --json");
            let example = help.lines().find_map(|line| line.trim().strip_prefix("Example: "));
            assert!(example.is_some_and(|example| example.starts_with(&name)), "{name}: {example:?}");
            assert!(
                page.contains(&format!("`{name}`")) || page.contains(&format!("`{name} ")),
                "{name} is not in commands.md"
            );
        }
    }

    #[test]
    fn the_examples_of_help_are_understood() {
        for (name, mut command) in all() {
            let help = command.render_long_help().to_string();
            let example = help.lines().find_map(|line| line.trim().strip_prefix("Example: ")).unwrap().to_owned();
            let said = example.split([';', '>', '|', '&']).next().unwrap();
            if let Err(e) = Cli::try_parse_from(said.split_whitespace()) {
                panic!("{name}: {said}: {e}");
            }
        }
    }

    #[test]
    fn the_documents_and_help_have_every_exit_code() {
        let (page, help) = (page(), tree().term_width(0).render_long_help().to_string());
        for (code, meaning) in EXITS {
            assert!(page.contains(&format!("| {code} | {meaning} |")), "{code}: {meaning}");
            assert!(help.contains(&format!("{code} {}", meaning.replace(';', ","))), "{code}: {help}");
        }
        let table =
            page.lines().filter(|line| line.strip_prefix("| ").is_some_and(|l| l.starts_with(char::is_numeric)));
        assert_eq!(table.count(), EXITS.len());
    }

    #[test]
    fn the_documents_have_every_code_of_an_error() {
        let page = page();
        for (source, function) in
            [(include_str!("error.rs"), "pub fn name(&self)"), (include_str!("words.rs"), "pub fn name(refusal")]
        {
            let body = source.split_once(function).unwrap().1.split_once("\n    }\n").unwrap().0;
            let names: Vec<&str> =
                body.lines().filter_map(|line| line.split_once("=> \"")?.1.split('"').next()).collect();
            assert!(names.len() > 12, "{names:?}");
            for name in names {
                assert!(page.contains(&format!("`{name}`")), "{name} is not in commands.md");
            }
        }
    }

    #[test]
    fn secrets_are_no_arguments() {
        for arguments in [["--api-key", "k"], ["--private-key", "k"]] {
            let line = ["signing-agent", "register", "--name", "n"].into_iter().chain(arguments);
            let error = Cli::try_parse_from(line).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::UnknownArgument, "{arguments:?}");
        }
    }
}
