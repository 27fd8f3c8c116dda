//! A state directory that was put back is taken on the deed's people's word alone, and for that very one.

use crate::board::{Board, said};
use signing_agent_tests::until;
use std::path::Path;
use std::process::Command;

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

/// What has left a checkpoint that the token remembers.
fn lives(board: &mut Board) {
    board.house.run();
    assert!(board.says(&["audit", "export"]).status.success());
    board.house.stop();
}

#[test]
fn a_ledger_that_was_put_back_is_taken_with_signatures_over_it_and_no_old_change_comes_back_with_it() {
    let mut board = Board::new();
    board.says(&["freeze"]);
    let old_change = board.draft_for(&["unfreeze"], "7d");
    board.house.stop();
    let old = board.house.dir.path().join("old");
    copy(&board.house.state(), &old);
    lives_unready(&mut board, |board| assert_eq!(board.signed(&["unfreeze"], &old_change, &["alice", "bob"]).0, 0));
    lives(&mut board);
    copy(&old, &board.house.state());
    let recover = &["recover", "--accept-rollback"][..];
    board.house.run_unready();
    let trouble = |board: &Board| board.status()["trouble"].as_str().unwrap_or_default().to_owned();
    until("it says so", || trouble(&board).contains("older than the token's memory"), || board.house.log());
    let (code, words) = said(&board.says(recover));
    assert!(code == 4 && words.contains("2 of [alice, bob, carol]"), "{code} {words}");
    let text = board.draft(recover);
    assert!(text.contains("recover --accept-rollback: a ledger of "), "{text}");
    assert_eq!(board.signed(recover, &text, &["alice"]).0, 4);
    let (code, words) = board.signed(recover, &text, &["alice", "bob"]);
    assert_eq!(code, 0, "{words}");
    assert_eq!(board.status()["audit"]["frozen"], true);
    // It was made before, and the ledger that knew is gone: its serial is too low all the same.
    let (code, words) = board.signed(&["unfreeze"], &old_change, &["alice", "bob"]);
    assert!(code == 1 && words.contains("[statement-serial]"), "{code} {words}");
    board.does(&["unfreeze"]);
    lives_on(&mut board);
    // What they signed was for that ledger and that memory, not for the next time.
    copy(&old, &board.house.state());
    board.house.run_unready();
    until("it says so again", || trouble(&board).contains("older than the token's memory"), || board.house.log());
    let (code, words) = board.signed(recover, &text, &["alice", "bob"]);
    assert!(code == 1 && words.contains("[statement-other-change]"), "{code} {words}");
    board.house.assert_no_panic();
}

fn lives_unready(board: &mut Board, what: impl Fn(&Board)) {
    board.house.run_unready();
    until("it is there", || board.status()["audit"].is_object(), || board.house.log());
    what(board);
    assert!(board.says(&["audit", "export"]).status.success());
    board.house.stop();
}

fn lives_on(board: &mut Board) {
    assert!(board.says(&["audit", "export"]).status.success());
    board.house.stop();
}
