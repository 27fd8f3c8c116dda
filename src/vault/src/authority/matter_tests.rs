use super::*;
use crate::people::Named;
use ipc::{ActionId, Scope};
use std::collections::BTreeMap;

const KEYS: [&str; 2] = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsPYBUjJ2VOQ4yEeN9XAZ8/KNxSQWKuHFbtO+mQhsHH",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJIIZUSIaA0hi7OHGpPqbFVqNGpLPaKH5cZkP0mbbkfd",
];

fn people(signers: &[(&str, &str)], change_signatures: u64) -> Named {
    let change_signers = signers.iter().map(|(name, key)| (name.to_string(), key.to_string())).collect();
    Named { change_signers, change_signatures, policy_signatures: 1, ..Named::default() }
}

fn deed(recipients: &[&str], people: Named) -> Deed {
    let keys = hsm::PublicKeys {
        identity: [4; 65],
        audit: [4; 65],
        sealing: [4; 65],
        identity_curve: hsm::Curve::P256,
        generations: Default::default(),
    };
    Deed::new(&keys, recipients.iter().map(|text| text.to_string()).collect(), people, None)
}

fn amended(deed: &Deed, recipients: &[&str], people: Named) -> Result<Matter, Refusal> {
    let recipients = recipients.iter().map(|text| text.to_string()).collect();
    Matter::amend(deed, &Configured { recipients, people }, InitOptions { amend: true, try_pin_again: false })
}

#[test]
fn each_change_is_told_by_its_words_and_its_digest_from_each_other() {
    let action = |id: &str| ActionId::try_from(id.to_owned()).unwrap();
    let token = |name: &str, seconds, per_minute| Change::TokenAdd {
        name: name.into(),
        scopes: Scope::Decide.into(),
        seconds,
        per_minute,
    };
    let all = [
        Change::Release { action: action("w1") },
        Change::Release { action: action("w2") },
        token("desk", Some(90 * DAY), None),
        token("desk", Some(90 * DAY), Some(5)),
        token("desk", None, None),
        token("bot", None, None),
        Change::PolicyReload,
        Change::Unfreeze,
        Change::ConfirmClock,
        Change::AcceptRollback,
        Change::Amend(InitOptions { amend: true, try_pin_again: false }),
        Change::Amend(InitOptions { amend: true, try_pin_again: true }),
        Change::RegistrationOpen { seconds: 3600 },
        Change::RegistrationOpen { seconds: 3601 },
    ];
    let digest =
        |change: &Change| Matter::new(String::new(), String::new(), change, &[], Vec::new()).unwrap().about.digest;
    let told: BTreeMap<String, [u8; 32]> = all.iter().map(|change| (words(change), digest(change))).collect();
    assert_eq!(told.len(), all.len(), "{told:?}");
    let digests: std::collections::BTreeSet<[u8; 32]> = told.values().copied().collect();
    assert_eq!(digests.len(), all.len());
    assert_eq!(words(&all[3]), "token add desk, scopes decide, 90 d, 5 calls a minute");
}

#[test]
fn an_amended_deed_is_told_step_by_step_and_is_no_other_ones() {
    let before = deed(&["age1own", "age1old"], people(&[("alice", KEYS[0])], 1));
    let next = || people(&[("alice", KEYS[0]), ("bob", KEYS[1])], 2);
    let matter = amended(&before, &["age1own", "age1new"], next()).unwrap();
    let ask = &matter.about.ask;
    for step in [
        "init --amend: ",
        "+ change signer bob SHA256:",
        "change_signatures 1 to 2",
        "- recipient age1old",
        "+ recipient age1new",
    ] {
        assert!(ask.contains(step), "{step}: {ask}");
    }
    assert!(!ask.contains("alice"), "{ask}");
    // From another deed to the same it is another change.
    let other = deed(&["age1own", "age1old"], people(&[("bob", KEYS[1])], 1));
    let another = amended(&other, &["age1own", "age1new"], next()).unwrap();
    assert_ne!(another.about.digest, matter.about.digest);
    assert_ne!(amended(&before, &["age1own", "age1newer"], next()).unwrap().about.digest, matter.about.digest);
    // A key that was exchanged is two steps.
    let exchanged = amended(&before, &["age1own", "age1old"], people(&[("alice", KEYS[1])], 1)).unwrap().about.ask;
    assert!(
        exchanged.contains("- change signer alice SHA256:") && exchanged.contains("+ change signer alice SHA256:"),
        "{exchanged}"
    );
    let order = deed(&["age1own", "age1a", "age1b"], Named::default());
    let turned = amended(&order, &["age1own", "age1b", "age1a"], Named::default()).unwrap().about.ask;
    assert!(turned.ends_with("recipients in another order"), "{turned}");
    assert!(amended(&before, &["age1own", "age1old"], people(&[("alice", KEYS[0])], 1)).is_err(), "nothing to amend");
}
