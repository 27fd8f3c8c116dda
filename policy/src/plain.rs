//! Foreign text, made safe to print.

/// At most `most` characters of `text`; all but printable ASCII is escaped as `\u{…}`, letters too: some turn the direction of
/// writing, some show nothing, some look like others.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let mut out: String = text.chars().take(most).map(escape).collect();
    if text.chars().nth(most).is_some() {
        out.push('…');
    }
    out
}

/// As an address is read by people: its beginning and its end.
pub(crate) fn short(text: &str) -> String {
    let count = text.chars().count();
    if count <= 16 {
        return plain(text, 16);
    }
    let tail: String = text.chars().skip(count - 4).collect();
    format!("{}{}", plain(text, 6), plain(&tail, 4))
}

fn escape(c: char) -> String {
    if c.is_ascii_graphic() || c == ' ' { c.to_string() } else { c.escape_unicode().collect() }
}
