//! Web pages of elsewhere: none may call, unless the configuration names them, and those only as their browser says.

use crate::support::{Api, registered, request};
use ipc::{AccessFault, Ask};
use serde_json::json;

const DESK: &str = "https://desk.example";

fn desk() -> Api {
    Api::set(registered, |settings| settings.pages = vec![DESK.to_owned()])
}

fn ask(api: &Api, method: &str, headers: &str) -> crate::support::Reply {
    api.send(request(method, "/api/v1/client", headers, "").as_bytes())
}

#[test]
fn a_page_that_is_named_may_ask_and_read_and_no_other_may() {
    let api = desk();
    let reply = ask(&api, "GET", &format!("Origin: {DESK}\r\n"));
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, Some(DESK)));
    assert_eq!(reply.header("vary"), Some("origin"));
    assert_eq!(
        reply.header("access-control-allow-credentials"),
        None,
        "a token goes in a header, there are no cookies"
    );
    for other in ["https://evil.example", "http://desk.example", "null", "*"] {
        let reply = ask(&api, "GET", &format!("Origin: {other}\r\n"));
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (403, None), "{other}");
    }
    let two = ask(&api, "GET", &format!("Origin: {DESK}\r\nOrigin: https://evil.example\r\n"));
    assert_eq!((two.status, two.header("access-control-allow-origin")), (403, None));
    let plain = ask(&api, "GET", "");
    assert_eq!((plain.status, plain.header("access-control-allow-origin")), (200, None));
}

#[test]
fn a_browser_that_asks_first_is_answered_without_a_word_to_the_vault() {
    let api = desk();
    let asks = "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: authorization\r\n";
    let reply = ask(&api, "OPTIONS", &format!("Origin: {DESK}\r\n{asks}"));
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (204, Some(DESK)));
    assert!(reply.header("access-control-allow-methods").unwrap().contains("put"), "{reply:?}");
    assert_eq!(reply.header("access-control-allow-headers"), Some("authorization, content-type, x-request-id"));
    assert_eq!(ask(&api, "OPTIONS", &format!("Origin: https://evil.example\r\n{asks}")).status, 403);
    assert_eq!(ask(&api, "OPTIONS", asks).status, 405);
    assert!(api.vault.asks.try_recv().is_err());
}

#[test]
fn unless_pages_are_named_there_is_no_cors_and_a_foreign_one_is_told_to_the_vault() {
    let api = Api::new(registered);
    let reply = ask(&api, "OPTIONS", &format!("Origin: {DESK}\r\nAccess-Control-Request-Method: PUT\r\n"));
    assert_eq!(reply.status, 403);
    assert!(!reply.head.contains("access-control") && reply.header("vary").is_none(), "{reply:?}");
    let home = ask(&api, "GET", &format!("Origin: http://{}\r\n", api.addr));
    assert!(home.status == 200 && !home.head.contains("access-control"), "{home:?}");
    let told = api.vault.was_told(|ask| match ask {
        Ask::TurnedAway(all) => Some(all),
        _ => None,
    });
    assert_eq!((told[0].fault, told[0].times), (AccessFault::ForeignPage, 1));
    assert_eq!(told[0].address, Some("127.0.0.1".parse().unwrap()));
}

#[test]
fn with_nobody_asked_who_they_are_a_page_whose_name_leads_here_reads_nothing() {
    let api = Api::set(registered, |settings| settings.auth = config::Auth::None);
    let get = |host: &str| api.send(format!("GET /api/v1/client HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
    let reply = get(&format!("evil.example:{}", api.addr.port()));
    assert_eq!((reply.status, &reply.json()["Reason"]), (403, &json!("foreign-page")));
    assert!(reply.json()["Detail"].as_str().unwrap().contains("localhost"));
    assert!(api.vault.asks.try_recv().is_err(), "the vault is not asked");
    assert_eq!(get(&format!("localhost:{}", api.addr.port())).status, 200);
}
