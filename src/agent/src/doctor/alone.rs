//! `signing-agent-vault --check`, as the user that the vault works as: nobody else reads its state and its PIN as it does.

use super::accounts;
use super::found::unknown;
use crate::handover::{self, Kind};
use config::Config;
use ipc::Finding;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// What it may take: the token, the ledger, and a module that is slow to load.
const PATIENCE: Duration = Duration::from_secs(60);
const LONGEST: u64 = 1 << 20;
/// systemd-run asks by it.
const BUS: &str = "/run/dbus/system_bus_socket";
const UNIT: &str = "signing-agent-vault.service";
/// What of the unit makes the user, the PIN and the module's surroundings.
const PROPERTIES: [&str; 7] = [
    "User",
    "Group",
    "SupplementaryGroups",
    "Environment",
    "EnvironmentFile",
    "LoadCredential",
    "LoadCredentialEncrypted",
];

/// What it found, and who looked.
pub fn look(path: &Path, config: &Config) -> (Vec<Finding>, String) {
    let program = match handover::program(Kind::Vault) {
        Ok(program) => program,
        Err(e) => return (vec![unknown("vault-check", e, "install the rooms and this command together")], nobody()),
    };
    let (mut command, by) = match prepared(&program, config, path) {
        Ok(prepared) => prepared,
        Err(words) => return (vec![unknown("vault-check", words, "type this as root, or as that user")], nobody()),
    };
    command.arg("--check").arg("--config").arg(path);
    match run(command) {
        Ok(findings) => (findings, format!("signing-agent-vault --check, {by}, for no vault answers")),
        Err(words) => {
            let remedy = format!("type it yourself: {} --check --config {}", program.display(), path.display());
            (vec![unknown("vault-check", words, remedy)], nobody())
        }
    }
}

fn nobody() -> String {
    "this command alone, for no vault answers".into()
}

/// The command that becomes the check, and as whom. Root becomes the vault's user: by systemd where its unit says who that is and
/// hands it the PIN, else the state directory's owner.
fn prepared(program: &Path, config: &Config, path: &Path) -> Result<(Command, String), String> {
    let me = rustix::process::geteuid().as_raw();
    let systemd = Path::new("/run/systemd/system").is_dir() && Path::new(BUS).exists();
    let is_service = me == 0 && path == Path::new(config::DEFAULT_PATH) && systemd;
    if is_service && let Some(properties) = unit() {
        let mut command = Command::new("systemd-run");
        command.args(["--quiet", "--pipe", "--wait", "--collect"]);
        properties.iter().for_each(|property| {
            command.arg("-p").arg(property);
        });
        command.arg("--").arg(program);
        return Ok((command, format!("as {UNIT} is started")));
    }
    let Ok(state) = std::fs::metadata(&config.state.dir) else { return Ok((Command::new(program), "as you".into())) };
    match (me, state.uid()) {
        (me, owner) if me == owner => Ok((Command::new(program), "as you".into())),
        (0, owner) => {
            let mut command = Command::new("setpriv");
            command.arg(format!("--reuid={owner}")).arg(format!("--regid={}", state.gid()));
            command.arg(if accounts::is_known(owner) { "--init-groups" } else { "--clear-groups" });
            command.arg("--").arg(program);
            Ok((command, format!("as the state directory's owner, uid {owner}")))
        }
        (_, owner) => Err(format!("no vault answers, and {} is of uid {owner}", config.state.dir.display())),
    }
}

/// The unit's properties as `systemd-run -p` takes them; nothing where there is no such unit.
fn unit() -> Option<Vec<String>> {
    let unit = Command::new("systemctl").args(["cat", UNIT]).stdin(Stdio::null()).output().ok()?;
    unit.status.success().then(|| properties(&String::from_utf8_lossy(&unit.stdout)))
}

/// Those of a unit and its drop-ins, one behind the other; an empty one takes back what was said before (systemd.syntax(7)).
fn properties(text: &str) -> Vec<String> {
    let mut all: Vec<(&str, &str)> = Vec::new();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        let (key, value) = (key.trim(), value.trim());
        if !PROPERTIES.contains(&key) {
            continue;
        }
        if value.is_empty() {
            all.retain(|(other, _)| *other != key);
        } else if !value.contains('%') {
            // What has a specifier in it is not expanded there; nothing of ours that has one is needed for this.
            all.push((key, value));
        }
    }
    all.into_iter().map(|(key, value)| format!("{key}={value}")).collect()
}

fn run(mut command: Command) -> Result<Vec<Finding>, String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|e| format!("{name} cannot be started: {e}"))?;
    let (tell, told) = channel();
    for (number, pipe) in [
        (0, child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>)),
        (1, child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>)),
    ] {
        let tell = tell.clone();
        thread::spawn(move || {
            let mut text = Vec::new();
            let read = pipe.map(|pipe| pipe.take(LONGEST).read_to_end(&mut text));
            tell.send((number, read.is_some_and(|read| read.is_ok()).then_some(text)))
        });
    }
    let mut texts = [Vec::new(), Vec::new()];
    for _ in 0..texts.len() {
        let Ok((number, text)) = told.recv_timeout(PATIENCE) else {
            // Both fail only where it has ended meanwhile.
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("it has not ended within {} s; the token may hang", PATIENCE.as_secs()));
        };
        texts[number] = text.unwrap_or_default();
    }
    let end = child.wait().map_err(|e| e.to_string())?;
    serde_json::from_slice(&texts[0])
        .map_err(|_| format!("it said nothing that is a report ({end}): {}", String::from_utf8_lossy(&texts[1])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_is_started_with_the_units_own_user_and_credential() {
        let unit = include_str!("../../../../systemd/signing-agent-vault.service");
        let plain = [
            "User=signing-agent-vault",
            "Group=signing-agent-vault",
            "SupplementaryGroups=signing-agent",
            "LoadCredential=token-pin:/etc/signing-agent/token-pin",
        ];
        assert_eq!(properties(unit), plain);
        let drop_in = "# /etc/systemd/system/signing-agent-vault.service.d/token.conf\n[Service]\nLoadCredential=\n\
                       LoadCredentialEncrypted=token-pin:/etc/x.cred\nEnvironment=SOFTHSM2_CONF=/etc/softhsm2.conf\n";
        let with = properties(&format!("{unit}\n{drop_in}"));
        assert_eq!(with[..3], plain[..3]);
        assert_eq!(
            with[3..],
            ["LoadCredentialEncrypted=token-pin:/etc/x.cred", "Environment=SOFTHSM2_CONF=/etc/softhsm2.conf"]
        );
    }
}
