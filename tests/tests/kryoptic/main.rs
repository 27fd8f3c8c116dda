//! The whole house on a second PKCS#11 module: kryoptic, whose tokens are SQLite files and which locks a PIN after ten wrong
//! tries. `tests/kryoptic/build.sh` builds it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use pkcs11_shim::{Control, ENV_CONTROL, ENV_MODULE};
use serde_json::{Value, json};
use signing_agent_tests::{APPROVE_ALL, House, Settings, until};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const SLOT: &str = "1";
const CONF: &str = "KRYOPTIC_CONF";

fn built() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("kryoptic/build.sh");
    let output = Command::new(script).output().expect("build.sh can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// A house whose token is kryoptic's, with the label and the PIN of the one that it replaces.
struct Kryoptic {
    house: House,
    module: PathBuf,
    /// What the agent's module, which forwards to kryoptic, is to do wrong.
    control: Control,
}

impl Kryoptic {
    fn empty() -> Self {
        let mut house = House::empty(Settings { log_level: "info", ..Settings::with_policy(APPROVE_ALL) });
        let dir = house.dir.path().join("kryoptic");
        fs::create_dir(&dir).unwrap();
        let conf = dir.join("kryoptic.conf");
        let token = dir.join("token.sql");
        fs::write(&conf, format!("[[slots]]\nslot = {SLOT}\ndbtype = \"sqlite\"\ndbargs = {token:?}\n")).unwrap();
        let control = Control::new(&dir.join("faults"));
        // The jail lets the vault read what is beside its configuration, and not where tools are built.
        let module = house.dir.path().join("libkryoptic_module.so");
        fs::copy(built(), &module).unwrap();
        house.settings.module = Some(Control::module());
        house.settings.hsm = format!("writable = [{dir:?}]\n");
        house.settings.environment =
            vec![(CONF, conf), (ENV_MODULE, module.clone()), (ENV_CONTROL, control.path().to_owned())];
        house.write_config();
        let kryoptic = Self { house, module, control };
        kryoptic.init_token();
        kryoptic
    }

    /// Registered, with its feed open.
    fn registered() -> Self {
        let mut kryoptic = Self::empty();
        kryoptic.init(&[]);
        kryoptic.house.run();
        let reply = kryoptic.house.register("test-agent");
        assert_eq!(reply.status, 200, "{}\n{}", reply.json(), kryoptic.house.log());
        kryoptic.house.wait("feeds=1");
        kryoptic
    }

    /// C_InitToken, and C_InitPIN as the security officer.
    fn init_token(&self) {
        let so_pin = "a security officer";
        self.tool(&["--init-token", "--label", &self.house.token.label, "--so-pin", so_pin]);
        let pin = self.pin();
        // A database that others may read has SQLite give its journal the same mode, whatever this process's umask is.
        fs::set_permissions(self.dir().join("token.sql"), fs::Permissions::from_mode(0o644)).unwrap();
        self.tool(&["--login", "--login-type", "so", "--so-pin", so_pin, "--init-pin", "--pin", &pin]);
    }

    fn dir(&self) -> PathBuf {
        self.house.dir.path().join("kryoptic")
    }

    fn pin(&self) -> String {
        fs::read_to_string(&self.house.token.pin_file).unwrap().trim().to_owned()
    }

    /// `pkcs11-tool` on the same token; what it says.
    fn tool(&self, arguments: &[&str]) -> String {
        let mut tool = Command::new("pkcs11-tool");
        tool.arg("--module").arg(&self.module).args(["--slot", SLOT]).args(arguments);
        let output = tool.env(CONF, &self.house.settings.environment[0].1).output();
        let output = output.expect("pkcs11-tool can be started: install opensc");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn init(&self, more: &[&str]) {
        let output = self.house.output(&[&["init"], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn status(&self) -> Value {
        serde_json::from_slice(&self.house.output(&["status", "--json"]).stdout).unwrap_or_default()
    }

    fn trouble(&self) -> Option<String> {
        self.status()["trouble"].as_str().map(str::to_owned)
    }

    fn vault(&self) -> u32 {
        self.house.rooms().into_iter().find(|(name, _)| name == "vault").expect("a vault").1
    }

    /// So many more actions are approved, each once; the simulator verifies the signatures.
    fn approves(&self, count: u64) {
        let before = self.house.stats()["approved"].as_u64().unwrap();
        let ids = self.house.order(json!({ "kind": "transfer", "count": count }));
        let stats = self.house.wait(&format!("approved={}", before + count));
        assert_eq!(stats["refusals"], json!([]), "{stats}");
        for id in ids {
            assert_eq!(self.house.action(&id)["approvals"], 1);
        }
    }

    /// The audit log up to now, under a checkpoint that the token signs, as the operator verifies it.
    fn audit_verifies(&self) {
        let path = self.house.dir.path().join("export");
        let path = path.to_str().unwrap();
        let export = self.house.output(&["audit", "export", "--output", path]);
        assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
        let key = self.status()["audit"]["key"].as_str().unwrap().to_owned();
        let verify = self.house.output(&["audit", "verify", path, "--public-key", &key]);
        assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stderr));
        fs::remove_file(path).unwrap();
    }

    /// No room ended by itself, by its filter least of all.
    fn stood(&self) {
        let log = self.house.log();
        assert!(!log.contains("SIGSYS") && !log.contains("was ended by"), "{log}");
        self.house.assert_no_panic();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
#[ignore = "kryoptic is built first: `make test-long`"]
fn a_house_on_kryoptic_registers_and_approves_and_goes_on_after_a_restart() {
    let mut kryoptic = Kryoptic::registered();
    let vault = kryoptic.vault();
    kryoptic.approves(50);
    kryoptic.audit_verifies();
    let objects = kryoptic.tool(&["--login", "--pin", &kryoptic.pin(), "--list-objects"]);
    for kind in ["Private Key Object; EC", "Public Key Object; EC", "Data object"] {
        assert!(objects.contains(kind), "{kind}: {objects}");
    }
    assert_eq!(kryoptic.vault(), vault, "{}", kryoptic.house.log());
    let fingerprints = kryoptic.status()["fingerprints"].clone();
    assert!(kryoptic.house.stop().success(), "{}", kryoptic.house.log());
    // Everything is there: nothing is made anew.
    kryoptic.init(&[]);
    kryoptic.house.run();
    assert_eq!(kryoptic.status()["fingerprints"], fingerprints);
    kryoptic.house.wait("feeds=1");
    kryoptic.approves(10);
    kryoptic.audit_verifies();
    kryoptic.stood();
}

#[test]
#[ignore = "kryoptic is built first: `make test-long`"]
fn an_older_copy_of_the_state_is_noticed_by_what_kryoptic_remembers() {
    let mut kryoptic = Kryoptic::registered();
    let (state, copied) = (kryoptic.house.state(), kryoptic.house.dir.path().join("copy"));
    kryoptic.approves(1);
    assert!(kryoptic.house.stop().success());
    copy(&state, &copied);
    kryoptic.house.run();
    kryoptic.approves(1);
    assert!(kryoptic.house.stop().success());
    for file in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let _ = fs::remove_file(state.join(file));
    }
    copy(&copied, &state);
    kryoptic.house.run_unready();
    let told = || kryoptic.trouble().is_some_and(|words| words.contains("recover --accept-rollback"));
    until("it is told", told, || kryoptic.house.log());
    let accepted = kryoptic.house.output(&["recover", "--accept-rollback"]);
    assert!(accepted.status.success(), "{}", String::from_utf8_lossy(&accepted.stderr));
    assert!(kryoptic.house.output(&["unfreeze"]).status.success());
    until("it is over", || kryoptic.trouble().is_none(), || kryoptic.house.log());
    kryoptic.stood();
}

#[test]
#[ignore = "kryoptic is built first: `make test-long`"]
fn a_lost_session_of_kryoptic_is_opened_again_and_logged_in_to() {
    let kryoptic = Kryoptic::registered();
    let vault = kryoptic.vault();
    kryoptic.approves(3);
    // CKR_SESSION_HANDLE_INVALID, CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT, CKR_USER_NOT_LOGGED_IN, CKR_CRYPTOKI_NOT_INITIALIZED
    for code in ["0xB3", "0x32", "0xE0", "0x101", "0x190"] {
        let before = kryoptic.control.logins();
        kryoptic.control.set(&format!("C_SignInit return {code} times=1"));
        // A checkpoint needs the token.
        kryoptic.audit_verifies();
        let calls = kryoptic.control.calls();
        assert!(calls.iter().any(|call| call == "C_SignInit"), "{code}: {calls:?}");
        until("it is over", || kryoptic.trouble().is_none(), || kryoptic.house.log());
        kryoptic.approves(3);
        kryoptic.audit_verifies();
        assert_eq!(kryoptic.control.logins() - before, 1, "{code}: {}", kryoptic.house.log());
        kryoptic.control.clear();
    }
    assert_eq!(kryoptic.vault(), vault, "{}", kryoptic.house.log());
    kryoptic.stood();
}

#[test]
#[ignore = "kryoptic is built first: `make test-long`"]
fn a_pin_that_kryoptic_refuses_is_tried_once_and_not_locked() {
    let mut kryoptic = Kryoptic::registered();
    let right = kryoptic.pin();
    assert!(kryoptic.house.stop().success());
    let before = kryoptic.control.logins();
    fs::write(&kryoptic.house.token.pin_file, "13371337133713371337").unwrap();
    // More starts than the token has tries, killed and stopped.
    for start in 0..12 {
        kryoptic.house.run_unready();
        let words = if start == 0 { "CKR_PIN_INCORRECT" } else { "refused this PIN before" };
        let told = || kryoptic.trouble().is_some_and(|trouble| trouble.contains(words));
        until("it is told", told, || kryoptic.house.log());
        if start % 2 == 0 { kryoptic.house.kill() } else { assert!(kryoptic.house.stop().success()) }
    }
    assert_eq!(kryoptic.control.logins() - before, 1, "{}", kryoptic.house.log());
    assert!(!kryoptic.tool(&["--list-token-slots"]).contains("locked"));
    fs::write(&kryoptic.house.token.pin_file, &right).unwrap();
    kryoptic.init(&["--try-pin-again"]);
    kryoptic.house.run();
    kryoptic.house.wait("feeds=1");
    kryoptic.approves(1);
    assert!(!kryoptic.house.log().contains(&right));
}
