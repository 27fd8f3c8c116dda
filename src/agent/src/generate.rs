//! `signing-agent generate DIR`: manual pages and completions, from the command line that this program understands. The build runs it
//! (packaging/generate.sh).

use crate::commands;
use crate::error::Error;
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use std::path::Path;

pub fn generate(dir: &Path) -> Result<(), Error> {
    let place = |name: &str| {
        let place = dir.join(name);
        std::fs::create_dir_all(&place).map_err(Error::at(&place)).map(|()| place)
    };
    let man = place("man")?;
    page(&commands::tree(), &man)?;
    for (shell, name) in [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")] {
        let place = place(name)?;
        generate_to(shell, &mut commands::tree(), "signing-agent", &place).map_err(Error::at(&place))?;
    }
    Ok(())
}

/// A page for this command and for each below it that is shown.
fn page(command: &clap::Command, dir: &Path) -> Result<(), Error> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    // The date is left empty: the same source makes the same octets.
    let man = Man::new(command.clone()).title(name.to_uppercase()).manual("Signing agent").date("");
    let path = dir.join(format!("{name}.1"));
    let mut text = Vec::new();
    man.render(&mut text).and_then(|()| std::fs::write(&path, text)).map_err(Error::at(&path))?;
    let inner = command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help");
    inner.into_iter().try_for_each(|sub| page(sub, dir))
}
