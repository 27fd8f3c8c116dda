//! The command line of a room: `--config PATH`, `--version`, and nothing else.

use std::ffi::OsString;
use std::path::PathBuf;

/// What a room was started for.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    /// To work, by this configuration.
    Run(PathBuf),
    /// To say its version.
    Version,
}

/// Reads the arguments, without the program's name. `None` where they are not understood.
pub fn read(mut given: impl Iterator<Item = OsString>) -> Option<Wish> {
    let mut path = PathBuf::from(crate::DEFAULT_PATH);
    while let Some(word) = given.next() {
        match word.to_str()? {
            "--version" => return Some(Wish::Version),
            "--config" => path = given.next()?.into(),
            other => path = other.strip_prefix("--config=")?.into(),
        }
    }
    Some(Wish::Run(path))
}

/// What to answer where they are not.
pub fn usage(room: &str) -> String {
    format!("usage: signing-agent-{room} [--config PATH] [--version]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_takes_its_configuration_and_nothing_unknown() {
        let wish = |words: &[&str]| read(words.iter().map(OsString::from));
        assert_eq!(wish(&[]), Some(Wish::Run(crate::DEFAULT_PATH.into())));
        assert_eq!(wish(&["--config", "a"]), Some(Wish::Run("a".into())));
        assert_eq!(wish(&["--config=b"]), Some(Wish::Run("b".into())));
        assert_eq!(wish(&["--version"]), Some(Wish::Version));
        for unknown in [&["--config"][..], &["a"], &["--confi=a"], &["--config", "a", "-v"]] {
            assert_eq!(wish(unknown), None, "{unknown:?}");
        }
    }
}
