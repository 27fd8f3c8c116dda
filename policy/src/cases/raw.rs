//! A file of cases as it is written. Each value still knows where it stands.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use crate::verdict::Verdict;

type Text = Option<Spanned<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    pub policy: Text,
    pub policy_text: Text,
    #[serde(default)]
    pub defaults: RawDefaults,
    #[serde(default)]
    pub case: Vec<Spanned<RawCase>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDefaults {
    #[serde(rename = "type")]
    pub claim: Text,
    pub expires_in: Text,
    pub time: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCase {
    pub name: Spanned<String>,
    pub message: Text,
    pub messages: Option<Vec<Spanned<String>>>,
    pub facts: Option<Spanned<RawFacts>>,
    #[serde(default)]
    pub more_facts: Vec<Spanned<RawFacts>>,
    #[serde(rename = "type")]
    pub claim: Text,
    pub expires_in: Text,
    pub time: Text,
    #[serde(default)]
    pub ledger: Vec<RawPast>,
    pub expect: RawExpect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFacts {
    pub kind: Text,
    pub text: Text,
    pub transfer_type: Text,
    pub currency: Option<Spanned<TextOrNumber>>,
    pub wallet: Text,
    pub owner: Text,
    #[serde(default)]
    pub transfers: Vec<RawMove>,
    #[serde(default)]
    pub settlements: Vec<RawMove>,
    #[serde(default)]
    pub participants: Vec<Spanned<String>>,
    #[serde(default)]
    pub expressions: Vec<String>,
    #[serde(default)]
    pub other_fields: Vec<Spanned<String>>,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub wallet_description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMove {
    pub to: Spanned<String>,
    pub amount: Spanned<TextOrNumber>,
    pub fee: Option<Spanned<TextOrNumber>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPast {
    pub ago: Spanned<String>,
    pub currency: Option<Spanned<TextOrNumber>>,
    pub wallet: Text,
    pub destination: Option<String>,
    pub rule: Option<String>,
    pub amount: Option<Spanned<TextOrNumber>>,
    pub times: Option<Spanned<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExpect {
    pub verdict: Verdict,
    pub rule: Option<String>,
    pub why: Option<String>,
    pub release: Option<RawRelease>,
    pub contradiction: Option<bool>,
    pub window: Option<String>,
    #[serde(default)]
    pub failed: BTreeMap<String, String>,
}

/// `"client"`, `"token"`, `"nobody"`, `{ approvers = 2, of = ["alice", "bob"] }`, or an array of the last two: all of them.
pub(super) enum RawRelease {
    Client,
    Token,
    Nobody,
    Approvers(RawApprovers),
    All(Vec<RawRelease>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawApprovers {
    pub approvers: u32,
    pub of: Vec<String>,
}

/// `"0.5 ETH"`, or a number.
pub(super) enum TextOrNumber {
    Text(String),
    Number(i64),
}

impl<'de> Deserialize<'de> for TextOrNumber {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = TextOrNumber;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an integer")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<TextOrNumber, E> {
                Ok(TextOrNumber::Text(text.to_owned()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<TextOrNumber, E> {
                Ok(TextOrNumber::Number(number))
            }
        }
        from.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for RawRelease {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = RawRelease;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"client\", \"token\" or a table of approvers")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawRelease, E> {
                match text {
                    "client" => Ok(RawRelease::Client),
                    "nobody" => Ok(RawRelease::Nobody),
                    "token" => Ok(RawRelease::Token),
                    _ => Err(E::custom("must be \"client\", \"token\" or a table of approvers")),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawRelease, A::Error> {
                RawApprovers::deserialize(MapAccessDeserializer::new(map)).map(RawRelease::Approvers)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<RawRelease, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(RawRelease::All)
            }
        }
        from.deserialize_any(Either)
    }
}
