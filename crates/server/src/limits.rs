//! Limits per address, in front of everything that costs.

use std::{net::IpAddr, num::NonZeroU32};

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Checks and syncs a minute of one credential, whoever asks: the "check" command of a usual client
/// asks seven times.
const ONE_CREDENTIAL_PER_MINUTE: u32 = 10;

/// How often one address may do what costs much. A token's own lock lives in the database.
pub struct Limits {
    sign_in: DefaultKeyedRateLimiter<IpAddr>,
    provision: DefaultKeyedRateLimiter<IpAddr>,
    vip_provision: DefaultDirectRateLimiter,
    vip_check: DefaultKeyedRateLimiter<IpAddr>,
    vip_credential: DefaultKeyedRateLimiter<String>,
}

impl Limits {
    /// So many sign-ins and so many new tokens a minute from one address.
    pub fn new(sign_in_per_minute: u32, provision_per_minute: u32) -> Self {
        Self {
            sign_in: RateLimiter::keyed(quota(sign_in_per_minute)),
            provision: RateLimiter::keyed(quota(provision_per_minute)),
            vip_provision: RateLimiter::direct(quota(provision_per_minute)),
            vip_check: RateLimiter::keyed(quota(sign_in_per_minute)),
            vip_credential: RateLimiter::keyed(quota(ONE_CREDENTIAL_PER_MINUTE)),
        }
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
        self.sign_in.check_key(&address).is_ok()
    }

    pub(crate) fn provision(&self, address: IpAddr) -> bool {
        self.provision.check_key(&address).is_ok()
    }

    pub(crate) fn vip_provision(&self) -> bool {
        self.vip_provision.check().is_ok()
    }

    pub(crate) fn vip_check(&self, address: IpAddr) -> bool {
        self.vip_check.check_key(&address).is_ok()
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

fn quota(per_minute: u32) -> Quota {
    Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN))
}
