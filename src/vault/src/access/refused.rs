//! Who was not let in, counted, and put on record in bounded space: what comes again and again is one record a while, of
//! many addresses some are remembered, and the rest are "others".

use ipc::AccessFault;
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Repeats within so long are one record. While they go on it becomes twice as long each time,
const FIRST: Duration = Duration::from_secs(60);
/// and an hour at the most.
const LONGEST: Duration = Duration::from_secs(3600);
/// Others of whom it is known who they were have room up to here; above are as many as there are causes.
const MOST_OPEN: usize = 256;

/// Who is remembered in whose room: so that nobody who makes up callers hides those of whom it is known who they are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// By the api's word alone.
    Door,
    /// A token or a certificate is known.
    Named,
    Stranger,
}

impl Class {
    /// Callers that are remembered at once; more are others.
    const fn most(self) -> usize {
        match self {
            Class::Named => 64,
            Class::Door | Class::Stranger => 32,
        }
    }

    /// First records within the hour; what comes above that is others', without a record of its own.
    const fn most_fresh(self) -> usize {
        2 * self.most()
    }
}

/// What one class has of its room.
#[derive(Default)]
struct Room {
    /// Not others.
    remembered: usize,
    /// Since when first records are counted, and how many there were.
    fresh: Option<(Instant, usize)>,
}

/// A refusal, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    pub fault: AccessFault,
    pub address: Option<IpAddr>,
    /// Whose token or certificate it was, where that is known.
    pub who: Option<String>,
    /// The api's word: it refused by itself.
    pub by_the_api: bool,
    pub times: u32,
}

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Without the seconds to wait.
    fault: AccessFault,
    place: Place,
    who: Option<String>,
    by_the_api: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    Of(Option<IpAddr>),
    Others,
}

/// What the audit log says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    pub cause: &'static str,
    /// The scope that was lacking.
    pub scope: Option<&'static str>,
    #[serde(rename = "address", serialize_with = "place")]
    place: Place,
    pub who: Option<String>,
    pub by: &'static str,
    pub times: u64,
    /// Within so many seconds; the first has none.
    pub within: Option<u64>,
}

fn place<S: Serializer>(place: &Place, serializer: S) -> Result<S::Ok, S::Error> {
    match place {
        Place::Of(address) => address.serialize(serializer),
        Place::Others => serializer.serialize_str("others"),
    }
}

/// What there is to be done about a refusal: put it on record, and come back later.
#[derive(Debug, Default)]
pub struct Noted {
    pub record: Option<Record>,
    pub again: Option<(Key, Duration)>,
}

#[derive(Default)]
pub struct Refused {
    /// Since the start.
    counts: BTreeMap<&'static str, u64>,
    open: HashMap<Key, Repeats>,
    rooms: [Room; 3],
}

struct Repeats {
    /// Not on record yet.
    times: u64,
    within: Duration,
}

impl Refused {
    pub fn note(&mut self, seen: Sighting, now: Instant) -> Noted {
        let Sighting { fault, address, who, by_the_api, times } = seen;
        let fault = if let AccessFault::TokenLimit(_) = fault { AccessFault::TokenLimit(0) } else { fault };
        let times = u64::from(times);
        let count = self.counts.entry(fault.code()).or_default();
        *count = count.saturating_add(times);
        let mut key = Key { fault, place: Place::Of(address), who, by_the_api };
        let class = key.class();
        let room = &mut self.rooms[class as usize];
        let fresh = room.may_be_fresh(class, now);
        if !self.open.contains_key(&key) && (room.remembered >= class.most() || !fresh) {
            // Whose it was is worth more than where it came from, as long as there is room.
            let who = key.who.take().filter(|_| self.open.len() < MOST_OPEN);
            key = Key { place: Place::Others, who, ..key };
        }
        if let Some(repeats) = self.open.get_mut(&key) {
            repeats.times = repeats.times.saturating_add(times);
            return Noted::default();
        }
        room.remembered += usize::from(key.place != Place::Others);
        room.count(fresh);
        let (left, within) = if fresh { (0, FIRST) } else { (times, LONGEST) };
        self.open.insert(key.clone(), Repeats { times: left, within });
        let record = fresh.then(|| record(&key, times, None));
        Noted { record, again: Some((key, within)) }
    }

    /// What was said to be come back to; what repeated is put on record and come back to once more.
    pub fn due(&mut self, key: Key) -> Noted {
        let Some(repeats) = self.open.get_mut(&key) else { return Noted::default() };
        if repeats.times == 0 {
            self.open.remove(&key);
            self.rooms[key.class() as usize].remembered -= usize::from(key.place != Place::Others);
            return Noted::default();
        }
        let record = repeats.record(&key);
        repeats.within = (repeats.within * 2).min(LONGEST);
        let within = repeats.within;
        Noted { record: Some(record), again: Some((key, within)) }
    }

    /// What is not on record yet, for the end.
    pub fn rest(&mut self) -> Vec<Record> {
        let left = self.open.iter_mut().filter(|(_, repeats)| repeats.times > 0);
        left.map(|(key, repeats)| repeats.record(key)).collect()
    }

    /// By cause, since the start.
    pub fn counts(&self) -> Vec<(String, u64)> {
        self.counts.iter().map(|(cause, times)| ((*cause).to_owned(), *times)).collect()
    }
}

impl Key {
    fn class(&self) -> Class {
        match (self.by_the_api, &self.who) {
            (true, _) => Class::Door,
            (false, Some(_)) => Class::Named,
            (false, None) => Class::Stranger,
        }
    }
}

impl Room {
    fn may_be_fresh(&mut self, class: Class, now: Instant) -> bool {
        let counting =
            self.fresh.filter(|(since, _)| now.saturating_duration_since(*since) < config::seams::pace(LONGEST));
        let (since, records) = counting.unwrap_or((now, 0));
        self.fresh = Some((since, records));
        records < class.most_fresh()
    }

    fn count(&mut self, fresh: bool) {
        if let (Some((_, records)), true) = (&mut self.fresh, fresh) {
            *records += 1;
        }
    }
}

impl Repeats {
    fn record(&mut self, key: &Key) -> Record {
        record(key, std::mem::take(&mut self.times), Some(self.within.as_secs()))
    }
}

fn record(key: &Key, times: u64, within: Option<u64>) -> Record {
    let scope = match key.fault {
        AccessFault::TokenScope(scope) | AccessFault::CertificateScope(scope) => Some(scope.as_str()),
        _ => None,
    };
    let by = if key.by_the_api { "api" } else { "vault" };
    Record { cause: key.fault.code(), scope, place: key.place.clone(), who: key.who.clone(), by, times, within }
}

#[cfg(test)]
#[path = "refused_tests.rs"]
mod tests;
