//! Limits per address, in front of everything that costs.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
};

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Checks and syncs a minute of one credential, whoever asks: the "check" command of a usual client
/// asks seven times.
const ONE_CREDENTIAL_PER_MINUTE: u32 = 10;

/// How often one address may do what costs much. A token's own lock lives in the database.
pub struct Limits {
    sign_in: DefaultKeyedRateLimiter<IpAddr>,
    provision: DefaultKeyedRateLimiter<IpAddr>,
    provision_all: DefaultDirectRateLimiter,
    vip_provision: DefaultDirectRateLimiter,
    vip_check: DefaultKeyedRateLimiter<IpAddr>,
    vip_credential: DefaultKeyedRateLimiter<String>,
}

impl Limits {
    /// So many sign-ins and so many new tokens a minute from one address. An IPv6 address counts by
    /// its network of 64 bits, all of which one client has.
    pub fn new(sign_in_per_minute: u32, provision_per_minute: u32) -> Self {
        Self {
            sign_in: RateLimiter::keyed(quota(sign_in_per_minute)),
            provision: RateLimiter::keyed(quota(provision_per_minute)),
            provision_all: RateLimiter::direct(quota(provision_per_minute.saturating_mul(12))),
            vip_provision: RateLimiter::direct(quota(provision_per_minute)),
            vip_check: RateLimiter::keyed(quota(sign_in_per_minute)),
            vip_credential: RateLimiter::keyed(quota(ONE_CREDENTIAL_PER_MINUTE)),
        }
    }

    /// With another limit for all new tokens together that belong to no pairing, a minute.
    #[must_use]
    pub fn for_all(self, provision_per_minute: u32) -> Self {
        Self { provision_all: RateLimiter::direct(quota(provision_per_minute)), ..self }
    }

    /// With other limits for the VIP Access protocol: so many new tokens a minute for all its clients
    /// together, and so many checks and syncs from one address.
    #[must_use]
    pub fn for_vip(self, provision_per_minute: u32, check_per_minute: u32) -> Self {
        Self {
            vip_provision: RateLimiter::direct(quota(provision_per_minute)),
            vip_check: RateLimiter::keyed(quota(check_per_minute)),
            ..self
        }
    }

    pub(crate) fn sign_in(&self, address: IpAddr) -> bool {
        self.sign_in.check_key(&network(address)).is_ok()
    }

    pub(crate) fn provision(&self, address: IpAddr) -> bool {
        self.provision.check_key(&network(address)).is_ok()
    }

    /// For a token that belongs to no pairing: one that does has somebody who waits for it, and whom
    /// strangers must not keep waiting.
    pub(crate) fn provision_unpaired(&self) -> bool {
        self.provision_all.check().is_ok()
    }

    pub(crate) fn vip_provision(&self) -> bool {
        self.vip_provision.check().is_ok()
    }

    pub(crate) fn vip_check(&self, address: IpAddr) -> bool {
        self.vip_check.check_key(&network(address)).is_ok()
    }

    pub(crate) fn vip_credential(&self, credential: &str) -> bool {
        self.vip_credential.check_key(&credential.to_owned()).is_ok()
    }

    /// Forgets addresses and credentials that have been quiet.
    pub fn shrink(&self) {
        self.vip_check.retain_recent();
        self.vip_credential.retain_recent();
        self.sign_in.retain_recent();
        self.provision.retain_recent();
    }
}

/// What one client is taken to be: an IPv4 address, or the first 64 bits of an IPv6 address.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let first = v6.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(first))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn quota(per_minute: u32) -> Quota {
    Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_client() {
        let limits = Limits::new(2, 2);
        let sign_in = |address: &str| limits.sign_in(address.parse().unwrap());
        assert!(sign_in("2001:db8:0:1::1") && sign_in("2001:db8:0:1:ffff::2"));
        assert!(!sign_in("2001:db8:0:1:8000:1:2:3"), "the third of one network");
        assert!(sign_in("2001:db8:0:2::1"), "another network");
        assert!(sign_in("192.0.2.1") && sign_in("::ffff:192.0.2.1"));
        assert!(!sign_in("192.0.2.1"), "one address in two forms");
        assert!(sign_in("192.0.2.2"));
    }

    #[test]
    fn all_unpaired_tokens_share_one_limit() {
        let limits = Limits::new(1, 1_000).for_all(3);
        assert_eq!((0..10).filter(|_| limits.provision_unpaired()).count(), 3);
    }
}
