//! `signing-agent callback-key`: what an answerer of the operator's verifies the agent's questions with (docs/callback.md).

use crate::context::Context;
use crate::error::Error;
use crate::words;
use ::audit::VerifyingKey;
use serde_json::json;

pub fn print(context: &Context) -> Result<(), Error> {
    let status = context.status()?;
    // The key of the checkpoints is the audit key; the other name that it goes by is left away.
    let key = status.audit.and_then(|audit| audit.key.parse::<VerifyingKey>().ok());
    match key {
        Some(key) => context.tell(|| key.pem(), || json!({ "public": key.pem() })),
        None => Err(Error::Refused(status.trouble.map_or_else(
            || "the vault did not say its audit key".into(),
            |trouble| format!("the vault cannot say its audit key: {}", words::plain(&trouble)),
        ))),
    }
}
