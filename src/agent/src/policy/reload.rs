//! `signing-agent policy reload`.

use super::source::PATIENCE;
use crate::ask;
use crate::context::Context;
use crate::error::Error;
use crate::words;
use ipc::{Answer, Ask, Change};
use serde_json::json;

pub fn reload(context: &Context) -> Result<(), Error> {
    match context.ask(&Ask::Change { change: Change::PolicyReload, statements: Vec::new() }, PATIENCE)? {
        Answer::PolicyReloaded(reloaded) => {
            reloaded.warnings.iter().for_each(|warning| context.note(&format!("warning: {}", words::plain(warning))));
            let serial = reloaded.serial.map(|serial| format!(", serial {serial}")).unwrap_or_default();
            let was = if reloaded.was == reloaded.hash {
                "It is the one that was in force before.".to_owned()
            } else {
                format!("Before it was {}.", reloaded.was)
            };
            let text = format!("In force: {} (SHA-256 {}{serial}). {was}", reloaded.source, reloaded.hash);
            let value = || {
                json!({
                    "source": reloaded.source,
                    "was": reloaded.was,
                    "hash": reloaded.hash,
                    "serial": reloaded.serial,
                    "warnings": reloaded.warnings,
                })
            };
            context.tell(|| format!("{}\n", words::plain(&text)), value)
        }
        _ => Err(ask::beside_the_point()),
    }
}
