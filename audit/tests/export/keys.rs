//! One key after the other, and for whom each vouches.

use audit::export::{Fault, Place, Report, Why, checkpoint_line, first_key, verify, verify_from};
use audit::record::{self, KeyChange};
use audit::{Checkpoint, Error, Hash, VerifyingKey, tree};
use p256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _};
use serde_json::json;

fn signing(number: u8) -> SigningKey {
    SigningKey::from_slice(&[number; 32]).unwrap()
}

fn key(number: u8) -> VerifyingKey {
    let point = signing(number).verifying_key().to_encoded_point(false);
    VerifyingKey::from_point(&format!("log/{number}"), point.as_bytes().try_into().unwrap()).unwrap()
}

#[derive(Default)]
struct Log {
    text: String,
    tree: tree::Frontier,
    prev: Option<Hash>,
}

impl Log {
    fn record(mut self, kind: &str, fields: &impl serde::Serialize) -> Self {
        let prev = self.prev.unwrap_or(record::FIRST);
        let line = record::line(self.tree.size(), &prev, 1_767_225_600_000, kind, fields).unwrap();
        let leaf = tree::leaf_hash(line.as_bytes());
        self.prev = Some(leaf);
        self.tree.append(leaf);
        self.text += &format!("{line}\n");
        self
    }

    fn names(self, from: u8, to: u8) -> Self {
        let (from, to) = (key(from).to_string(), key(to).to_string());
        self.record(record::KEY, &KeyChange { from, to })
    }

    fn signed(mut self, by: u8) -> Self {
        let signs = key(by);
        let checkpoint = Checkpoint { origin: signs.name().to_owned(), size: self.tree.size(), root: self.tree.root() };
        let note = checkpoint.sign(&signs, |digest| {
            let signature: Signature = signing(by).sign_prehash(digest).unwrap();
            Ok::<_, Error>(signature.to_bytes().into())
        });
        self.text += &format!("{}\n", checkpoint_line(&note.unwrap()));
        self
    }

    fn more(self) -> Self {
        self.record("more", &json!({}))
    }

    fn read(&self, known: u8) -> Result<Report, Fault> {
        let known = key(known);
        let first = first_key(self.text.as_bytes(), &known).unwrap();
        verify_from(self.text.as_bytes(), first, &known)
    }
}

#[test]
fn a_key_that_the_one_before_it_vouched_for_goes_on_whichever_of_them_is_known() {
    let log = Log::default().more().signed(1).names(1, 2).signed(1).more().signed(2).names(2, 3).more().signed(2);
    let log = log.more().signed(3);
    for known in [1, 2, 3] {
        let report = log.read(known).unwrap();
        assert_eq!((report.covered, report.keys), (6, ["log/1", "log/2", "log/3"].map(String::from).into()));
    }
    assert!(verify(log.text.as_bytes(), &key(1)).is_ok(), "also where it is read once");
    let fault = log.read(4).unwrap_err();
    assert!(matches!(fault, Fault { why: Why::Signature(Error::NotSigned(_)), covered: 0, .. }), "{fault}");
}

#[test]
fn a_key_that_nobody_vouched_for_is_believed_by_whom_it_is_known_and_by_nobody_else() {
    // As after a restore onto another token: the key before it is lost.
    let log = Log::default().more().signed(1).names(1, 2).signed(2).more().signed(2);
    assert_eq!(log.read(2).unwrap().covered, 3);
    let fault = log.read(1).unwrap_err();
    assert!(matches!(&fault.why, Why::NotVouched { key: named } if *named == key(2).to_string()), "{fault}");
    assert_eq!(fault.covered, 1);
    // The record alone, that no checkpoint of the first covers.
    let early = Log::default().names(1, 2).signed(2).names(2, 1).signed(1);
    assert!(matches!(early.read(1).unwrap_err().why, Why::NotVouched { .. }));
}

#[test]
fn the_old_key_signs_no_more_once_the_new_one_has_and_an_unused_one_is_forgotten() {
    let changed = || Log::default().names(1, 2).signed(1).more();
    assert!(matches!(changed().signed(2).more().signed(1).read(1).unwrap_err().why, Why::Signature(_)));
    assert!(changed().signed(1).more().signed(2).read(1).is_ok(), "it was not gone over to at once");
    let twice = changed().names(1, 3).signed(1).more();
    assert!(twice.signed(3).read(1).is_ok());
    let twice = changed().names(1, 3).signed(1).more();
    assert!(matches!(twice.signed(2).read(1).unwrap_err().why, Why::Signature(_)));
}

#[test]
fn a_record_that_names_others_than_the_one_who_signs_is_a_fault() {
    let fault = Log::default().names(2, 3).signed(1).read(1).unwrap_err();
    assert!(matches!(fault, Fault { place: Place::Record(0), why: Why::Malformed(Error::Record(_)), .. }), "{fault}");
    // What is known signed nothing of it.
    let unknown = Log::default().names(1, 2).signed(1).read(2).unwrap_err();
    assert!(matches!(unknown, Fault { place: Place::End(1), covered: 0, .. }), "{unknown}");
    let odd = Log::default().more().signed(1).text.replace("more\"", "audit-key\"");
    assert!(matches!(verify(odd.as_bytes(), &key(1)).unwrap_err().why, Why::Malformed(Error::Record(_))));
}
