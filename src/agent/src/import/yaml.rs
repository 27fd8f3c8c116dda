//! YAML as the Go agent's configuration needs it: mappings, lists, and plain values.

use saphyr_parser::{Event, Parser};

/// The deepest nesting that is read.
const DEEPEST: usize = 16;

/// Where a value is to come.
enum Level {
    /// In a mapping, behind this key, once it was read.
    Key(Option<String>),
    List,
}

/// Each value with its place: `base.pin`, `http.CORSAllowOrigins`; a list's values have one place. Anchors are not taken.
pub fn leaves(text: &str) -> Result<Vec<(String, String)>, String> {
    let (mut leaves, mut levels) = (Vec::new(), Vec::new());
    for event in Parser::new_from_str(text) {
        let (event, at) = event.map_err(|e| format!("it is no YAML: {e}"))?;
        let line = at.start.line();
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) if levels.len() == DEEPEST => {
                return Err(format!("line {line}: nested deeper than {DEEPEST} levels"));
            }
            Event::MappingStart(..) => levels.push(Level::Key(None)),
            Event::SequenceStart(..) => levels.push(Level::List),
            Event::MappingEnd | Event::SequenceEnd => {
                levels.pop();
                value_read(&mut levels);
            }
            Event::Alias(_) => {
                return Err(format!("line {line}: anchors and aliases are not read; write the value there"));
            }
            Event::Scalar(text, ..) => match levels.last_mut() {
                Some(Level::Key(key @ None)) => *key = Some(text.into_owned()),
                Some(_) => {
                    leaves.push((place(&levels), text.into_owned()));
                    value_read(&mut levels);
                }
                None => return Err(format!("line {line}: it is no mapping of settings")),
            },
            _ => {}
        }
    }
    Ok(leaves)
}

fn value_read(levels: &mut [Level]) {
    if let Some(Level::Key(key)) = levels.last_mut() {
        *key = None;
    }
}

fn place(levels: &[Level]) -> String {
    let keys = levels.iter().filter_map(|level| match level {
        Level::Key(key) => key.as_deref(),
        Level::List => None,
    });
    keys.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_read_with_its_place() {
        let text = "base:\n  pin: 0007\n  url: \"https://a.example\" # there\nlist: [a, 'b']\nflow: {x: {y: 1}}\nempty:\nlast:\n- one\n";
        let read = leaves(text).unwrap();
        let read: Vec<(&str, &str)> = read.iter().map(|(place, value)| (place.as_str(), value.as_str())).collect();
        let wanted = [
            ("base.pin", "0007"),
            ("base.url", "https://a.example"),
            ("list", "a"),
            ("list", "b"),
            ("flow.x.y", "1"),
            ("empty", ""),
            ("last", "one"),
        ];
        // An empty value is YAML's null, which some parsers write as "~".
        let read: Vec<(&str, &str)> =
            read.into_iter().map(|(place, value)| (place, if value == "~" { "" } else { value })).collect();
        assert_eq!(read, wanted);
    }

    #[test]
    fn what_is_none_or_would_grow_is_refused_with_its_line() {
        let deep = "[".repeat(40);
        for (bad, words) in [
            ("a: [", "no YAML"),
            ("just words", "no mapping"),
            ("a: &x 1\nb: *x\n", "line 2: anchors"),
            (deep.as_str(), "deeper than"),
        ] {
            let said = leaves(bad).unwrap_err();
            assert!(said.contains(words), "{bad}: {said}");
        }
    }
}
