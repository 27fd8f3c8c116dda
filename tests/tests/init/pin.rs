//! The token's PIN, the token, and its module, where they are not as they should be.

use crate::{configure, made, refused, stands_with_words, texts};
use signing_agent_tests::{House, Settings};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const WRONG: &str = "13371337133713371337";

/// Neither the right PIN nor the wrong one.
fn shows_no_pin(house: &House, right: &str, text: &str) {
    assert!(!text.contains(right.trim()) && !text.contains(WRONG), "a PIN is shown: {text}");
    let files = fs::read_dir(house.state()).unwrap().flatten().filter(|file| file.path().is_file());
    for file in files {
        let text = String::from_utf8_lossy(&fs::read(file.path()).unwrap()).into_owned();
        assert!(!text.contains(right.trim()) && !text.contains(WRONG), "{}", file.path().display());
    }
}

#[test]
fn a_refused_pin_is_not_tried_again_until_the_operator_says_so_and_is_shown_nowhere() {
    let mut house = House::empty(Settings { log_level: "trace", ..Settings::default() });
    made(&house, &["init"]);
    let right = fs::read_to_string(&house.token.pin_file).unwrap();
    fs::write(&house.token.pin_file, WRONG).unwrap();
    let marker = house.state().join("pin-refused");
    let (code, out, err) = texts(&house.output(&["init"]));
    assert_eq!(code, 1, "{out}{err}");
    assert!(err.contains("C_Login: CKR_PIN_INCORRECT") && err.contains("init --try-pin-again"), "{err}");
    shows_no_pin(&house, &right, &format!("{out}{err}"));
    assert!(fs::read_to_string(&marker).unwrap().contains("CKR_PIN_INCORRECT"));

    // The right one is not tried either: the token would count it as the vault's, and nobody has looked yet.
    fs::write(&house.token.pin_file, &right).unwrap();
    refused(&house, &["init"], 1, &["the token refused this PIN before", "init --try-pin-again"]);
    stands_with_words(&mut house, "the token refused this PIN before");
    assert!(marker.exists());
    // Asked of the vault that stands there.
    made(&house, &["init", "--try-pin-again"]);
    assert!(!marker.exists());
    assert_eq!(house.register("agent").status, 200, "{}", house.log());
    house.stop();

    // And of none, with a PIN that is wrong again.
    fs::write(&house.token.pin_file, WRONG).unwrap();
    refused(&house, &["init", "--try-pin-again"], 1, &["CKR_PIN_INCORRECT"]);
    refused(&house, &["init"], 1, &["refused this PIN before"]);
    fs::write(&house.token.pin_file, &right).unwrap();
    made(&house, &["init", "--try-pin-again"]);
    house.run();
    shows_no_pin(&house, &right, &house.log());
}

#[test]
fn a_pin_that_turns_wrong_between_two_runs_stops_the_vault_with_words() {
    let mut house = House::empty(Settings { log_level: "trace", ..Settings::default() });
    made(&house, &["init"]);
    let right = fs::read_to_string(&house.token.pin_file).unwrap();
    fs::write(&house.token.pin_file, WRONG).unwrap();
    stands_with_words(&mut house, "CKR_PIN_INCORRECT");
    assert_eq!(house.log().matches("CKR_PIN_INCORRECT").count(), 1, "it was tried once: {}", house.log());
    shows_no_pin(&house, &right, &house.log());
}

#[test]
fn a_pin_file_that_others_may_read_is_not_read() {
    let house = House::empty(Settings::default());
    let mode = |mode| fs::set_permissions(&house.token.pin_file, fs::Permissions::from_mode(mode)).unwrap();
    for open in [0o644, 0o640, 0o602] {
        mode(open);
        refused(&house, &["init"], 1, &["others may use it", "chmod 600", &format!("mode {open:04o}")]);
    }
    mode(0o600);
    let pin = fs::read_to_string(&house.token.pin_file).unwrap();
    for useless in ["", "\n", &"1".repeat(300)] {
        fs::write(&house.token.pin_file, useless).unwrap();
        refused(&house, &["init"], 1, &["cannot use the PIN in"]);
    }
    fs::remove_file(&house.token.pin_file).unwrap();
    refused(&house, &["init"], 1, &["it is not there"]);
    fs::write(&house.token.pin_file, pin).unwrap();
    mode(0o600);
    // None of these was a try.
    made(&house, &["init"]);
}

#[test]
fn a_token_that_is_not_there_and_a_module_that_cannot_be_loaded_are_told() {
    let mut house = House::empty(Settings::default());
    let good = fs::read_to_string(house.config()).unwrap();
    configure(&house, &format!("token = \"{}\"", house.token.label), "token = \"somebody-elses\"");
    refused(&house, &["init"], 1, &["there is no token", "somebody-elses", &house.token.label, "[hsm]"]);

    fs::write(house.config(), &good).unwrap();
    let no_module = house.dir.path().join("no-module.so");
    fs::write(&no_module, "this is no library").unwrap();
    for path in [no_module.clone(), house.dir.path().join("nowhere.so")] {
        fs::write(house.config(), &good).unwrap();
        configure(&house, &house.token.module.display().to_string(), &path.display().to_string());
        refused(&house, &["init"], 1, &["cannot load the PKCS#11 module", &path.display().to_string()]);
    }
    fs::write(house.config(), &good).unwrap();
    made(&house, &["init"]);
    configure(&house, &house.token.module.display().to_string(), &no_module.display().to_string());
    stands_with_words(&mut house, "cannot load the PKCS#11 module");
}
