//! `freeze` beats everything.

use crate::board::{Board, POLICY, said};
use serde_json::json;
use signing_agent_tests::until;

#[test]
fn while_it_is_frozen_nothing_is_approved_by_policy_people_token_or_signatures_also_after_a_restart_and_a_reload() {
    let mut board = Board::new();
    let token = board.does(&["token", "add", "desk", "--scope", "decide"]).lines().next().unwrap().to_owned();
    let withdrawal = board.held(json!({ "kind": "withdraw" }));
    let transfer = board.held(json!({ "kind": "transfer" }));
    let open = board.held(json!({ "kind": "transfer", "currency": 5 }));
    let signers = board.held(json!({ "kind": "transfer", "currency": 5 }));
    let statement = board.statement("dave", &withdrawal);
    let ours = || json!({ "kind": "transfer", "currency": 6 });
    board.house.order(ours());
    board.house.wait("approved=1");
    assert!(board.says(&["freeze"]).status.success());
    let by_policy = board.held(ours());
    let all = [&withdrawal, &transfer, &open, &signers, &by_policy];
    let nothing_goes = |board: &Board| {
        let refused = [
            board.put(&withdrawal, None, std::slice::from_ref(&statement)),
            board.put(&transfer, Some(&token), &[]),
            board.put(&open, None, &[]),
            board.put(&by_policy, Some(&token), &[]),
        ];
        for reply in refused {
            assert_eq!(reply.status, 503, "{}", reply.json());
            assert!(reply.json().to_string().contains("frozen"), "{}", reply.json());
        }
        let draft = board.draft(&["approve", &signers]);
        let (code, words) = board.signed(&["approve", &signers, "--change"], &draft, &["alice", "bob", "carol"]);
        assert!(code == 1 && words.contains("frozen"), "{code} {words}");
        for id in all {
            assert_eq!(board.action(id), "pending");
        }
        assert_eq!(board.house.stats()["puts"], 1);
    };
    nothing_goes(&board);
    board.house.stop();
    board.house.run_unready();
    let feeds = |board: &Board| board.status()["feed"].to_string().contains("pen");
    until("the feed is open", || feeds(&board), || board.house.log());
    nothing_goes(&board);
    // A policy that approves more: what was held is judged anew, and held.
    board.put_policy(&POLICY.replace("serial = 1", "serial = 2").replace("[\"OURS\"]", "[\"OURS\", \"ETH\"]"));
    let (code, words) = said(&board.says(&["policy", "reload"]));
    assert_eq!(code, 0, "{words}");
    nothing_goes(&board);
    // One may stop it; to go on takes two.
    assert_eq!(said(&board.says(&["unfreeze"])).0, 4);
    nothing_goes(&board);
    board.does(&["unfreeze"]);
    assert_eq!(board.put(&withdrawal, None, &[statement]).status, 200);
    assert_eq!(board.put(&open, None, &[]).status, 200);
    let draft = board.draft(&["approve", &signers]);
    assert_eq!(board.signed(&["approve", &signers, "--change"], &draft, &["alice", "bob"]).0, 0);
    board.house.assert_no_panic();
}
