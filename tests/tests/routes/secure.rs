//! The same over TLS: real certificates, with tokens and without.

use super::certificates::clients;
use super::table::{ROWS, Row, house, others, token, with};
use ipc::Scope;
use signing_agent_tests::pki::{Certified, Pki, VERSIONS, put};
use signing_agent_tests::{Client, House, until};
use std::sync::atomic::{AtomicU16, Ordering};

/// What somebody brings of one kind, and what becomes of who brings it: nothing where it is good.
struct Brought<T> {
    what: T,
    refusal: Option<&'static str>,
}

fn brought<T>(what: T, refusal: impl Into<Option<&'static str>>) -> Brought<T> {
    Brought { what, refusal: refusal.into() }
}

/// Status and reason; `None` where the handshake failed.
fn ask(house: &House, row: &Row, client: &Client) -> Option<(u16, String)> {
    static ASKED: AtomicU16 = AtomicU16::new(1);
    let [high, low] = ASKED.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let address = house.url("").strip_prefix("http://").unwrap().to_owned();
    let client = client.from(&format!("127.2.{high}.{low}"));
    // Once more, for the api may have ended itself after a registration.
    let ask = || client.call(&row.method.to_uppercase(), &address, &row.place(), row.body.as_bytes()).ok();
    let reply = ask().or_else(ask)?;
    Some((reply.status, reply.json()["Reason"].as_str().unwrap_or_default().to_owned()))
}

#[test]
fn over_tls_exactly_those_pass_whose_certificate_and_token_are_good_for_the_route() {
    let everything = "register,decide,read,metrics,feed";
    let mut tokens = Vec::new();
    let mut house = house(|house| {
        tokens.push(token(house, "expired", everything, &["--expires", "1s"]));
        tokens.push(token(house, "revoked", everything, &[]));
        assert!(house.output(&["token", "revoke", "revoked"]).status.success());
        tokens.push(token(house, "all", everything, &[]));
        tokens.extend(Scope::ALL.map(|scope| token(house, &format!("not-{}", scope.as_str()), &others(scope), &[])));
    });
    let [expired, revoked, all] = [0, 1, 2].map(|n| Some(tokens[n].as_str()));
    let (pki, other) = (Pki::default(), Pki::new("Another authority"));
    let gone = pki.client("all");
    let dir = house.dir.path().to_owned();
    let list = put(&dir, "crl.pem", &pki.revokes(&[&gone], 86_400 * 60));
    let tls = format!("{}client_crl_file = {:?}\n", pki.house(&dir), list.display().to_string());
    let shown = |certified: Option<&Certified>| Client {
        tls: Some(pki.client_config(certified, VERSIONS)),
        ..Client::default()
    };
    let [stranger, late, foreign] = [pki.client("stranger"), pki.client_for("all", -1), other.client("all")];
    let right = pki.client("all");
    // A certificate that TLS itself refuses has no answer at all.
    const HANDSHAKE: &str = "";
    for mode in ["mtls", "either", "both"] {
        with(&mut house, &format!("auth = \"{mode}\"\n{tls}{}", clients()));
        let fresh = || ask(&house, &ROWS[1], &shown(Some(&right)).with_token(expired.unwrap()));
        let over = || mode == "mtls" || fresh() == Some((401, "token-expired".into()));
        until("the token has expired", over, || house.log());
        let mut asked = 0;
        for row in &ROWS {
            let n = Scope::ALL.iter().position(|scope| *scope == row.scope).unwrap();
            let lacks = pki.client(&format!("not-{}", row.scope.as_str()));
            let without = if mode == "either" { None } else { Some(HANDSHAKE) };
            let certificates = [
                brought(None, without),
                brought(Some(&foreign), HANDSHAKE),
                brought(Some(&late), HANDSHAKE),
                brought(Some(&gone), HANDSHAKE),
                brought(Some(&stranger), "certificate-unknown"),
                brought(Some(&lacks), "certificate-scope"),
                brought(Some(&right), None),
            ];
            let bearers = [
                brought(None, "token-missing"),
                brought(Some("wrong"), "token-unknown"),
                brought(expired, "token-expired"),
                brought(revoked, "token-unknown"),
                brought(Some(tokens[3 + n].as_str()), "token-scope"),
                brought(all, None),
            ];
            for certificate in &certificates {
                let client = shown(certificate.what);
                for bearer in &bearers {
                    asked += 1;
                    let by_token = mode == "either" && (bearer.what.is_some() || certificate.what.is_none());
                    let wanted = match (certificate.refusal, bearer.refusal) {
                        (Some(HANDSHAKE), _) => Some(HANDSHAKE),
                        (_, token) if by_token => token,
                        (certificate, _) if mode != "both" => certificate,
                        (certificate, token) => token.or(certificate),
                    };
                    let client = bearer.what.map_or(client.clone(), |bearer| client.with_token(bearer));
                    let said = ask(&house, row, &client);
                    let place = format!("{mode}: {} {}: {said:?}, wanted {wanted:?}", row.method, row.path);
                    match (said, wanted) {
                        (None, Some(HANDSHAKE)) => {}
                        (Some((status, _)), None) => assert!(row.passes.contains(&status), "{place}"),
                        (Some((401 | 403, reason)), Some(wanted)) => assert_eq!(reason, wanted, "{place}"),
                        _ => panic!("{place}"),
                    }
                }
            }
        }
        eprintln!("{asked} calls over TLS by {mode}");
    }
    house.assert_no_panic();
}
