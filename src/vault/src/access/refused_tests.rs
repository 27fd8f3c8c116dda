use super::*;
use ipc::Scope;

fn seen(fault: AccessFault, address: u32) -> Sighting {
    let address = Some(IpAddr::from(address.to_be_bytes()));
    Sighting { fault, address, who: None, by_the_api: false, times: 1 }
}

fn json(record: &Record) -> String {
    serde_json::to_string(record).unwrap()
}

#[test]
fn ten_thousand_wrong_tokens_of_one_address_are_a_handful_of_records_and_all_are_counted() {
    let (mut refused, now) = (Refused::default(), Instant::now());
    let first = refused.note(seen(AccessFault::TokenUnknown, 1), now);
    let record = first.record.unwrap();
    assert_eq!(
        json(&record),
        r#"{"cause":"token-unknown","scope":null,"address":"0.0.0.1","who":null,"by":"vault","times":1,"within":null}"#
    );
    let (mut key, mut wait) = first.again.unwrap();
    assert_eq!(wait, FIRST);
    // While they go on they are one record a minute, two, four, and then an hour.
    let mut records = Vec::new();
    for _ in 0..9 {
        for _ in 0..1111 {
            let noted = refused.note(seen(AccessFault::TokenUnknown, 1), now);
            assert!(noted.record.is_none() && noted.again.is_none());
        }
        let noted = refused.due(key);
        records.push((noted.record.unwrap().times, wait.as_secs()));
        (key, wait) = noted.again.unwrap();
    }
    let within = [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600];
    assert_eq!(records, within.map(|within| (1111, within)));
    assert_eq!(refused.counts(), [("token-unknown".to_owned(), 10_000)]);
    assert_eq!(refused.rest(), []);
    let quiet = refused.due(key);
    assert!(quiet.record.is_none() && quiet.again.is_none());
    assert!(
        refused.note(seen(AccessFault::TokenUnknown, 1), now).record.is_some(),
        "it is a new one after a quiet while"
    );
}

#[test]
fn causes_addresses_and_people_are_told_apart_and_seconds_and_doors_words_too() {
    let (mut refused, now) = (Refused::default(), Instant::now());
    let fresh = |refused: &mut Refused, seen: Sighting| refused.note(seen, now).record.map(|record| json(&record));
    assert!(fresh(&mut refused, seen(AccessFault::TokenLimit(5), 1)).is_some());
    assert!(fresh(&mut refused, seen(AccessFault::TokenLimit(6), 1)).is_none(), "the same cause");
    assert!(fresh(&mut refused, seen(AccessFault::TokenLimit(5), 2)).is_some());
    let decide = Sighting { who: Some("token desk".into()), ..seen(AccessFault::TokenScope(Scope::Decide), 1) };
    let said = fresh(&mut refused, decide.clone()).unwrap();
    assert!(said.contains(r#""scope":"decide""#) && said.contains(r#""who":"token desk""#), "{said}");
    assert!(fresh(&mut refused, decide).is_none());
    let read = Sighting { who: Some("token desk".into()), ..seen(AccessFault::TokenScope(Scope::Read), 1) };
    assert!(fresh(&mut refused, read).is_some());
    let doors = Sighting { by_the_api: true, times: 7, ..seen(AccessFault::TokenUnknown, 1) };
    let said = fresh(&mut refused, doors).unwrap();
    assert!(said.contains(r#""by":"api","times":7"#), "{said}");
    assert!(fresh(&mut refused, seen(AccessFault::TokenUnknown, 1)).is_some(), "the vault saw this one itself");
    let nowhere = Sighting { address: None, ..seen(AccessFault::TokenMissing, 1) };
    assert!(fresh(&mut refused, nowhere).unwrap().contains(r#""address":null"#));
    let counts = refused.counts();
    let told: Vec<(&str, u64)> = counts.iter().map(|(cause, times)| (cause.as_str(), *times)).collect();
    assert_eq!(told, [("token-limit", 3), ("token-missing", 1), ("token-scope", 3), ("token-unknown", 8)]);
}

#[test]
fn of_a_million_addresses_some_are_remembered_and_the_rest_are_others() {
    let (mut refused, now) = (Refused::default(), Instant::now());
    let mut records = 0;
    for address in 0..1_000_000 {
        records += u64::from(refused.note(seen(AccessFault::TokenUnknown, address), now).record.is_some());
    }
    let most = Class::Stranger.most();
    assert_eq!((records, refused.open.len()), (most as u64 + 1, most + 1));
    let rest = refused.rest();
    assert_eq!((rest.len(), rest[0].times), (1, 1_000_000 - most as u64 - 1));
    assert!(json(&rest[0]).contains(r#""address":"others""#), "{}", json(&rest[0]));
    assert_eq!(refused.counts(), [("token-unknown".to_owned(), 1_000_000)]);
}

#[test]
fn a_tokens_name_is_on_record_however_many_strangers_there_are() {
    let (mut refused, now) = (Refused::default(), Instant::now());
    let many = |refused: &mut Refused, rounds: u32, of: &dyn Fn(u32) -> Sighting| {
        for address in 0..rounds * 32 {
            let noted = refused.note(of(address), now);
            // A quiet minute has it forgotten, so that the next ones are new.
            noted.again.into_iter().for_each(|(key, _)| drop(refused.due(key)));
        }
    };
    // Neither strangers, nor the api that makes them up, take the room of who is known.
    many(&mut refused, 100, &|address| seen(AccessFault::TokenUnknown, address));
    many(&mut refused, 100, &|address| Sighting { by_the_api: true, ..seen(AccessFault::ForeignPage, address) });
    let desk = |name: &str| Sighting { who: Some(name.into()), ..seen(AccessFault::TokenScope(Scope::Decide), 9) };
    let record = refused.note(desk("token desk"), now).record.unwrap();
    assert_eq!((record.who.as_deref(), json(&record).contains("0.0.0.9")), (Some("token desk"), true));
    // Who is known by many names takes that of names; then a name is on record within the hour.
    many(&mut refused, 4, &|n| desk(&format!("certificate {n}")));
    assert!(refused.note(desk("token till"), now).record.is_none(), "this hour's first records are spent");
    refused.note(desk("token till"), now);
    let rest = refused.rest();
    let till = rest.iter().find(|record| record.who.as_deref() == Some("token till")).unwrap();
    assert_eq!((till.times, till.cause, till.within), (2, "token-scope", Some(3600)));
    // Whoever has many names has no more room than this.
    for name in 0..10_000 {
        refused.note(Sighting { who: Some(format!("token {name}")), ..seen(AccessFault::TokenLimit(1), name) }, now);
    }
    assert!(refused.open.len() <= MOST_OPEN + 40, "{}", refused.open.len());
}

/// Each minute other addresses, with every cause there is: what a captured api can make up.
#[test]
fn a_door_that_makes_up_callers_for_a_day_adds_a_few_hundred_records_an_hour() {
    let (mut refused, begun) = (Refused::default(), Instant::now());
    let most: usize = [Class::Door, Class::Named, Class::Stranger].map(Class::most).iter().sum();
    let causes = [AccessFault::TokenUnknown, AccessFault::ForeignPage, AccessFault::CertificateRefused];
    let mut waiting: Vec<(u64, Key)> = Vec::new();
    let (mut records, mut address) = (0, 0);
    for second in (0..24 * 3600).step_by(10) {
        let now = begun + Duration::from_secs(second);
        let due: Vec<Key> = waiting.extract_if(.., |(due, _)| *due <= second).map(|(_, key)| key).collect();
        let mut noted: Vec<Noted> = due.into_iter().map(|key| refused.due(key)).collect();
        for n in 0..200 {
            address += u32::from(n % 3 == 0);
            // The api vouches for certificates.
            let who = (n % 5 == 0).then(|| format!("certificate {}", n % 7));
            let one = Sighting { by_the_api: n % 2 == 0, who, ..seen(causes[n % 3], address) };
            noted.push(refused.note(one, now));
        }
        for Noted { record, again } in noted {
            records += u64::from(record.is_some());
            waiting.extend(again.map(|(key, wait)| (second + wait.as_secs(), key)));
        }
        assert!(refused.open.len() <= most + 80 && waiting.len() <= most + 80);
    }
    eprintln!("{} records an hour", records / 24);
    assert!(records <= 24 * 600, "{records} records in a day");
    let counted: u64 = refused.counts().iter().map(|(_, times)| times).sum();
    assert_eq!(counted, 24 * 360 * 200);
}
