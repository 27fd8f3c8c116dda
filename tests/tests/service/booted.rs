//! The package in a clean Debian with a booted systemd: `container.sh` and what it calls; here the secrets are searched for.

use crate::search::{Search, contains};
use crate::{install, modes, source};
use age::x25519::Identity;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service");

/// What `make deb` made last.
fn package() -> PathBuf {
    if let Some(path) = std::env::var_os("SIGNING_AGENT_DEB") {
        return path.into();
    }
    let target = signing_agent_tests::binary("signing-agent-vault");
    let dir = target.ancestors().nth(2).unwrap().join("debian");
    let found = fs::read_dir(&dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let debs = found.filter(|path| path.extension().is_some_and(|end| end == "deb"));
    debs.max_by_key(|path| path.metadata().and_then(|meta| meta.modified()).unwrap()).unwrap_or_else(|| {
        panic!("there is no package in {}: `make deb` first, as `make test-long` does", dir.display())
    })
}

/// The paths and modes of the package's files.
fn listed(package: &Path, dir: &Path) -> BTreeMap<String, u32> {
    let out = dir.join("unpacked");
    let unpacked = Command::new("dpkg-deb").arg("-x").arg(package).arg(&out).status().expect("dpkg-deb is there");
    assert!(unpacked.success());
    modes(&out)
}

fn probe(dir: &Path) -> PathBuf {
    let program = dir.join("probe");
    let mut cc = Command::new("cc");
    cc.args(["-static", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&program).arg(format!("{HERE}/probe.c"));
    assert!(cc.status().expect("gcc is there").success());
    program
}

#[test]
#[ignore = "two minutes, root, and a network for mmdebstrap; `make test-long` runs it"]
fn a_clean_system_comes_to_a_registered_agent_as_the_page_says_and_keeps_what_is_promised() {
    let dir = tempfile::TempDir::with_prefix("signing-agent-service-").unwrap();
    let package = package();
    assert_eq!(
        listed(&package, dir.path()),
        modes(install("/usr").path()),
        "the package is another than what is installed"
    );

    let (results, recovery) = (dir.path().join("results"), Identity::generate());
    fs::create_dir(&results).unwrap();
    let mut container = Command::new("setpriv");
    container.args(["--pdeathsig", "TERM"]).arg(format!("{HERE}/container.sh")).arg(&package);
    container.arg(signing_agent_tests::binary("custody-simulator")).arg(probe(dir.path()));
    container.arg(source("docs/install.md")).arg(recovery.to_public().to_string()).arg(&results);
    let end = container.stdin(Stdio::null()).status().expect("setpriv is there: apt-get install util-linux");
    if !end.success() {
        let journal = fs::read(results.join("journal-on-failure")).unwrap_or_default();
        let journal = String::from_utf8_lossy(&journal).into_owned();
        let lines: Vec<_> = journal.lines().collect();
        panic!("{end}; the journal ends:\n{}", lines[lines.len().saturating_sub(80)..].join("\n"));
    }
    no_secret_in_the_journal(&results, &recovery);
}

fn no_secret_in_the_journal(results: &Path, recovery: &Identity) {
    let read = |name: &str| fs::read(results.join(name)).unwrap();
    let partner: serde_json::Value = serde_json::from_slice(&read("partner.json")).unwrap();
    let text = |name: &str| partner[name].as_str().unwrap().to_owned();
    let unseal = |name: &str| age::decrypt(recovery, &read(&format!("state/{name}"))).unwrap();
    let mut search = Search::default();
    search.add("the BLS key", &unseal("bls.age")[16..]);
    // With the PIN 0 the token is the client secret (protocol.md §5: T = CS − PIN · H(id)).
    search.add("the M-Pin token, or the client secret", &unseal("mpin.age")[1..]);
    search.add("the API key", text("apiKey").as_bytes());
    search.add("the API key's octets", &hex::decode(text("apiKey")).unwrap());
    let pem = STANDARD.decode(text("base64PrivateKey")).unwrap();
    search.add("the RSA key's PEM", pem.strip_prefix(b"-----BEGIN RSA PRIVATE KEY-----\n").unwrap());
    let lines = String::from_utf8(pem).unwrap();
    let der: String = lines.lines().filter(|line| !line.starts_with('-')).collect();
    search.add("the RSA key", &STANDARD.decode(der).unwrap());

    let (journal, pin) = (read("journal"), read("pin"));
    let pin = pin.strip_suffix(b"\n").unwrap_or(&pin);
    assert!(pin.len() > 8 && !contains(&journal, pin), "the token's PIN is in the journal");
    assert_eq!(search.find(&journal), [""; 0], "in the journal");
    // The search would have found them: the page's own log has the PIN, and the registration's file has the rest.
    assert!(contains(&read("page.log"), pin));
    assert!(search.find(&read("partner.json")).contains(&"the API key"));
    for word in ["signing_agent_vault", "signing_agent_api", "signing_agent_courier", "TRACE"] {
        assert!(contains(&journal, word.as_bytes()), "there is no {word} in the journal");
    }
}
