//! The courier finds its backend by DNS from inside its jail: in a network of its own, with a name server of the test's.

use crate::is_root;
use crate::room::house;
use signing_agent_tests::signal;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

const INSIDE: &str = "JAIL_TEST_INSIDE";
const NAME: &str = "names::a_jailed_courier_finds_its_backend_by_dns";

/// Answers every question for an address with 127.0.0.1, any other with nothing (RFC 1035 §4.1).
fn answer(question: &[u8]) -> Vec<u8> {
    let name = question[12..].iter().position(|length| *length == 0).unwrap() + 13;
    let is_a = question[name..name + 2] == [0, 1];
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    answer.extend(&question[12..name + 4]);
    if is_a {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    answer
}

#[test]
fn a_jailed_courier_finds_its_backend_by_dns() {
    if !is_root() {
        eprintln!("NOT LOOKED AT: DNS from inside the jail: a network of the test's own takes root");
        return;
    }
    if std::env::var_os(INSIDE).is_none() {
        // The shell's mounts and its network end with it.
        let script = "ip link set lo up && printf 'nameserver 127.0.0.1\\n' >\"$0\" && mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
        let dir = tempfile::tempdir().unwrap();
        let mut inside = Command::new("unshare");
        inside.args(["--net", "--mount", "--", "sh", "-c", script]).arg(dir.path().join("resolv.conf"));
        inside.arg(std::env::current_exe().unwrap()).args(["--exact", NAME, "--nocapture"]).env(INSIDE, "1");
        let output = inside.stdin(Stdio::null()).output().unwrap();
        let said = [output.stdout, output.stderr].map(|octets| String::from_utf8_lossy(&octets).into_owned()).concat();
        assert!(output.status.success() && said.contains("1 passed"), "{}\n{said}", output.status);
        return;
    }
    let names = UdpSocket::bind("127.0.0.1:53").unwrap();
    thread::spawn(move || {
        let mut packet = [0; 1500];
        while let Ok((length, from)) = names.recv_from(&mut packet) {
            let _ = names.send_to(&answer(&packet[..length]), from);
        }
    });
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = backend.local_addr().unwrap().port();
    let (tell, told) = channel();
    thread::spawn(move || {
        let mut first = [0];
        let read = backend.accept().and_then(|(mut stream, _)| stream.read_exact(&mut first));
        tell.send(read.map(|()| first[0])).unwrap();
    });

    let mut house = house("");
    let text = std::fs::read_to_string(house.config()).unwrap();
    let url = text.lines().find(|line| line.starts_with("url = ")).unwrap();
    std::fs::write(house.config(), text.replace(url, &format!("url = \"https://backend.example:{port}/p\""))).unwrap();
    house.run();
    let (url, partner) = (house.url("/api/v1/register"), house.partner());
    let body =
        serde_json::json!({"name": "a", "APIKey": partner["apiKey"], "Base64PrivateKey": partner["base64PrivateKey"]});
    thread::spawn(move || signing_agent_tests::call("POST", &url, &[], body.to_string().as_bytes()));
    let first = told.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|_| panic!("nobody came\n{}", house.log()));
    assert_eq!(first.unwrap(), 0x16, "a TLS handshake (RFC 8446 §5.1)");
    assert!(!house.log().contains("SIGSYS"), "{}", house.log());
    let (_, courier) = house.rooms().into_iter().find(|(name, _)| name == "courier").unwrap();
    signal(courier, signing_agent_tests::Signal::TERM);
}
