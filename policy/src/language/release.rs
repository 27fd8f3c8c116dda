//! `release = "client"`, `"token"`, or `{ approvers = 2, of = ["alice", "bob"] }`.

use std::collections::BTreeSet;
use std::fmt;

use config::strict;
use serde::Deserialize;
use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use toml::Spanned;

use super::text::Page;
use crate::release::{Approvers, Release};

pub(crate) enum Raw {
    Word(String),
    People(RawPeople),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPeople {
    approvers: i64,
    of: Vec<String>,
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"client\", \"token\" or { approvers = N, of = [names] }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Raw, E> {
                Ok(Raw::Word(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Raw, A::Error> {
                RawPeople::deserialize(MapAccessDeserializer::new(map)).map(Raw::People)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

pub(crate) fn read(page: &Page<'_>, raw: &Spanned<Raw>) -> Result<Release, strict::Error> {
    let refuse = |why: String| Err(page.at(raw, format!("release: {why}")));
    let people = match raw.get_ref() {
        Raw::Word(word) if word == "client" => return Ok(Release::client()),
        Raw::Word(word) if word == "token" => return Ok(Release { token: true, ..Release::default() }),
        Raw::Word(word) => {
            return refuse(format!("{word:?} is not \"client\", \"token\" or {{ approvers = N, of = [names] }}"));
        }
        Raw::People(people) => people,
    };
    let of: BTreeSet<String> = people.of.iter().cloned().collect();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    if let Some(odd) = of.iter().find(|name| name.is_empty() || name.len() > 64 || !name.bytes().all(plain)) {
        return refuse(format!("{odd:?} is no name: 1 to 64 small letters, digits, '-', '_' or '.'"));
    }
    if of.len() != people.of.len() {
        return refuse("a name is there twice".into());
    }
    match u32::try_from(people.approvers).ok().filter(|needed| *needed >= 1) {
        None => refuse("approvers must be 1 or more".into()),
        Some(needed) if usize::try_from(needed).is_ok_and(|needed| needed > of.len()) => {
            refuse(format!("{needed} approvers are wanted, {} named", of.len()))
        }
        Some(needed) => Ok(Release { approvers: BTreeSet::from([Approvers { needed, of }]), ..Release::client() }),
    }
}
