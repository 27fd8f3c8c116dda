#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;

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

/// A place for the marker, a gate before it, and what C_Login is made to answer.
fn gate() -> (tempfile::TempDir, PathBuf, PinGate) {
    let (dir, source) = pin_file(b"1234", 0o600);
    let marker = dir.path().join("pin-refused");
    let gate = PinGate::new(source, marker.clone());
    (dir, marker, gate)
}

fn answer(gate: &PinGate, code: RvError) -> Result<(), Error> {
    gate.login_by(|_| Err(Pkcs11Error::Pkcs11(code, cryptoki::context::Function::Login)))
}

/// The gate of the next process.
fn restarted(gate: &PinGate) -> PinGate {
    PinGate::new(gate.source.clone(), gate.marker.clone())
}

/// The process dies during C_Login or right after its answer: what stands after the call does not run.
fn die(gate: &PinGate) {
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| gate.login_by(|_| panic!("died"))));
    assert!(died.is_err());
}

fn is_closed(gate: &PinGate) -> bool {
    let error = gate.login_by(|_| panic!("the PIN was tried")).unwrap_err();
    assert!(error.to_string().contains("signing-agent init --try-pin-again"), "{error}");
    matches!(error, Error::PinRefusedBefore { .. })
}

#[test]
fn what_the_operator_corrected_is_tried_again_without_a_restart() {
    let (dir, source) = pin_file(b"1234", 0o600);
    let home = dir.path().join("state");
    fs::create_dir(&home).unwrap();
    let gate = PinGate::new(source, home.join("pin-refused"));
    // The refusal cannot be kept: only this process knows it.
    let lost = gate.login_by(|_| {
        fs::remove_dir_all(&home).unwrap();
        Err(Pkcs11Error::Pkcs11(RvError::PinIncorrect, cryptoki::context::Function::Login))
    });
    assert!(matches!(lost, Err(Error::PinIncorrect { .. })));
    fs::create_dir(&home).unwrap();
    assert!(is_closed(&gate));
    gate.try_again().unwrap();
    gate.login_by(|_| Ok(())).unwrap();

    // A marker that cannot be removed still holds.
    fs::create_dir_all(gate.marker.join("in the way")).unwrap();
    assert!(matches!(gate.try_again(), Err(Error::Marker { .. })));
    assert!(is_closed(&gate));
}

#[test]
fn a_refusal_under_any_code_is_not_tried_for_ever() {
    for code in [
        RvError::GeneralError,
        RvError::FunctionFailed,
        RvError::DeviceError,
        RvError::DeviceMemory,
        RvError::ArgumentsBad,
        RvError::FunctionCanceled,
        RvError::FunctionRejected,
        RvError::OperationNotInitialized,
        RvError::VendorDefined(0x8000_0001),
        RvError::UnknownErrorCode(0x7777),
    ] {
        let (_dir, marker, gate) = gate();
        let error = answer(&gate, code).unwrap_err();
        let words = error.to_string();
        assert!(matches!(error, Error::Pkcs11 { .. }), "{words}");
        assert!(words.starts_with("C_Login: ") && words.contains("may have counted"), "{words}");
        assert!(words.contains("signing-agent init --try-pin-again") && !marker.exists(), "{words}");

        // The count is on the disk: a restart does not begin anew.
        let gate = restarted(&gate);
        let error = answer(&gate, code).unwrap_err();
        let words = error.to_string();
        assert!(matches!(error, Error::PinUnusable { .. }), "{words}");
        assert!(words.contains("counted") && words.contains("signing-agent init --try-pin-again"), "{words}");
        let note = fs::read_to_string(&marker).unwrap();
        assert!(note.starts_with("C_Login: ") && note.contains("may have counted"), "{note}");
        assert!(is_closed(&gate) && is_closed(&restarted(&gate)), "{code:?}");

        // With a marker to remove, and with a count alone.
        for _ in 0..2 {
            gate.try_again().unwrap();
            assert!(matches!(answer(&gate, code), Err(Error::Pkcs11 { .. })), "the count begins anew");
        }
        gate.login_by(|_| Ok(())).unwrap();
    }
    for code in [RvError::PinIncorrect, RvError::PinLocked, RvError::PinInvalid, RvError::PinExpired] {
        let (_dir, _, gate) = gate();
        answer(&gate, code).unwrap_err();
        assert!(is_closed(&restarted(&gate)), "{code:?} at once");
    }
}

#[test]
fn a_lost_token_does_not_close_the_gate() {
    // SoftHSM's answer where the token directory vanished, p11-kit's where its process did.
    for code in [RvError::GeneralError, RvError::DeviceError] {
        let (_dir, marker, gate) = gate();
        for _ in 0..5 {
            answer(&gate, code).unwrap_err();
            gate.login_by(|_| Ok(())).unwrap();
        }
        assert!(!marker.exists() && !gate.try_path().exists());
    }
    for code in [
        RvError::CryptokiNotInitialized,
        RvError::DeviceRemoved,
        RvError::HostMemory,
        RvError::OperationActive,
        RvError::SessionClosed,
        RvError::SessionHandleInvalid,
        RvError::SlotIdInvalid,
        RvError::TokenNotPresent,
        RvError::UserPinNotInitialized,
    ] {
        let (_dir, marker, gate) = gate();
        for _ in 0..5 {
            assert!(matches!(answer(&gate, code), Err(Error::Pkcs11 { .. })), "{code:?}");
        }
        assert!(!marker.exists() && !gate.try_path().exists(), "{code:?}");

        // Nor does it wipe out what was counted.
        answer(&gate, RvError::GeneralError).unwrap_err();
        answer(&gate, code).unwrap_err();
        assert!(matches!(answer(&gate, RvError::GeneralError), Err(Error::PinUnusable { .. })), "{code:?}");
    }
}

#[test]
fn a_process_that_died_during_a_login_left_one_of_unknown_fate() {
    let (_dir, marker, gate) = gate();
    die(&gate);
    assert!(!marker.exists() && gate.try_path().exists());
    // One is forgiven where the next succeeds.
    restarted(&gate).login_by(|_| Ok(())).unwrap();
    assert!(!gate.try_path().exists());
    // Two are not, whether the process died or lived.
    die(&gate);
    die(&restarted(&gate));
    assert!(!marker.exists());
    assert!(is_closed(&restarted(&gate)) && marker.exists());
    assert!(fs::read_to_string(&marker).unwrap().contains("signing-agent init --try-pin-again"));
    clear_refused_pin(&marker).unwrap();
    assert!(!marker.exists() && !gate.try_path().exists());
    die(&gate);
    assert!(matches!(answer(&restarted(&gate), RvError::GeneralError), Err(Error::PinUnusable { .. })));
}

#[test]
fn what_a_broken_end_left_on_the_disk_is_never_taken_for_a_clean_one() {
    // An empty file, the blanks and zeros of a file that was not written to the end: one login. A note: a refusal.
    for (left, closed) in [
        (&b""[..], false),
        (&[b' '; 512], false),
        (&[0; 512], false),
        (b"1", false),
        (b"2", true),
        (b"9", true),
        (b"C_Login: CKR_PIN_INCORRECT (0xA0)\n\nThe tok", true),
    ] {
        let (_dir, marker, gate) = gate();
        fs::write(gate.try_path(), left).unwrap();
        if closed {
            assert!(is_closed(&gate) && marker.exists());
        } else {
            assert!(matches!(answer(&gate, RvError::GeneralError), Err(Error::PinUnusable { .. })), "{left:?}");
        }
    }
}
