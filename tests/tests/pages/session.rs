//! A shell beside a house, in which the commands of a page are typed.

use serde_json::{Value, json};
use signing_agent_tests::{House, Person, Settings, binary, until};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A page's shell blocks, in order.
pub fn blocks(page: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page)).unwrap();
    let (mut found, mut inside) = (Vec::new(), false);
    for line in text.lines() {
        match line.trim_start() {
            "```sh" => {
                found.push(String::new());
                inside = true;
            }
            "```" => inside = false,
            line if inside => *found.last_mut().unwrap() += &format!("{line}\n"),
            _ => {}
        }
    }
    found
}

pub struct Session {
    pub house: House,
    /// Where the commands are typed; it is `$HOME` too.
    pub dir: PathBuf,
    _dir: Option<TempDir>,
}

impl Session {
    pub fn beside(house: House) -> Self {
        let dir = TempDir::with_prefix("signing-agent-page-").unwrap();
        let session = Self { house, dir: dir.path().to_owned(), _dir: Some(dir) };
        session.typed_as("signing-agent", &session.house);
        session
    }

    /// A registered agent with one recovery recipient, whose identity is in `recovery.txt`; `more` of the configuration.
    pub fn registered(policy: Option<&str>, more: &str) -> Self {
        let identity = age::x25519::Identity::generate();
        let settings = Settings {
            policy: policy.map(str::to_owned),
            recovery: vec![identity.to_public().to_string()],
            more: more.to_owned(),
            ..Settings::default()
        };
        let session = Self::beside(House::registered(settings));
        session.put("recovery.txt", age::secrecy::ExposeSecret::expose_secret(&identity.to_string()));
        session
    }

    /// The command is this house's under this name.
    fn typed_as(&self, name: &str, house: &House) {
        let bin = self.dir.join("bin");
        fs::create_dir_all(&bin).unwrap();
        let (program, config, token) = (binary("signing-agent"), house.config(), &house.token.conf);
        let script = format!("#!/bin/sh\nSOFTHSM2_CONF={token:?} exec {program:?} \"$@\" --config {config:?}\n");
        fs::write(bin.join(name), script).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Goes on at another machine, in the same directory.
    pub fn moves_to(self, house: House) -> Self {
        self.typed_as("signing-agent", &house);
        Self { house, ..self }
    }

    pub fn put(&self, name: &str, text: &str) {
        fs::write(self.dir.join(name), text).unwrap();
        fs::set_permissions(self.dir.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name)).unwrap()
    }

    /// What it says, where it ends well.
    pub fn types(&self, commands: &str) -> String {
        let (code, said) = self.ends(commands);
        assert_eq!(code, Some(0), "{commands}\n{said}\n{}", self.house.log());
        said
    }

    /// Its exit code, and all that it says; at a running house.
    pub fn ends(&self, commands: &str) -> (Option<i32>, String) {
        const HERE: &str = "127.0.0.1:8007";
        if commands.contains(HERE) {
            return self.ends_alone(&commands.replace(HERE, &self.house.address()));
        }
        self.ends_alone(commands)
    }

    pub fn ends_alone(&self, commands: &str) -> (Option<i32>, String) {
        let path = format!("{}:{}", self.dir.join("bin").display(), std::env::var("PATH").unwrap());
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", commands])
            .current_dir(&self.dir)
            .env("PATH", path)
            .env("HOME", &self.dir)
            .env_remove("SSH_AUTH_SOCK")
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    /// The same about this action.
    pub fn types_about(&self, action: &str, commands: &str) -> String {
        self.types(&about(action, commands))
    }

    pub fn status(&self) -> Value {
        serde_json::from_slice(&self.house.output(&["status", "--json"]).stdout).unwrap()
    }

    /// The audit key, as somebody keeps it elsewhere.
    pub fn keeps_the_audit_key(&self) {
        self.put("audit-key.txt", self.status()["audit"]["key"].as_str().unwrap());
    }

    /// An action that waits for people.
    pub fn held(&self) -> String {
        let id = self.house.order(json!({"kind": "withdraw", "expiresIn": 3600})).remove(0);
        let state = || self.house.output(&["actions", "show", &id, "--json"]).stdout;
        until("it is held", || String::from_utf8_lossy(&state()).contains("\"held\""), || self.house.log());
        id
    }

    /// Somebody whose key is where ssh-keygen's is by default.
    pub fn types_as(&self, person: &Person) {
        fs::create_dir_all(self.dir.join(".ssh")).unwrap();
        fs::copy(person.key(), self.dir.join(".ssh/id_ed25519")).unwrap();
    }
}

/// The commands with this action in the place of `ACTION`.
pub fn about(action: &str, commands: &str) -> String {
    let words = commands.split_inclusive(char::is_whitespace);
    words
        .map(|word| if word.trim_end() == "ACTION" { word.replace("ACTION", action) } else { word.to_owned() })
        .collect()
}
