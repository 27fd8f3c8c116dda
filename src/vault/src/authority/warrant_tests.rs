use super::*;
use crate::change_statement::About;
use crate::ledger::Busy;
use ssh_key::private::{Ed25519Keypair, PrivateKey};
use ssh_key::{HashAlg, LineEnding};
use std::collections::BTreeMap;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

/// Two of alice and bob.
fn named() -> Named {
    let public = |seed| key(seed).public_key().to_openssh().unwrap();
    let change_signers = BTreeMap::from([("alice".to_owned(), public(1)), ("bob".to_owned(), public(2))]);
    Named { change_signers, change_signatures: 2, policy_signatures: 1, ..Named::default() }
}

fn matter() -> Matter {
    Matter { about: About { agent: "agent".into(), ask: "unfreeze".into(), digest: [7; 32] }, facts: Vec::new() }
}

fn consent(serial: u64, seeds: &[u8]) -> Consent {
    let text = change_statement::draft(&matter().about, serial, clock::now() + 60).unwrap();
    let signed = |seed: &u8| {
        let signature = key(*seed).sign(change_statement::NAMESPACE, HashAlg::Sha512, text.as_bytes()).unwrap();
        SignedStatement { statement: text.clone(), signature: signature.to_pem(LineEnding::LF).unwrap() }
    };
    Consent { who: "operator, uid 7".into(), statements: seeds.iter().map(signed).collect() }
}

fn ledger(dir: &tempfile::TempDir) -> Ledger {
    let path = dir.path().join("ledger");
    if !path.exists() {
        Ledger::create(&path).unwrap();
    }
    Ledger::open(&path, Busy::default()).unwrap()
}

fn records(ledger: &Ledger) -> Vec<Value> {
    let (lines, _) = ledger.call(|t| audit::page(t, 0)).unwrap();
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_serial_is_good_once_only_a_higher_one_comes_after_it_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let keep = |ledger: &Ledger, serial| consent(serial, &[1, 2]).check(&named(), 2, matter()).unwrap().keep(ledger);
    let old = Err(Refusal::Credential { fault: CredentialFault::ChangeSerial, who: None });
    let first = ledger(&dir);
    assert_eq!(keep(&first, 10), Ok("operator, uid 7, signed by alice bob".into()));
    first.close();
    let again = ledger(&dir);
    for serial in [0, 9, 10] {
        assert_eq!(keep(&again, serial), old, "{serial}");
    }
    // What is far above would end all changes, and is taken of nobody.
    for serial in [u64::MAX, clock::now() + 2 * AHEAD] {
        assert_eq!(keep(&again, serial), old, "{serial}");
    }
    assert!(keep(&again, 11).is_ok());
    // Somebody stops something: what was drafted before is good for nothing, and what is drafted then is.
    let drafted = |ledger: &Ledger| {
        let last = ledger.call(|t| Condition::ChangeSerial.read(t)).unwrap();
        clock::now().max(last + 1)
    };
    for _ in 0..2 {
        let before = drafted(&again);
        again.call(void).unwrap();
        for serial in [before, clock::now() + AHEAD - 1] {
            assert_eq!(keep(&again, serial), old, "{serial}");
        }
    }
    assert!(
        consent(drafted(&again), &[1, 2])
            .check(&named(), 2, matter())
            .is_ok_and(|warrant| warrant.keep(&again).is_ok())
    );
    let records = records(&again);
    assert_eq!(records.len(), 3, "what is refused is not made, and nothing says that it was");
    assert_eq!(
        (&records[0]["kind"], &records[0]["serial"], &records[0]["by"]),
        (&json!("change"), &json!(10), &json!("operator, uid 7"))
    );
    let statements = records[0]["statements"].as_array().unwrap();
    assert_eq!((statements.len(), &statements[1]["signer"]), (2, &json!("bob")));
    for name in ["key", "statement", "signature"] {
        assert!(statements[0][name].is_string(), "{name}: {statements:?}");
    }
}

#[test]
fn fewer_than_the_deed_wants_are_told_how_many_of_whom() {
    for seeds in [&[][..], &[1], &[2]] {
        let refused = consent(1, seeds).check(&named(), 2, matter()).map(|_| ()).unwrap_err();
        let Refusal::NeedsSigners(words) = refused else { panic!("{refused:?}") };
        assert!(words.contains("2 of [alice, bob]") && words.contains(&format!("{} came", seeds.len())), "{words}");
    }
}

#[test]
fn where_nobody_needs_to_sign_the_operators_uid_is_on_record() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(&dir);
    let alone = Consent { who: "operator, uid 7".into(), statements: Vec::new() };
    assert_eq!(alone.check(&Named::default(), 0, matter()).unwrap().keep(&ledger), Ok("operator, uid 7".into()));
    let record = records(&ledger).remove(0);
    assert_eq!(
        (&record["ask"], &record["by"], &record["serial"]),
        (&json!("unfreeze"), &json!("operator, uid 7"), &Value::Null)
    );
    assert_eq!(record["change"], json!("07".repeat(32)));
}
