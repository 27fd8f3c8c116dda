//! Named lists of destinations. One look at a table says in which of all lists a destination is, however long they are.

use std::borrow::Cow;
use std::collections::HashMap;

/// A list's number, in the order of the file.
pub(crate) type ListId = usize;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lists {
    names: Vec<String>,
    exact: HashMap<Box<str>, Vec<ListId>>,
    /// By the same in small letters.
    folded: HashMap<Box<str>, Vec<ListId>>,
}

impl Lists {
    /// A list's name is there once: TOML sees to that.
    pub(crate) fn add(&mut self, name: String, entries: &[String]) {
        let id = self.names.len();
        self.names.push(name);
        for entry in entries {
            enter(&mut self.exact, entry.as_str().into(), id);
            enter(&mut self.folded, fold(entry).into_owned().into(), id);
        }
    }

    pub(crate) fn id(&self, name: &str) -> Option<ListId> {
        self.names.iter().position(|known| known == name)
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The lists that a destination is in.
    pub(crate) fn of(&self, destination: &str, any_case: bool) -> &[ListId] {
        let found = if any_case { self.folded.get(fold(destination).as_ref()) } else { self.exact.get(destination) };
        found.map(Vec::as_slice).unwrap_or_default()
    }
}

fn enter(table: &mut HashMap<Box<str>, Vec<ListId>>, entry: Box<str>, id: ListId) {
    let ids = table.entry(entry).or_default();
    if ids.last() != Some(&id) {
        ids.push(id);
    }
}

/// Of ASCII alone: what is no ASCII is in no list.
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) { text.to_ascii_lowercase().into() } else { text.into() }
}

/// An entry as a list may have it: an address outside, printable ASCII without spaces, or `wallet:` and an ID in small hex.
pub(crate) fn check(entry: &str) -> Result<(), String> {
    if let Some(id) = entry.strip_prefix("wallet:") {
        return check_id(id).map_err(|why| format!("{entry:?}: {why}"));
    }
    if fold(entry).starts_with("wallet:") {
        return Err(format!("{entry:?}: a wallet inside is wallet: and its ID, in small letters"));
    }
    if entry.is_empty() || entry.len() > 256 || !entry.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!(
            "{entry:?} is no destination: an address of 1 to 256 printable ASCII characters without spaces, or wallet: and an ID in hex"
        ));
    }
    Ok(())
}

/// An ID in lower-case hex, whole octets, up to 128.
pub(crate) fn check_id(id: &str) -> Result<(), String> {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if id.is_empty() || !id.len().is_multiple_of(2) || id.len() > 256 || !id.bytes().all(hex) {
        return Err(format!("{id:?} is no ID: lower-case hex of 1 to 128 octets"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_found_in_every_list_that_has_it_and_by_the_case_that_counts() {
        let mut lists = Lists::default();
        lists.add("a".into(), &["0xAb".into(), "0xab".into(), "wallet:07".into()]);
        lists.add("b".into(), &["0xAb".into()]);
        assert_eq!(lists.of("0xAb", false), [0, 1]);
        assert_eq!(lists.of("0xab", false), [0]);
        assert!(lists.of("0xAB", false).is_empty());
        assert_eq!(lists.of("0xAB", true), [0, 1]);
        assert_eq!(lists.of("wallet:07", false), [0]);
        assert!(lists.of("", true).is_empty());
        assert_eq!((lists.id("b"), lists.id("c"), lists.names().len()), (Some(1), None, 2));
    }

    #[test]
    fn what_is_no_destination_or_id_is_refused() {
        for good in ["0xA2ba", "bc1q", "wallet:00ff", &"x".repeat(256)] {
            assert_eq!(check(good), Ok(()));
        }
        for bad in
            ["", "a b", "ä", "wallet:", "wallet:0", "wallet:0G", "wallet:AB", "Wallet:ab", "a\u{7f}", &"x".repeat(257)]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
        for bad in ["", "0", "AB", "0x", &"0".repeat(258)] {
            assert!(check_id(bad).is_err(), "{bad}");
        }
        assert_eq!(check_id(&"0".repeat(256)), Ok(()));
    }
}
