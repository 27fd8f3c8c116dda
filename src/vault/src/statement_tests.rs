use super::*;
use sha2::{Digest, Sha256};
use ssh_key::private::{Ed25519Keypair, PrivateKey};
use ssh_key::{HashAlg, LineEnding};

const NOW: u64 = 1_800_000_000;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

fn approvers() -> BTreeMap<String, Key> {
    let public = |seed| Key::parse(&key(seed).public_key().to_openssh().unwrap()).unwrap();
    BTreeMap::from([("alice".to_owned(), public(1)), ("bob".to_owned(), public(2))])
}

fn signed(seed: u8, namespace: &str, text: &str) -> SignedStatement {
    let signature = key(seed).sign(namespace, HashAlg::Sha512, text.as_bytes()).unwrap();
    SignedStatement { statement: text.to_owned(), signature: signature.to_pem(LineEnding::LF).unwrap() }
}

fn verified(signed: SignedStatement) -> Result<Verified, Unfit> {
    let action = ActionId::try_from("w1".to_owned()).unwrap();
    let messages = [b"one".to_vec(), b"two".to_vec()];
    let about = About { agent: "agent", action: &action, messages: &messages, verb: Verb::Approve };
    verify(&approvers(), &about, signed, NOW)
}

fn good() -> String {
    let action = ActionId::try_from("w1".to_owned()).unwrap();
    let messages = [b"one".to_vec(), b"two".to_vec()];
    let about = About { agent: "agent", action: &action, messages: &messages, verb: Verb::Approve };
    draft(&about, NOW + 60, &[0xab; 16]).unwrap()
}

#[test]
fn a_statement_is_these_octets() {
    assert_eq!(
        good(),
        "{\"agentID\":\"agent\",\"action\":\"w1\",\
         \"messages\":\"11914c19a28a98c57d12f3cce6c32b7944784f4b4781a706c24eb1dc284e2856\",\
         \"verb\":\"approve\",\"expiry\":1800000060,\"nonce\":\"abababababababababababababababab\"}\n"
    );
}

#[test]
fn an_approvers_own_statement_about_this_is_taken() {
    for (seed, name) in [(1, "alice"), (2, "bob")] {
        let verified = verified(signed(seed, NAMESPACE, &good())).unwrap();
        assert_eq!((verified.approver.as_str(), verified.expires), (name, NOW + 60));
        assert_eq!(verified.nonce, [0xab; 16]);
        assert!(verified.key.starts_with("ssh-ed25519 "));
    }
    // Octets are what counts: another order of the names and blanks between them are somebody else's way to write it.
    let text =
        good().replace("\"agentID\":\"agent\",", "").replace("{", "{ ").replace("}\n", ",\"agentID\":\"agent\"}");
    assert!(verified(signed(1, NAMESPACE, &text)).is_ok());
    assert!(verified(signed(1, NAMESPACE, good().trim_end())).is_ok(), "without a newline");
}

#[test]
fn a_statement_about_anything_else_is_refused_with_its_cause() {
    use CredentialFault as F;
    let table = [
        ("\"agent\"", "\"agent2\"", F::OtherAgent),
        ("\"w1\"", "\"w2\"", F::OtherAction),
        ("\"w1\"", "\"W1\"", F::OtherAction),
        ("\"approve\"", "\"reject\"", F::OtherVerb),
        ("\"approve\"", "\"maybe\"", F::StatementMalformed),
        ("1800000060", "1800000000", F::Expired),
        ("1800000060", "1", F::Expired),
        ("1800000060", "1800604801", F::TooLong),
        ("1800000060", "18446744073709551615", F::TooLong),
        ("1800000060", "18446744073709551616", F::StatementMalformed),
        ("1800000060", "-1", F::StatementMalformed),
        ("1800000060", "1800000060.0", F::StatementMalformed),
        ("1800000060", "\"1800000060\"", F::StatementMalformed),
        ("abababababababababababababababab", "ababababababababababababababab", F::StatementMalformed),
        ("abababababababababababababababab", &"ab".repeat(65), F::StatementMalformed),
        ("abababababababababababababababab", &"zz".repeat(16), F::StatementMalformed),
        ("{\"agentID\"", "{\"more\":1,\"agentID\"", F::StatementMalformed),
        ("{\"agentID\"", "{\"verb\":\"approve\",\"agentID\"", F::StatementMalformed),
        ("\"verb\":\"approve\",", "", F::StatementMalformed),
        ("}\n", "}{}\n", F::StatementMalformed),
        ("}\n", "}\nand more\n", F::StatementMalformed),
        (",\"verb\"", ",\n\"verb\"", F::StatementMalformed),
        (",\"verb\"", ",\t\"verb\"", F::StatementMalformed),
        ("\"messages\":\"1", "\"messages\":\"b", F::OtherMessages),
    ];
    let week = good().replace("1800000060", "1800604800");
    assert!(verified(signed(1, NAMESPACE, &week)).is_ok(), "seven days are not too long");
    for (from, to, fault) in table {
        assert!(good().contains(from), "{from}");
        let refused = verified(signed(1, NAMESPACE, &good().replacen(from, to, 1)));
        assert_eq!(refused.unwrap_err(), Unfit { who: Some("alice".into()), fault }, "{to}");
    }
}

#[test]
fn what_is_not_signed_by_an_approver_for_this_purpose_is_not_even_read() {
    use CredentialFault as F;
    let unfit = |signed| verified(signed).unwrap_err();
    let by_alice = |fault| Unfit { who: Some("alice".into()), fault };
    let nobody = |fault| Unfit { who: None, fault };
    assert_eq!(unfit(signed(3, NAMESPACE, &good())), nobody(F::SignerUnknown));
    assert_eq!(unfit(signed(1, "file", &good())), by_alice(F::Namespace));
    let text = good();
    for at in 0..text.len() {
        let mut octets = text.clone().into_bytes();
        octets[at] ^= 1;
        let tampered = SignedStatement { statement: String::from_utf8(octets).unwrap(), ..signed(1, NAMESPACE, &text) };
        assert_eq!(unfit(tampered), by_alice(F::SignatureWrong), "octet {at}");
    }
    for signature in [String::new(), "garbage".into(), signed(1, NAMESPACE, &text).signature[..100].to_owned()] {
        let unsigned = SignedStatement { statement: text.clone(), signature };
        assert_eq!(unfit(unsigned), nobody(F::NoSignature));
    }
    let padded = text.replace("{", &format!("{{{}", " ".repeat(ipc::MAX_STATEMENT)));
    assert_eq!(unfit(signed(1, NAMESPACE, &padded)), nobody(F::StatementMalformed));
}

#[test]
fn the_digest_tells_messages_their_number_and_their_order_apart() {
    let one = |messages: &[&[u8]]| messages_digest(&messages.iter().map(|m| m.to_vec()).collect::<Vec<_>>());
    let all = [one(&[]), one(&[b""]), one(&[b"a", b"b"]), one(&[b"b", b"a"]), one(&[b"ab"]), one(&[b"a", b"b", b""])];
    for (n, digest) in all.iter().enumerate() {
        assert!(!all[..n].contains(digest), "{n}");
    }
    // By `printf 'one' | sha256sum` and so on.
    let both = [Sha256::digest(b"one"), Sha256::digest(b"two")].concat();
    assert_eq!(one(&[b"one", b"two"]), <[u8; 32]>::from(Sha256::digest(both)));
}
