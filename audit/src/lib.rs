//! Enters: records as raw lines, hashes of a tree's nodes, signed notes, the lines of an export.
//! Leaves: record lines, roots, proofs, checkpoints to sign, and which record of an export is the first bad one.
//! Never: I/O (but the reader of an export that is handed in), a clock, a private key, a panic over what was read.

pub mod export;
pub mod key;
pub mod note;
pub mod record;
pub mod time;
pub mod tree;
pub mod witness;

pub use key::VerifyingKey;
pub use note::{Checkpoint, Note, SignatureLine};
pub use tree::Hash;

/// Why something was not made or not taken. A fault of an export is an [`export::Fault`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the tree's node at level {level}, index {index} is missing: the ledger is not whole, restore it")]
    MissingNode { level: u8, index: u64 },
    #[error("there is no such proof: leaf or old size {at}, tree size {size}")]
    NoSuchProof { at: u64, size: u64 },
    #[error("the tree is full")]
    TreeFull,
    #[error("the proof does not lead to the root")]
    ProofRefused,
    #[error("a key name must be non-empty, without spaces, control characters and '+'")]
    Name,
    #[error("not a verifier key of ECDSA P-256 (NAME+HEX8+BASE64, type 0x02): {0}")]
    Key(&'static str),
    #[error("not a checkpoint note: {0}")]
    Note(&'static str),
    #[error("the note is not signed by the key {0}")]
    NotSigned(String),
    #[error("the note's signature by the key {0} is wrong")]
    WrongSignature(String),
    #[error("the origin of a checkpoint must be the name of the key that signs it, {0}")]
    Origin(String),
    #[error("not an audit record: {0}")]
    Record(&'static str),
}
