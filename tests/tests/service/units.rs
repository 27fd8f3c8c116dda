//! What can be said of the units without running them: that systemd takes them, how it scores them, and that the walls stand in them.

use crate::install;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const UNITS: &str = "usr/lib/systemd/system";
const ROOMS: [&str; 3] = ["vault", "api", "courier"];

fn analyze(root: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).arg(format!("--root={}", root.display()));
    command.output().expect("systemd-analyze can be started: apt-get install systemd")
}

fn verify(root: &Path) -> Result<(), String> {
    // What every host has: the api's reload sends a signal by it.
    let shell = root.join("bin/sh");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::write(&shell, "").unwrap();
    fs::set_permissions(&shell, fs::Permissions::from_mode(0o755)).unwrap();
    let units = fs::read_dir(root.join(UNITS)).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
    let units: Vec<_> = units.filter(|name| !name.ends_with(".d")).collect();
    let mut arguments = vec!["verify", "--man=no", "--recursive-errors=no"];
    arguments.extend(units.iter().map(String::as_str));
    let output = analyze(root, &arguments);
    // Units of the host that are not below this root are no matter of ours.
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let ours: Vec<_> = words.lines().filter(|line| line.contains("signing-agent")).collect();
    if output.status.success() && ours.is_empty() { Ok(()) } else { Err(words) }
}

/// Whether the room's score is at most this, in tenths.
fn scores(root: &Path, room: &str, at_most: u32) -> Result<(), String> {
    let (threshold, unit) = (format!("--threshold={at_most}"), format!("signing-agent-{room}.service"));
    let output = analyze(root, &["security", "--no-pager", "--offline=true", &threshold, &unit]);
    let words = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("Overall exposure level"), "{words}");
    if output.status.success() { Ok(()) } else { Err(words) }
}

/// The unit's lines, and after them those that all rooms share; without comments.
fn lines(root: &Path, room: &str) -> Vec<String> {
    let files = [format!("signing-agent-{room}.service"), "signing-agent-.service.d/00-walls.conf".to_owned()];
    let texts = files.iter().map(|name| fs::read_to_string(root.join(UNITS).join(name)).unwrap());
    texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| !line.starts_with('#'))
        .collect()
}

/// Replaces a line of an installed file.
fn spoil(root: &Path, file: &str, line: &str, with: &str) {
    let path: PathBuf = root.join(UNITS).join(file);
    let text = fs::read_to_string(&path).unwrap();
    let spoiled = text.replace(&format!("\n{line}\n"), &format!("\n{with}\n"));
    assert_ne!(text, spoiled, "{file} has no line {line}");
    fs::write(path, spoiled).unwrap();
}

#[test]
fn systemd_takes_every_unit_without_a_word() {
    let root = install("/usr");
    verify(root.path()).unwrap();
    spoil(root.path(), "signing-agent-api.service", "PrivateNetwork=yes", "PrivateNetwrok=yes");
    verify(root.path()).expect_err("an unknown key");
}

#[test]
fn systemd_takes_every_drop_in_that_is_offered() {
    let root = install("/usr");
    let offered = [
        ("softhsm", "vault", "SOFTHSM2_CONF=/etc/signing-agent/softhsm2.conf"),
        ("tpm", "vault", "LoadCredentialEncrypted=token-pin:/etc/signing-agent/token-pin.cred"),
        ("network-hsm", "vault", "PrivateNetwork=no"),
        ("backend", "courier", "IPAddressAllow="),
        ("witness-dir", "vault", "ReadWritePaths="),
    ];
    let all = fs::read_dir(root.path().join("usr/share/signing-agent/drop-ins")).unwrap().count();
    assert_eq!(all, offered.len());
    for (name, room, says) in offered {
        let text =
            fs::read_to_string(root.path().join(format!("usr/share/signing-agent/drop-ins/{name}.conf"))).unwrap();
        assert!(text.contains(says), "{name} does not say {says}");
        // What is left to fill in is filled in.
        let text = text.replace("\n#IPAddressAllow", "\nIPAddressAllow").replace("\n#ExecPaths", "\nExecPaths");
        let dir = root.path().join(format!("etc/systemd/system/signing-agent-{room}.service.d"));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(format!("{name}.conf")), text).unwrap();
        verify(root.path()).unwrap_or_else(|words| panic!("{name}: {words}"));
    }
}

#[test]
fn the_exposure_that_systemd_sees_is_at_most_three_tenths_and_one_for_the_courier() {
    let root = install("/usr");
    for (room, at_most) in [("vault", 3), ("api", 3), ("courier", 10)] {
        scores(root.path(), room, at_most).unwrap();
    }
    spoil(root.path(), "signing-agent-vault.service", "PrivateNetwork=yes", "PrivateNetwork=no");
    scores(root.path(), "vault", 3).expect_err("a vault with a network");
    spoil(root.path(), "signing-agent-.service.d/00-walls.conf", "ProtectSystem=strict", "ProtectSystem=no");
    scores(root.path(), "courier", 10).expect_err("a courier that may write everywhere");
}

#[test]
fn the_walls_stand_in_every_unit_also_those_that_the_score_does_not_see() {
    let root = install("/usr");
    for room in ROOMS {
        let lines = lines(root.path(), room);
        let has = |line: &str| assert!(lines.iter().any(|l| l == line), "{room}: no line {line}");
        for line in [
            "Type=notify",
            "NotifyAccess=main",
            "WatchdogSec=30s",
            "NoNewPrivileges=yes",
            "CapabilityBoundingSet=",
            "PrivateUsers=yes",
            "UMask=0077",
            "ProtectSystem=strict",
            "ProtectProc=invisible",
            "ProcSubset=pid",
            "NoExecPaths=/",
            "MemoryDenyWriteExecute=yes",
            "MemorySwapMax=0",
            "IPAddressDeny=any",
            "LimitCORE=0",
            "SystemCallArchitectures=native",
            "SystemCallFilter=@system-service",
            "RestartPreventExitStatus=2 78",
        ] {
            has(line);
        }
        has(&format!("User=signing-agent-{room}"));
        has(&format!("ExecPaths=/usr/libexec/signing-agent/signing-agent-{room}"));
        has(if room == "vault" { "Restart=on-failure" } else { "Restart=always" });
        has(if room == "vault" { "LimitMEMLOCK=8M" } else { "LimitMEMLOCK=0" });
        let none =
            |start: &str| assert!(!lines.iter().any(|line| line.starts_with(start)), "{room} has a line {start}");
        // Kills must stay kills.
        none("SystemCallErrorNumber");
        none("IPAddressAllow");
        if room == "courier" {
            none("PrivateNetwork");
        } else {
            has("PrivateNetwork=yes");
            none("RestrictAddressFamilies=AF_INET");
        }
        if room == "vault" {
            has("LoadCredential=token-pin:/etc/signing-agent/token-pin");
            has("OnFailure=signing-agent-halted.target");
            has("StateDirectoryMode=0700");
            has("Environment=SIGNING_AGENT_BOOT_ID=%b");
        } else {
            none("LoadCredential");
            none("StateDirectory");
            has("InaccessiblePaths=/var/lib -/etc/signing-agent/token-pin -/root -/opt");
        }
    }
}

#[test]
fn each_lane_has_a_group_of_its_own_and_the_name_that_the_vault_asks_for() {
    let root = install("/usr");
    let unit = |name: &str| fs::read_to_string(root.path().join(UNITS).join(name)).unwrap();
    let target = unit("signing-agent.target");
    let groups = [
        ("api", "signing-agent-lane-api"),
        ("courier", "signing-agent-lane-courier"),
        ("admin", "signing-agent-admin"),
    ];
    for (lane, group) in groups {
        let text = unit(&format!("signing-agent-lane-{lane}.socket"));
        for line in [
            format!("ListenStream={}/{lane}.sock", ipc::SYSTEM_LANES),
            format!("FileDescriptorName=lane-{lane}"),
            format!("SocketGroup={group}"),
            "SocketMode=0660".to_owned(),
            "SocketUser=root".to_owned(),
            "FlushPending=yes".to_owned(),
        ] {
            assert!(text.lines().any(|l| l == line), "{lane}: no line {line}");
        }
        for other in ROOMS.into_iter().filter(|room| *room != lane) {
            let unit = unit(&format!("signing-agent-{other}.service"));
            let takes =
                unit.lines().any(|l| l.starts_with("SupplementaryGroups=") && l.split([' ', '=']).any(|g| g == group));
            assert!(!takes, "{other} is in the group {group}");
        }
    }
    for entry in fs::read_dir(root.path().join(UNITS)).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let aside = ["signing-agent.target", "signing-agent-halted.target", "signing-agent-.service.d"]
            .contains(&name.as_str());
        assert!(aside || target.contains(&name), "the target does not start {name}");
    }
}
