//! What the feed says (protocol.md §3), read with suspicion: the courier may have invented it.

use ipc::{ActionId, bounded};
use serde::Deserialize;

/// So long, seconds, an action is kept open at the most: an event that a courier invented must not stay for ever.
const LATEST: u64 = 30 * 24 * 60 * 60;

/// An event of the feed (protocol.md §3). What else it carries is not ours to read.
#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "coreClientID")]
    agent: String,
    #[serde(rename = "type", default)]
    claim: Option<String>,
    status: String,
    #[serde(rename = "expireTime")]
    expires: u64,
}

/// An action of ours that waits for a decision.
#[derive(Debug, PartialEq, Eq)]
pub struct Pending {
    pub id: ActionId,
    /// The feed's `type`, bounded.
    pub claim: Option<String>,
    /// Unix seconds, in the future.
    pub expires: u64,
}

/// The action that an event asks us to decide; or why it is none of ours. By a wall clock that is not believed (`sure` false)
/// nothing is expired, and nothing is open for too long but what is so by a year.
pub fn relevant(message: &str, agent: &str, now: u64, sure: bool) -> Result<Pending, String> {
    let event: Event = serde_json::from_str(message).map_err(|e| bounded(&format!("no event ({e})")))?;
    let id = ActionId::try_from(event.id).map_err(|e| e.to_string())?;
    match () {
        () if event.agent != agent => Err(format!("{id} is another agent's")),
        () if event.status != "pending" => Err(format!("{id} is {}", bounded(&event.status))),
        () if sure && event.expires <= now => Err(format!("{id} is expired")),
        () if i64::try_from(event.expires).is_err() => Err(format!("{id} expires at no time")),
        () => {
            let latest = if sure { LATEST } else { 12 * LATEST };
            let expires = event.expires.min(now + latest);
            Ok(Pending { id, claim: event.claim.map(|claim| bounded(&claim)), expires })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(agent: &str, status: &str, expires: &str) -> String {
        format!(
            r#"{{"id":"w1","coreClientID":"{agent}","type":"ApproveTransfer","status":"{status}","timestamp":1,"expireTime":{expires}}}"#
        )
    }

    #[test]
    fn by_a_clock_that_is_not_believed_nothing_is_expired() {
        let past = relevant(&event("me", "pending", "99"), "me", 100, false).unwrap();
        assert_eq!(past.expires, 99);
        let late = relevant(&event("me", "pending", "9223372036854775807"), "me", 100, false).unwrap();
        assert_eq!(late.expires, 100 + 12 * LATEST);
    }

    #[test]
    fn only_a_pending_event_of_ours_that_has_time_left_is_acted_on() {
        let seen = relevant(&event("me", "pending", "101"), "me", 100, true).unwrap();
        assert_eq!((seen.claim.as_deref(), seen.expires), (Some("ApproveTransfer"), 101));
        let late = relevant(&event("me", "pending", "9223372036854775807"), "me", 100, true).unwrap();
        assert_eq!(late.expires, 100 + LATEST);
        let mut refused = vec![String::new(), "garbage".into(), "[]".into(), "null".into()];
        refused.push(event("you", "pending", "101"));
        refused.extend(["approved", "rejected", "expired", "", "Pending"].map(|status| event("me", status, "101")));
        refused.extend(["100", "0", "-1", "1e400", "18446744073709551615"].map(|time| event("me", "pending", time)));
        refused.push(event("me", "pending", "101").replace("w1", "../init"));
        for message in refused {
            assert!(relevant(&message, "me", 100, true).is_err(), "{message}");
        }
    }
}
