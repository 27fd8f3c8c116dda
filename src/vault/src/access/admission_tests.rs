use super::super::table::tests::info;
use super::*;
use ipc::{Scopes, Secret};
use std::time::Duration;

const NOW: u64 = 1000;

struct Gate {
    auth: Auth,
    clients: Vec<ApiClient>,
    tokens: Option<Table>,
}

/// `desk` decides and reads by token, three times a minute; `screen` reads by certificate, and `old` has expired.
fn gate(auth: Auth) -> Gate {
    let client = |name: &str, scopes: &str| ApiClient {
        name: name.into(),
        subject: None,
        san: Some(name.into()),
        scopes: scopes.parse::<Scopes>().unwrap(),
    };
    let token = |name: &str, expires, most| {
        (info(name, "decide,read", expires, most), tokens::hash(&Secret::new(format!("{name}-token"))))
    };
    let tokens = vec![token("desk", None, Some(3)), token("old", Some(NOW), None), token("free", Some(NOW + 1), None)];
    Gate {
        auth,
        clients: vec![client("screen", "read,feed"), client("press", "decide,read")],
        tokens: Some(Table::new(tokens)),
    }
}

fn caller(bearer: &str, certificate: Option<&str>) -> Caller {
    Caller {
        request: None,
        address: None,
        bearer: (!bearer.is_empty()).then(|| Secret::new(bearer.to_owned())),
        certificate: certificate.map(str::to_owned),
    }
}

impl Gate {
    fn admit(&self, caller: &Caller, scope: Scope, counted: Option<Instant>) -> Result<Guest, No> {
        let passes = Passes { auth: self.auth, clients: &self.clients, tokens: self.tokens.as_ref(), now: NOW };
        passes.admit(caller, scope, counted)
    }

    /// The name of who is let in, or the cause and the name of who is not.
    fn says(&self, bearer: &str, certificate: Option<&str>, scope: Scope) -> Result<String, (AccessFault, String)> {
        match self.admit(&caller(bearer, certificate), scope, None) {
            Ok(guest) => Ok(guest.to_string()),
            Err(No::Access(fault, guest)) => Err((fault, guest.to_string())),
            Err(No::Table) => panic!("there is a table"),
        }
    }
}

fn no(fault: AccessFault, who: &str) -> Result<String, (AccessFault, String)> {
    Err((fault, who.to_owned()))
}

fn yes(who: &str) -> Result<String, (AccessFault, String)> {
    Ok(who.to_owned())
}

#[test]
fn without_auth_everybody_is_let_in_and_nobody_is_known() {
    let gate = gate(Auth::None);
    for scope in Scope::ALL {
        for (bearer, certificate) in [("", None), ("wrong", None), ("old-token", Some("screen")), ("", Some(""))] {
            assert_eq!(gate.says(bearer, certificate, scope), yes("client"));
        }
    }
    let shut = Gate { tokens: None, ..gate };
    assert_eq!(shut.admit(&caller("wrong", None), Scope::Register, None), Ok(Guest::default()));
}

#[test]
fn by_token_nothing_but_a_good_token_of_this_scope_is_let_in() {
    use AccessFault as F;
    let gate = gate(Auth::Token);
    for scope in Scope::ALL {
        for certificate in [None, Some("press"), Some("")] {
            assert_eq!(gate.says("", certificate, scope), no(F::TokenMissing, "client"));
            assert_eq!(gate.says("desk-toke", certificate, scope), no(F::TokenUnknown, "client"));
            assert_eq!(gate.says("old-token", certificate, scope), no(F::TokenExpired, "token old"));
            let good = matches!(scope, Scope::Decide | Scope::Read);
            let wanted = if good { yes("token desk") } else { no(F::TokenScope(scope), "token desk") };
            assert_eq!(gate.says("desk-token", certificate, scope), wanted);
        }
    }
}

#[test]
fn by_certificate_nothing_but_a_known_one_of_this_scope_is_let_in() {
    use AccessFault as F;
    let gate = gate(Auth::Mtls);
    for bearer in ["", "free-token", "wrong"] {
        assert_eq!(gate.says(bearer, None, Scope::Read), no(F::CertificateMissing, "client"));
        for unknown in ["", "scree", "SCREEN"] {
            assert_eq!(gate.says(bearer, Some(unknown), Scope::Read), no(F::CertificateUnknown, "client"));
        }
        assert_eq!(gate.says(bearer, Some("screen"), Scope::Feed), yes("certificate screen"));
        let wanted = no(F::CertificateScope(Scope::Decide), "certificate screen");
        assert_eq!(gate.says(bearer, Some("screen"), Scope::Decide), wanted);
    }
}

#[test]
fn by_either_a_token_counts_where_there_is_one_and_else_the_certificate() {
    use AccessFault as F;
    let gate = gate(Auth::Either);
    assert_eq!(gate.says("", None, Scope::Read), no(F::TokenMissing, "client"));
    assert_eq!(gate.says("", Some("screen"), Scope::Feed), yes("certificate screen"));
    assert_eq!(gate.says("", Some(""), Scope::Feed), no(F::CertificateUnknown, "client"));
    assert_eq!(gate.says("free-token", None, Scope::Decide), yes("token free"));
    // A bad token is not made good by a certificate, nor the other way round.
    assert_eq!(gate.says("wrong", Some("press"), Scope::Decide), no(F::TokenUnknown, "client"));
    assert_eq!(gate.says("free-token", Some("screen"), Scope::Feed), no(F::TokenScope(Scope::Feed), "token free"));
    assert_eq!(gate.says("free-token", Some(""), Scope::Read), yes("token free"));
}

#[test]
fn by_both_each_must_be_good_for_it() {
    use AccessFault as F;
    let gate = gate(Auth::Both);
    assert_eq!(gate.says("free-token", Some("press"), Scope::Decide), yes("token free, certificate press"));
    assert_eq!(gate.says("", Some("press"), Scope::Decide), no(F::TokenMissing, "client"));
    assert_eq!(gate.says("free-token", None, Scope::Decide), no(F::CertificateMissing, "token free"));
    assert_eq!(gate.says("free-token", Some(""), Scope::Decide), no(F::CertificateUnknown, "token free"));
    let wanted = no(F::CertificateScope(Scope::Decide), "token free, certificate screen");
    assert_eq!(gate.says("free-token", Some("screen"), Scope::Decide), wanted);
    assert_eq!(gate.says("free-token", Some("screen"), Scope::Feed), no(F::TokenScope(Scope::Feed), "token free"));
}

#[test]
fn what_is_refused_for_another_cause_or_not_counted_costs_the_token_nothing() {
    let (gate, begun) = (gate(Auth::Both), Instant::now());
    let enter = |certificate, scope, counted| gate.admit(&caller("desk-token", certificate), scope, counted);
    for _ in 0..10 {
        assert!(enter(None, Scope::Read, Some(begun)).is_err());
        assert!(enter(Some("press"), Scope::Feed, Some(begun)).is_err());
        assert!(enter(Some("press"), Scope::Read, None).is_ok());
    }
    let let_in = (0..10).filter(|_| enter(Some("press"), Scope::Read, Some(begun)).is_ok()).count();
    assert_eq!(let_in, 3);
    let Err(No::Access(AccessFault::TokenLimit(20), who)) = enter(Some("press"), Scope::Read, Some(begun)) else {
        panic!("a limit")
    };
    assert_eq!(who.token.as_deref(), Some("desk"));
    assert!(enter(Some("press"), Scope::Read, Some(begun + Duration::from_secs(20))).is_ok());
}

#[test]
fn while_the_vault_is_not_at_work_no_token_is_good() {
    for auth in [Auth::Token, Auth::Both, Auth::Either] {
        let shut = Gate { tokens: None, ..gate(auth) };
        for bearer in ["desk-token", "wrong"] {
            assert_eq!(shut.admit(&caller(bearer, Some("press")), Scope::Read, None), Err(No::Table));
        }
    }
    let shut = Gate { tokens: None, ..gate(Auth::Mtls) };
    assert!(
        shut.admit(&caller("", Some("press")), Scope::Read, None).is_ok(),
        "the configuration has the certificates"
    );
    let shut = Gate { tokens: None, ..gate(Auth::Token) };
    let missing = Err(No::Access(AccessFault::TokenMissing, Guest::default()));
    assert_eq!(shut.admit(&caller("", None), Scope::Read, None), missing);
}
