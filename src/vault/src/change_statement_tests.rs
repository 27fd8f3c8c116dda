use super::*;
use ssh_key::private::{Ed25519Keypair, PrivateKey};
use ssh_key::{HashAlg, LineEnding};

const NOW: u64 = 1_800_000_000;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

fn signers() -> BTreeMap<String, Key> {
    let public = |seed| Key::parse(&key(seed).public_key().to_openssh().unwrap()).unwrap();
    BTreeMap::from([("alice".to_owned(), public(1)), ("bob".to_owned(), public(2))])
}

fn about() -> About {
    About { agent: "agent".into(), ask: "unfreeze".into(), digest: [7; 32] }
}

fn signed(seed: u8, text: &str) -> SignedStatement {
    let signature = key(seed).sign(NAMESPACE, HashAlg::Sha512, text.as_bytes()).unwrap();
    SignedStatement { statement: text.to_owned(), signature: signature.to_pem(LineEnding::LF).unwrap() }
}

fn fault(statements: Vec<SignedStatement>) -> (Option<String>, CredentialFault) {
    let Unfit { who, fault } = verify(&signers(), &about(), statements, NOW).unwrap_err();
    (who, fault)
}

fn good() -> String {
    draft(&about(), 41, NOW + 60).unwrap()
}

#[test]
fn a_changes_statement_is_these_octets() {
    let change = "07".repeat(32);
    assert_eq!(
        good(),
        format!(
            "{{\"agent\":\"agent\",\"ask\":\"unfreeze\",\"change\":\"{change}\",\"serial\":41,\"expiry\":1800000060}}\n"
        )
    );
    let long = About { ask: "x".repeat(ipc::MAX_STATEMENT), ..about() };
    assert_eq!(draft(&long, 1, NOW), None, "what a person could not be shown whole nobody signs");
}

#[test]
fn two_peoples_statements_about_this_are_two_and_none_are_none() {
    let approved = verify(&signers(), &about(), vec![signed(1, &good()), signed(2, &good())], NOW).unwrap().unwrap();
    let names: Vec<&str> = approved.by.iter().map(|by| by.signer.as_str()).collect();
    assert_eq!((approved.serial, names), (41, vec!["alice", "bob"]));
    assert!(verify(&signers(), &about(), Vec::new(), NOW).unwrap().is_none());
}

#[test]
fn what_is_not_each_ones_own_word_on_this_very_change_counts_for_nothing() {
    use CredentialFault as F;
    let change = |from: &str, to: &str| {
        assert!(good().contains(from));
        good().replace(from, to)
    };
    let alice = || Some("alice".to_owned());
    for (text, wanted) in [
        (change("\"agent\":\"agent\"", "\"agent\":\"another\""), F::OtherAgent),
        (change("0707", "0807"), F::OtherChange),
        // The right digest under words for something harmless.
        (change("unfreeze", "policy reload"), F::OtherChange),
        (change("1800000060", "1800000000"), F::Expired),
        (change("1800000060", "1800604801"), F::TooLong),
        (change("41", "-1"), F::StatementMalformed),
        (change("\"serial\":41,", ""), F::StatementMalformed),
        (change("}", ",\"more\":1}"), F::StatementMalformed),
        (change("unfreeze", "unfreeze\n"), F::StatementMalformed),
        ("unfreeze\n".to_owned(), F::StatementMalformed),
    ] {
        assert_eq!(fault(vec![signed(1, &text)]), (alice(), wanted), "{text}");
        assert_eq!(fault(vec![signed(2, &good()), signed(1, &text)]), (alice(), wanted), "{text}");
    }
    assert_eq!(fault(vec![signed(1, &good()), signed(1, &good())]), (alice(), F::CountedAlready));
    assert_eq!(fault(vec![signed(2, &good()), signed(1, &change("41", "42"))]), (alice(), F::ChangeSerial));
    assert_eq!(fault(vec![signed(3, &good())]), (None, F::SignerUnknown));
    let of_an_action = key(1).sign(statement::NAMESPACE, HashAlg::Sha512, good().as_bytes()).unwrap();
    let of_an_action = SignedStatement { statement: good(), signature: of_an_action.to_pem(LineEnding::LF).unwrap() };
    assert_eq!(fault(vec![of_an_action]), (alice(), F::Namespace));
    let other_octets = SignedStatement { statement: change("unfreeze", "Unfreeze"), ..signed(1, &good()) };
    assert_eq!(fault(vec![other_octets]), (alice(), F::SignatureWrong));
}
