//! Text in columns. A width is in columns of the terminal; without one nothing is wrapped or cut.

use crate::terminal::{Look, Paint};
use crate::words::plain;

/// A narrower terminal is written to as if it had so many columns.
const NARROWEST: usize = 20;

/// How many columns it takes.
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// Its beginning, of at most so many columns; what is left out shows.
pub fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut taken = String::new();
    let mut left = most.saturating_sub(1);
    for character in text.chars() {
        match left.checked_sub(columns(character)) {
            Some(rest) => left = rest,
            None => break,
        }
        taken.push(character);
    }
    if most > 0 {
        taken.push('…');
    }
    taken
}

/// Filled up with spaces.
pub fn padded(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(width(text))))
}

/// Lines of at most so many columns. A word that is longer is broken, fingerprints evenly.
pub fn wrap(text: &str, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        for piece in pieces(word, most.max(1)) {
            let last = lines.last_mut().filter(|line| line.is_empty() || width(line) + 1 + width(&piece) <= most);
            match last {
                Some(line) if line.is_empty() => *line = piece,
                Some(line) => *line = format!("{line} {piece}"),
                None => lines.push(piece),
            }
        }
    }
    lines
}

/// `name  value` lines, indented, the values under each other. A value with a word that is too long to stand there stands under its
/// name; in a very narrow terminal each does.
pub fn rows(rows: &[(String, String)], most: Option<usize>) -> String {
    let rows: Vec<(String, String)> = rows.iter().map(|(name, value)| (plain(name), plain(value))).collect();
    let names = rows.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let Some(most) = most.map(|most| most.max(NARROWEST)) else {
        return rows.iter().map(|(name, value)| format!("  {}  {value}\n", padded(name, names))).collect();
    };
    let longest = rows.iter().flat_map(|(_, value)| value.split(' ')).map(width).max().unwrap_or(0);
    // A fingerprint stands in 80 columns if the gap gives way.
    let gap = if names + 3 + longest == most { 1 } else { 2 };
    let beside = most.saturating_sub(2 + names + gap);
    let row = |(name, value): &(String, String)| {
        let fits = |word: &str| width(word) <= beside || (is_hex(word) && beside >= 32);
        if beside < 20 || !value.split(' ').all(fits) {
            let under = wrap(value, most - 4).iter().map(|line| format!("    {line}\n")).collect::<String>();
            return format!("  {name}\n{under}");
        }
        let mut name = padded(name, names);
        let mut text = String::new();
        for line in wrap(value, beside) {
            text += &format!("  {name}{}{line}\n", " ".repeat(gap));
            name = " ".repeat(names);
        }
        text
    };
    rows.iter().map(row).collect()
}

/// A paragraph, its further lines indented.
pub fn paragraph(text: &str, indent: usize, most: Option<usize>) -> String {
    let Some(most) = most.map(|most| most.max(NARROWEST)) else { return format!("{text}\n") };
    let lines = wrap(text, most.saturating_sub(indent));
    let indented = |(n, line): (usize, &String)| format!("{}{line}\n", " ".repeat(if n == 0 { 0 } else { indent }));
    lines.iter().enumerate().map(indented).collect()
}

/// A heading, with an empty line above it.
pub fn title(text: &str, look: Look) -> String {
    let lines = look.width.map_or_else(|| vec![text.to_owned()], |most| wrap(text, most.max(NARROWEST)));
    let painted = lines.iter().map(|line| format!("{}\n", look.paint(Paint::Bold, line)));
    format!("\n{}", painted.collect::<String>())
}

fn pieces(word: &str, most: usize) -> Vec<String> {
    if width(word) <= most {
        return vec![word.to_owned()];
    }
    let even = if most >= 16 && is_hex(word) {
        let lines = word.len().div_ceil(most / 16 * 16);
        word.len().div_ceil(lines).next_multiple_of(16)
    } else {
        most
    };
    let mut pieces = vec![String::new()];
    let mut filled = 0;
    for character in word.chars() {
        if filled + columns(character) > even {
            pieces.push(String::new());
            filled = 0;
        }
        filled += columns(character);
        if let Some(piece) = pieces.last_mut() {
            piece.push(character);
        }
    }
    pieces
}

fn is_hex(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Of Unicode's East Asian Width what matters: wide characters take two columns, marks none.
fn columns(character: char) -> usize {
    match u32::from(character) {
        0x0300..=0x036f | 0x20d0..=0x20ff | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_longer_than_the_terminal_is_wide_and_nothing_is_lost() {
        let hash = "ab12".repeat(16);
        let all = [
            ("identity (EC)".to_owned(), hash.clone()),
            ("policy".to_owned(), format!("policy.toml (SHA-256 {hash}), read today 漢字漢字漢字漢字漢字漢字漢字漢字")),
        ];
        for most in [20, 33, 40, 60, 80, 81, 100, 200] {
            let text = rows(&all, Some(most));
            for line in text.lines() {
                assert!(width(line) <= most, "{most}: {line}");
            }
            let squeezed = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            let whole: String = all.iter().map(|(name, value)| format!("{name}{value}")).collect();
            assert_eq!(squeezed(&text), squeezed(&whole), "{most}");
        }
        assert_eq!(rows(&all[..1], None), format!("  identity (EC)  {hash}\n"));
        assert_eq!(wrap(&hash, 60), [&hash[..32], &hash[32..]], "evenly");
        assert_eq!(rows(&all[..1], Some(80)), format!("  identity (EC) {hash}\n"));
        let pair = format!("  identity (EC)  {}\n{}{}\n", &hash[..32], " ".repeat(17), &hash[32..]);
        assert_eq!(rows(&all[..1], Some(60)), pair);
    }

    #[test]
    fn what_is_cut_off_shows_and_wide_characters_count_twice() {
        assert_eq!(
            (cut("abcdef", 6), cut("abcdef", 4), cut("abc", 0)),
            ("abcdef".into(), "abc…".into(), String::new())
        );
        assert_eq!((width("漢字"), cut("漢字漢字", 6)), (4, "漢字…".into()));
        assert_eq!(padded("é", 3), "é  ");
    }

    #[test]
    fn what_a_door_says_cannot_steer_the_terminal_out_of_a_table() {
        let hostile = [("na\x1b[2Jme".to_owned(), "a\x1b]0;x\x07b\r\n\u{9b}31m\u{202e}c".to_owned())];
        for most in [None, Some(20), Some(80)] {
            let text = rows(&hostile, most);
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()) && !text.contains('\u{202e}'), "{text:?}");
        }
    }
}
