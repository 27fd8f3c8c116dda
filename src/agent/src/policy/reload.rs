//! `signing-agent policy reload`.

use super::source::PATIENCE;
use crate::ask::{self, Places};
use crate::error::Error;
use crate::words;
use ipc::{Answer, Ask};
use std::io::Write;
use std::path::Path;

pub fn reload(config_path: &Path) -> Result<(), Error> {
    let places = Places::find(config_path)?;
    match places.ask(&Ask::Change { change: ipc::Change::PolicyReload, statements: Vec::new() }, PATIENCE)? {
        None => Err(places.nobody()),
        Some(Answer::PolicyReloaded(reloaded)) => {
            for warning in &reloaded.warnings {
                let _ = writeln!(std::io::stderr(), "warning: {}", words::plain(warning));
            }
            let serial = reloaded.serial.map(|serial| format!(", serial {serial}")).unwrap_or_default();
            let was = if reloaded.was == reloaded.hash {
                "It is the one that was in force before.".to_owned()
            } else {
                format!("Before it was {}.", reloaded.was)
            };
            let text = format!("In force: {} (SHA-256 {}{serial}). {was}", reloaded.source, reloaded.hash);
            words::print(&format!("{}\n", words::plain(&text)))
        }
        Some(_) => Err(ask::beside_the_point()),
    }
}
