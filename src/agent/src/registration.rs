//! `signing-agent registration open`, `close` and `status`: when a registration is taken.

use crate::ask;
use crate::change::Signed;
use crate::context::{Context, PATIENCE};
use crate::error::Error;
use crate::words;
use clap::Subcommand;
use ipc::{Answer, Ask, Change};
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Subcommand)]
pub enum Command {
    /// Take a registration for a while.
    ///
    /// Example: signing-agent registration open --for 1h
    Open {
        /// For so long: 90s, 30m, 1h; a day at the most.
        #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = words::duration)]
        time: Duration,
        #[command(flatten)]
        signed: Signed,
    },
    /// Take none from now on.
    ///
    /// Example: signing-agent registration close
    Close,
    /// Tell whether one is taken, and for how long still.
    ///
    /// Example: signing-agent registration status
    Status,
}

pub fn run(context: &Context, command: &Command) -> Result<(), Error> {
    match command {
        Command::Open { time, signed } => {
            let seconds = time.as_secs();
            match context.change(Change::RegistrationOpen { seconds }, signed, PATIENCE)? {
                None => return Ok(()),
                Some(Answer::Noted) => {}
                Some(_) => return Err(ask::beside_the_point()),
            }
            let text = || {
                format!(
                    "A registration is taken for {}: by the HTTP API (POST /api/v1/register), or by `signing-agent register`.\n",
                    words::span(seconds)
                )
            };
            context.tell(text, || as_json(Some(seconds)))
        }
        Command::Close => match context.ask(&Ask::RegistrationClose, PATIENCE)? {
            Answer::Noted => context.tell(|| "No registration is taken from now on.\n".into(), || as_json(None)),
            _ => Err(ask::beside_the_point()),
        },
        Command::Status => match context.ask(&Ask::RegistrationWindow, PATIENCE)? {
            Answer::RegistrationWindow(left) => context.tell(|| text(left), || as_json(left)),
            _ => Err(ask::beside_the_point()),
        },
    }
}

fn text(left: Option<u64>) -> String {
    match left {
        Some(left) => format!("A registration is taken for {} still.\n", words::span(left)),
        None => "No registration is taken. `signing-agent registration open` takes one for an hour.\n".into(),
    }
}

fn as_json(left: Option<u64>) -> Value {
    json!({ "open": left.is_some(), "seconds": left })
}
