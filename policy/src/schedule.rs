//! Days, hours and holidays in a time zone of the IANA database, which is compiled in.

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use std::collections::BTreeSet;

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
const MINUTES_A_DAY: u16 = 24 * 60;

/// A moment by the clocks and calendars of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Local {
    pub(crate) date: Date,
    /// Its place in the week, from Monday, 0.
    pub(crate) day: u8,
    /// Since midnight by the clock on the wall, 0 to 1439.
    pub(crate) minute: u16,
}

impl Local {
    /// `None`: further away than calendars reach.
    pub(crate) fn at(unix: u64, zone: &TimeZone) -> Option<Local> {
        let there = zone.to_datetime(Timestamp::from_second(i64::try_from(unix).ok()?).ok()?);
        let minute = u16::try_from(there.hour()).ok()? * 60 + u16::try_from(there.minute()).ok()?;
        let day = u8::try_from(there.date().weekday().to_monday_zero_offset()).ok()?;
        Some(Local { date: there.date(), day, minute })
    }

    /// `wed 12:05`.
    pub(crate) fn show(&self) -> String {
        let day = DAYS.get(usize::from(self.day)).map_or("", |(name, _)| name);
        format!("{day} {:02}:{:02}", self.minute / 60, self.minute % 60)
    }
}

/// A zone by its IANA name.
pub(crate) fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZoneDatabase::bundled()
        .get(name)
        .map_err(|_| format!("{name:?} is no time zone of the IANA database, such as \"Europe/Zurich\" or \"UTC\""))
}

/// `2026-12-25`.
pub(crate) fn date(text: &str) -> Result<Date, String> {
    let whole = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    text.parse().ok().filter(|_| whole).ok_or_else(|| format!("{text:?} is no date, such as \"2026-12-25\""))
}

/// Days of the week, as places from Monday, 0.
pub(crate) fn days(names: &[String]) -> Result<BTreeSet<u8>, String> {
    let place = |name: &String| {
        let found = DAYS.iter().position(|(known, _)| known == name).and_then(|place| u8::try_from(place).ok());
        found.ok_or_else(|| format!("{name:?} is no day: mon, tue, wed, thu, fri, sat, sun"))
    };
    names.iter().map(place).collect()
}

/// Minutes of a day; the end is not in it. One that ends before it begins goes over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hours {
    from: u16,
    to: u16,
}

impl Hours {
    /// `09:00-17:30`; `24:00` is a day's end.
    pub(crate) fn parse(text: &str) -> Result<Hours, String> {
        let form = || format!("{text:?} are no hours, such as \"09:00-17:30\"");
        let (from, to) = text.split_once('-').ok_or_else(form)?;
        let hours = Hours { from: minute(from).ok_or_else(form)?, to: minute(to).ok_or_else(form)? };
        if hours.from == hours.to || hours.from == MINUTES_A_DAY {
            return Err(format!("{text:?} is no time at all"));
        }
        Ok(hours)
    }

    pub(crate) fn contain(&self, minute: u16) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, most: u16| -> Option<u16> {
        let two = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|number| two && *number <= most)
    };
    Some(number(hour, 24)? * 60 + number(minute, 59)?).filter(|minute| *minute <= MINUTES_A_DAY)
}

/// `90s`, `30m`, `24h`, `7d`: seconds, at least 1, at most a leap year's.
pub fn duration(text: &str) -> Result<u64, String> {
    const MOST: u64 = 366 * 24 * 60 * 60;
    let form = || format!("{text:?} is no length of time: 90s, 30m, 24h or 7d, up to 366d");
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        _ => return Err(form()),
    };
    let number = &text[..text.len() - 1];
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return Err(form());
    }
    let seconds: Option<u64> = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    seconds.filter(|seconds| (1..=MOST).contains(seconds)).ok_or_else(form)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_by_the_clock_of_its_place_also_when_that_is_put_forward() {
        for (unix, place, shown) in [
            (1_796_212_800, "UTC", "wed 12:00"),
            (1_796_212_800, "Europe/Zurich", "wed 13:00"),
            (1_796_212_800, "America/New_York", "wed 07:00"),
            // The last Sunday of March 2026: 01:59:59 UTC, 02:00 UTC.
            (1_774_745_999, "Europe/Zurich", "sun 01:59"),
            (1_774_746_000, "Europe/Zurich", "sun 03:00"),
            (1_796_252_400, "Europe/Zurich", "thu 00:00"),
            (0, "UTC", "thu 00:00"),
        ] {
            assert_eq!(Local::at(unix, &zone(place).unwrap()).unwrap().show(), shown, "{unix} {place}");
        }
        assert_eq!(Local::at(u64::MAX, &TimeZone::UTC), None);
        for bad in ["", "Europe/Zurick", "+01:00", "CEST+1"] {
            assert!(zone(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hours_have_a_beginning_no_end_and_may_go_over_midnight() {
        let day = Hours::parse("09:00-17:30").unwrap();
        assert!(day.contain(540) && day.contain(1049) && !day.contain(539) && !day.contain(1050));
        let night = Hours::parse("22:00-06:00").unwrap();
        assert!(night.contain(1320) && night.contain(0) && night.contain(359) && !night.contain(360));
        assert!(!night.contain(1319));
        let all = Hours::parse("00:00-24:00").unwrap();
        assert!(all.contain(0) && all.contain(1439));
        let late = Hours::parse("23:59-24:00").unwrap();
        assert!(late.contain(1439) && !late.contain(1438) && !late.contain(0));
        for bad in
            ["", "9:00-17:00", "09:00", "09:00-09:00", "09:60-10:00", "24:01-25:00", "24:00-06:00", "09:00-17:00 "]
        {
            assert!(Hours::parse(bad).is_err(), "{bad}");
        }
        assert!(Hours::parse("+9:00-17:00").is_err());
    }

    #[test]
    fn lengths_of_time_days_and_dates_are_what_they_say() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("24h", 86_400), ("7d", 604_800), ("366d", 31_622_400)] {
            assert_eq!(duration(text), Ok(seconds));
        }
        for bad in
            ["", "s", "0s", "0d", "5", "5w", "-5s", "+5s", "1.5h", "367d", "31622401s", "99999999999999999999d", "5ä"]
        {
            assert!(duration(bad).is_err(), "{bad}");
        }
        let named = |names: &[&str]| days(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(named(&["sun", "mon"]).unwrap(), BTreeSet::from([0, 6]));
        assert!(named(&["Mon"]).is_err());
        assert!(date("2026-12-25").is_ok());
        for bad in ["2026-13-01", "2026-02-30", "25.12.2026", "2026-1-1", "20261225", "2026-12-25T00:00"] {
            assert!(date(bad).is_err(), "{bad}");
        }
    }
}
