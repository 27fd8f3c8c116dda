//! Values as they stand in the text, each with its place.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;

use config::strict;
use serde::Deserialize;
use serde::de::{self, SeqAccess, Visitor};
use toml::Spanned;

/// The text that is read, to say where something stands.
#[derive(Clone, Copy)]
pub(crate) struct Page<'t> {
    pub(crate) text: &'t str,
}

impl Page<'_> {
    pub(crate) fn at<T>(&self, value: &Spanned<T>, why: impl Into<String>) -> strict::Error {
        strict::Error::at(self.text, value.span().start, why)
    }

    pub(crate) fn line(&self, offset: usize) -> usize {
        strict::Error::at(self.text, offset, "").line
    }

    pub(crate) fn number(
        &self,
        value: &Spanned<i64>,
        key: &str,
        range: RangeInclusive<u64>,
    ) -> Result<u64, strict::Error> {
        let number = u64::try_from(*value.get_ref()).ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let most = (*range.end()).min(i64::MAX as u64);
            self.at(value, format!("{key} must be a whole number from {} to {most}", range.start()))
        })
    }

    /// The value that goes with a word.
    pub(crate) fn one_of<T: Copy>(
        &self,
        word: &Spanned<String>,
        key: &str,
        words: &[(&str, T)],
    ) -> Result<T, strict::Error> {
        let found = words.iter().find(|(known, _)| known == word.get_ref());
        found.map(|(_, value)| *value).ok_or_else(|| {
            let known = words.iter().map(|(known, _)| *known);
            let guess = guess(word.get_ref(), known.clone());
            let all: Vec<String> = known.map(|known| format!("{known:?}")).collect();
            self.at(word, format!("{key}: {:?} is not one of {}{guess}", word.get_ref(), all.join(", ")))
        })
    }

    /// A list that has something in it, each looked at; twice the same is refused.
    pub(crate) fn each<T: Ord>(
        &self,
        values: &Spanned<Vec<Spanned<String>>>,
        key: &str,
        mut read: impl FnMut(&Spanned<String>) -> Result<T, strict::Error>,
    ) -> Result<BTreeSet<T>, strict::Error> {
        if values.get_ref().is_empty() {
            return Err(self.at(values, format!("{key} names nothing; leave it out to mean all")));
        }
        let mut all = BTreeSet::new();
        for value in values.get_ref() {
            if !all.insert(read(value)?) {
                return Err(self.at(value, format!("{key} has {:?} twice", value.get_ref())));
            }
        }
        Ok(all)
    }
}

/// A name of a rule or a window.
pub(crate) fn name(page: &Page<'_>, name: &Spanned<String>, what: &str) -> Result<String, strict::Error> {
    let text = name.get_ref();
    if text.trim().is_empty() || text.chars().any(char::is_control) || text.len() > 100 {
        return Err(page.at(name, format!("a {what} needs a name of 1 to 100 bytes, without control characters")));
    }
    Ok(text.clone())
}

/// `; did you mean "…"?`, where one of these is near.
pub(crate) fn guess<'n>(word: &str, known: impl Iterator<Item = &'n str>) -> String {
    let known: Vec<&str> = known.collect();
    strict::closest(word, &known).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default()
}

/// `"a"` or `["a", "b"]`.
pub(crate) struct OneOrMany(pub(crate) Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<OneOrMany, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element()? {
                    all.push(item);
                }
                Ok(OneOrMany(all))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
