//! The token's memory: one small data object, so that what is on the disk can be told from an older copy of it.
//!
//! Objects are not changed but replaced, for SoftHSM's cannot be changed once made: the new one is created, then the old
//! one destroyed. Two are what a crash between the two leaves; the highest counts, and the next write removes the rest.

use std::cell::RefCell;

use cryptoki::context::Function;
use cryptoki::error::RvError;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, SessionState};

use crate::call::Call;
use crate::error::Error;
use crate::keys::Keys;
use crate::token::Token;

/// The longest content, in bytes: some devices have no more room in an object than 256, and 8 are the counter's.
pub const MAX_MEMORY: usize = 248;

const APPLICATION: &[u8] = b"signing-agent";
const LABEL: &[u8] = b"signing-agent memory";

/// What the token remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// 1 for the first, one more with each write.
    pub counter: u64,
    /// At most [`MAX_MEMORY`] bytes.
    pub content: Vec<u8>,
}

/// A data object: its handle, and what it says or why that cannot be read.
type Found = (ObjectHandle, Result<Memory, String>);

impl Token {
    /// What was written last, by this process or another one; nothing in a token that was never written to. The token
    /// must have its keys: that they are seen is what tells an empty memory from one that is out of sight.
    ///
    /// # Errors
    /// [`Error::MemoryMalformed`] for an object that no [`Token::write_memory`] has made; [`Error::MemoryNotOffered`];
    /// what the token failed with.
    pub fn read_memory(&self) -> Result<Option<Memory>, Error> {
        self.with_session(|session| highest(&self.memories(session)?))
    }

    /// Replaces `expected`, what the caller read or wrote last, by `content` of at most [`MAX_MEMORY`] bytes; the new
    /// one then. It rereads first. An earlier write of this process that failed halfway is no change: it is replaced
    /// as `expected` would be.
    ///
    /// # Errors
    /// [`Error::MemoryChanged`] if something else is there; nothing is written then. [`Error::MemoryTooLong`],
    /// [`Error::MemoryMalformed`], [`Error::MemoryNotOffered`]; what the token failed with: then the new one may be
    /// there or not, and this or another write can be tried again with the same `expected`.
    pub fn write_memory(&self, expected: Option<&Memory>, content: &[u8]) -> Result<Memory, Error> {
        fits(content)?;
        let unsure = RefCell::new(self.unsure_memory());
        let new = self.with_writing_session(|session| {
            let mut unsure = unsure.borrow_mut();
            let found = self.memories(session)?;
            let there = highest(&found)?;
            unsure.retain(|tried| Some(tried) == there.as_ref());
            if there.as_ref() != expected && unsure.is_empty() {
                return Err(Error::MemoryChanged { counter: there.map(|there| there.counter) });
            }
            // Before the new one is made, so that they never become many.
            let (old, stale): (Vec<_>, Vec<_>) =
                found.iter().partition(|(_, memory)| memory.as_ref().ok() == there.as_ref());
            for object in stale {
                session.destroy_object(object.0).map_err(offered)?;
            }
            let new = Memory { counter: after(there.as_ref())?, content: content.to_vec() };
            unsure.push(new.clone());
            replace(session, &old, new)
        })?;
        unsure.into_inner().clear();
        Ok(new)
    }

    /// Writes over whatever is there, malformed objects too: for the operator's recovery. The counter is one more than
    /// the highest that is there.
    ///
    /// # Errors
    /// As [`Token::write_memory`], but none for what is there.
    pub fn replace_memory(&self, content: &[u8]) -> Result<Memory, Error> {
        fits(content)?;
        let mut unsure = self.unsure_memory();
        let new = self.with_writing_session(|session| {
            let found = self.memories(session)?;
            let highest = found.iter().filter_map(|(_, memory)| memory.as_ref().ok()).max_by_key(|m| m.counter);
            let new = Memory { counter: after(highest)?, content: content.to_vec() };
            replace(session, &found.iter().collect::<Vec<_>>(), new)
        })?;
        unsure.clear();
        Ok(new)
    }

    /// All objects of the memory's name. None is believed only of a session that sees the private keys.
    fn memories(&self, session: &Session) -> Result<Vec<Found>, Error> {
        let info = session.get_session_info().map_err(Error::from_cryptoki)?;
        if !matches!(info.session_state(), SessionState::RoUser | SessionState::RwUser) {
            let call = Call { function: Function::FindObjects, code: RvError::UserNotLoggedIn };
            return Err(Error::Pkcs11 { call });
        }
        let template = [
            Attribute::Token(true),
            Attribute::Class(ObjectClass::DATA),
            Attribute::Application(APPLICATION.to_vec()),
            Attribute::Label(LABEL.to_vec()),
        ];
        let objects = session.find_objects(&template).map_err(offered)?;
        if objects.is_empty() {
            self.recognise(&Keys::find(session, self.identity_curve(), self.generations())?)?;
        }
        objects.into_iter().map(|object| Ok((object, read(session, object)?))).collect()
    }
}

fn fits(content: &[u8]) -> Result<(), Error> {
    if content.len() > MAX_MEMORY { Err(Error::MemoryTooLong { limit: MAX_MEMORY }) } else { Ok(()) }
}

fn after(there: Option<&Memory>) -> Result<u64, Error> {
    let highest = there.map_or(0, |there| there.counter);
    highest.checked_add(1).ok_or_else(|| Error::MemoryMalformed("its counter is at its end".into()))
}

/// CKA_VALUE: the counter, 8 bytes, big-endian; then the content.
fn read(session: &Session, object: ObjectHandle) -> Result<Result<Memory, String>, Error> {
    let attributes = session.get_attributes(object, &[AttributeType::Value]).map_err(Error::from_cryptoki)?;
    let value = attributes.into_iter().find_map(|attribute| match attribute {
        Attribute::Value(value) => Some(value),
        _ => None,
    });
    let Some(value) = value else { return Ok(Err("its value cannot be read".into())) };
    Ok(match value.split_first_chunk() {
        Some((counter, content)) if content.len() <= MAX_MEMORY => {
            Ok(Memory { counter: u64::from_be_bytes(*counter), content: content.to_vec() })
        }
        _ => Err(format!("it has {} bytes, and not from 8 to {}", value.len(), MAX_MEMORY + 8)),
    })
}

fn highest(found: &[Found]) -> Result<Option<Memory>, Error> {
    let mut highest: Option<&Memory> = None;
    for (_, memory) in found {
        let memory = memory.as_ref().map_err(|why| Error::MemoryMalformed(why.clone()))?;
        match highest {
            Some(other) if other.counter > memory.counter => {}
            Some(other) if other.counter == memory.counter && other != memory => {
                return Err(Error::MemoryMalformed(format!("two objects have the counter {}", memory.counter)));
            }
            _ => highest = Some(memory),
        }
    }
    Ok(highest.cloned())
}

/// What could not be destroyed is what a crash would have left: the new one is there and counts.
fn replace(session: &Session, old: &[&Found], new: Memory) -> Result<Memory, Error> {
    create(session, &new)?;
    for (object, _) in old {
        if let Err(error) = session.destroy_object(*object) {
            tracing::warn!(%error, "an older object of the token's memory could not be removed; the next write tries again");
        }
    }
    Ok(new)
}

fn create(session: &Session, memory: &Memory) -> Result<(), Error> {
    let mut template = vec![
        Attribute::Class(ObjectClass::DATA),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Application(APPLICATION.to_vec()),
        Attribute::Label(LABEL.to_vec()),
        Attribute::Value([&memory.counter.to_be_bytes()[..], &memory.content].concat()),
        Attribute::Modifiable(false),
    ];
    let mut made = session.create_object(&template).map_err(offered);
    // Not every token knows the last attribute.
    if let Err(Error::MemoryNotOffered { .. }) = made {
        template.pop();
        made = session.create_object(&template).map_err(offered);
    }
    made.map(drop)
}

/// A refusal of such objects, told from other failures.
fn offered(error: cryptoki::error::Error) -> Error {
    match Error::from_cryptoki(error) {
        Error::MechanismMissing { call, .. } => Error::MemoryNotOffered { call },
        Error::Pkcs11 { call } if call.is_refused_object() => Error::MemoryNotOffered { call },
        other => other,
    }
}
