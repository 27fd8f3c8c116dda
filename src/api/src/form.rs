//! The body of `POST /api/v1/register` (protocol.md §2), read as Go's encoding/json does it.

use ipc::Registration;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::fmt;
use zeroize::Zeroizing;

/// The registration; or what is wrong with it, in the Go agent's words.
pub fn parse(body: &[u8]) -> Result<Registration, &'static str> {
    let raw = match body.trim_ascii() {
        [] => Raw::default(),
        body => serde_json::from_slice::<Option<Raw>>(body).map_err(|_| "invalid json")?.unwrap_or_default(),
    };
    Registration::new(&raw.name, &raw.api_key, &raw.private_key).map_err(|field| field.0)
}

/// The three fields as they came. Names are matched without regard to case, the last of several wins, `null` says nothing,
/// unknown fields are passed over: as Go's encoding/json does it.
#[derive(Default)]
struct Raw {
    name: Zeroizing<String>,
    api_key: Zeroizing<String>,
    private_key: Zeroizing<String>,
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut raw = Raw::default();
        while let Some(Text(key)) = map.next_key()? {
            let field = match key.to_ascii_lowercase().as_str() {
                "name" => &mut raw.name,
                "apikey" => &mut raw.api_key,
                "base64privatekey" => &mut raw.private_key,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if let Some(Text(value)) = map.next_value()? {
                *field = value;
            }
        }
        Ok(raw)
    }
}

/// A JSON string, wiped on drop.
struct Text(Zeroizing<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(Zeroizing::new(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three(body: &str) -> (String, String, String) {
        let r = parse(body.as_bytes()).unwrap();
        (r.name().into(), r.api_key().expose().into(), r.private_key().expose().into())
    }

    #[test]
    fn field_names_are_matched_without_regard_to_case() {
        let want = ("n".to_owned(), "k".to_owned(), "p".to_owned());
        assert_eq!(three(r#"{"name":"n","APIKey":"k","Base64PrivateKey":"p"}"#), want);
        assert_eq!(three(r#"{"NAME":" n\t","apikey":"k\n","base64privatekey":"\u0070"}"#), want);
        assert_eq!(three(r#" {"base64PrivateKey":"p","other":[{"x":1}],"Name":"n","apiKEY":"k"} "#), want);
    }

    #[test]
    fn the_last_of_repeated_fields_wins_and_null_says_nothing() {
        let repeated = r#"{"name":"a","NAME":"b","name":null,"apikey":"k","base64privatekey":"p"}"#;
        assert_eq!(three(repeated).0, "b");
        let null = r#"{"name":"a","apikey":null,"base64privatekey":"p"}"#;
        assert_eq!(parse(null.as_bytes()), Err("APIKey"));
    }

    #[test]
    fn what_is_no_object_of_strings_is_invalid_json() {
        let deep = "[".repeat(10_000);
        let nested = format!(r#"{{"x":{deep}"#);
        for body in [
            "[]",
            "\"name\"",
            "1",
            "true",
            "{",
            "{}x",
            "{} {}",
            r#"{"name":1}"#,
            r#"{"name":["a"]}"#,
            r#"{"name":"a",}"#,
            r#"{'name':'a'}"#,
            "\u{feff}{}",
            r#"{"name":"\ud800"}"#,
            deep.as_str(),
            nested.as_str(),
        ] {
            assert_eq!(parse(body.as_bytes()), Err("invalid json"), "{body:.20}");
        }
        assert_eq!(parse(b"{\"name\":\"\xff\"}"), Err("invalid json"));
    }

    #[test]
    fn nothing_at_all_lacks_the_name() {
        for body in ["", " \r\n", "{}", "null"] {
            assert_eq!(parse(body.as_bytes()), Err("name"), "{body:?}");
        }
    }
}
