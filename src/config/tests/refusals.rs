//! What an operator may get wrong, and the very words of the answer.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use config::Config;
use signing_agent_config as config;

const URL: &str = "[backend]\nurl = \"https://play-api.qredo.network/api/v1/p\"\n";

fn refusal(text: &str) -> String {
    Config::parse(text, Path::new("/etc/agent")).expect_err("this must be refused").to_string()
}

/// Refused on the third line, below a good `[backend]`.
fn refused_below(section: &str, line: &str, words: &str) {
    let said = refusal(&format!("{URL}{section}\n{line}\n"));
    assert!(said.starts_with("4:"), "{said}");
    assert!(said.contains(words), "{said:?} lacks {words:?}");
}

fn refused_in_backend(line: &str, words: &str) {
    let said = refusal(&format!("{URL}{line}\n"));
    assert!(said.starts_with("3:"), "{said}");
    assert!(said.contains(words), "{said:?} lacks {words:?}");
}

fn refused_url(url: &str, words: &str) {
    let said = refusal(&format!("[backend]\n\nurl = \"{url}\"\n"));
    assert!(said.starts_with("3:7: [backend] url: ") && said.contains(words), "{said}");
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_what_was_meant() {
    let said = refusal(&format!("{URL}\n[api]\n\n\nlistn = \"127.0.0.1:8007\"\n"));
    assert_eq!(said, "7:1: unknown key \"listn\" in [api]; did you mean \"listen\"?");
    let said = refusal(&format!("{URL}[hsm]\nPin-File = \"x\"\n"));
    assert_eq!(said, "4:1: unknown key \"Pin-File\" in [hsm]; did you mean \"pin_file\"?");
    let said = refusal("[bakend]\nurl = \"https://h\"\n");
    assert_eq!(said, "1:2: unknown key \"bakend\"; did you mean \"backend\"?");
}

#[test]
fn an_unknown_key_that_resembles_none_is_refused_with_the_known_ones() {
    let said = refusal(&format!("{URL}[api]\nquux = 1\n"));
    assert_eq!(
        said,
        "4:1: unknown key \"quux\" in [api]; known here: listen, auth, public_url, tls_cert_file, \
                      tls_key_file, client_ca_file, client_crl_file, cors_origins, client"
    );
    let said = refusal(&format!("{URL}api.quux = 1\n"));
    assert!(said.starts_with("3:1: unknown key \"api\" in [backend]"), "{said}");
}

#[test]
fn a_callback_needs_a_url_that_nobody_can_listen_at_and_a_key_and_has_bounds() {
    let both = "url = \"https://a.example\"\npublic_key_file = \"k\"\n";
    let said = |lines: &str| refusal(&format!("{URL}[callback]\n{lines}"));
    assert!(said("public_key_file = \"k\"\n").starts_with("3:1: [callback] url is missing"));
    assert!(said("url = \"https://a.example\"\n").starts_with("3:1: [callback] public_key_file is missing"));
    for url in
        ["http://a.example", "http://10.0.0.1/", "ftp://localhost/", "https://u:p@a.example", "https://a.example/?q"]
    {
        let said = said(&format!("url = \"{url}\"\npublic_key_file = \"k\"\n"));
        assert!(said.starts_with("4:7: [callback] url: "), "{url}: {said}");
    }
    for (line, words) in [
        ("timeout_seconds = 0", "from 1 to 60"),
        ("timeout_seconds = 61", "from 1 to 60"),
        ("retries = -1", "from 0 to 20"),
        ("retries = 21", "from 0 to 20"),
        ("retry_seconds = 0", "from 1 to 300"),
        ("retry_seconds = 301", "from 1 to 300"),
        ("key = \"-----BEGIN PUBLIC KEY-----\"", "unknown key"),
        ("publickey_file = \"k\"", "did you mean \"public_key_file\"?"),
    ] {
        let said = said(&format!("{both}{line}\n"));
        assert!(said.starts_with("6:") && said.contains(words), "{line}: {said}");
    }
    let good =
        format!("{URL}[callback]\n{both}timeout_seconds = 60\nretries = 0\nretry_seconds = 300\nca_file = \"ca\"\n");
    let callback = Config::parse(&good, Path::new("/etc/agent")).unwrap().callback.unwrap();
    assert_eq!(callback.public_key_file, Path::new("/etc/agent/k"));
    let numbers = (callback.timeout.as_secs(), callback.retries, callback.retry_wait.as_secs());
    assert_eq!(numbers, (60, 0, 300));
}

#[test]
fn a_wrong_type_is_refused_with_its_line_and_without_its_value() {
    let said = refusal(&format!("{URL}pin = \"4711\"\n"));
    assert!(said.starts_with("3:7: wrong type: expected an integer, found string"), "{said}");
    assert!(!said.contains("4711"), "{said}");
    refused_below("[state]", "dir = 7", "wrong type");
    refused_below("[sealing]", "recovery_recipients = \"age1x\"", "wrong type");
}

#[test]
fn what_is_no_toml_is_refused_with_its_line() {
    assert!(refusal(&format!("{URL}pin 0\n")).starts_with("3:"));
    assert!(refusal(&format!("{URL}url = \"https://h\"\n")).starts_with("3:1: duplicate key"));
    assert!(refusal(&format!("{URL}pin_file = \"open")).starts_with("3:"));
}

#[test]
fn a_configuration_without_a_backend_is_refused() {
    assert_eq!(refusal(""), "1:1: [backend] url is missing: where is the custody backend?");
    assert_eq!(refusal("\n[backend]\npin = 0\n"), "2:1: [backend] url is missing: where is the custody backend?");
}

#[test]
fn a_backend_url_that_shows_secrets_to_the_network_is_refused() {
    refused_url("http://custody.example/p", "plain http");
    refused_url("http://10.0.0.1/p", "plain http");
    refused_url("http://localhost.example/p", "plain http");
    refused_url("http://[::ffff:127.0.0.1]/p", "plain http");
    refused_url("ftp://custody.example/p", "https://");
    refused_url("wss://custody.example/p", "https://");
}

#[test]
fn a_backend_url_with_more_than_a_place_is_refused() {
    refused_url("https://user@h/p", "user or a password");
    refused_url("https://user:geheim@h/p", "user or a password");
    refused_url("https://@h/p", "user or a password");
    refused_url("https://h/p?a=b", "'?' or '#'");
    refused_url("https://h/p?", "'?' or '#'");
    refused_url("https://h/p#f", "'?' or '#'");
    refused_url("https://h/ p", "blank");
    refused_url("custody.example/p", "not a URL");
    refused_url("", "not a URL");
    assert!(!refusal("[backend]\nurl = \"https://user:geheim@h/p\"").contains("geheim"));
}

#[test]
fn a_feed_url_is_refused_as_the_backends_own_would_be() {
    refused_in_backend("feed_url = \"ws://h/p\"", "plain ws");
    refused_in_backend("feed_url = \"https://h/p\"", "wss://");
    refused_in_backend("feed_url = \"wss://u@h/p\"", "user");
    assert!(config::backend_feed_url("ws://custody.example/feed").is_err());
    assert!(config::backend_feed_url("wss://custody.example/feed?token=1").is_err());
    assert!(config::backend_feed_url("ws://127.0.0.1:9/feed").is_ok());
}

#[test]
fn a_resource_that_is_no_path_segment_is_refused() {
    for bad in ["", "a/b", "..", "client?", "cli ent", "ä", "a%2fb"] {
        refused_in_backend(&format!("resource = \"{bad}\""), "[backend] resource: must be one path segment");
    }
}

#[test]
fn a_pin_is_a_number_of_four_digits_or_a_file_and_not_both() {
    refused_in_backend("pin = 10000", "from 0 to 9999");
    refused_in_backend("pin = -1", "from 0 to 9999");
    refused_in_backend("pin = 1\npin_file = \"/p\"", "exclude each other");
}

#[test]
fn an_open_door_off_loopback_is_refused() {
    let below = |lines: &str, words: &str| refused_below("[api]", lines, words);
    for listen in ["0.0.0.0:8007", "[::]:8007", "192.0.2.1:0"] {
        below(&format!("listen = \"{listen}\"\nauth = \"none\""), "must be a loopback address where auth is \"none\"");
        let without = "must be a loopback address without tls_cert_file and tls_key_file";
        below(&format!("listen = \"{listen}\""), without);
        below(&format!("listen = \"{listen}\"\nauth = \"token\""), without);
        // TLS alone lets nobody in who says nothing.
        let tls = "tls_cert_file = \"c\"\ntls_key_file = \"k\"";
        below(&format!("listen = \"{listen}\"\nauth = \"none\"\n{tls}"), "whoever reaches the port may approve");
    }
    below("listen = \"localhost\"", "an IP address and a port");
    below("auth = \"Token\"", "must be \"token\", \"mtls\", \"either\" or \"both\" of them, or \"none\" on loopback");
    below("public_url = \"ftp://h\"", "ws:// or wss://");
}

const CA: &str = "tls_cert_file = \"c\"\ntls_key_file = \"k\"\nclient_ca_file = \"a\"";

#[test]
fn certificates_take_tls_a_ca_and_clients_and_a_revocation_list_a_ca() {
    let said = |lines: &str| refusal(&format!("{URL}[api]\n{lines}\n"));
    for auth in ["mtls", "either", "both"] {
        let auth = format!("auth = \"{auth}\"");
        for lines in [auth.clone(), format!("{auth}\ntls_cert_file = \"c\"\ntls_key_file = \"k\"")] {
            assert!(said(&lines).contains("takes tls_cert_file, tls_key_file and client_ca_file"), "{}", said(&lines));
        }
        let said = said(&format!("{CA}\n{auth}"));
        assert!(said.starts_with("7:8:") && said.contains("takes an [[api.client]] for each certificate"), "{said}");
    }
    for alone in ["tls_cert_file", "tls_key_file", "client_ca_file", "client_crl_file"] {
        let said = said(&format!("{alone} = \"x\""));
        assert!(said.starts_with("4:") && said.contains("tls_cert_file and tls_key_file belong together"), "{said}");
    }
    let no_ca = said("tls_cert_file = \"c\"\ntls_key_file = \"k\"\nclient_crl_file = \"r\"");
    assert!(no_ca.starts_with("6:") && no_ca.contains("client_ca_file, which is missing"), "{no_ca}");
    for key in ["tls_cert_file", "tls_key_file", "client_ca_file", "client_crl_file"] {
        refused_below("[api]", &format!("{key} = \" \""), &format!("[api] {key}: a path must not be empty"));
    }
}

#[test]
fn a_client_of_the_api_has_a_name_a_certificate_and_scopes_each_once() {
    let said = |clients: &str| refusal(&format!("{URL}[api]\nauth = \"mtls\"\n{CA}\n{clients}"));
    let client = |name: &str, whose: &str| format!("[[api.client]]\nname = \"{name}\"\n{whose}\nscopes = \"read\"\n");
    let desk = client("desk", "subject = \"CN=desk\"");
    for (clients, words) in [
        ("[[api.client]]\nsan = \"a\"\nscopes = \"read\"\n".to_owned(), "name is missing"),
        ("[[api.client]]\nname = \"a\"\nsan = \"a\"\n".to_owned(), "scopes is missing, such as \"decide,read\""),
        (client("a", ""), "whose certificate is it? Give subject, or san"),
        (client("A", "san = \"a\""), "a name has 1 to 64"),
        (client(&"a".repeat(65), "san = \"a\""), "a name has 1 to 64"),
        (client("a", "san = \"\""), "[[api.client]] san: must have 1 to 512 octets"),
        (client("a", &format!("subject = \"{}\"", "x".repeat(513))), "subject: must have 1 to 512 octets"),
        (client("a", "san = \"a\"").replace("\"read\"", "\"read,all\""), "one or more of register, decide, read"),
        (client("a", "san = \"a\"").replace("\"read\"", "\"\""), "one or more of register, decide, read"),
        (client("a", "sans = \"a\""), "did you mean \"san\"?"),
        (format!("{desk}{}", client("desk", "san = \"other\"")), "each name and each certificate once"),
        (format!("{desk}{}", client("other", "subject = \"CN=desk\"")), "each name and each certificate once"),
        ((0..65).map(|n| client(&format!("c{n}"), &format!("san = \"c{n}\""))).collect(), "at most 64"),
    ] {
        assert!(said(&clients).contains(words), "{clients}: {}", said(&clients));
    }
}

#[test]
fn an_origin_that_no_browser_sends_is_refused() {
    for bad in ["*", "null", "desk.example", "https://desk.example/", "https://desk.example/x", "https://DESK.example"]
        .into_iter()
        .chain(["https://desk.example:443", "ws://desk.example", "https://u@desk.example", "file:///x", ""])
    {
        refused_below("[api]", &format!("cors_origins = [\"{bad}\"]"), "an origin as browsers write it");
    }
    let many: Vec<String> = (0..65).map(|n| format!("\"https://h{n}\"")).collect();
    refused_below("[api]", &format!("cors_origins = [{}]", many.join(", ")), "[api] cors_origins");
}

#[test]
fn a_token_is_named_once() {
    refused_below("[hsm]", "slot = 0\ntoken = \"a\"", "exclude each other");
    refused_below("[hsm]", "token = \"\"", "must not be empty");
    refused_below("[hsm]", &format!("token = \"{}\"", "a".repeat(33)), "at most 32 bytes");
    refused_below("[hsm]", "slot = -1", "negative");
}

#[test]
fn a_word_that_is_none_is_refused_with_those_that_are() {
    refused_below("[hsm]", "profile = \"none\"", "must be \"local\"");
    refused_below("[jail]", "landlock = \"off\"", "\"best-effort\"");
    refused_below("[hsm]", "identity_curve = \"P-384\"", "\"P-256\" or \"secp256k1\"");
    refused_below("[log]", "format = \"xml\"", "\"text\", \"json\", or \"journal\"");
    refused_below("[log]", "level = \"loud\"", "\"trace\"");
}

#[test]
fn an_empty_path_is_refused_wherever_it_stands() {
    for (section, key) in [("hsm", "module"), ("hsm", "pin_file"), ("policy", "file"), ("state", "dir")] {
        refused_below(
            &format!("[{section}]"),
            &format!("{key} = \"\""),
            &format!("[{section}] {key}: a path must not"),
        );
    }
    refused_in_backend("ca_file = \" \"", "a path must not be empty");
    refused_in_backend("pin_file = \"\"", "a path must not be empty");
}

#[test]
fn a_secret_key_among_the_recipients_is_refused_and_not_repeated() {
    let said = refusal(&format!("{URL}[sealing]\nrecovery_recipients = [\"AGE-SECRET-KEY-1QQQQ\"]\n"));
    assert!(said.contains("secret key") && !said.contains("QQQQ"), "{said}");
    refused_below("[sealing]", "recovery_recipients = [\"bob\"]", "not an age recipient");
    refused_below("[sealing]", "recovery_recipients = [\"age1aa\", \"age1aa\"]", "twice");
}

#[test]
fn an_error_names_the_file_as_it_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("signing-agent.toml");
    std::fs::write(&path, format!("{URL}\n[log]\nlevle = \"info\"\n")).unwrap();
    let said = config::load(&path).unwrap_err().to_string();
    let name = path.display();
    assert_eq!(said, format!("{name}:5:1: unknown key \"levle\" in [log]; did you mean \"level\"?"));

    let absent = dir.path().join("absent.toml");
    assert!(config::load(&absent).unwrap_err().to_string().contains("absent.toml: cannot read the configuration"));
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(config::load(&path).unwrap_err().to_string().contains("larger than 1 MiB"));
}

#[test]
fn a_person_has_one_name_and_one_key_and_a_private_key_is_not_repeated() {
    let below = |lines: &str, words: &str| {
        let said = refusal(&format!("{URL}[people]\n{lines}\n"));
        assert!(said.contains("[people]") && said.contains(words), "{lines}: {said}");
    };
    below("approvers = [\"ssh-ed25519 AAAA\"]", "must be a name and an OpenSSH public key");
    below("approvers = [\"alice ssh-ed25519 AA AA?\", \"bob ssh-ed25519 A?\"]", "must be a name");
    below("approvers = [\"Alice ssh-ed25519 AAAA\"]", "a name has 1 to 64");
    below(&format!("approvers = [\"{} ssh-ed25519 AAAA\"]", "a".repeat(65)), "a name has 1 to 64");
    below("approvers = [\"a ssh-ed25519 AAAA\", \"a ssh-ed25519 BBBB\"]", "twice");
    below("approvers = [\"a ssh-ed25519 AAAA\", \"b ssh-ed25519 AAAA\"]", "twice");
    below("approvers = [\"a ssh-ed25519 AAAA\"]\npolicy_signers = [\"a ssh-ed25519 BBBB\"]", "another list");
    below("approvers = [\"a ssh-ed25519 AAAA\"]\npolicy_signers = [\"b ssh-ed25519 AAAA\"]", "another list");
    below("policy_signers = [\"a ssh-ed25519 AAAA\"]\npolicy_signatures = 2", "from 0 to 1");
    below("policy_signatures = 1", "from 0 to 0");
    below("policy_signers = [\"a ssh-ed25519 A\"]\nchange_signers = [\"a ssh-ed25519 B\"]", "another list");
    below("change_signers = [\"a ssh-ed25519 AAAA\"]\nchange_signatures = 2", "from 0 to 1");
    below("change_signatures = 1", "from 0 to 0");
    below("change_signers = [\"a ssh-ed25519 AAAA\"]\nchange_signatures = 1", "needs policy_signatures of 1 or more");
    let many: Vec<String> = (0..65).map(|n| format!("\"p{n} ssh-ed25519 AAA{n}\"")).collect();
    below(&format!("approvers = [{}]", many.join(", ")), "at most 64");
    refused_below("[people]", "aprovers = []", "did you mean \"approvers\"?");
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----QQQQ";
    let said = refusal(&format!("{URL}[people]\napprovers = [\"a {key}\"]\n"));
    assert!(said.contains("private key") && !said.contains("QQQQ"), "{said}");
}

#[test]
fn changes_are_signed_by_as_many_as_there_are_and_as_one_command_brings_and_only_where_policies_are_signed() {
    let below = |lines: &str, words: &str| {
        let said = refusal(&format!("{URL}[people]\n{lines}\n"));
        assert!(said.contains("[people] change_sign") && said.contains(words), "{lines}: {said}");
    };
    let many: Vec<String> = (0..9).map(|n| format!("\"p{n} ssh-ed25519 AAA{n}\"")).collect();
    let signed = "policy_signers = [\"a ssh-ed25519 AAAA\"]\npolicy_signatures = 1";
    below(&format!("{signed}\nchange_signatures = 1"), "from 0 to 0");
    below(&format!("{signed}\nchange_signers = [{}]\nchange_signatures = 9", many.join(", ")), "from 0 to 8");
    below(&format!("{signed}\nchange_signers = [\"a ssh-ed25519 BBBB\"]"), "another list");
    below("change_signers = [\"a ssh-ed25519 AAAA\"]\nchange_signatures = 1", "needs policy_signatures of 1 or more");
}

#[test]
fn traces_go_over_tls_or_to_this_host() {
    refused_below("[telemetry]", "traces_url = \"http://collector.example/v1/traces\"", "plain http");
    refused_below("[telemetry]", "traces_url = \"https://user@collector.example/v1/traces\"", "[telemetry] traces_url");
    refused_below("[telemetry]", "url = \"https://collector.example/\"", "unknown key \"url\"");
}
