//! Limits on requests by network address, and on a few kinds of requests together.
//!
//! A bucket takes as many requests as its limit says for a minute and drains evenly over one minute. For the
//! log-in and its like only what failed goes into the bucket: a clinic behind one address may sign in as often
//! as it likes, and whoever guesses is stopped. Tries that are under way take the places that they would take if
//! they failed: those for which no place is left wait, so that as many as come at the same moment fail no more often
//! than the limit says. Locks of tokens and accounts are rows of the database.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use countersign_app::network;
use countersign_domain::Timestamp;
use tokio::sync::oneshot;

use crate::client_address::ClientAddresses;

/// Checks and syncs a minute of one credential, whoever asks: the "check" command of a usual client
/// asks seven times.
const ONE_CREDENTIAL_PER_MINUTE: u32 = 10;
/// Most buckets that are remembered. Beyond it all are emptied: whoever has so many addresses is not
/// stopped by a limit for each of them, and must not fill the memory.
const MOST_BUCKETS: usize = 200_000;
const MINUTE_MICROS: i64 = 60_000_000;

/// What is limited, each by a bucket of its own: what fills one leaves the others as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Door {
    /// Log-ins that failed.
    LogIn,
    /// Launches that failed, and SMART launches that were begun and did not come back yet.
    Launch,
    /// Links of invitations and of "this was not me" that lead nowhere; asking for a new invitation.
    Invitation,
    /// Attempts with a forgotten passphrase that failed.
    ForgottenPassphrase,
    /// Client assertions that were refused.
    ApiToken,
    /// New tokens that belong to no pairing.
    Provisioning,
    /// Pairing codes that nobody shows.
    Pairing,
    /// New tokens over the VIP Access protocol.
    VipProvisioning,
    /// Checks and syncs over the VIP Access protocol.
    VipCheck,
}

/// How many of each are let through in a minute.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// Failed log-ins of one address.
    pub login: u32,
    /// Failed or unfinished launches of one address.
    pub launch: u32,
    /// Unknown links of one address.
    pub invitation: u32,
    /// Failed attempts of one address with a forgotten passphrase.
    pub forgotten_passphrase: u32,
    /// Refused client assertions of one address.
    pub api_token: u32,
    /// New tokens of one address; also its unknown pairing codes, and its new tokens over the VIP Access
    /// protocol, each counted apart.
    pub provisioning: u32,
    /// New tokens of all addresses together that belong to no pairing.
    pub provisioning_all: u32,
    /// New tokens over the VIP Access protocol of all addresses together.
    pub vip_provisioning: u32,
    /// Checks and syncs over the VIP Access protocol of one address.
    pub vip_check: u32,
}

impl Rates {
    /// One number for everything that is like a log-in, and one for new tokens.
    pub const fn new(sign_in: u32, provisioning: u32) -> Self {
        Self {
            login: sign_in,
            launch: sign_in,
            invitation: sign_in,
            forgotten_passphrase: sign_in,
            api_token: sign_in,
            provisioning,
            provisioning_all: provisioning.saturating_mul(12),
            vip_provisioning: provisioning,
            vip_check: sign_in,
        }
    }

    const fn of(&self, door: Door) -> u32 {
        match door {
            Door::LogIn => self.login,
            Door::Launch => self.launch,
            Door::Invitation => self.invitation,
            Door::ForgottenPassphrase => self.forgotten_passphrase,
            Door::ApiToken => self.api_token,
            Door::Provisioning | Door::Pairing | Door::VipProvisioning => self.provisioning,
            Door::VipCheck => self.vip_check,
        }
    }
}

/// For how many seconds a client should wait, at least one: `Retry-After` (RFC 9110, 10.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait(pub(crate) u64);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Bucket {
    Address(Door, IpAddr),
    /// Of everybody.
    All(Door),
    Credential(String),
}

/// How often one address may do what costs much.
pub struct Limits {
    rates: Rates,
    addresses: ClientAddresses,
    /// When each bucket is empty, in microseconds since 1970. A bucket that is not listed is empty.
    buckets: Mutex<HashMap<Bucket, i64>>,
    /// The tries of each address that have begun and not ended. Locked before the buckets, never after.
    under_way: Mutex<HashMap<(Door, IpAddr), UnderWay>>,
}

/// The tries of one address at one door.
#[derive(Default)]
struct UnderWay {
    count: u32,
    /// Dropped when one of them ends: whoever waits looks again.
    waiting: Vec<oneshot::Sender<()>>,
}

/// What a try finds that wants to begin.
enum Place {
    /// It has begun.
    Begun(Try),
    /// The bucket is full.
    Full(Wait),
    /// It would be full if all that are under way failed: to be asked again when one of them has ended.
    Later(oneshot::Receiver<()>),
}

/// A try that has begun. One of which nobody says how it ended, such as where its client has left, counts as failed.
#[must_use = "a try that is dropped counts as failed"]
pub(crate) struct Try {
    limits: Arc<Limits>,
    door: Door,
    address: IpAddr,
    now: Timestamp,
    failed: bool,
}

impl Try {
    /// Ends it: one that failed is counted.
    pub(crate) fn end(mut self, failed: bool) {
        self.failed = failed;
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        self.limits.ended(self.door, self.address, self.failed, self.now);
    }
}

impl Limits {
    /// So many failed sign-ins and so many new tokens a minute from one address. An IPv6 address counts by
    /// its network of 64 bits, all of which one client has.
    pub fn new(sign_in_per_minute: u32, provision_per_minute: u32) -> Self {
        Self::of(Rates::new(sign_in_per_minute, provision_per_minute))
    }

    /// With these rates.
    pub fn of(rates: Rates) -> Self {
        Self {
            rates,
            addresses: ClientAddresses::default(),
            buckets: Mutex::default(),
            under_way: Mutex::default(),
        }
    }

    /// With another limit for all new tokens together that belong to no pairing, a minute.
    #[must_use]
    pub fn for_all(mut self, provision_per_minute: u32) -> Self {
        self.rates.provisioning_all = provision_per_minute;
        self
    }

    /// With other limits for the VIP Access protocol: so many new tokens a minute for all its clients
    /// together, and so many checks and syncs from one address.
    #[must_use]
    pub fn for_vip(mut self, provision_per_minute: u32, check_per_minute: u32) -> Self {
        self.rates.vip_provisioning = provision_per_minute;
        self.rates.vip_check = check_per_minute;
        self
    }

    /// Behind these proxies, which say whom a request comes from.
    #[must_use]
    pub fn behind(self, addresses: ClientAddresses) -> Self {
        Self { addresses, ..self }
    }

    pub(crate) const fn addresses(&self) -> &ClientAddresses {
        &self.addresses
    }

    /// Begins a try, which counts only if it fails. Waits while those that are under way could fill the bucket.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        door: Door,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Try, Wait> {
        loop {
            match self.place(door, address, now) {
                Place::Begun(begun) => return Ok(begun),
                Place::Full(wait) => return Err(wait),
                // Nothing is sent: the sender is dropped.
                Place::Later(ended) => {
                    let _ = ended.await;
                }
            }
        }
    }

    fn place(self: &Arc<Self>, door: Door, address: IpAddr, now: Timestamp) -> Place {
        let (rate, client) = (self.rates.of(door), network(address));
        let mut all = self.under_way();
        let filled = self.filled(&Bucket::Address(door, client), now);
        if let Err(wait) = fits(filled, rate) {
            return Place::Full(wait);
        }
        let here = all.entry((door, client)).or_default();
        let with_them = filled.saturating_add(one(rate).saturating_mul(i64::from(here.count)));
        if fits(with_them, rate).is_err() {
            let (waiting, ended) = oneshot::channel();
            here.waiting.push(waiting);
            return Place::Later(ended);
        }
        here.count = here.count.saturating_add(1);
        let limits = Arc::clone(self);
        Place::Begun(Try { limits, door, address, now, failed: true })
    }

    /// Counts a try that failed before its place is given to another.
    fn ended(&self, door: Door, address: IpAddr, failed: bool, now: Timestamp) {
        let client = (door, network(address));
        let mut all = self.under_way();
        if failed {
            self.failed(door, address, now);
        }
        if let Some(here) = all.get_mut(&client) {
            here.count = here.count.saturating_sub(1);
            here.waiting.clear();
            if here.count == 0 {
                all.remove(&client);
            }
        }
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<(Door, IpAddr), UnderWay>> {
        // Nothing that can panic runs under this lock.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what failed, also where the bucket is full: whoever goes on tries waits for longer, at most a
    /// minute.
    pub(crate) fn failed(&self, door: Door, address: IpAddr, now: Timestamp) {
        let more = one(self.rates.of(door));
        self.change(door, address, now, |left| {
            left.max(left.saturating_add(more).min(MINUTE_MICROS))
        });
    }

    /// Whether the address may; counts it if so.
    pub(crate) fn count(&self, door: Door, address: IpAddr, now: Timestamp) -> Result<(), Wait> {
        self.take(Bucket::Address(door, network(address)), self.rates.of(door), now)
    }

    /// Takes one back that was counted and turned out well.
    pub(crate) fn forgive(&self, door: Door, address: IpAddr, now: Timestamp) {
        let less = one(self.rates.of(door));
        self.change(door, address, now, |left| left.saturating_sub(less).max(0));
    }

    /// For a token that belongs to no pairing: one that does has somebody who waits for it, and whom
    /// strangers must not keep waiting.
    pub(crate) fn provision_unpaired(&self, now: Timestamp) -> Result<(), Wait> {
        self.take(Bucket::All(Door::Provisioning), self.rates.provisioning_all, now)
    }

    pub(crate) fn vip_provision(&self, now: Timestamp) -> Result<(), Wait> {
        self.take(Bucket::All(Door::VipProvisioning), self.rates.vip_provisioning, now)
    }

    pub(crate) fn vip_credential(&self, credential: &str, now: Timestamp) -> Result<(), Wait> {
        self.take(Bucket::Credential(credential.to_owned()), ONE_CREDENTIAL_PER_MINUTE, now)
    }

    /// Forgets the buckets that are empty.
    pub fn shrink(&self, now: Timestamp) {
        self.buckets().retain(|_, empty| filled_until(*empty, now) > 0);
    }

    fn take(&self, bucket: Bucket, rate: u32, now: Timestamp) -> Result<(), Wait> {
        let mut buckets = self.buckets();
        let filled = buckets.get(&bucket).map_or(0, |empty| filled_until(*empty, now));
        let filled = fits(filled, rate)?;
        put(&mut buckets, bucket, filled, now);
        Ok(())
    }

    fn filled(&self, bucket: &Bucket, now: Timestamp) -> i64 {
        self.buckets().get(bucket).map_or(0, |empty| filled_until(*empty, now))
    }

    /// Fills or drains the bucket of an address in one turn: failures at the same moment are all counted.
    fn change(&self, door: Door, address: IpAddr, now: Timestamp, to: impl FnOnce(i64) -> i64) {
        let (bucket, mut buckets) = (Bucket::Address(door, network(address)), self.buckets());
        let left = buckets.get(&bucket).map_or(0, |empty| left_of(*empty, now));
        put(&mut buckets, bucket, to(left), now);
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<Bucket, i64>> {
        // Nothing that can panic runs under this lock.
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn put(buckets: &mut HashMap<Bucket, i64>, bucket: Bucket, filled: i64, now: Timestamp) {
    if buckets.len() >= MOST_BUCKETS && !buckets.contains_key(&bucket) {
        buckets.retain(|_, empty| filled_until(*empty, now) > 0);
        if buckets.len() >= MOST_BUCKETS {
            tracing::warn!("too many addresses are limited at a time: all limits begin anew");
            buckets.clear();
        }
    }
    buckets.insert(bucket, now.micros().saturating_add(filled));
}

/// How long a bucket takes to drain, in microseconds. That is more than a minute where a try took long, and others that
/// began after it have filled the bucket meanwhile. A clock that was set back by more than a minute empties it.
fn left_of(empty: i64, now: Timestamp) -> i64 {
    let left = empty.saturating_sub(now.micros());
    if (0..=2 * MINUTE_MICROS).contains(&left) { left } else { 0 }
}

/// How full a bucket is, in microseconds of the minute that it drains in.
fn filled_until(empty: i64, now: Timestamp) -> i64 {
    left_of(empty, now).min(MINUTE_MICROS)
}

/// What one request adds.
fn one(rate: u32) -> i64 {
    MINUTE_MICROS / i64::from(rate.max(1))
}

/// How full the bucket is with one more, or how long that must wait.
fn fits(filled: i64, rate: u32) -> Result<i64, Wait> {
    let with = filled.saturating_add(one(rate));
    match u64::try_from(with - MINUTE_MICROS) {
        Ok(over) if over > 0 => Err(Wait(over.div_ceil(1_000_000))),
        _ => Ok(with),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{pin::Pin, task::Poll};

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn at(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let limits = Limits::new(2, 2);
        let count = |address: &str| limits.count(Door::LogIn, at(address), NOW).is_ok();
        assert!(count("2001:db8:0:1::1") && count("2001:db8:0:1:ffff::2"));
        assert!(!count("2001:db8:0:1:8000:1:2:3"), "the third of one network");
        assert!(count("2001:db8:0:2::1"), "another network");
        assert!(count("192.0.2.1") && count("::ffff:192.0.2.1"));
        assert!(!count("192.0.2.1") && !count("64:ff9b::c000:201"), "one address in three forms");
        assert!(count("192.0.2.2") && count("::ffff:192.0.2.3"));
    }

    #[test]
    fn all_unpaired_tokens_share_one_limit() {
        let limits = Limits::new(1, 1_000).for_all(3);
        assert_eq!((0..10).filter(|_| limits.provision_unpaired(NOW).is_ok()).count(), 3);
    }

    #[test]
    fn a_bucket_drains_evenly_and_says_how_long_to_wait() {
        let limits = Limits::new(3, 1);
        let count = |seconds| limits.count(Door::LogIn, at("192.0.2.1"), NOW.plus_seconds(seconds));
        assert_eq!([count(0), count(0), count(0)], [Ok(()); 3]);
        assert_eq!(count(0), Err(Wait(20)));
        assert_eq!(count(19), Err(Wait(1)));
        assert_eq!([count(20), count(20)], [Ok(()), Err(Wait(20))]);
        assert_eq!([count(80), count(80), count(80)], [Ok(()); 3], "it was empty again");
        // A clock that is set back locks nobody out until it has caught up.
        assert_eq!(count(-3_600), Ok(()));
        let one = |seconds| limits.count(Door::Pairing, at("192.0.2.1"), NOW.plus_seconds(seconds));
        assert_eq!(
            [one(0), one(0), one(59), one(60)],
            [Ok(()), Err(Wait(60)), Err(Wait(1)), Ok(())]
        );
    }

    /// Begins a try that counts nothing, where nothing is under way.
    fn may(limits: &Arc<Limits>, door: Door, address: IpAddr, now: Timestamp) -> Result<(), Wait> {
        match limits.place(door, address, now) {
            Place::Begun(begun) => {
                begun.end(false);
                Ok(())
            }
            Place::Full(wait) => Err(wait),
            Place::Later(_) => panic!("something is under way"),
        }
    }

    /// What a try answers that was asked once: nothing where it waits.
    async fn asked<F: Future>(work: &mut Pin<Box<F>>) -> Option<F::Output> {
        std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(out) => Poll::Ready(Some(out)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    /// Asks all that wait once more; those that have begun, and how many were refused, no longer wait.
    async fn ask_all<F: Future<Output = Result<Try, Wait>>>(
        waiting: &mut Vec<Pin<Box<F>>>,
    ) -> (Vec<Try>, usize) {
        let (mut begun, mut refused, mut left) = (Vec::new(), 0, Vec::new());
        for mut work in waiting.drain(..) {
            // A task that asks for too much in one turn is told to wait (tokio's budget).
            tokio::task::yield_now().await;
            match asked(&mut work).await {
                Some(Ok(it)) => begun.push(it),
                Some(Err(_)) => refused += 1,
                None => left.push(work),
            }
        }
        *waiting = left;
        (begun, refused)
    }

    #[tokio::test]
    async fn simultaneous_failures_are_no_more_than_the_limit() {
        let limits = Arc::new(Limits::new(5, 5));
        let here = at("192.0.2.1");
        let mut waiting: Vec<_> =
            (0..50).map(|_| Box::pin(limits.begin(Door::LogIn, here, NOW))).collect();
        let (mut begun, refused) = ask_all(&mut waiting).await;
        assert_eq!((begun.len(), refused, waiting.len()), (5, 0, 45));
        // Another address and another door are not kept waiting.
        assert_eq!(may(&limits, Door::LogIn, at("192.0.2.2"), NOW), Ok(()));
        assert_eq!(may(&limits, Door::Launch, here, NOW), Ok(()));
        // Each one that fails takes its place for good, and nobody begins in it.
        while let Some(it) = begun.pop() {
            it.end(true);
            let (more, refused) = ask_all(&mut waiting).await;
            assert!(more.is_empty());
            assert_eq!(refused, if begun.is_empty() { 45 } else { 0 });
        }
        assert!(waiting.is_empty() && limits.under_way().is_empty());
        assert_eq!(may(&limits, Door::LogIn, here, NOW), Err(Wait(12)));
    }

    #[tokio::test]
    async fn simultaneous_tries_that_come_out_well_only_take_turns() {
        let limits = Arc::new(Limits::new(5, 5));
        let here = at("192.0.2.1");
        limits.failed(Door::LogIn, here, NOW);
        let mut waiting: Vec<_> =
            (0..50).map(|_| Box::pin(limits.begin(Door::LogIn, here, NOW))).collect();
        let mut done = 0;
        while !waiting.is_empty() {
            let (begun, refused) = ask_all(&mut waiting).await;
            assert_eq!(refused, 0);
            assert!((1..=4).contains(&begun.len()), "{}", begun.len());
            done += begun.len();
            begun.into_iter().for_each(|it| it.end(false));
        }
        assert_eq!(done, 50);
        assert!(limits.under_way().is_empty());
    }

    #[tokio::test]
    async fn a_try_whose_client_leaves_counts_and_one_that_waits_does_not() {
        let limits = Arc::new(Limits::new(2, 2));
        let here = at("192.0.2.1");
        let mut waiting: Vec<_> =
            (0..4).map(|_| Box::pin(limits.begin(Door::LogIn, here, NOW))).collect();
        let (mut begun, _) = ask_all(&mut waiting).await;
        assert_eq!((begun.len(), waiting.len()), (2, 2));
        drop(waiting.pop());
        drop(begun.pop());
        let (more, refused) = ask_all(&mut waiting).await;
        assert_eq!((more.len(), refused, waiting.len()), (0, 0, 1));
        begun.into_iter().for_each(|it| it.end(false));
        let (more, _) = ask_all(&mut waiting).await;
        assert_eq!(more.len(), 1, "one has failed, and one place was given back");
        drop(more);
        assert_eq!(may(&limits, Door::LogIn, here, NOW), Err(Wait(30)));
    }

    #[test]
    fn a_failure_that_took_long_empties_no_bucket() {
        let limits = Arc::new(Limits::new(6, 6));
        let here = at("192.0.2.1");
        let later = NOW.plus_seconds(20);
        for _ in 0..6 {
            limits.failed(Door::LogIn, here, later);
        }
        // It began before the others, and ends after them.
        limits.failed(Door::LogIn, here, NOW);
        assert!(may(&limits, Door::LogIn, here, NOW).is_err());
        assert_eq!(limits.filled(&Bucket::Address(Door::LogIn, here), later), MINUTE_MICROS);
    }

    #[test]
    fn only_what_failed_counts_and_each_door_by_itself() {
        let limits = Arc::new(Limits::new(2, 2));
        let (here, there) = (at("192.0.2.1"), at("192.0.2.2"));
        for _ in 0..1_000 {
            assert_eq!(may(&limits, Door::LogIn, here, NOW), Ok(()));
        }
        for _ in 0..50 {
            limits.failed(Door::LogIn, here, NOW);
        }
        // Never longer than a minute, however many failed.
        assert_eq!(may(&limits, Door::LogIn, here, NOW), Err(Wait(30)));
        assert_eq!(may(&limits, Door::LogIn, here, NOW.plus_seconds(30)), Ok(()));
        assert_eq!(may(&limits, Door::LogIn, there, NOW), Ok(()));
        for door in [Door::Launch, Door::Invitation, Door::ForgottenPassphrase, Door::ApiToken] {
            assert_eq!(may(&limits, door, here, NOW), Ok(()), "{door:?}");
        }
        for door in [Door::Provisioning, Door::Pairing, Door::VipProvisioning, Door::VipCheck] {
            assert_eq!(limits.count(door, here, NOW), Ok(()), "{door:?}");
        }
        assert_eq!(limits.count(Door::Launch, here, NOW), Ok(()));
        assert_eq!(limits.count(Door::Launch, here, NOW), Ok(()));
        assert!(limits.count(Door::Launch, here, NOW).is_err());
        limits.forgive(Door::Launch, here, NOW);
        assert_eq!(limits.count(Door::Launch, here, NOW), Ok(()));
        limits.shrink(NOW.plus_seconds(61));
        assert!(limits.buckets().is_empty());
    }
}
