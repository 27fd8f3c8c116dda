//! A log that is made for the tests: what the ledger and the token do otherwise.

use audit::{Checkpoint, Error, Hash, SignatureLine, VerifyingKey, export, record, tree};
use p256::ecdsa::{
    Signature, SigningKey,
    signature::{Signer as _, hazmat::PrehashSigner as _},
};
use serde::Serialize;

const NAME: &str = "agent.example/audit";
const EVERY: u64 = 16;

fn signing() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

fn public(key: &SigningKey) -> VerifyingKey {
    let point = key.verifying_key().to_encoded_point(false);
    VerifyingKey::from_point(NAME, point.as_bytes().try_into().unwrap()).unwrap()
}

pub fn key() -> VerifyingKey {
    public(&signing())
}

/// Of the same name.
pub fn other_key() -> VerifyingKey {
    public(&SigningKey::from_slice(&[8; 32]).unwrap())
}

/// A note with any text, which `Checkpoint::sign` would not make.
pub fn odd_note(body: &str) -> String {
    let signature: Signature = signing().sign(body.as_bytes());
    let signature = signature.to_der().as_bytes().to_vec();
    format!("{body}\n{}\n", SignatureLine { name: NAME.to_owned(), key_id: key().key_id(), signature })
}

pub fn note(size: u64, root: Hash) -> String {
    let sign = |digest: &[u8; 32]| {
        let signature: Signature = signing().sign_prehash(digest).unwrap();
        Ok::<_, Error>(signature.to_bytes().into())
    };
    Checkpoint { origin: NAME.to_owned(), size, root }.sign(&key(), sign).unwrap()
}

#[derive(Clone)]
pub struct Log {
    pub lines: Vec<String>,
}

impl Log {
    /// So many records, a checkpoint after each 16, and one at the end.
    pub fn new(records: u64) -> Self {
        Self::with(records, |n| format!("payload of {n}"))
    }

    pub fn with(records: u64, what: impl Fn(u64) -> String) -> Self {
        #[derive(Serialize)]
        struct Fields {
            what: String,
        }

        let (mut lines, mut tree, mut prev) = (Vec::new(), tree::Frontier::default(), record::FIRST);
        for n in 0..records {
            let time = 1_767_225_600_000 + n * 1001;
            let line = record::line(n, &prev, time, "test", &Fields { what: what(n) }).unwrap();
            prev = tree::leaf_hash(line.as_bytes());
            tree.append(prev);
            lines.push(line);
            if tree.size() % EVERY == 0 && tree.size() < records {
                lines.push(export::checkpoint_line(&note(tree.size(), tree.root())));
            }
        }
        lines.push(export::checkpoint_line(&note(tree.size(), tree.root())));
        Self { lines }
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect()
    }

    /// None: it is a checkpoint, or there is no such line.
    pub fn record_of_line(&self, at: usize) -> Option<u64> {
        let line = self.lines.get(at)?;
        record::Envelope::parse(line.as_bytes()).ok().map(|record| record.n)
    }

    pub fn line_of_record(&self, n: u64) -> usize {
        (0..self.lines.len()).find(|at| self.record_of_line(*at) == Some(n)).unwrap()
    }

    pub fn line_of_checkpoint(&self, size: u64) -> usize {
        self.line_of_record(size - 1) + 1
    }

    /// The root of the first records, as it is computed anew.
    pub fn root(&self, size: u64) -> Hash {
        let mut tree = tree::Frontier::default();
        for n in 0..size {
            tree.append(tree::leaf_hash(self.lines[self.line_of_record(n)].as_bytes()));
        }
        tree.root()
    }
}
