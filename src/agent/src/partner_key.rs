//! `signing-agent partner-key new` and `show`: the public half of the RSA key for the Partner API. The private half stays in the vault.

use crate::ask;
use crate::context::Context;
use crate::error::Error;
use crate::words;
use clap::Subcommand;
use ipc::{Answer, Ask, PartnerKey};
use serde_json::json;
use std::time::Duration;

/// A key takes its time to be made, and a token to open one.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Subcommand)]
pub enum Command {
    /// Make it, if there is none, and print its public half (PEM) to be uploaded to the custody console.
    ///
    /// The private half is sealed, signs the registration, and is then removed.
    ///
    /// Example: signing-agent partner-key new >partner-key.pem
    New,
    /// Print its public half (PEM).
    ///
    /// Example: signing-agent partner-key show
    Show,
}

pub fn run(context: &Context, command: &Command) -> Result<(), Error> {
    let make = matches!(command, Command::New);
    let Answer::PartnerKey(key) = context.ask(&Ask::PartnerKey { make }, PATIENCE)? else {
        return Err(ask::beside_the_point());
    };
    let PartnerKey { public, fingerprint, made } = &key;
    context.tell(|| pem(public), || json!({ "public": public, "fingerprint": fingerprint, "made": made }))?;
    let which = if *made || !make { "" } else { " (it was there already, and is the same)" };
    context.note(&format!("SHA-256 of this public key{which}: {}", words::plain(fingerprint)));
    context.note(
        "upload it to the custody console, compare the fingerprint there, then `signing-agent register --name NAME`",
    );
    Ok(())
}

/// Its lines, each for itself: they come from the vault, and go to a terminal.
fn pem(public: &str) -> String {
    public.lines().map(|line| words::plain(line) + "\n").collect()
}
