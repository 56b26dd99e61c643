//! Records of what was refused before anybody was known.
//!
//! Strangers cause these, so they are few: beyond a number a minute they are only counted, and the
//! next record has the count. The address is not kept; it only shares the number out.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
};

use countersign_domain::{Actor, Event, EventKind, Outcome, Timestamp, command::commands};

use super::{
    App, At, RefusalCode,
    command::{Caller, Decision},
    log,
};

/// Most records of one minute.
const MOST: u32 = 60;
/// Most of them because of one address.
const MOST_OF_ONE: u32 = 6;
const WINDOW_SECONDS: i64 = 60;

/// How many were recorded in this minute, and how many were not since the last record.
#[derive(Default)]
pub(super) struct Refused(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    since: Option<Timestamp>,
    all: u32,
    of: HashMap<IpAddr, u32>,
    left_out: u64,
}

impl Counts {
    /// Whether one more is recorded; if so, with how many left out before it.
    fn admit(&mut self, address: IpAddr, now: Timestamp) -> Option<u64> {
        let within = |since: Timestamp| now >= since && now < since.plus_seconds(WINDOW_SECONDS);
        if !self.since.is_some_and(within) {
            *self = Self { since: Some(now), left_out: self.left_out, ..Self::default() };
        }
        // Only what is recorded is remembered: strangers must not fill the memory either.
        let address = network(address);
        let known = self.of.get(&address).copied().unwrap_or(0);
        if self.all >= MOST || known >= MOST_OF_ONE {
            self.left_out += 1;
            return None;
        }
        self.all += 1;
        self.of.insert(address, known + 1);
        Some(std::mem::take(&mut self.left_out))
    }
}

impl Refused {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Nothing that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// Records a request that was refused because of where or how it came. At most 60 records a
    /// minute, and 6 for each address; the rest is logged and counted. A record that can't be
    /// written changes nothing for who was refused.
    pub async fn note_refusal(&self, reason: &'static str, address: IpAddr, at: At) {
        let Some(left_out) = self.refused.counts().admit(address, at.now) else {
            log(&not_recorded(reason, at));
            return;
        };
        let noted = self.run(commands::NOTE_REFUSAL, Caller::System, at, move |cx| {
            cx.event.actor = Actor::Unknown;
            if left_out > 0 {
                cx.detail(&format!("{left_out} more were refused without a record"));
            }
            Ok(Decision::<(), _>::Refused(Noted(reason)))
        });
        if let Err(cause) = noted.await {
            log(&not_recorded(reason, at));
            let support = at.support;
            tracing::error!(%support, %cause, "a refusal could not be recorded");
            self.refused.counts().left_out += left_out + 1;
        }
    }
}

/// Why a request was refused: the command that notes it does nothing but that.
struct Noted(&'static str);

impl RefusalCode for Noted {
    fn refusal_code(&self) -> &'static str {
        self.0
    }
}

/// What the log says of a refusal that has no record.
fn not_recorded(reason: &'static str, at: At) -> Event {
    let event = Event::success(EventKind::RequestRefused, Actor::Unknown, at.support);
    Event { outcome: Outcome::Refused, ..event }.reason(reason)
}

/// What one client is taken to be: an IPv4 address, or the first 64 bits of an IPv6 address. An IPv4 address
/// written as an IPv6 address (RFC 4291, 2.5.5.2; RFC 6052, 2.1) is that IPv4 address.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = v6.segments() {
                return IpAddr::V4(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)));
            }
            let first = v6.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(first))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
    }

    #[test]
    fn six_of_one_address_and_sixty_of_all_in_a_minute() {
        let start = Timestamp::from_seconds(1_000);
        let mut counts = Counts::default();
        for _ in 0..6 {
            assert_eq!(counts.admit(address(0), start), Some(0));
        }
        assert_eq!(counts.admit(address(0), start), None);
        assert_eq!(counts.admit(address(0), start.plus_seconds(59)), None);
        assert_eq!(counts.admit(address(1), start), Some(2), "with what was left out before");
        let admitted = (2..=255).filter(|last| counts.admit(address(*last), start).is_some());
        assert_eq!(admitted.count(), 60 - 7);
        assert_eq!(counts.of.len(), 55, "only what is recorded is remembered");
        assert_eq!(counts.admit(address(9), start.plus_seconds(60)), Some(254 - 53));
        // A clock that goes back begins anew, too.
        assert_eq!(counts.admit(address(9), start), Some(0));
    }
}
