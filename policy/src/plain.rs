//! Foreign text, made safe to print.

/// At most `most` characters; whatever could move a cursor, turn the direction of writing or be invisible is escaped.
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
    if c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric() { c.to_string() } else { c.escape_unicode().collect() }
}
