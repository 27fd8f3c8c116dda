//! `signing-agent init`: the vault does it, as its own user; where none runs, one is started for this one ask.

use crate::change::Signed;
use crate::context::Context;
use crate::error::Error;
use crate::{ask, own_vault, words};
use clap::Args;
use ipc::{Answer, Ask, Change, InitOptions, InitReport};
use serde_json::{Map, Value, json};
use std::path::Path;

#[derive(Args)]
pub struct Options {
    /// Write the configuration's recipients and people into the deed, and seal the keys to the recipients anew.
    #[arg(long)]
    amend: bool,
    /// The PIN that the token refused has been looked after: try it again, once.
    #[arg(long)]
    try_pin_again: bool,
    #[command(flatten)]
    signed: Signed,
}

pub fn init(context: &Context, options: &Options) -> Result<(), Error> {
    let Options { amend, try_pin_again, signed } = options;
    let options = InitOptions { amend: *amend, try_pin_again: *try_pin_again };
    let mut running = false;
    let mut ask = |question: &Ask| {
        let (answer, runs) = own_vault::ask_any(&context.config, question)?;
        running = runs;
        Ok(answer)
    };
    let answer = match options.amend {
        true => signed.ask(context, Change::Amend(options), ask)?,
        false if signed.is_empty() => Some(ask(&Ask::Init(options))?),
        false => {
            return Err(Error::Usage(
                "--amend alone takes --draft, --statement and --signature: nothing else is signed".into(),
            ));
        }
    };
    let Some(answer) = answer else { return Ok(()) };
    let Answer::Initialised(report) = answer else { return Err(ask::beside_the_point()) };
    context.tell(|| text(&report, running, &context.config), || as_json(&report))?;
    report.warnings.iter().for_each(|warning| context.note(&format!("warning: {}", words::plain(warning))));
    Ok(())
}

fn as_json(report: &InitReport) -> Value {
    let fingerprints: Map<String, Value> =
        report.fingerprints.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({
        "made": report.made,
        "kept": report.kept,
        "fingerprints": fingerprints,
        "recipient": report.recipient,
        "warnings": report.warnings,
    })
}

fn text(report: &InitReport, running: bool, config_path: &Path) -> String {
    let mut text = String::new();
    for (title, things) in [("Made", &report.made), ("Kept, for it was there", &report.kept)] {
        if !things.is_empty() {
            let lines: String = things.iter().map(|thing| format!("  {}\n", words::plain(thing))).collect();
            text += &format!("{title}:\n{lines}\n");
        }
    }
    if report.made.is_empty() {
        text += "Nothing was missing.\n\n";
    }
    text += &format!("Fingerprints (SHA-256 of the public keys):\n{}\n", words::table(&report.fingerprints));
    if !report.recipient.is_empty() {
        let recipient = words::plain(&report.recipient);
        text += &format!(
            "The token's age recipient (anybody can seal to it, this token alone can open):\n  {recipient}\n\n"
        );
    }
    text += &if running {
        "Next: `signing-agent status` says how it is doing and what to do.\n".to_owned()
    } else if config_path == Path::new(config::DEFAULT_PATH) {
        "Next: start the agent (`systemctl start signing-agent.target`, or `signing-agent run`).\n".to_owned()
    } else {
        format!("Next: `signing-agent run --config {}`\n", config_path.display())
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_was_made_what_was_kept_and_what_comes_next() {
        let report = InitReport {
            made: vec!["sealing key".into()],
            kept: vec!["identity key".into()],
            fingerprints: vec![("identity".into(), "ab12".into()), ("bls".into(), "cd34".into())],
            recipient: "age1tag1qqq".into(),
            warnings: Vec::new(),
        };
        assert_eq!(
            text(&report, false, Path::new("my.toml")),
            "Made:\n  sealing key\n\nKept, for it was there:\n  identity key\n\n\
             Fingerprints (SHA-256 of the public keys):\n  identity  ab12\n  bls       cd34\n\n\
             The token's age recipient (anybody can seal to it, this token alone can open):\n  age1tag1qqq\n\n\
             Next: `signing-agent run --config my.toml`\n"
        );
        let nothing = InitReport { made: Vec::new(), ..report };
        assert!(text(&nothing, true, Path::new("my.toml")).contains("Nothing was missing."));
    }
}
