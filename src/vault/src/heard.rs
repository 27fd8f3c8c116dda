//! What the courier told of the backend last.

use crate::window_time::Reading;
use ipc::{Failure, Outcome};
use std::time::Instant;

/// The last replies.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// When, and the status of its reply, or why there was none.
    pub last: Option<(Instant, Result<u16, String>)>,
    /// When a reply had its time, and how far this machine's clock was ahead of that, seconds.
    pub skew: Option<(Instant, i64)>,
}

impl Heard {
    pub fn note(&mut self, outcome: &Outcome) {
        let now = Instant::now();
        let said = match outcome {
            Outcome::Reply { status, date, .. } => {
                if let Some(date) = date.and_then(|date| i64::try_from(date).ok()) {
                    self.skew = Some((now, (Reading::take().wall / 1000).saturating_sub(date)));
                }
                Ok(*status)
            }
            Outcome::Failed(Failure::Timeout) => Err("it took too long".to_owned()),
            Outcome::Failed(Failure::Transport(words) | Failure::NotSent(words)) => Err(ipc::bounded(words)),
        };
        self.last = Some((now, said));
    }
}
