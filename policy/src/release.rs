//! Who may release what is held.

use std::collections::BTreeSet;
use std::fmt;

/// What a person's or a partner app's word must come with before it lets a held action go. More is stricter; of several
/// rules that hold an action, what each wants is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Release {
    /// A bearer token with scope `decide`.
    pub token: bool,
    /// Signed statements of people, of each of these groups.
    pub approvers: BTreeSet<Approvers>,
    /// A deny rule may be about it, and nobody overrides one: it waits until that is known, or expires.
    pub nobody: bool,
}

/// So many of these people, each by a statement of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Approvers {
    /// At least 1, at most as many as `of` names.
    pub needed: u32,
    /// Names that the deed has keys for.
    pub of: BTreeSet<String>,
}

impl Release {
    /// Any client that the API lets in.
    pub fn client() -> Release {
        Release::default()
    }

    /// What both want.
    pub fn and(mut self, other: &Release) -> Release {
        self.token |= other.token;
        self.nobody |= other.nobody;
        self.approvers.extend(other.approvers.iter().cloned());
        self
    }

    /// Whether these people are enough.
    pub fn is_met_by(&self, people: &BTreeSet<String>) -> bool {
        !self.nobody && self.approvers.iter().all(|group| group.have(people) >= group.needed)
    }
}

impl Approvers {
    /// How many of them these people are.
    pub fn have(&self, people: &BTreeSet<String>) -> u32 {
        u32::try_from(self.of.intersection(people).count()).unwrap_or(u32::MAX)
    }
}

/// E.g. `any client`, `a client with a token`, `2 of alice, bob, carol`, `nobody, for a deny rule may be about it`.
impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nobody {
            return f.write_str("nobody, for a deny rule may be about it");
        }
        let token = self.token.then(|| "a client with a token".to_owned());
        let groups = self.approvers.iter().map(|group| {
            let names: Vec<&str> = group.of.iter().map(String::as_str).collect();
            format!("{} of {}", group.needed, names.join(", "))
        });
        let all: Vec<String> = token.into_iter().chain(groups).collect();
        f.write_str(if all.is_empty() { "any client" } else { "" })?;
        f.write_str(&all.join(", and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_rule_wants_is_said() {
        let group = |needed, names: &[&str]| Approvers { needed, of: names.iter().map(ToString::to_string).collect() };
        let both = Release { token: true, approvers: [group(2, &["bob", "alice"])].into(), nobody: false };
        assert_eq!(Release::client().to_string(), "any client");
        assert_eq!(both.to_string(), "a client with a token, and 2 of alice, bob");
        let nobody = Release { nobody: true, ..both };
        assert_eq!(nobody.to_string(), "nobody, for a deny rule may be about it");
        assert!(!nobody.is_met_by(&["alice", "bob"].map(str::to_owned).into()));
    }
}
