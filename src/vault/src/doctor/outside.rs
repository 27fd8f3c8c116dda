//! The other rooms, and the backend as they see it.

use super::Findings;
use crate::clock;
use crate::heard::Heard;
use crate::room::Room;
use ipc::FeedState;
use std::time::Duration;

/// The backend takes passes within a minute of its own clock.
const SKEW_WARNING: i64 = 5;
const SKEW_FAULT: i64 = 30;
/// What was heard longer ago says nothing of now.
const FRESH: Duration = Duration::from_secs(60 * 60);

pub fn rooms(findings: &mut Findings, room: &Room) {
    for (name, here) in [("api", room.doors_open().0), ("courier", room.doors_open().1)] {
        let check = format!("{name}-room");
        if here {
            findings.good(&check, "connected");
        } else {
            findings.fault(
                &check,
                format!("the {name} is not connected to the vault"),
                format!("`systemctl status signing-agent-{name}` and its log say why; under `signing-agent run`, its log does"),
            );
        }
    }
    for words in room.access.door.warnings(clock::now()) {
        let remedy = "put that right; the checks of `tls-…` name the file, and SIGHUP has the api read it again";
        findings.warn("api-door", words, remedy);
    }
    feed(findings, room);
    let heard = room.errands.heard();
    replies(findings, &heard);
    time(findings, &heard);
}

fn feed(findings: &mut Findings, room: &Room) {
    let remedy = "see whether [backend] url is right and reached from here: IPAddressAllow= of the courier's unit, a proxy, [backend] ca_file";
    match room.feed_state() {
        FeedState::Open => findings.good("feed", "open"),
        FeedState::Idle => findings.good("feed", "it is not asked for before the agent is registered"),
        FeedState::Connecting => findings.warn("feed", "it is being opened", "ask again in a moment"),
        FeedState::Closed { why, .. } => findings.fault("feed", format!("closed: {why}"), remedy),
    }
}

fn replies(findings: &mut Findings, heard: &Heard) {
    let Some((at, said)) = &heard.last else {
        return findings.good("backend-replies", "it was asked nothing since the start");
    };
    let ago = at.elapsed().as_secs();
    match said {
        Ok(401) => findings.fault(
            "backend-replies",
            format!("{ago} s ago it did not believe the agent's pass (401)"),
            "look at the clock (`timedatectl`), at [backend] pin, and whether the backend still knows the agent",
        ),
        Ok(status @ (429 | 500..)) => findings.warn(
            "backend-replies",
            format!("{ago} s ago it answered {status}"),
            "that is the backend's trouble; requests are tried again",
        ),
        Ok(status) => findings.good("backend-replies", format!("{ago} s ago it answered {status}")),
        Err(words) => findings.fault(
            "backend-replies",
            format!("{ago} s ago it gave no answer: {words}"),
            "see whether [backend] url is right, and reached from the courier",
        ),
    }
}

fn time(findings: &mut Findings, heard: &Heard) {
    let Some((at, skew)) = heard.skew.filter(|(at, _)| at.elapsed() < FRESH) else {
        return findings.good("backend-clock", "the backend has not told its time lately");
    };
    let words = format!(
        "{} s ago this machine's clock was {} s {} the backend's",
        at.elapsed().as_secs(),
        skew.abs(),
        if skew < 0 { "behind" } else { "ahead of" }
    );
    let remedy = "set it by NTP (`timedatectl set-ntp true`), then `signing-agent confirm-clock` where it jumps";
    match skew.abs() {
        SKEW_FAULT.. => {
            findings.fault("backend-clock", format!("{words}: passes are refused from a minute on"), remedy)
        }
        SKEW_WARNING.. => findings.warn("backend-clock", words, remedy),
        _ => findings.good("backend-clock", words),
    }
}
