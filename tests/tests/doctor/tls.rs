//! Certificates, keys and revocation lists, in every way in which they go wrong.

use super::{Fault, chmod, doctor, fault, find_each, finds, is_content, put, put_aside, put_back, warning};
use signing_agent_tests::{House, Pki, Settings};
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};

const FAULTS: &[Fault] = &[
    (
        "the certificate has expired",
        |house| server(house, -1),
        fault("tls-certificate", "expired on", "SIGHUP"),
        |house| server(house, 90),
    ),
    (
        "the certificate expires in ten days",
        |house| server(house, 10),
        warning("tls-certificate", "it expires in", "put a new one there"),
        |house| server(house, 90),
    ),
    (
        "the key is another certificate's",
        |house| put_aside(&house.dir.path().join("server.key"), Pki::default().server(90).key_pem.as_bytes()),
        fault("tls-key", "is not the key of the certificate", "belong together"),
        |house| put_back(&house.dir.path().join("server.key")),
    ),
    (
        "the key is readable by others",
        |house| chmod(&house.dir.path().join("server.key"), 0o644),
        fault("tls-key", "others may read it (mode 0644)", "chmod 600 "),
        |house| chmod(&house.dir.path().join("server.key"), 0o600),
    ),
    (
        "the key is missing",
        |house| fs::rename(house.dir.path().join("server.key"), house.dir.path().join("server.aside")).unwrap(),
        fault("tls-key", "it is not there", "private key"),
        |house| put_back(&house.dir.path().join("server.key")),
    ),
    (
        "the certificate's file is none",
        |house| put_aside(&house.dir.path().join("server.pem"), b"a certificate\n"),
        fault("tls-certificate", "there is no certificate in it", "the leaf first"),
        |house| put_back(&house.dir.path().join("server.pem")),
    ),
    (
        "the chain is in the wrong order",
        |house| {
            let read = |name| fs::read_to_string(house.dir.path().join(name)).unwrap();
            let (leaf, ca) = (read("server.pem"), read("ca.pem"));
            put_aside(
                &house.dir.path().join("server.pem"),
                format!("{leaf}{}{ca}", Pki::new("Another").pem()).as_bytes(),
            );
        },
        warning("tls-chain", "not issued by the next", "the leaf first"),
        |house| put_back(&house.dir.path().join("server.pem")),
    ),
    (
        "the clients' CA is missing",
        |house| fs::rename(house.dir.path().join("ca.pem"), house.dir.path().join("ca.aside")).unwrap(),
        fault("tls-client-ca", "No such file", "put a new one there"),
        |house| put_back(&house.dir.path().join("ca.pem")),
    ),
    (
        "the revocation list is outdated",
        |house| put(house, "clients.crl", &Pki::default().revokes(&[], -86_400)),
        fault("tls-crl", "nobody is let in by a certificate", "have the CA write a new one"),
        |house| put(house, "clients.crl", &Pki::default().revokes(&[], 60 * 86_400)),
    ),
    (
        "the next revocation list is due in ten days",
        |house| put(house, "clients.crl", &Pki::default().revokes(&[], 10 * 86_400)),
        warning("tls-crl", "the next one is due on", "have the CA write a new one"),
        |house| put(house, "clients.crl", &Pki::default().revokes(&[], 60 * 86_400)),
    ),
];

fn server(house: &House, days: i64) {
    let server = Pki::default().server(days);
    put(house, "server.pem", &server.pem);
    put(house, "server.key", &server.key_pem);
}

#[test]
fn what_is_wrong_with_the_tls_files_is_found_before_the_door_reads_them() {
    let mut house = House::empty(Settings::default());
    let pki = Pki::default();
    let files = pki.house(house.dir.path());
    put(&house, "clients.crl", &pki.revokes(&[], 60 * 86_400));
    house.settings.api = format!("auth = \"token\"\n{files}client_crl_file = \"clients.crl\"\n");
    house.write_config();
    let good = doctor(&house);
    for check in ["tls-certificate", "tls-key", "tls-client-ca", "tls-crl"] {
        assert!(good.of("good").contains(&check), "{check}: {}", good.all);
    }
    find_each(&house, FAULTS);
}

#[test]
fn what_the_apis_user_cannot_read_is_found_also_where_root_looks() {
    let mut house = House::empty(Settings::default());
    let files = Pki::default().house(house.dir.path());
    house.settings.api = format!("auth = \"token\"\n{files}");
    house.write_config();
    assert!(house.output(&["init"]).status.success());
    let key = house.dir.path().join("server.key");
    if fs::metadata(&key).unwrap().uid() != 0 {
        return eprintln!("NOT LOOKED AT: another user's agent: that takes root");
    }
    let dir = house.dir.path();
    for path in [dir, &house.state(), &dir.join("server.pem"), &dir.join("ca.pem")] {
        chown(path, Some(54_321), None).unwrap();
    }
    finds(&house, &fault("tls-files", "server.key: the api, uid 54321, cannot read it", "chown 54321 "));
    chown(&key, Some(54_321), None).unwrap();
    chmod(&key, 0o400);
    is_content(&house, "tls-files");
    is_content(&house, "tls-key");
}
