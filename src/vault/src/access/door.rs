//! What the api said of itself last, and what of it, and of the tokens, a person should look at before it is trouble.

use super::table::Table;
use ipc::DoorState;
use std::sync::{Mutex, PoisonError};

/// So many seconds before it expires something is warned of.
const EARLY: u64 = 14 * DAY;
const DAY: u64 = 24 * 60 * 60;
/// Warnings of the api's that are kept, and tokens that are named.
const MOST: usize = 8;

#[derive(Default)]
pub struct Door(Mutex<DoorState>);

impl Door {
    pub fn is(&self, mut state: DoorState) {
        state.warnings.truncate(MOST);
        state.warnings.iter_mut().for_each(|words| *words = ipc::bounded(words));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    pub fn state(&self) -> DoorState {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `now`: Unix seconds.
    pub fn warnings(&self, now: u64) -> Vec<String> {
        let DoorState { certificate_expires, warnings, .. } = self.state();
        let near = certificate_expires.filter(|expires| *expires <= now.saturating_add(EARLY));
        let certificate = near.map(|expires| {
            let what = "put another one in its place, then `systemctl reload signing-agent-api`, or SIGHUP to `signing-agent run`";
            if expires <= now {
                return format!("a certificate of the API's expired on {}: {what}", day(expires));
            }
            format!("a certificate of the API's expires {}: {what}", left(expires, now))
        });
        certificate.into_iter().chain(warnings).collect()
    }
}

/// Of tokens that are near their end or past it.
pub fn expiring(tokens: &Table, now: u64) -> Vec<String> {
    let near = tokens.expiring(now.saturating_add(EARLY));
    let more = near.len().saturating_sub(MOST);
    let words = near.into_iter().take(MOST).map(|(expires, name)| {
        if expires <= now {
            return format!("token {name} expired on {}: `signing-agent token revoke {name}`", day(expires));
        }
        format!("token {name} expires {}: have another one made (`signing-agent token add`)", left(expires, now))
    });
    words.chain((more > 0).then(|| format!("{more} more tokens have expired or soon will"))).collect()
}

fn left(expires: u64, now: u64) -> String {
    match expires.saturating_sub(now) / DAY {
        0 => format!("on {}, within a day", day(expires)),
        1 => format!("on {}, in one day", day(expires)),
        days => format!("on {}, in {days} days", day(expires)),
    }
}

/// `2026-01-31`.
fn day(seconds: u64) -> String {
    let time = audit::time::format(seconds.saturating_mul(1000)).unwrap_or_default();
    time.split('T').next().filter(|day| !day.is_empty()).unwrap_or("a far day").to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::info;
    use super::*;

    const NOW: u64 = 951_782_400;

    fn of(expires: Option<u64>, warnings: Vec<String>) -> Vec<String> {
        let door = Door::default();
        door.is(DoorState { certificate_expires: expires, warnings, ..DoorState::default() });
        door.warnings(NOW)
    }

    #[test]
    fn a_certificate_is_warned_of_from_fourteen_days_before_its_end() {
        assert_eq!(of(None, vec![]), [""; 0]);
        assert_eq!(of(Some(NOW + EARLY + 1), vec![]), [""; 0]);
        let said = |expires| of(Some(expires), vec![]).join("");
        assert!(said(NOW + EARLY).contains("expires on 2000-03-14, in 14 days"), "{}", said(NOW + EARLY));
        assert!(said(NOW + DAY).contains("in one day") && said(NOW + 1).contains("within a day"));
        assert!(said(NOW).contains("expired on 2000-02-29"), "{}", said(NOW));
        assert!(said(0).contains("expired on 1970-01-01"));
    }

    #[test]
    fn what_the_api_says_is_bounded() {
        let said = of(None, vec!["x\n".repeat(10_000); 1000]);
        assert!(said.len() == MOST && said.iter().all(|words| words.chars().count() <= ipc::MAX_WORDS));
        assert!(!said[0].contains('\n'));
        assert!(of(Some(u64::MAX), vec![]).is_empty());
    }

    #[test]
    fn tokens_are_warned_of_before_and_after_their_end_and_a_few_are_named() {
        let tokens: Vec<_> =
            (0..12).map(|n| (info(&format!("t{n:02}"), "read", Some(NOW + n), None), [0; 32])).collect();
        let said = expiring(&Table::new(tokens), NOW);
        assert_eq!(said.len(), MOST + 1);
        assert!(said[0].contains("token t00 expired on 2000-02-29: `signing-agent token revoke t00`"), "{}", said[0]);
        assert!(said[1].contains("token t01 expires on 2000-02-29, within a day"), "{}", said[1]);
        assert_eq!(said[MOST], "4 more tokens have expired or soon will");
        let far = vec![
            (info("far", "read", Some(NOW + EARLY + 1), None), [0; 32]),
            (info("ever", "read", None, None), [1; 32]),
        ];
        assert_eq!(expiring(&Table::new(far), NOW), [""; 0]);
    }
}
