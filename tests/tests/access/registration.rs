//! Nobody registers the agent but while a window is open for it.

use crate::desk::{Desk, by, fault};
use ipc::{AccessFault, Answer, Ask, Call, Change, Refusal};
use serde_json::{Value, json};

fn left(desk: &Desk) -> Option<u64> {
    match desk.operator(&Ask::RegistrationWindow) {
        Answer::RegistrationWindow(left) => {
            assert_eq!(left.is_some(), desk.status().registration_open.is_some());
            left
        }
        other => panic!("{other:?}"),
    }
}

fn open(desk: &Desk, seconds: u64) -> Answer {
    desk.operator(&Ask::Change { change: Change::RegistrationOpen { seconds }, statements: Vec::new() })
}

fn about(left: Option<u64>, seconds: u64) -> bool {
    left.is_some_and(|left| left <= seconds && left + 60 > seconds)
}

fn steps(desk: &Desk) -> Vec<(Value, Value)> {
    let records = desk.records("registration-window");
    records.iter().map(|record| (record["step"].clone(), record["by"].clone())).collect()
}

#[test]
fn a_registration_outside_the_window_is_refused_whatever_the_caller_brings() {
    for auth in ["none", "token"] {
        let mut desk = Desk::of(&format!("auth = \"{auth}\""), "");
        let token = desk.token("registrar", &["--scope", "register"]);
        let registration = desk.registration("agent");
        let register = by(&token, Call::Register(registration));
        assert!(about(left(&desk), 3600), "{:?}: init opens an hour", left(&desk));
        assert_eq!(desk.operator(&Ask::RegistrationClose), Answer::Noted);
        assert_eq!(desk.operator(&Ask::RegistrationClose), Answer::Noted, "it is closed");
        // That was the one hour of this agent's: no later init opens another.
        assert!(desk.house.output(&["init"]).status.success());
        assert_eq!(left(&desk), None);
        for _ in 0..3 {
            assert_eq!(fault(&desk.door().ask(&register)), Some(AccessFault::RegistrationClosed));
        }
        assert_eq!(desk.house.stats()["initOk"], json!(0));
        let refused = desk.records("access");
        let who = if auth == "token" { json!("token registrar") } else { Value::Null };
        assert_eq!((refused.len(), &refused[0]["cause"]), (1, &json!("registration-closed")), "{refused:?}");
        assert_eq!((&refused[0]["who"], &refused[0]["address"]), (&who, &json!("192.0.2.1")));

        for bad in [0, 86_401, u64::MAX] {
            let answer = open(&desk, bad);
            assert!(
                matches!(&answer, Answer::Refused(Refusal::Init(words)) if words.contains("24 hours")),
                "{answer:?}"
            );
        }
        assert_eq!((open(&desk, 60), about(left(&desk), 60)), (Answer::Noted, true));
        let answer = desk.door().ask(&register);
        assert!(matches!(answer, Answer::Registered { .. }), "{answer:?}");
        assert_eq!(left(&desk), None, "a registration closes it");
        assert_eq!(desk.door().ask(&register), Answer::Refused(Refusal::AlreadyRegistered));
        let answer = open(&desk, 60);
        assert!(matches!(&answer, Answer::Refused(Refusal::Init(words)) if words.contains("registered")), "{answer:?}");
        let steps: Vec<String> =
            steps(&desk).iter().map(|(step, by)| format!("{step} {by}").replace('"', "")).collect();
        let uid = rustix::process::getuid().as_raw();
        let operator = format!("operator, uid {uid}");
        let wanted = [
            format!("opened {operator}, by init"),
            format!("closed {operator}"),
            format!("opened {operator}"),
            "closed registration".to_owned(),
        ];
        assert_eq!(steps, wanted);
    }
}

#[test]
fn a_window_ends_by_the_agents_own_time_and_neither_a_restart_nor_a_wall_clock_lengthens_it() {
    let mut desk = Desk::of("auth = \"none\"", "");
    let register = by("", Call::Register(desk.registration("agent")));
    desk.stop();
    desk.run();
    assert!(about(left(&desk), 3600), "{:?} after a restart", left(&desk));
    // A day forth and back by the wall clock alone.
    for wall in [86_400, -86_400, 0] {
        desk.set_clocks(wall, 0);
        assert!(about(left(&desk), 3600), "{wall}: {:?}", left(&desk));
    }
    desk.set_clocks(-86_400 + 3000, 3000);
    assert!(about(left(&desk), 600), "{:?}", left(&desk));
    desk.set_clocks(-86_400, 3601);
    assert_eq!(left(&desk), None);
    assert_eq!(fault(&desk.door().ask(&register)), Some(AccessFault::RegistrationClosed));
    desk.stop();
    desk.run();
    desk.set_clocks(-86_400, 3601);
    assert_eq!(left(&desk), None);
    assert_eq!(fault(&desk.door().ask(&register)), Some(AccessFault::RegistrationClosed));
}
