//! Tokens, by HTTP.

use super::table::{ROWS, Row, house, others, token, with};
use ipc::Scope;
use signing_agent_tests::{Client, House, Reply, until};
use std::sync::atomic::{AtomicU16, Ordering};

#[test]
fn whether_the_door_answers_is_told_to_anybody_and_nothing_else_is() {
    let mut house = house(|_| {});
    with(&mut house, "auth = \"token\"");
    let ask = |path: &str| Client::default().call("GET", &house.address(), path, b"").unwrap();
    let alive = ask("/healthz");
    assert_eq!((alive.status, alive.body.as_slice()), (200, &b"ok\n"[..]));
    for path in ["/readyz", "/metrics", "/api/v1/healthcheck/ready", "/healthz/"] {
        let told = ask(path);
        assert!([401, 404].contains(&told.status) && !told.body.starts_with(b"ok"), "{path}: {}", told.status);
    }
}

/// Each from an address of its own: one that is refused again and again is answered slowly.
fn ask(house: &House, row: &Row, bearer: Option<&str>) -> Reply {
    static ASKED: AtomicU16 = AtomicU16::new(1);
    let [high, low] = ASKED.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let anybody = Client::default().from(&format!("127.1.{high}.{low}"));
    let client = bearer.map_or(anybody.clone(), |bearer| anybody.with_token(bearer));
    let (url, method) = (house.url(""), row.method.to_uppercase());
    let address = url.strip_prefix("http://").unwrap();
    // The api ends itself after a registration, and what it had not begun with may end with it.
    for _ in 0..10 {
        if let Ok(reply) = client.call(&method, address, &row.place(), row.body.as_bytes()) {
            return reply;
        }
    }
    panic!("{} {}: no answer\n{}", row.method, row.path, house.log());
}

fn told(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["Reason"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn by_token_exactly_those_pass_whose_token_is_good_for_the_route() {
    let mut house = house(|_| {});
    let expired = token(&house, "expired", "register,decide,read,metrics,feed", &["--expires", "1s"]);
    let revoked = token(&house, "revoked", "register,decide,read,metrics,feed", &[]);
    assert!(house.output(&["token", "revoke", "revoked"]).status.success());
    let all = token(&house, "all", "register,decide,read,metrics,feed", &[]);
    let of: Vec<(Scope, String, String)> = Scope::ALL
        .iter()
        .map(|scope| {
            let name = scope.as_str();
            (*scope, token(&house, name, name, &[]), token(&house, &format!("not-{name}"), &others(*scope), &[]))
        })
        .collect();

    // Nobody is asked: whatever comes with it, it passes, and the right token opens nothing that is not there.
    for row in &ROWS {
        for bearer in [None, Some("wrong"), Some(expired.as_str()), Some(revoked.as_str()), Some(all.as_str())] {
            let (status, reason) = told(&ask(&house, row, bearer));
            assert!(row.passes.contains(&status), "none, {bearer:?}: {} {}: {status} {reason}", row.method, row.path);
        }
    }

    with(&mut house, "auth = \"token\"");
    let client = &ROWS[1];
    until(
        "it has expired",
        || told(&ask(&house, client, Some(&expired))) == (401, "token-expired".into()),
        || house.log(),
    );
    let mut asked = 0;
    for row in &ROWS {
        let place = format!("{} {}", row.method, row.path);
        let mut expect = |bearer: Option<&str>, refusal: Option<(u16, &str)>| {
            asked += 1;
            let reply = ask(&house, row, bearer);
            let (status, reason) = told(&reply);
            match refusal {
                Some((wanted, why)) => {
                    assert_eq!((status, reason.as_str()), (wanted, why), "{place}");
                    assert_eq!(
                        reply.head.to_lowercase().contains("www-authenticate: bearer"),
                        wanted == 401,
                        "{place}"
                    );
                }
                None => assert!(row.passes.contains(&status), "{place}: {status} {reason}"),
            }
        };
        expect(None, Some((401, "token-missing")));
        expect(Some("wrong"), Some((401, "token-unknown")));
        expect(Some("signing-agent-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), Some((401, "token-unknown")));
        expect(Some("two words"), Some((401, "token-malformed")));
        expect(Some(&expired), Some((401, "token-expired")));
        expect(Some(&revoked), Some((401, "token-unknown")));
        expect(Some(&all), None);
        for (scope, alone, without) in &of {
            let right = *scope == row.scope;
            let lacks = Some((403, "token-scope"));
            expect(Some(alone), if right { None } else { lacks });
            expect(Some(without), if right { lacks } else { None });
        }
    }
    eprintln!("{asked} calls of {} routes by token, {} without", ROWS.len(), ROWS.len() * 5);
    // What is no route is nothing more, whoever asks.
    for bearer in [None, Some(all.as_str())] {
        let nowhere = Row { path: "/api/v1/nowhere", passes: &[404], ..row_of(client) };
        assert_eq!(told(&ask(&house, &nowhere, bearer)), (404, "no-such-path".into()));
    }
    house.assert_no_panic();
}

fn row_of(row: &Row) -> Row {
    Row { ..*row }
}
