//! `signing-agent actions …`: what there is to decide, what was decided, and why.

mod lines;
mod list;
mod live;
mod show;
mod watch;

use crate::context::Context;
use crate::error::Error;
use crate::people;
use clap::Subcommand;
use ipc::ActionState;

#[derive(Subcommand)]
pub enum Command {
    /// List actions, the newest first.
    ///
    /// Example: signing-agent actions list --status held
    List(list::Options),
    /// Tell all about one: what its messages say, the verdict and why, who released it, and what happened to it.
    ///
    /// Example: signing-agent actions show ACTION
    Show {
        /// The action's id.
        action: String,
    },
    /// Release a held action, with what the rule that holds it wants: nothing, a token, or people's signed statements.
    ///
    /// Example: signing-agent actions approve ACTION --statement s --signature s.sig
    Approve(people::Approval),
    /// Reject an action that is not decided yet.
    ///
    /// Example: signing-agent actions reject ACTION
    Reject(people::Decision),
    /// Watch them: a live table on a terminal (q or Ctrl-C ends it), else a line for each change.
    ///
    /// Example: signing-agent actions watch --status held
    Watch(watch::Options),
}

pub fn run(context: &Context, command: Command) -> Result<(), Error> {
    match command {
        Command::List(options) => list::list(context, &options),
        Command::Show { action } => show::show(context, &action),
        Command::Approve(approval) => people::approve(context, &approval),
        Command::Reject(decision) => people::reject(context, &decision),
        Command::Watch(options) => watch::watch(context, options),
    }
}

/// A state, by its name.
fn state(name: &str) -> Result<ActionState, String> {
    ActionState::named(name).ok_or_else(|| {
        let names: Vec<&str> = ActionState::ALL.iter().map(|state| state.as_str()).collect();
        format!("one or more of {}, with commas between them", names.join(", "))
    })
}

/// Whether something can still become of it.
fn is_open(state: ActionState) -> bool {
    matches!(state, ActionState::Seen | ActionState::Held | ActionState::Approving | ActionState::Rejecting)
}
