//! `signing-agent init`: the vault does it, as its own user; where none runs, one is started for this one ask.

use crate::change::Signed;
use crate::error::Error;
use crate::{ask, own_vault, words};
use ipc::{Answer, Ask, Change, InitOptions, InitReport};
use std::io::{self, Write};
use std::path::Path;

pub fn init(config_path: &Path, options: InitOptions, signed: &Signed) -> Result<(), Error> {
    let mut running = false;
    let mut ask = |question: &Ask| {
        let (answer, runs) = own_vault::ask_any(config_path, question)?;
        running = runs;
        Ok(answer)
    };
    let answer = match options.amend {
        true => signed.ask(Change::Amend(options), ask)?,
        false if signed.is_empty() => Some(ask(&Ask::Init(options))?),
        false => {
            return Err(Error::Usage(
                "--amend alone takes --draft, --statement and --signature: nothing else is signed",
            ));
        }
    };
    let Some(answer) = answer else { return Ok(()) };
    let Answer::Initialised(report) = answer else { return Err(ask::beside_the_point()) };
    words::print(&text(&report, running, config_path))?;
    for warning in &report.warnings {
        // Where stderr is closed there is nobody left to warn.
        let _ = writeln!(io::stderr(), "signing-agent: warning: {}", words::plain(warning));
    }
    Ok(())
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
        "Next: see `signing-agent status`; a partner app can register the agent now.\n".to_owned()
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
