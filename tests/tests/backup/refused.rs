//! What is no backup of this agent's, and what is not restored over; each with words that say what to do.

use super::{Backup, Recovery, elsewhere, told};
use signing_agent_tests::{House, until};
use std::fs;

/// That it is not verified, not restored, and nothing is left of the try; the words.
fn refused(backup: &Backup, recovery: &Recovery, to: &House) -> String {
    let (code, _, verify) = backup.verify(to, recovery, &[]);
    assert_eq!(code, 1, "{verify}");
    let (code, _, said) = backup.restore(to, recovery, &[]);
    assert_eq!(code, 1, "{said}");
    for name in ["deed.jws", "ledger.sqlite", "bls.age", "mpin.age"] {
        assert!(!to.state().join(name).exists(), "{name}: {said}");
    }
    let words = verify.split_once("is not good: ").map_or(verify.as_str(), |(_, words)| words).trim();
    assert!(said.contains(words.trim_end_matches(['}', '"', '\n'])), "both say the same: {verify} {said}");
    said
}

#[test]
fn what_is_cut_off_changed_or_anothers_is_refused_and_says_what_to_do() {
    let recovery = Recovery::new();
    let mut first = House::registered(recovery.settings());
    let good = Backup::of(&first, "one.age");
    first.stop();
    let second = elsewhere(&first, &recovery);
    let whole = fs::read(&good.file).unwrap();
    let spoiled = Backup { file: first.dir.path().join("spoiled.age"), key: good.key.clone() };
    for end in [0, 1, 300, 70_000, whole.len() / 2, whole.len() - 1] {
        fs::write(&spoiled.file, &whole[..end]).unwrap();
        let said = refused(&spoiled, &recovery, &second);
        assert!(said.contains("another copy") || said.contains("no backup"), "{end}: {said}");
    }
    for at in [0, 40, 400, 1000, whole.len() / 2, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&spoiled.file, &changed).unwrap();
        let said = refused(&spoiled, &recovery, &second);
        assert!(
            said.contains("another copy") || said.contains("no backup") || said.contains("sealed to others"),
            "{at}: {said}"
        );
    }
    let stranger = Recovery::new();
    assert!(refused(&good, &stranger, &second).contains("none of these identities opens it"));
    // Another agent's, of the same recovery recipient.
    let other = House::registered(recovery.settings());
    let others = Backup { key: good.key.clone(), ..Backup::of(&other, "other.age") };
    assert!(refused(&others, &recovery, &second).contains("another agent's, or somebody made it up"));
    let swapped = Backup { key: Backup::of(&other, "again.age").key, ..good };
    assert!(refused(&swapped, &recovery, &second).contains("The key is what `backup create`"));
}

#[test]
fn whoever_knows_the_recipient_alone_makes_none_that_is_taken() {
    let recovery = Recovery::new();
    let mut first = House::registered(recovery.settings());
    let good = Backup::of(&first, "one.age");
    let other = House::registered(recovery.settings());
    let theirs = recovery.unpack(&Backup::of(&other, "other.age").file);
    first.stop();
    let second = elsewhere(&first, &recovery);
    let files = recovery.unpack(&good.file);
    let forged = Backup { file: first.dir.path().join("forged.age"), key: good.key.clone() };
    for (name, octets) in &files {
        let mut changed = files.clone();
        let place = files.iter().position(|(found, _)| found == name).unwrap();
        if name == "manifest.jws" {
            continue;
        }
        // Another agent's file, one that is missing, one that is twice there.
        let their = theirs.iter().find(|(found, _)| found == name).unwrap().1.clone();
        if their != *octets {
            changed[place].1 = their;
            recovery.pack(&forged.file, &changed);
            assert!(refused(&forged, &recovery, &second).contains("not the one that its manifest names"), "{name}");
        }
        changed.remove(place);
        recovery.pack(&forged.file, &changed);
        assert!(refused(&forged, &recovery, &second).contains(&format!("{name} is missing")), "{name}");
        let mut doubled = files.clone();
        doubled.push(files[place].clone());
        recovery.pack(&forged.file, &doubled);
        assert!(refused(&forged, &recovery, &second).contains(&format!("{name} is in it twice")), "{name}");
    }
    let mut more = files.clone();
    more.push(("../escape".replace("../", ""), b"x".to_vec()));
    recovery.pack(&forged.file, &more);
    assert!(refused(&forged, &recovery, &second).contains("does not name"));
    let without = &files[1..];
    recovery.pack(&forged.file, without);
    assert!(refused(&forged, &recovery, &second).contains("does not begin with a manifest"));
    // As it was made it is good.
    recovery.pack(&forged.file, &files);
    assert_eq!(forged.verify(&second, &recovery, &[]).0, 0);
}

#[test]
fn nothing_is_restored_over_an_agents_state_and_nobody_is_sealed_to_who_is_not_named() {
    let recovery = Recovery::new();
    let house = House::registered(recovery.settings());
    let backup = Backup::of(&house, "one.age");
    let (code, _, said) = backup.restore(&house, &recovery, &["--accept-rollback"]);
    assert!(code == 1 && said.contains("nothing is restored over it"), "{said}");
    let file = house.dir.path().join("one.age");
    let (code, _, said) = told(&house.output(&["backup", "create", file.to_str().unwrap()]));
    assert!(code == 1 && said.contains("exists"), "a backup that is there is not written over: {said}");

    // What has lost its deed is somebody's state all the same.
    let mut lost = House::registered(recovery.settings());
    lost.stop();
    fs::remove_file(lost.state().join("deed.jws")).unwrap();
    let (code, _, said) = backup.restore(&lost, &recovery, &[]);
    assert!(code == 1 && said.contains("nothing is restored over it"), "{said}");
    assert!(lost.state().join("bls.age").exists());

    let nobody = House::start(signing_agent_tests::Settings::with_policy(super::POLICY));
    let (code, _, said) = told(&nobody.output(&["backup", "create", nobody.dir.path().join("b").to_str().unwrap()]));
    assert!(code == 1 && said.contains("no recovery recipient") && said.contains("init --amend"), "{said}");
}
#[test]
fn people_whom_the_deed_names_are_not_left_out_by_a_restore() {
    let recovery = Recovery::new();
    let people = tempfile::tempdir().unwrap();
    let alice = signing_agent_tests::Person::make(people.path(), "alice", "ed25519");
    let named = format!(
        "[people]\nchange_signatures = 1\npolicy_signers = [{0:?}]\npolicy_signatures = 1\nchange_signers = [{0:?}]\n",
        alice.line()
    );
    let policy = format!("serial = 1\n{}", super::POLICY);
    let signature = alice.sign("signing-agent-policy", policy.as_bytes());
    let empty = || {
        let (policy, more) = (Some(policy.clone()), named.clone());
        let house = House::empty(signing_agent_tests::Settings { more, policy, ..recovery.settings() });
        fs::write(house.dir.path().join("policy.toml.sig"), &signature).unwrap();
        house
    };
    let mut first = empty();
    assert!(first.output(&["init"]).status.success());
    first.run();
    let backup = Backup::of(&first, "one.age");
    first.stop();
    let second = elsewhere(&first, &recovery);
    let said = backup.restore(&second, &recovery, &[]).2;
    assert!(said.contains("alice") && said.contains("verify --settings"), "{said}");
    let mut third = empty();
    let (code, _, said) = backup.restore(&third, &recovery, &[]);
    assert_eq!(code, 0, "{said}");
    third.run_unready();
    until("it answers", || super::status(&third).is_object(), || third.log());
    let (code, _, said) = told(&third.output(&["unfreeze"]));
    assert!(code == 4 && said.contains("alice"), "{code} {said}");
}
