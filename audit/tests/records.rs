//! A record's line is written in one way, and read in that way only.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use audit::{Error, record::*};
use serde::Serialize;

const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[derive(Serialize)]
struct Fields<'a> {
    verdict: &'a str,
    amount: Option<u64>,
    facts: BTreeMap<&'a str, &'a str>,
}

#[test]
fn a_line_has_the_four_names_first_and_the_fields_in_their_order() {
    let facts = BTreeMap::from([("memo", "two\nlines \"quoted\" \u{2028}é")]);
    let text =
        line(0, &FIRST, 1_234_567_890_123, "decision", &Fields { verdict: "hold", amount: None, facts }).unwrap();
    assert_eq!(
        text,
        format!(r#"{{"n":0,"prev":"{ZEROS}","time":"2009-02-13T23:31:30.123Z","kind":"decision","#)
            + "\"verdict\":\"hold\",\"amount\":null,\"facts\":{\"memo\":\"two\\nlines \\\"quoted\\\" \u{2028}é\"}}"
    );
    let envelope = Envelope::parse(text.as_bytes()).unwrap();
    assert_eq!((envelope.n, envelope.prev, envelope.kind.as_str()), (0, FIRST, "decision"));

    let text = line(u64::MAX, &[0xab; 32], 0, "a", &BTreeMap::<String, u8>::new()).unwrap();
    assert_eq!(
        text,
        format!(r#"{{"n":{},"prev":"{}","time":"1970-01-01T00:00:00.000Z","kind":"a"}}"#, u64::MAX, "ab".repeat(32))
    );
}

#[test]
fn a_record_that_could_not_be_read_again_is_not_written() {
    let none = BTreeMap::<String, u8>::new();
    for kind in ["", "A", "a b", "a\"", "é", &"a".repeat(65)] {
        assert!(line(0, &FIRST, 0, kind, &none).is_err(), "{kind}");
    }
    for name in ["n", "prev", "time", "kind"] {
        assert!(line(0, &FIRST, 0, "a", &BTreeMap::from([(name, 1)])).is_err(), "{name}");
    }
    assert!(line(0, &FIRST, 253_402_300_800_000, "a", &none).is_err());
    assert!(line(0, &FIRST, 0, "a", &[1]).is_err());
    assert!(line(0, &FIRST, 0, "a", &"text").is_err());
    assert!(line(0, &FIRST, 0, "a", &()).is_err());
    assert!(line(0, &FIRST, 0, "a", &BTreeMap::from([((1, 2), 3)])).is_err());
    let long = BTreeMap::from([("x", "y".repeat(MAX_RECORD))]);
    assert_eq!(line(0, &FIRST, 0, "a", &long), Err(Error::Record("too long")));
    let head = line(0, &FIRST, 0, "a", &BTreeMap::from([("x", "")])).unwrap().len();
    let longest = BTreeMap::from([("x", "y".repeat(MAX_RECORD - head))]);
    assert_eq!(line(0, &FIRST, 0, "a", &longest).unwrap().len(), MAX_RECORD);
}

#[test]
fn another_spelling_of_a_record_is_refused() {
    let good = format!(r#"{{"n":7,"prev":"{ZEROS}","time":"2009-02-13T23:31:30.123Z","kind":"a","x":{{"y":[1, 2]}}}}"#);
    assert!(Envelope::parse(good.as_bytes()).is_ok());
    for (what, by) in [
        ("{\"n\":7", "{ \"n\":7"),
        ("{\"n\":7", " {\"n\":7"),
        ("{\"n\":7", "{\"n\":07"),
        ("{\"n\":7", "{\"n\":7.0"),
        ("{\"n\":7", "{\"n\":-7"),
        ("{\"n\":7", "{\"n\":\"7\""),
        ("{\"n\":7", "{\"n\":18446744073709551616"),
        ("{\"n\":7,", "{\"n\":7,\"n\":7,"),
        ("{\"n\":7,", "{"),
        ("\"prev\":\"00", "\"prev\":\"0"),
        ("\"prev\":\"00", "\"prev\":\"AA"),
        ("\"prev\":\"00", "\"prev\":\"\\u00300"),
        ("\"prev\":\"00", "\"prev\":\"zz"),
        ("2009-02-13T", "2009-02-13 "),
        ("123Z", "123z"),
        (".123Z", "Z"),
        ("123Z", "123456Z"),
        ("\"kind\":\"a\"", "\"kind\":\"\""),
        ("\"kind\":\"a\"", "\"kind\":null"),
        ("[1, 2]", "[1,\n2]"),
        ("[1, 2]}}", "[1, 2]}} "),
        ("[1, 2]}}", "[1, 2]}}\r"),
        ("[1, 2]}}", "[1, 2]}"),
        ("[1, 2]}}", "[1, 2]}}}"),
        ("[1, 2]", "[1, 2, \"n\", ]"),
    ] {
        let bad = good.replacen(what, by, 1);
        assert_ne!(bad, good);
        assert!(Envelope::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    let latin1 = good.replacen("[1, 2]", "\"?\"", 1).into_bytes().into_iter().map(|c| if c == b'?' { 0xe9 } else { c });
    assert_eq!(Envelope::parse(&latin1.collect::<Vec<_>>()), Err(Error::Record("not UTF-8")));
}
