//! What an operator does next, in words; never nothing.

use crate::words;
use ipc::{FeedState, Status};

pub fn todo(status: &Status) -> Vec<String> {
    let mut steps = Vec::new();
    let frozen = status.audit.as_ref().is_some_and(|audit| audit.frozen);
    if frozen {
        steps.push("It is frozen. Once you know why, and that is over: `signing-agent unfreeze`.".to_owned());
    } else if status.trouble.is_some() {
        steps.push(
            "Look after the trouble above. What else may be wrong: `signing-agent doctor`; what the vault said: \
             its log."
                .into(),
        );
    }
    if status.audit.as_ref().is_some_and(|audit| audit.windows_full) {
        steps.push(
            "The windows count as full, for the ledger is an older one that was restored. Once you know what was approved since it \
             was made: `signing-agent confirm-windows`."
                .into(),
        );
    }
    if status.agent.is_none() && status.trouble.is_none() {
        steps.push(register(status.registration_open));
    }
    for (door, _) in status.doors.iter().filter(|(_, here)| !here) {
        steps.push(format!(
            "The {door} is away. Where it is a service: `systemctl status signing-agent-{door}`; under `run` see its messages."
        ));
    }
    if status.agent.is_some() && matches!(status.feed, FeedState::Closed { .. }) {
        steps.push(
            "The feed is closed, and is tried again by itself. If that does not help: is the backend reached?".into(),
        );
    }
    if !status.alarms.is_empty() {
        steps.push("Look into the alarms above. Each is in the audit log too.".into());
    }
    if !status.warnings.is_empty() {
        steps.push("Look after the warnings above before they are trouble.".into());
    }
    let held = status.actions.iter().find(|(state, _)| state == "held").map_or(0, |(_, count)| *count);
    if held > 0 {
        steps.push(format!("Actions that are held: {held}. `signing-agent actions list --status held` has them."));
    }
    if steps.is_empty() {
        steps.push("Nothing: it is at work. `signing-agent actions watch` shows what it does.".into());
    }
    steps
}

fn register(left: Option<u64>) -> String {
    let how = "your partner app (POST /api/v1/register; where [api] auth asks for a token, make it one: `signing-agent token add \
               NAME --scope register,decide,read,feed`), or `signing-agent partner-key new` and then \
               `signing-agent register --name NAME`";
    match left {
        Some(left) => format!("Register the agent within {}: {how}.", words::span(left)),
        None => {
            format!("Have a registration taken, by `signing-agent registration open`, and register the agent: {how}.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::json::tests::working;
    use ipc::AuditStatus;

    #[test]
    fn there_is_always_a_next_step_and_it_is_about_what_is_the_matter() {
        let says = |status: Status, words: &[&str]| {
            let steps = todo(&status);
            assert_eq!(steps.len(), words.len(), "{steps:?}");
            for (step, word) in steps.iter().zip(words) {
                assert!(step.contains(word), "{word} in {steps:?}");
            }
        };
        says(working(), &["Nothing"]);
        says(Status { trouble: Some("no token".into()), ..working() }, &["doctor"]);
        says(Status { agent: None, registration_open: None, ..working() }, &["registration open"]);
        says(Status { agent: None, registration_open: Some(600), ..working() }, &["within 10 min"]);
        says(Status { doors: vec![("api".into(), false)], ..working() }, &["signing-agent-api"]);
        says(
            Status {
                feed: FeedState::Closed { why: String::new(), retry_ms: 1 },
                alarms: vec!["a".into()],
                warnings: vec!["w".into()],
                actions: vec![("held".into(), 3)],
                ..working()
            },
            &["feed", "alarms", "warnings", "held: 3"],
        );
        let audit = AuditStatus {
            records: 1,
            covered: 1,
            key: String::new(),
            memory: String::new(),
            frozen: true,
            windows_full: true,
        };
        says(
            Status { trouble: Some("frozen".into()), audit: Some(audit), ..working() },
            &["unfreeze", "confirm-windows"],
        );
    }
}
