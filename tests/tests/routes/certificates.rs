//! Certificates, alone and with tokens, as the api tells the vault of them: what the vault makes of each call of each route. (That the api
//! tells the truth about certificates is what the tests of TLS are about.)

use super::door::{Captured, Door};
use super::table::{ROWS, Row, house, others, token, with};
use ipc::{AccessFault, Answer, Ask, Caller, Refusal, Scope, Secret};
use signing_agent_tests::House;
use std::path::Path;
use std::process::Command;

/// A certificate for the api itself, and the lines of `[api]` that name it.
fn tls(dir: &Path) -> String {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"])
        .args([
            "-subj",
            "/CN=agent",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            "server.key",
            "-out",
            "server.pem",
        ])
        .current_dir(dir)
        .output()
        .expect("openssl is there");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::set_permissions(dir.join("server.key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let path = |name: &str| serde_json::json!(dir.join(name)).to_string();
    let (cert, key) = (path("server.pem"), path("server.key"));
    format!("tls_cert_file = {cert}\ntls_key_file = {key}\nclient_ca_file = {cert}\n")
}

/// One client a scope, and one for each scope that has all others.
pub fn clients() -> String {
    let client = |name: String, scopes: &str| {
        format!("[[api.client]]\nname = \"{name}\"\nsan = \"{name}.partner.example\"\nscopes = \"{scopes}\"\n")
    };
    let of = |scope: &Scope| {
        let name = scope.as_str();
        [client(name.into(), name), client(format!("not-{name}"), &others(*scope))].concat()
    };
    let all: String = Scope::ALL.iter().map(of).collect();
    all + &client("all".into(), "register,decide,read,metrics,feed")
}

struct Token {
    bearer: Option<String>,
    /// For these scopes; nothing where it is good for none.
    good: Vec<Scope>,
    /// What is wrong with it otherwise.
    wrong: Option<AccessFault>,
}

/// What a right vault says.
fn expected(mode: &str, row: &Row, token: &Token, certificate: &Option<String>) -> Option<AccessFault> {
    let by_token = || match token.wrong {
        Some(fault) => Some(fault),
        None => (!token.good.contains(&row.scope)).then_some(AccessFault::TokenScope(row.scope)),
    };
    let by_certificate = || match certificate.as_deref() {
        None => Some(AccessFault::CertificateMissing),
        Some("" | "nobody") => Some(AccessFault::CertificateUnknown),
        Some(name) => {
            let good = match name.strip_prefix("not-") {
                Some(other) => other != row.scope.as_str(),
                None => name == row.scope.as_str(),
            };
            (!good).then_some(AccessFault::CertificateScope(row.scope))
        }
    };
    match mode {
        "mtls" => by_certificate(),
        // Who brings nothing is told of the token first.
        "either" if token.bearer.is_some() || certificate.is_none() => by_token(),
        "either" => by_certificate(),
        _ => by_token().or_else(by_certificate),
    }
}

fn tokens(house: &House) -> Vec<Token> {
    let all = Scope::ALL.to_vec();
    let everything = "register,decide,read,metrics,feed";
    let expired = token(house, "expired", everything, &["--expires", "1s"]);
    let revoked = token(house, "revoked", everything, &[]);
    assert!(house.output(&["token", "revoke", "revoked"]).status.success());
    let bad =
        |bearer: Option<&str>, fault| Token { bearer: bearer.map(str::to_owned), good: Vec::new(), wrong: Some(fault) };
    let mut tokens = vec![
        bad(None, AccessFault::TokenMissing),
        bad(Some("wrong"), AccessFault::TokenUnknown),
        bad(Some(&expired), AccessFault::TokenExpired),
        bad(Some(&revoked), AccessFault::TokenUnknown),
        Token { bearer: Some(token(house, "all", everything, &[])), good: all, wrong: None },
    ];
    for scope in Scope::ALL {
        let bearer = Some(token(house, scope.as_str(), scope.as_str(), &[]));
        tokens.push(Token { bearer, good: vec![scope], wrong: None });
    }
    tokens
}

#[test]
fn by_certificate_exactly_those_pass_whose_certificate_and_token_are_good_for_the_route() {
    let mut made = Vec::new();
    let mut house = house(|house| made = tokens(house));
    let lines = tls(house.dir.path());
    let mut certificates: Vec<Option<String>> = vec![None, Some(String::new()), Some("nobody".into())];
    certificates.extend(
        Scope::ALL.iter().flat_map(|scope| [Some(scope.as_str().to_owned()), Some(format!("not-{}", scope.as_str()))]),
    );
    for mode in ["mtls", "either", "both"] {
        with(&mut house, &format!("auth = \"{mode}\"\n{lines}{}", clients()));
        let _captured = Captured::room(&house, "api");
        let mut door = Door::connect(&house, "api.sock");
        let mut say = |row: &Row, token: &Token, certificate: &Option<String>| {
            let bearer = token.bearer.clone().map(Secret::new);
            let caller = Caller { address: None, bearer, certificate: certificate.clone(), request: None };
            match door.ask(&Ask::Call { caller, call: (row.call)() }) {
                Answer::Refused(Refusal::Access(AccessFault::RegistrationClosed)) => None,
                Answer::Refused(Refusal::Access(fault)) => Some(fault),
                _ => None,
            }
        };
        if mode != "mtls" {
            let (expired, none) = (&made[2], Some("read".to_owned()));
            let mut is_over = || say(&ROWS[1], expired, &none) == Some(AccessFault::TokenExpired);
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
            while !is_over() {
                assert!(std::time::Instant::now() < deadline, "it does not expire");
            }
        }
        let mut asked = 0;
        for row in &ROWS {
            for token in &made {
                for certificate in &certificates {
                    asked += 1;
                    let wanted = expected(mode, row, token, certificate);
                    let said = say(row, token, certificate);
                    assert_eq!(said, wanted, "{mode}: {} {} {certificate:?}", row.method, row.path);
                }
            }
        }
        eprintln!("{asked} calls by {mode}");
    }
    house.assert_no_panic();
}
