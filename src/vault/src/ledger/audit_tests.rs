use super::*;
use crate::ledger::schema;
use ::audit::Checkpoint;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use rusqlite::Connection;
use serde_json::json;

struct Log {
    _dir: tempfile::TempDir,
    connection: Connection,
    signer: SigningKey,
    key: VerifyingKey,
}

impl Log {
    /// So many records, and a checkpoint of the first `covered`.
    fn new(records: u64, covered: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let connection = schema::open(&dir.path().join("ledger"), true).unwrap();
        let signer = SigningKey::from_slice(&[7; 32]).unwrap();
        let point = signer.verifying_key().to_encoded_point(false);
        let key = VerifyingKey::from_point("test/log", point.as_bytes().try_into().unwrap()).unwrap();
        let mut log = Self { _dir: dir, connection, signer, key };
        for n in 0..records {
            log.write(|t| append(t, "alarm", &json!({ "words": n })));
            if n + 1 == covered {
                log.checkpoint();
            }
        }
        log
    }

    fn write<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error>) -> T {
        let transaction = self.connection.transaction().unwrap();
        let value = work(&transaction).unwrap();
        transaction.commit().unwrap();
        value
    }

    fn checkpoint(&mut self) {
        let Head { size, root, .. } = self.write(head);
        let checkpoint = Checkpoint { origin: self.key.name().into(), size, root };
        let note = checkpoint.sign::<::audit::Error>(&self.key, |digest| {
            let signature: Signature = self.signer.sign_prehash(digest).unwrap();
            Ok(signature.to_bytes().into())
        });
        self.write(|t| keep_checkpoint(t, size, &note.unwrap()));
    }

    fn tampered(&mut self, sql: &str) -> Option<String> {
        self.connection.execute_batch(sql).unwrap();
        let key = self.key.clone();
        self.write(|t| check(t, &key))
    }
}

#[test]
fn what_is_exported_is_what_the_verifier_takes() {
    let mut log = Log::new(2500, 1000);
    log.checkpoint();
    let (mut text, mut next) = (String::new(), Some(0));
    let mut pages = 0;
    while let Some(from) = next.take() {
        let (lines, more) = log.write(|t| page(t, from));
        lines.iter().for_each(|line| text += &format!("{line}\n"));
        (next, pages) = (more, pages + 1);
    }
    let report = export::verify(text.as_bytes(), &log.key).unwrap();
    assert_eq!((report.records, report.checkpoints, report.covered), (2500, 2, 2500));
    assert!(pages >= 2, "{pages}");
    let proof = log.write(|t| consistency(t, 1000, 2500));
    let root = |t: &Transaction<'_>, size| Ok(tree::root(&Table(t), size)?);
    let (old, new) = (log.write(|t| root(t, 1000)), log.write(|t| root(t, 2500)));
    tree::verify_consistency(1000, 2500, &proof, &old, &new).unwrap();
}

#[test]
fn a_log_that_was_reached_into_is_refused_at_the_opening() {
    assert_eq!(Log::new(0, 0).tampered(""), None);
    assert_eq!(Log::new(20, 13).tampered(""), None);
    for sql in [
        "DELETE FROM audit WHERE n = 4",
        "DELETE FROM audit WHERE n = 19",
        "UPDATE audit SET line = replace(line, 'alarm', 'alert') WHERE n = 19",
        "DELETE FROM node WHERE level = 0 AND place = 3",
        "UPDATE node SET hash = zeroblob(32) WHERE level = 3 AND place = 0",
        "UPDATE checkpoint SET note = replace(note, '13', '12')",
        "UPDATE checkpoint SET size = 12",
        "UPDATE checkpoint SET size = 99",
        "DELETE FROM audit WHERE n >= 10; DELETE FROM node WHERE level = 0 AND place >= 10",
    ] {
        assert!(Log::new(20, 13).tampered(sql).is_some(), "{sql}");
    }
    let mut log = Log::new(20, 13);
    log.key = VerifyingKey::from_point("other/log", log.key.point()).unwrap();
    assert!(log.tampered("").is_some(), "another log's checkpoint");
}

#[test]
fn a_record_is_taken_back_with_what_it_tells_of() {
    let mut log = Log::new(3, 0);
    let transaction = log.connection.transaction().unwrap();
    append(&transaction, "alarm", &json!({ "words": "lost" })).unwrap();
    transaction.rollback().unwrap();
    assert_eq!(log.write(counts), (3, 0));
    log.write(|t| append(t, "alarm", &json!({ "words": "kept" })));
    assert_eq!(log.tampered(""), None);
}
