//! `signing-agent generate DIR`: manual pages and completions, from the command line that this program understands. The build runs it
//! (packaging/generate.sh).

use crate::commands;
use crate::error::Error;
use clap_complete::{Shell, generate as completion};
use clap_mangen::Man;
use std::path::Path;

/// Each shell's completions, where they stand, under the name that the shell looks for.
const SHELLS: [(Shell, &str, &str); 3] = [
    (Shell::Bash, "bash", "signing-agent"),
    (Shell::Zsh, "zsh", "_signing-agent"),
    (Shell::Fish, "fish", "signing-agent.fish"),
];

pub fn generate(dir: &Path) -> Result<(), Error> {
    page(&commands::tree(), &dir.join("man"))?;
    for (shell, place, name) in SHELLS {
        let mut text = Vec::new();
        completion(shell, &mut commands::tree(), "signing-agent", &mut text);
        write(&dir.join(place), name, &text)?;
    }
    Ok(())
}

/// A page for this command and for each below it.
fn page(command: &clap::Command, dir: &Path) -> Result<(), Error> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    // The date is left empty: the same source makes the same octets.
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .date("")
        .source(concat!("signing-agent ", env!("CARGO_PKG_VERSION")))
        .manual("Signing agent");
    let mut text = Vec::new();
    man.render(&mut text).map_err(Error::system("write a manual page"))?;
    write(dir, &format!("{name}.1"), &text)?;
    command.get_subcommands().filter(|sub| sub.get_name() != "help").try_for_each(|sub| page(sub, dir))
}

fn write(dir: &Path, name: &str, text: &[u8]) -> Result<(), Error> {
    std::fs::create_dir_all(dir).map_err(Error::at(dir))?;
    let path = dir.join(name);
    std::fs::write(&path, text).map_err(Error::at(&path))
}
