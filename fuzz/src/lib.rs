//! Enters: octets that somebody made up.
//! Leaves: nothing; a target that panics, hangs or grows without bound has found something.
//! Never: a token, a network, a file.

#[path = "../../src/vault/src/digest.rs"]
mod digest;
#[path = "../../src/vault/src/event.rs"]
#[allow(dead_code)]
mod event;
#[path = "../../src/api/src/form.rs"]
mod form;
#[path = "../../src/vault/src/outcome.rs"]
#[allow(dead_code)]
mod outcome;
#[path = "../../src/vault/src/ssh.rs"]
#[allow(dead_code)]
mod ssh;
#[path = "../../src/vault/src/statement.rs"]
#[allow(dead_code)]
mod statement;

use policy::wire::PbAsset;
use policy::{Action, Decoded, Policy};
use prost::Message;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

/// Frames of the lanes: what is read is written the same way, and no length makes us allocate.
pub fn ipc_frames(data: &[u8]) {
    fn both<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(data: &[u8]) {
        if let Ok(Some(framed)) = ipc::read_frame::<T>(&mut &data[..]) {
            let again = ipc::encode(framed.id, &framed.what).expect("it was a frame");
            let read = ipc::read_frame::<T>(&mut &again[..]).expect("ours").expect("a frame");
            assert_eq!((read.id, read.what), (framed.id, framed.what));
        }
    }
    both::<ipc::Ask>(data);
    both::<ipc::Answer>(data);
}

/// What is decoded is written back octet for octet, and everything has a judgement, by the whole language too.
pub fn asset(data: &[u8]) {
    let decoded = policy::decode(data);
    if !matches!(decoded, Decoded::Opaque | Decoded::Malformed { .. }) {
        let asset = PbAsset::decode(data).expect("it was decoded");
        assert_eq!(asset.encode_to_vec(), data);
    }
    let messages = [data.to_vec()];
    policies().iter().for_each(|policy| judged(policy, &messages));
}

fn policies() -> &'static [Policy; 2] {
    static ALL: OnceLock<[Policy; 2]> = OnceLock::new();
    ALL.get_or_init(|| {
        let all = "[[rule]]\nname = \"all\"\nverdict = \"approve\"\nunlimited = true\nallow_opaque = true\n";
        [all, include_str!("../../policy/tests/whole.toml")].map(|text| Policy::parse(text).expect("a policy"))
    })
}

/// A judgement at noon and one without a clock, each as its explanation has it; all that is said is safe to print.
fn judged(policy: &Policy, messages: &[Vec<u8>]) {
    const NOON: u64 = 1_796_212_800;
    for (claimed_type, now) in [(None, Some(NOON)), (Some("ApproveWithdraw"), Some(NOON)), (Some("ApproveTransfer"), None)] {
        let action = Action { claimed_type, messages, expires: Some(NOON + 3600), now };
        let explained = policy.explain(&action);
        let judgement = &explained.judgement;
        assert_eq!(*judgement, policy.judge(&action));
        assert_eq!((judgement.facts.len(), explained.messages.len()), (messages.len(), messages.len()));
        let failed = explained.rules.iter().flat_map(|rule| rule.failed.iter().flatten());
        for words in judgement.facts.iter().chain([&judgement.why]).chain(failed) {
            assert!(!words.contains(char::is_control), "{words:?}");
        }
        for demand in &judgement.demands {
            let full = policy::Used { amount: u128::MAX, count: u64::MAX };
            let limited = demand.max_amount.is_some() || demand.max_count.is_some();
            assert!(limited && (demand.amount == Some(0) || demand.fits(full).is_err()));
        }
        if judgement.verdict == policy::Verdict::Approve {
            assert!(now.is_some() && !messages.is_empty());
            for (place, facts) in explained.messages.iter().enumerate() {
                assert!(matches!(facts.kind, "wallet" | "opaque"));
                let met = |verdict| explained.rules.iter().any(|rule| rule.verdict == verdict && rule.failed[place].is_none());
                assert!(met(policy::Verdict::Approve) && !met(policy::Verdict::Hold) && !met(policy::Verdict::Deny));
            }
        }
    }
}

/// The text of a policy, and, each behind an octet that no text has, the messages that it judges; beside them some that are known.
pub fn policy_toml(data: &[u8]) {
    let mut parts = data.split(|octet| *octet == 0xff);
    let Some(Ok(text)) = parts.next().map(std::str::from_utf8) else { return };
    match Policy::parse(text) {
        Ok(policy) => {
            assert!(policy.warnings().iter().all(|warning| warning.line >= 1 && !warning.words.is_empty()));
            let messages: Vec<Vec<u8>> = parts.take(8).map(<[u8]>::to_vec).collect();
            judged(&policy, &messages);
            known().iter().for_each(|message| judged(&policy, std::slice::from_ref(message)));
        }
        Err(refused) => assert!(refused.to_string().contains(": ")),
    }
}

/// The corpus of `asset`.
fn known() -> &'static [Vec<u8>] {
    const ALL: [&[u8]; 5] = [
        include_bytes!("../corpus/asset/sample-0"),
        include_bytes!("../corpus/asset/sample-1"),
        include_bytes!("../corpus/asset/sample-2"),
        include_bytes!("../corpus/asset/sample-3"),
        include_bytes!("../corpus/asset/sample-4"),
    ];
    static KNOWN: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    KNOWN.get_or_init(|| ALL.into_iter().map(<[u8]>::to_vec).collect())
}

pub fn feed_event(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(pending) = event::relevant(text, "me", 1_000, true) {
        assert!(pending.expires > 1_000);
        assert!(pending.claim.is_none_or(|claim| claim.chars().count() <= ipc::MAX_WORDS));
    }
}

/// An action's messages: never none and never an empty one.
pub fn messages(data: &[u8]) {
    if let Ok(messages) = outcome::messages(data) {
        assert!(!messages.is_empty() && messages.iter().all(|message| !message.is_empty()));
    }
}

pub fn registration(data: &[u8]) {
    if let Ok(registration) = form::parse(data) {
        let again = ipc::Registration::new(
            registration.name(),
            registration.api_key().expose(),
            registration.private_key().expose(),
        );
        assert_eq!(again, Ok(registration));
    }
}

/// A sealed file's header and body before a key that is not its own, and what lies in one; passes as they are sent.
pub fn sealed(data: &[u8]) {
    if let Ok(decryptor) = age::Decryptor::new(data)
        && let Ok(mut opened) = decryptor.decrypt([identity() as &dyn age::Identity].into_iter())
    {
        let _ = opened.by_ref().take(1 << 20).read_to_end(&mut Vec::new());
    }
    if let Ok(key) = milagro::SecretKey::from_bytes(data) {
        assert_eq!(&*key.to_bytes(), data);
    }
    if let Ok(token) = milagro::mpin::Token::from_bytes(data) {
        assert_eq!(&*token.to_bytes(), data);
    }
    if let Ok(signature) = milagro::Signature::from_bytes(data) {
        assert_eq!(signature.to_bytes(), data);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = milagro::mpin::Pass::parse(text);
    }
}

fn identity() -> &'static age::x25519::Identity {
    static IDENTITY: OnceLock<age::x25519::Identity> = OnceLock::new();
    IDENTITY.get_or_init(age::x25519::Identity::generate)
}

/// An export before a key that did not sign it: never good, unless it is not touched.
pub fn audit_export(data: &[u8]) {
    const KEY: &str = "agent.example/audit+ce97ec20+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABB4YUy/UdUwC8wQdnHXOszuD/9gax85P6ILMscmLxYlupGwxHE4v9A3ZajZT5uRURdMt/khuztdcepDGoYiBwKM=";
    static VERIFYING: OnceLock<audit::VerifyingKey> = OnceLock::new();
    let key = VERIFYING.get_or_init(|| KEY.parse().expect("a key"));
    if let Err(fault) = audit::export::verify(data, key) {
        assert!(!fault.to_string().is_empty() && !fault.known().is_empty());
    }
    let _ = audit::record::Envelope::parse(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = audit::witness::cosignatures(text);
        let _ = audit::witness::conflict_size(text);
        let _ = text.parse::<audit::VerifyingKey>();
        if let Ok(note) = audit::Note::parse(text) {
            assert_eq!(note.to_string(), text);
        }
    }
}

pub fn config_toml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(refused) = config::Config::parse(text, Path::new("/etc")) {
        assert!(!refused.to_string().is_empty());
    }
}

/// Keys as text, and signatures before keys that did not make them: what was signed once is good, whatever else comes is not.
pub fn ssh_signature(data: &[u8]) {
    const MESSAGE: &[u8] = b"{\"verb\":\"approve\"}\n";
    static KEYS: OnceLock<Vec<ssh::Key>> = OnceLock::new();
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = ssh::Key::parse(text) {
        let canonical = key.canonical().expect("it was read");
        assert_eq!(ssh::Key::parse(&canonical).expect("ours").canonical().as_deref(), Ok(canonical.as_str()));
    }
    let keys = KEYS.get_or_init(|| {
        let texts = [
            include_str!("../../tests/vectors/sshsig/ed25519.pub"),
            include_str!("../../tests/vectors/sshsig/ecdsab256.pub"),
        ];
        texts.iter().map(|text| ssh::Key::parse(text).expect("a key")).collect()
    });
    for key in keys {
        let _ = key.verify(statement::NAMESPACE, MESSAGE, text);
        assert!(key.verify(statement::NAMESPACE, b"what nobody signed", text).is_err());
        assert!(key.verify("nobody's namespace", MESSAGE, text).is_err());
    }
}
