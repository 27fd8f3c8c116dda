//! Whose certificate it is: subjects as RFC 4514 writes them, compared attribute by attribute, and alternative names.

use crate::Error;
use config::ApiClient;
use std::net::IpAddr;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

/// Attribute types that are written by name (RFC 4514 §3, and those that OpenSSL adds), and their object identifiers.
const TYPES: &[(&str, &str)] = &[
    ("CN", "2.5.4.3"),
    ("serialNumber", "2.5.4.5"),
    ("C", "2.5.4.6"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("STREET", "2.5.4.9"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("title", "2.5.4.12"),
    ("GN", "2.5.4.42"),
    ("SN", "2.5.4.4"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("emailAddress", "1.2.840.113549.1.9.1"),
];

/// The attributes of one level, by object identifier, sorted: their order means nothing.
type Level = Vec<(String, String)>;

/// An `[[api.client]]` as certificates are compared with it.
pub(super) struct Pattern {
    name: String,
    /// The innermost level first.
    subject: Option<Vec<Level>>,
    san: Option<String>,
}

impl Pattern {
    pub(super) fn new(client: &ApiClient) -> Result<Self, Error> {
        let subject = client.subject.as_deref().map(subject).transpose();
        let subject = subject.map_err(|why| Error::Subject { name: client.name.clone(), why })?;
        Ok(Self { name: client.name.clone(), subject, san: client.san.clone() })
    }

    fn fits(&self, certificate: &X509Certificate<'_>) -> bool {
        let subject = self.subject.as_ref().is_none_or(|wanted| shown(certificate).as_ref() == Some(wanted));
        subject && self.san.as_ref().is_none_or(|wanted| has_name(certificate, wanted))
    }
}

/// The name of the first whose certificate this is; empty where it is nobody's.
pub(super) fn whose(patterns: &[Pattern], certificate: &X509Certificate<'_>) -> String {
    patterns.iter().find(|pattern| pattern.fits(certificate)).map(|pattern| pattern.name.clone()).unwrap_or_default()
}

/// The certificate's subject; `None` where a value is no text.
fn shown(certificate: &X509Certificate<'_>) -> Option<Vec<Level>> {
    let levels = certificate.subject().iter_rdn().map(|level| {
        let attributes = level.iter().map(|a| Some((a.attr_type().to_id_string(), a.as_str().ok()?.to_owned())));
        let mut level: Level = attributes.collect::<Option<_>>()?;
        level.sort();
        Some(level)
    });
    let mut levels: Vec<Level> = levels.collect::<Option<_>>()?;
    levels.reverse();
    Some(levels)
}

fn has_name(certificate: &X509Certificate<'_>, wanted: &str) -> bool {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return false };
    let address: Option<IpAddr> = wanted.parse().ok();
    names.value.general_names.iter().any(|name| match name {
        GeneralName::DNSName(name) => address.is_none() && name.eq_ignore_ascii_case(wanted),
        GeneralName::RFC822Name(name) | GeneralName::URI(name) => *name == wanted,
        GeneralName::IPAddress(octets) => address.is_some_and(|address| match address {
            IpAddr::V4(ip) => ip.octets() == **octets,
            IpAddr::V6(ip) => ip.octets() == **octets,
        }),
        _ => false,
    })
}

/// RFC 4514 §3, without values in hexadecimal (`#…`).
fn subject(text: &str) -> Result<Vec<Level>, &'static str> {
    let (mut levels, mut level) = (Vec::new(), Level::new());
    let mut rest = text;
    loop {
        let (kind, value) = rest.split_once('=').ok_or("write it as \"CN=name,O=organisation\"")?;
        let kind = kind.trim();
        let known = TYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(kind)).map(|(_, id)| (*id).to_owned());
        let dotted = || kind.split('.').all(|arc| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()));
        let id = known.or_else(|| dotted().then(|| kind.to_owned()));
        let id = id.ok_or("an attribute type is not known here: give its object identifier")?;
        let (value, end) = unescaped(value)?;
        level.push((id, value));
        match end {
            Some(('+', more)) => rest = more,
            Some((_, more)) => {
                level.sort();
                levels.push(std::mem::take(&mut level));
                rest = more;
            }
            None => {
                level.sort();
                levels.push(level);
                return Ok(levels);
            }
        }
    }
}

/// A value, and the separator after it with what follows.
type Value<'a> = (String, Option<(char, &'a str)>);

fn unescaped(text: &str) -> Result<Value<'_>, &'static str> {
    if text.starts_with('#') {
        return Err("a value in hexadecimal (#…) is not taken: use san");
    }
    let mut value = Vec::new();
    // Blanks at the end belong to the value only where they are escaped.
    let mut kept = 0;
    let mut chars = text.char_indices();
    let mut end = None;
    while let Some((at, c)) = chars.next() {
        match c {
            ',' | '+' => {
                end = Some((c, &text[at + 1..]));
                break;
            }
            '\\' => {
                let rest = &text[at + 1..];
                let octet = rest.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
                let special = rest.chars().next().filter(|c| " \"#+,;<=>\\".contains(*c));
                match (octet, special) {
                    (Some(octet), _) => {
                        value.push(octet);
                        chars.nth(1);
                    }
                    (None, Some(c)) => {
                        value.push(c as u8);
                        chars.next();
                    }
                    (None, None) => return Err("a backslash escapes nothing"),
                }
                kept = value.len();
            }
            '"' | ';' | '<' | '>' => return Err("one of \" ; < > is not escaped with a backslash"),
            ' ' if value.is_empty() => {}
            c => {
                value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                if c != ' ' {
                    kept = value.len();
                }
            }
        }
    }
    value.truncate(kept);
    let value = String::from_utf8(value).map_err(|_| "an escaped value is not UTF-8")?;
    if value.is_empty() { Err("a value is empty") } else { Ok((value, end)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Vec<(String, String)>> {
        subject(text).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    fn one(id: &str, value: &str) -> Level {
        vec![(id.to_owned(), value.to_owned())]
    }

    #[test]
    fn a_subject_is_read_as_rfc_4514_writes_it() {
        assert_eq!(read("CN=a,O=b"), [one("2.5.4.3", "a"), one("2.5.4.10", "b")]);
        assert_eq!(read(" cn = a , 2.5.4.10= b c  "), [one("2.5.4.3", "a"), one("2.5.4.10", "b c")]);
        assert_eq!(read("CN=a+UID=b"), read("uid=b+CN=a"), "within a level the order means nothing");
        assert_ne!(read("CN=a,O=b"), read("O=b,CN=a"));
        assert_ne!(read("CN=a+O=b"), read("CN=a,O=b"));
        let escaped =
            [(r"CN=a\,b", "a,b"), (r"CN=a\2Cb", "a,b"), (r"CN=a\ ", "a "), (r"CN=L\C3\A4r", "Lär"), ("CN=Lär", "Lär")];
        for (text, value) in escaped {
            assert_eq!(read(text), [one("2.5.4.3", value)], "{text}");
        }
    }

    #[test]
    fn what_is_no_subject_is_refused() {
        for text in [
            "",
            "a",
            "CN",
            "CN=",
            "CN=a,",
            "CN=a,,O=b",
            "CN=a;O=b",
            "XX=a",
            "CN=#0401",
            r"CN=\",
            r"CN=\x",
            r"CN=\FF",
            "=a",
            "1.=a",
            "CN=\"a\"",
        ] {
            assert!(subject(text).is_err(), "{text}");
        }
    }
}
