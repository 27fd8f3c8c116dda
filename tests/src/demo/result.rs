//! What was expected, what was seen, and whether they agree.

use crate::screen::{Paint, Screen, pad};
use std::io;

/// Both sides in the same few words, so that comparing them is comparing text.
pub struct Case {
    name: &'static str,
    expected: String,
    seen: String,
}

#[derive(Default)]
pub struct Cases(Vec<Case>);

impl Cases {
    pub fn add(&mut self, name: &'static str, expected: impl Into<String>, seen: impl Into<String>) {
        self.0.push(Case { name, expected: expected.into(), seen: seen.into() });
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn wrong(&self) -> usize {
        self.0.iter().filter(|case| case.expected != case.seen).count()
    }

    pub fn show(&self, screen: &Screen) -> io::Result<()> {
        let head = format!("  {}{}{}", pad("case", 35), pad("expected", 20), pad("seen", 20));
        screen.line(&screen.paint(Paint::Dim, &head))?;
        for Case { name, expected, seen } in &self.0 {
            let (paint, word) = if expected == seen { (Paint::Green, "ok") } else { (Paint::Red, "NO") };
            // What was not expected is worth a line that is too long.
            let row = format!("  {}{}{seen:<19}", pad(name, 35), pad(expected, 20));
            screen.line(&format!("{row} {}", screen.paint(paint, word)))?;
        }
        Ok(())
    }
}
