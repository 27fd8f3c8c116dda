//! What an errand's outcome means.

use ipc::{Failure, Outcome, Refusal, bounded};
use std::time::Duration;

/// The backend's word on a request.
#[derive(Debug, PartialEq)]
pub enum Said {
    Yes(Vec<u8>),
    /// It will not get better: 400, 404, 409, 410 and what else is the request's fault.
    No {
        status: u16,
        words: String,
    },
    /// It may: 401 (the pass was not believed), 408, 429, 5xx, no answer.
    Perhaps {
        refusal: Refusal,
        wait: Option<Duration>,
        acted: bool,
    },
}

/// `acted` of `Perhaps` says that the backend may have done what was asked all the same.
pub fn read(outcome: Outcome) -> Said {
    match outcome {
        Outcome::Reply { status: 200..=299, body, .. } => Said::Yes(body),
        Outcome::Reply { status, body, retry_after, .. } => {
            let words = bounded(&String::from_utf8_lossy(&body));
            match status {
                401 | 408 | 429 | 500.. => Said::Perhaps {
                    refusal: Refusal::Backend { status, words },
                    wait: retry_after.map(|s| Duration::from_secs(s.into())),
                    acted: status >= 500,
                },
                _ => Said::No { status, words },
            }
        }
        Outcome::Failed(Failure::Timeout) => Said::Perhaps { refusal: Refusal::Timeout, wait: None, acted: true },
        Outcome::Failed(Failure::Transport(words)) => {
            Said::Perhaps { refusal: Refusal::Unreachable(bounded(&words)), wait: None, acted: true }
        }
        Outcome::Failed(Failure::NotSent(words)) => {
            Said::Perhaps { refusal: Refusal::Unreachable(bounded(&words)), wait: None, acted: false }
        }
    }
}

/// The most messages that one action may have: all are signed at once.
const MOST_MESSAGES: usize = 256;

/// An action's messages, out of `{"messages":[hex,…]}`: at least one, none empty (protocol.md §3).
pub fn messages(body: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
    #[derive(serde::Deserialize)]
    struct Reply {
        #[serde(default)]
        messages: Option<Vec<String>>,
    }
    let malformed = |words: &str| Refusal::Malformed(words.to_owned());
    let reply: Reply =
        serde_json::from_slice(body).map_err(|_| malformed("the action is no JSON object with messages"))?;
    let texts = reply.messages.unwrap_or_default();
    if texts.len() > MOST_MESSAGES {
        return Err(malformed("the action has more than 256 messages; nothing is signed"));
    }
    if texts.is_empty() {
        return Err(Refusal::NoMessages);
    }
    let octets = texts.iter().map(|text| match hex::decode(text) {
        Ok(message) if message.is_empty() => Err(malformed("the action has an empty message; nothing is signed")),
        Ok(message) => Ok(message),
        Err(_) => Err(malformed("the action has a message that is no hex; nothing is signed")),
    });
    octets.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_messages_an_empty_one_and_no_hex_are_never_a_success() {
        for none in [r#"{"messages":[]}"#, r#"{"messages":null}"#, "{}"] {
            assert_eq!(messages(none.as_bytes()), Err(Refusal::NoMessages), "{none}");
        }
        let all =
            [r#"{"messages":[""]}"#, r#"{"messages":["00",""]}"#, r#"{"messages":["0"]}"#, r#"{"messages":["zz"]}"#];
        for bad in all.into_iter().chain(["", "[]x", "null", r#"{"messages":"00"}"#]) {
            assert!(matches!(messages(bad.as_bytes()), Err(Refusal::Malformed(_))), "{bad}");
        }
        assert_eq!(messages(br#"{"messages":["00ff","AB"],"more":1}"#), Ok(vec![vec![0, 255], vec![0xab]]));
        let many = |n| serde_json::json!({ "messages": vec!["00"; n] }).to_string();
        assert!(messages(many(MOST_MESSAGES).as_bytes()).is_ok());
        assert!(matches!(messages(many(MOST_MESSAGES + 1).as_bytes()), Err(Refusal::Malformed(_))));
    }

    #[test]
    fn what_cannot_get_better_is_told_from_what_may() {
        let said =
            |status| read(Outcome::Reply { status, body: b"no\nmore".to_vec(), retry_after: Some(7), date: None });
        for status in [400, 403, 404, 409, 410, 302] {
            assert_eq!(said(status), Said::No { status, words: "no more".into() });
        }
        for status in [401, 408, 429, 500, 503] {
            let Said::Perhaps { wait, .. } = said(status) else { panic!("{status} may get better") };
            assert_eq!(wait, Some(Duration::from_secs(7)));
        }
        assert!(matches!(said(204), Said::Yes(_)));
    }

    #[test]
    fn only_what_was_never_sent_is_known_not_to_have_been_done() {
        let acted = |failure| match read(Outcome::Failed(failure)) {
            Said::Perhaps { acted, .. } => acted,
            other => panic!("{other:?}"),
        };
        assert!(acted(Failure::Timeout) && acted(Failure::Transport("cut".into())));
        assert!(!acted(Failure::NotSent("refused".into())));
    }
}
