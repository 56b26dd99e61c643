//! Limits on requests by network address, and on a few kinds of requests together.
//!
//! A bucket takes as many requests as its limit says for a minute and drains evenly over one minute. For the
//! log-in and its like only what failed goes into the bucket: a clinic behind one address may sign in as often
//! as it likes, and whoever guesses is stopped. Tries that are under way take the places that they would take if
//! they failed: those for which no place is left wait, so that as many as come at the same moment fail no more often
//! than the limit says. Locks of tokens and accounts are rows of the database.
//!
//! The numbers are settings (`[limits]` in `crates/cli/src/settings.rs`). Pauses of an account after wrong passphrases
//! are another matter: `domain::failures` and `domain::policy`.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use countersign_app::network;
use countersign_domain::Timestamp;
use tokio::sync::oneshot;

use crate::web::client_address::ClientAddresses;

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
    /// Of one IPv4 address, or of one IPv6 network of 64 bits.
    Address(Door, IpAddr),
    /// Of all addresses together.
    All(Door),
    /// Of one credential ID, whoever asks.
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
            tracing::warn!(
                "too many addresses are rate-limited at the same time: all limits were reset"
            );
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
mod tests;
