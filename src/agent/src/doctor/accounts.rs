//! The machine's own users (passwd(5)).

/// Whether the user has an account, with its groups.
pub fn is_known(user: u32) -> bool {
    users(&text()).any(|(_, uid)| uid == user)
}

/// The user of this name.
pub fn named(name: &str) -> Option<u32> {
    users(&text()).find(|(known, _)| *known == name).map(|(_, uid)| uid)
}

fn text() -> String {
    std::fs::read_to_string("/etc/passwd").unwrap_or_default()
}

fn users(text: &str) -> impl Iterator<Item = (&str, u32)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some((fields.next()?, fields.nth(1)?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_a_name_and_a_number() {
        let text = "root:x:0:0:root:/root:/bin/sh\n+\nbroken:x\nsigning-agent-api:x:997:995::/:/bin/false\n";
        assert_eq!(users(text).collect::<Vec<_>>(), [("root", 0), ("signing-agent-api", 997)]);
        assert!(named("root") == Some(0) && is_known(0) && named("no such user").is_none());
    }
}
