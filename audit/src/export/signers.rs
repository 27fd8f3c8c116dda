use super::Why;
use crate::record::KeyChange;
use crate::{Checkpoint, Error, Note, VerifyingKey};

/// Who signs an export's checkpoints, one key after the other.
pub struct Signers<'a> {
    /// The one that is believed from elsewhere. What it signed vouches for all that was before it, whoever signed that.
    trusted: &'a VerifyingKey,
    now: VerifyingKey,
    /// The trusted one has signed, or one that it vouched for.
    reached: bool,
    next: Option<Next>,
}

struct Next {
    key: VerifyingKey,
    /// The record that names it.
    record: u64,
    /// Whether a checkpoint of the key before it covers that record.
    vouched: bool,
}

impl<'a> Signers<'a> {
    pub fn new(first: VerifyingKey, trusted: &'a VerifyingKey) -> Self {
        Self { reached: first == *trusted, trusted, now: first, next: None }
    }

    pub fn reached(&self) -> bool {
        self.reached
    }

    pub fn trusted(&self) -> &VerifyingKey {
        self.trusted
    }

    /// A record that names the next.
    pub fn named(&mut self, record: u64, change: &KeyChange) -> Result<(), Error> {
        if change.from != self.now.to_string() {
            return Err(Error::Record("it names another key than the one that signs until here"));
        }
        self.next = Some(Next { key: change.to.parse()?, record, vouched: false });
        Ok(())
    }

    /// What one that may sign here has signed, and which: give both to [`Signers::believed`] once the rest of it is good.
    pub fn verify(&self, note: &Note) -> Result<(Checkpoint, VerifyingKey), Why> {
        let own = match self.now.verify_parsed(note) {
            Ok(signed) => return Ok((signed, self.now.clone())),
            Err(own) => own,
        };
        let Some(next) = &self.next else { return Err(Why::Signature(own)) };
        match next.key.verify_parsed(note) {
            Ok(signed) if next.vouched || !self.reached => Ok((signed, next.key.clone())),
            Ok(_) => Err(Why::NotVouched { key: next.key.to_string() }),
            Err(_) => Err(Why::Signature(own)),
        }
    }

    /// A checkpoint of `size` records that this key signed is good.
    pub fn believed(&mut self, key: &VerifyingKey, size: u64) {
        match self.next.take() {
            Some(next) if next.key == *key => {
                self.reached |= next.key == *self.trusted;
                self.now = next.key;
            }
            next => self.next = next.map(|next| Next { vouched: next.vouched || next.record < size, ..next }),
        }
    }
}
