//! Notes are C2SP's: other people's verify here, ours have the same form, and nothing else is taken.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use audit::{Checkpoint, Error, Note, SignatureLine, VerifyingKey, witness};
use p256::ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner};

/// The log of Sigstore, and that of the Pixel 6: the vectors of github.com/transparency-dev/formats, note/note_verifier_test.go.
const REKOR: &str = "rekor.sigstore.dev+c0d23d6a+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm3U1eQXBogSMdGvXwBcK5AW5i0hrZLOC96l+smGNM7nwZ4QvFK/4sueRoVj//QP22Ni4Qt9DPfkWLc=";
const REKOR_NOTE: &str = "Rekor\n798034\nf+7CoKgXKE/tNys9TTXcr/ad6U/K3xvznmzew9y6SP0=\n\n\
    — rekor.sigstore.dev wNI9ajBEAiARInWIWyCdyG27CO6LPnPekyw20qO0YJfoaPaowGp/XgIgc+qEHS3+GKVClgqq20uDLet7MCoTURUCRdxwWBHHufk=\n";
const REKOR_EXTENDED: &str = "rekor.sigstore.dev - 2605736670972794746\n21428036\nrxnoKyFZlJ7/R6bMh/d3lcqwKqAy5CL1LcNBJP17kgQ=\n\
    Timestamp: 1688058656037355364\n\n\
    — rekor.sigstore.dev wNI9ajBFAiEAuDk7uu5Ae8Own/MjhSZNuVzbLuYH2jBMxbSA0WaNDNACIDV4reKpYiOpkwtvazCClnpUuduF2o/th2xR3gRZAUU4\n";

fn signing() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

fn verifying(name: &str) -> VerifyingKey {
    let point = signing().verifying_key().to_encoded_point(false);
    VerifyingKey::from_point(name, point.as_bytes().try_into().unwrap()).unwrap()
}

fn sign(digest: &[u8; 32]) -> Result<[u8; 64], Error> {
    let signature: Signature = signing().sign_prehash(digest).unwrap();
    Ok(signature.to_bytes().into())
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: "agent.example/audit".to_owned(), size: 3, root: [9; 32] }
}

#[test]
fn deployed_notes_verify() {
    let key: VerifyingKey = REKOR.parse().unwrap();
    assert_eq!(
        (key.name(), key.key_id(), key.to_string()),
        ("rekor.sigstore.dev", [0xc0, 0xd2, 0x3d, 0x6a], REKOR.to_owned())
    );
    let checkpoint = key.verify(REKOR_NOTE).unwrap();
    assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("Rekor", 798034));
    assert_eq!(Note::parse(REKOR_NOTE).unwrap().to_string(), REKOR_NOTE);
    // With an extension line, which is signed too.
    assert_eq!(key.verify(REKOR_EXTENDED).unwrap().size, 21_428_036);
    assert_eq!(
        key.verify(&REKOR_EXTENDED.replace("64\n\n", "65\n\n")),
        Err(Error::WrongSignature(key.name().to_owned()))
    );
    assert_eq!(Note::parse(REKOR_EXTENDED).unwrap().to_string(), REKOR_EXTENDED);
}

#[test]
fn what_is_signed_verifies_and_has_the_form() {
    let key = verifying("agent.example/audit");
    let note = checkpoint().sign(&key, sign).unwrap();
    assert_eq!(key.verify(&note), Ok(checkpoint()));
    let (body, line) = note.split_once("\n\n").unwrap();
    assert_eq!(body, "agent.example/audit\n3\nCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=");
    assert!(line.starts_with("— agent.example/audit ") && line.ends_with('\n') && line.matches('\n').count() == 1);
    let line = SignatureLine::parse(line.trim_end()).unwrap();
    assert_eq!((line.key_id, line.signature[0]), (key.key_id(), 0x30));
    assert_eq!(key.to_string().parse(), Ok(key));
}

#[test]
fn a_wrong_signature_of_the_token_is_not_put_into_a_note() {
    let key = verifying("agent.example/audit");
    let wrong = Err(Error::WrongSignature("agent.example/audit".to_owned()));
    assert_eq!(checkpoint().sign(&key, |_| sign(&[1; 32])), wrong);
    assert_eq!(checkpoint().sign(&key, |_| Ok::<_, Error>([0; 64])), wrong);
    assert_eq!(checkpoint().sign(&key, |_| Ok::<_, Error>([0xff; 64])), wrong);
    assert_eq!(checkpoint().sign(&key, |_| Err(Error::TreeFull)), Err(Error::TreeFull));
    let other = Checkpoint { origin: "another".to_owned(), ..checkpoint() };
    assert_eq!(other.sign(&key, sign), Err(Error::Origin("agent.example/audit".to_owned())));
}

#[test]
fn others_signatures_are_ignored_and_ours_must_all_be_right() {
    let key = verifying("agent.example/audit");
    let note = checkpoint().sign(&key, sign).unwrap();
    let cosigned = format!("{note}— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/\n");
    assert_eq!(key.verify(&cosigned), Ok(checkpoint()));
    assert_eq!(verifying("another").verify(&note), Err(Error::NotSigned("another".to_owned())));
    let rekor: VerifyingKey = REKOR.parse().unwrap();
    assert!(matches!(rekor.verify(&note), Err(Error::NotSigned(_))));
    // The same name and key ID, another signature.
    let forged = SignatureLine { name: key.name().to_owned(), key_id: key.key_id(), signature: vec![0x30, 0] };
    assert!(matches!(key.verify(&format!("{note}{forged}\n")), Err(Error::WrongSignature(_))));
}

#[test]
fn any_flipped_bit_of_a_note_is_refused() {
    let key = verifying("agent.example/audit");
    let note = checkpoint().sign(&key, sign).unwrap();
    for at in 0..note.len() {
        for bit in 0..8 {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            if let Ok(text) = String::from_utf8(bytes) {
                assert!(key.verify(&text).is_err(), "octet {at}, bit {bit}");
            }
        }
    }
}

#[test]
fn what_is_no_checkpoint_note_is_refused() {
    let line = "— a AAAAAAA=\n";
    let root = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
    assert!(Note::parse(&format!("a\n0\n{root}\n\n{line}")).is_ok());
    for bad in [
        String::new(),
        "\n\n".to_owned(),
        format!("a\n0\n{root}\n"),
        format!("a\n0\n{root}\n\n"),
        format!("a\n0\n{root}\n\n— a AAAAAAA="),
        format!("a\n0\n{root}\n\n- a AAAAAAA=\n"),
        format!("a\n0\n{root}\n\n— a+b AAAAAAA=\n"),
        format!("a\n0\n{root}\n\n—  AAAAAAA=\n"),
        format!("a\n0\n{root}\n\n— a AAAAAA==\n"),
        format!("a\n0\n{root}\n\n— a AAAAAAB=\n"),
        format!("a\n0\n{root}\n\n— a *\n"),
        format!("a\r\n0\n{root}\n\n{line}"),
        format!("\n0\n{root}\n\n{line}"),
        format!("a\n00\n{root}\n\n{line}"),
        format!("a\n+1\n{root}\n\n{line}"),
        format!("a\n-1\n{root}\n\n{line}"),
        format!("a\n18446744073709551616\n{root}\n\n{line}"),
        format!("a\n0\nCQkJ\n\n{line}"),
        format!("a\n0\n\n{line}"),
        format!("a\n0\n{root}\n\nx\n\n{line}"),
        format!("a\n0\n{root}\n\n{}", line.repeat(65)),
        format!("a\n0\n{root}\n{}\n\n{line}", "x".repeat(256 * 1024)),
    ] {
        assert!(Note::parse(&bad).is_err(), "{bad:.80}");
    }
}

#[test]
fn a_key_that_is_not_exactly_one_is_refused() {
    let text = verifying("a").to_string();
    for bad in [
        String::new(),
        "a+00000000".to_owned(),
        text.replacen("a+", "+", 1),
        text.replacen("a+", "a b+", 1),
        text.replacen("a+", "a\u{a0}b+", 1),
        text.replacen("AjBZ", "ATBZ", 1),
        text.replacen("AjBZ", "AjBa", 1),
        text[..text.len() - 4].to_owned(),
        text.to_uppercase(),
        format!("a+00000000+{}", text.splitn(3, '+').nth(2).unwrap()),
    ] {
        assert!(bad.parse::<VerifyingKey>().is_err(), "{bad}");
    }
    let mut off_curve = *verifying("a").point();
    off_curve[64] ^= 1;
    assert!(VerifyingKey::from_point("a", &off_curve).is_err());
    assert!(VerifyingKey::from_point("", verifying("a").point()).is_err());
}

/// The example of C2SP tlog-witness.
#[test]
fn a_witness_is_asked_and_understood() {
    let note = checkpoint().sign(&verifying("agent.example/audit"), sign).unwrap();
    assert_eq!(witness::add_checkpoint_body(0, &[], &note), format!("old 0\n\n{note}"));
    let body = witness::add_checkpoint_body(2, &[[9; 32], [0; 32]], &note);
    let zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_eq!(body, format!("old 2\nCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=\n{zeros}\n\n{note}"));

    let line = "— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==";
    let lines = witness::cosignatures(&format!("{line}\n\nno\n— x\n{line}\n"));
    assert_eq!(lines.iter().map(ToString::to_string).collect::<Vec<_>>(), [line, line]);
    assert_eq!(lines[0].name, "witness.example/w1");
    assert_eq!(witness::cosignatures(&format!("{line}\n").repeat(40)).len(), 16);
    assert!(witness::cosignatures(&format!("— w {}\n", "A".repeat(9000))).is_empty());

    assert_eq!(witness::conflict_size("20852014\n"), Some(20_852_014));
    for bad in ["", "1", "01\n", "+1\n", "x\n", "1\n\n"] {
        assert_eq!(witness::conflict_size(bad), None, "{bad:?}");
    }
}

/// The example in docs/audit-log.md is a real one, by the key of these tests.
#[test]
fn the_documents_example_verifies() {
    let text = include_str!("../../docs/audit-log.md");
    let block = |start: &str| {
        text.split("```").find_map(|block| block.trim_start().starts_with(start).then_some(block.trim_start()))
    };
    let key: VerifyingKey = block("agent.example/audit+").unwrap().trim_end().parse().unwrap();
    assert_eq!(key.point(), verifying("agent.example/audit").point());
    assert_eq!(key.verify(block("agent.example/audit\n").unwrap()).unwrap().size, 3);
}
