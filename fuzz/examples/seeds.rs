//! Writes the frames that the corpus of `ipc_frames` begins with.

use ipc::{ActionId, Answer, Ask, Call, Failure, FeedState, Outcome, Refusal, Registration, Sample, Verb, Vitals};

fn main() {
    let action = || ActionId::try_from("2IXwq4gyoiUBrIjD3VwhTpnTsxL".to_owned()).expect("an id");
    let asks = [
        Ask::from(Call::Register(Registration::new("agent", "key", "cGVt").expect("three fields"))),
        Ask::from(Call::Decide { action: action(), verb: Verb::Approve, statements: Vec::new() }),
        Ask::FeedAfter { sequence: 7, access: 1 },
        Ask::ErrandDone {
            errand: 3,
            outcome: Outcome::Reply { status: 429, body: b"later".to_vec(), retry_after: Some(5), date: Some(1_767_225_600) },
        },
        Ask::ErrandDone { errand: 4, outcome: Outcome::Failed(Failure::Transport("gone".into())) },
        Ask::FeedState(FeedState::Closed { why: "reset".into(), retry_ms: 250 }),
        Ask::FeedMessage("{\"id\":\"w1\"}".into()),
        Ask::AuditFrom { record: 1 },
        Ask::Vitals(Vitals { resident: 1 << 20, processor: 1500, began: 1_767_225_600 }),
    ];
    let answers = [
        Answer::Noted,
        Answer::Refused(Refusal::Backend { status: 500, words: "no".into() }),
        Answer::Metrics(vec![Sample::new("stage_seconds_sum", 0.25).with("stage", "judged")]),
    ];
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/ipc_frames");
    std::fs::create_dir_all(&dir).expect("a directory");
    let asks = asks.iter().map(|ask| ipc::encode(1, ask).expect("a frame"));
    let answers = answers.iter().map(|answer| ipc::encode(2, answer).expect("a frame"));
    for (number, frame) in asks.chain(answers).enumerate() {
        std::fs::write(dir.join(format!("frame-{number}")), &frame[..]).expect("written");
    }
}
