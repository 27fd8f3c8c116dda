//! Those whom the deed names now say whom it names next.

use crate::board::{Board, said};
use serde_json::json;
use signing_agent_tests::until;

#[test]
fn the_old_signers_amend_the_deed_and_the_new_ones_count_from_then_on() {
    let mut board = Board::new();
    let amend = &["init", "--amend"][..];
    let (code, words) = said(&board.says(&["init", "--amend", "--draft", "/nowhere/draft"]));
    assert!(code == 1 && words.contains("nothing to amend"), "{code} {words}");
    // Drafted while the agent is at work; it stops for no longer than a restart takes.
    board.house.settings.more = board.section(&["carol", "mallory"], 1);
    board.house.write_config();
    let text = board.draft(amend);
    for step in [
        "- change signer alice SHA256:",
        "- change signer bob SHA256:",
        "+ change signer mallory SHA256:",
        "change_signatures 2 to 1",
    ] {
        assert!(text.contains(step), "{step}: {text}");
    }
    let (code, words) = board.signed(amend, &text, &["alice", "bob"]);
    assert!(code == 1 && words.contains("restart it"), "{code} {words}");
    board.house.stop();
    board.house.run_unready();
    let trouble = || board.status()["trouble"].as_str().unwrap_or_default().to_owned();
    until("it says so", || trouble().contains("is not the deed's"), || board.house.log());
    assert_eq!(said(&board.says(amend)).0, 4, "not by the operator alone");
    for (names, fault) in [
        (&["mallory"][..], "statement-signer-unknown"),
        (&["carol", "mallory"], "statement-signer-unknown"),
        (&["carol", "carol"], "statement-counted-already"),
    ] {
        let (code, words) = board.signed(amend, &text, names);
        assert!(code == 1 && words.contains(fault), "{names:?} {code} {words}");
    }
    assert_eq!(board.signed(amend, &text, &["carol"]).0, 4, "one was enough only after it");
    let deed = std::fs::read(board.house.state().join("deed.jws")).unwrap();
    // Another configuration than they have seen is another change.
    let seen = board.house.settings.more.clone();
    board.house.settings.more = board.section(&["mallory"], 1);
    restarted(&mut board);
    let (code, words) = board.signed(amend, &text, &["alice", "bob"]);
    assert!(code == 1 && words.contains("[statement-other-change]"), "{code} {words}");
    assert!(std::fs::read(board.house.state().join("deed.jws")).unwrap() == deed, "nothing was written");
    board.house.settings.more = seen;
    restarted(&mut board);
    let (code, words) = board.signed(amend, &text, &["alice", "bob"]);
    assert!(code == 0 && words.contains("deed amended"), "{code} {words}");
    let changes = board.records("change");
    let signers: Vec<_> = changes[0]["statements"].as_array().unwrap().iter().map(|by| by["signer"].clone()).collect();
    assert_eq!((changes.len(), signers), (1, vec![json!("alice"), json!("bob")]));
    // From now on one of the others is enough, and the old ones are nobody.
    board.says(&["freeze"]);
    let text = board.draft(&["unfreeze"]);
    let (code, words) = board.signed(&["unfreeze"], &text, &["alice", "bob"]);
    assert!(code == 1 && words.contains("statement-signer-unknown"), "{code} {words}");
    assert_eq!(board.signed(&["unfreeze"], &text, &["mallory"]).0, 0);
    // That nobody signs any more takes signatures too.
    board.house.settings.more = board.section(&[], 0);
    restarted(&mut board);
    assert_eq!(said(&board.says(amend)).0, 4);
    let text = board.draft(amend);
    assert!(text.contains("change_signatures 1 to 0"), "{text}");
    assert_eq!(board.signed(amend, &text, &["carol"]).0, 0);
    assert!(board.says(&["freeze"]).status.success() && board.says(&["unfreeze"]).status.success());
    board.house.assert_no_panic();
}

/// It is signed by this agent's key and names people who were asked then: nothing else would tell it from the last one.
#[test]
fn a_deed_that_was_put_back_with_its_configuration_gives_nobody_back_what_the_last_one_took() {
    let mut board = Board::new();
    let (deed, kept) = (board.house.state().join("deed.jws"), board.house.dir.path().join("old.jws"));
    let before = board.house.settings.more.clone();
    std::fs::copy(&deed, &kept).unwrap();
    board.house.settings.more = board.section(&["carol", "mallory"], 1);
    board.house.write_config();
    let text = board.draft(&["init", "--amend"]);
    restarted(&mut board);
    assert_eq!(board.signed(&["init", "--amend"], &text, &["alice", "bob"]).0, 0);
    let last = std::fs::read(&deed).unwrap();
    board.house.stop();
    std::fs::copy(&kept, &deed).unwrap();
    board.house.settings.more = before;
    board.house.write_config();
    board.house.run_unready();
    let trouble = |board: &Board| board.status()["trouble"].as_str().unwrap_or_default().to_owned();
    until(
        "it is noticed",
        || trouble(&board).contains("is older than the one"),
        || format!("{}\n{}", trouble(&board), board.house.log()),
    );
    for command in [&["init"][..], &["init", "--amend"], &["recover", "--accept-rollback"]] {
        let (code, words) = said(&board.says(command));
        assert!(code == 1 && words.contains("is older than the one"), "{command:?}: {code} {words}");
    }
    let found = String::from_utf8(board.says(&["doctor", "--json"]).stdout).unwrap();
    assert!(found.contains("is older than the one"), "{found}");
    board.house.stop();
    std::fs::write(&deed, last).unwrap();
    board.house.settings.more = board.section(&["carol", "mallory"], 1);
    board.house.write_config();
    board.house.run_unready();
    until(
        "it goes on",
        || board.status()["trouble"].is_null(),
        || format!("{}\n{}", trouble(&board), board.house.log()),
    );
    board.house.assert_no_panic();
}

fn restarted(board: &mut Board) {
    board.house.write_config();
    board.house.stop();
    board.house.run_unready();
    until("it is there", || board.status()["trouble"].is_string(), || board.house.log());
}

#[test]
fn nobody_is_amended_by_a_vault_of_the_operators_own_either() {
    let mut board = Board::new();
    board.house.stop();
    board.house.settings.more = board.section(&["mallory"], 1);
    board.house.write_config();
    // No vault runs: one is started for this ask, and is no other.
    let (code, words) = said(&board.says(&["init", "--amend"]));
    assert!(code == 4 && words.contains("2 of [alice, bob, carol]"), "{code} {words}");
    let (code, words) = said(&board.says(&["init"]));
    assert!(code == 1 && words.contains("is not the deed's"), "{code} {words}");
    let text = board.draft(&["init", "--amend"]);
    assert_eq!(board.signed(&["init", "--amend"], &text, &["bob", "carol"]).0, 0);
    board.house.run();
}
