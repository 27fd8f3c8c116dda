//! A person with an SSH key, made and used by OpenSSH's own ssh-keygen.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Person {
    pub name: String,
    key: PathBuf,
}

impl Person {
    /// Makes a key of this kind (`ed25519`, `ecdsa`) in `dir`.
    pub fn make(dir: &Path, name: &str, kind: &str) -> Self {
        let key = dir.join(format!("{name}.{kind}"));
        run(ssh_keygen().args(["-t", kind, "-N", "", "-C", "a comment", "-f"]).arg(&key));
        Self { name: name.to_owned(), key }
    }

    /// The file of the private key.
    pub fn key(&self) -> &Path {
        &self.key
    }

    /// As the configuration names it.
    pub fn line(&self) -> String {
        let public = fs::read_to_string(self.key.with_extension(format!("{}.pub", self.kind()))).expect("a public key");
        format!("{} {}", self.name, public.trim())
    }

    /// The armored signature over these octets.
    pub fn sign(&self, namespace: &str, octets: &[u8]) -> String {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("statement");
        fs::write(&file, octets).expect("a file to sign");
        run(ssh_keygen().args(["-Y", "sign", "-n", namespace, "-f"]).arg(&self.key).arg(&file));
        fs::read_to_string(dir.path().join("statement.sig")).expect("a signature")
    }

    fn kind(&self) -> &str {
        self.key.extension().and_then(|kind| kind.to_str()).unwrap_or_default()
    }
}

fn ssh_keygen() -> Command {
    let mut command = Command::new("ssh-keygen");
    command.arg("-q").env_remove("SSH_AUTH_SOCK");
    command
}

fn run(command: &mut Command) {
    let output = command.output().expect("ssh-keygen can be started: install openssh-client");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
