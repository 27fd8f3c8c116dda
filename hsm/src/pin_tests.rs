#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use age::secrecy::ExposeSecret as _;

fn pin_file(content: &[u8], mode: u32) -> (tempfile::TempDir, PinSource) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pin");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    (dir, PinSource::File(path))
}

fn refusal(source: &PinSource) -> String {
    read(source).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn one_newline_at_the_end_is_not_part_of_the_pin() {
    for (content, pin) in
        [(&b"1234"[..], &b"1234"[..]), (b"1234\n", b"1234"), (b"1234\r\n", b"1234"), (b" 12 \n", b" 12 ")]
    {
        let (_dir, source) = pin_file(content, 0o600);
        assert_eq!(read(&source).unwrap().expose_secret(), pin);
    }
}

#[test]
fn a_pin_file_that_others_may_use_is_refused_with_what_to_type() {
    for mode in [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644, 0o666] {
        let (_dir, source) = pin_file(b"secret-pin", mode);
        let words = refusal(&source);
        assert!(words.contains("chmod 600") && words.contains(&format!("{mode:04o}")), "{words}");
        assert!(!words.contains("secret-pin"));
    }
    for mode in [0o600, 0o400] {
        let (_dir, source) = pin_file(b"1234", mode);
        assert!(read(&source).is_ok(), "{mode:o}");
    }
}

#[test]
fn what_is_no_pin_is_refused_with_words() {
    for (content, words) in
        [(&b""[..], "empty"), (b"\n", "empty"), (&[b'1'; 300], "longer than"), (&[b'1'; 70_000], "longer")]
    {
        let (_dir, source) = pin_file(content, 0o600);
        assert!(refusal(&source).contains(words));
    }
    let dir = tempfile::tempdir().unwrap();
    assert!(refusal(&PinSource::File(dir.path().into())).contains("not a regular file"));
    assert!(refusal(&PinSource::File(dir.path().join("none"))).contains("it is not there"));
    if std::env::var_os("CREDENTIALS_DIRECTORY").is_none() {
        assert!(refusal(&PinSource::Credential("token-pin".into())).contains("$CREDENTIALS_DIRECTORY is not set"));
    }
    for name in ["", "..", "../pin", "a/b", "/etc/shadow"] {
        assert!(refusal(&PinSource::Credential(name.into())).contains("not the name of a credential"), "{name}");
    }
}

#[test]
fn the_marker_closes_the_gate_until_it_is_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("pin-refused");
    let gate = PinGate::new(PinSource::Credential("token-pin".into()), marker.clone());
    gate.check().unwrap();
    assert!(matches!(gate.locked(), Error::PinLocked { .. }));
    assert_eq!(fs::metadata(&marker).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&marker).unwrap().contains("CKR_PIN_LOCKED"));
    assert!(matches!(gate.check(), Err(Error::PinRefusedBefore { .. })));
    // A new process, and something that is not even a file.
    let again = PinGate::new(PinSource::Credential("token-pin".into()), marker.clone());
    assert!(matches!(again.check(), Err(Error::PinRefusedBefore { .. })));
    clear_refused_pin(&marker).unwrap();
    clear_refused_pin(&marker).unwrap();
    again.check().unwrap();
    std::os::unix::fs::symlink("/nowhere", &marker).unwrap();
    assert!(matches!(again.check(), Err(Error::PinRefusedBefore { .. })));
}

#[test]
fn where_the_marker_cannot_be_kept_the_refusal_holds_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let gate = PinGate::new(PinSource::Credential("token-pin".into()), dir.path().join("none/pin-refused"));
    gate.check().unwrap();
    assert!(matches!(gate.locked(), Error::PinLocked { .. }));
    assert!(matches!(gate.check(), Err(Error::PinRefusedBefore { .. })));
}
