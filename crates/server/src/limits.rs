//! Limits per address, in front of everything that costs.

use std::{net::IpAddr, num::NonZeroU32};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// How often one address may do what costs much. A token's own lock lives in the database.
pub struct Limits {
    sign_in: DefaultKeyedRateLimiter<IpAddr>,
    provision: DefaultKeyedRateLimiter<IpAddr>,
}

impl Limits {
    /// So many sign-ins and so many new tokens a minute from one address.
    pub fn new(sign_in_per_minute: u32, provision_per_minute: u32) -> Self {
        let quota =
            |per_minute| Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN));
        Self {
            sign_in: RateLimiter::keyed(quota(sign_in_per_minute)),
            provision: RateLimiter::keyed(quota(provision_per_minute)),
        }
    }

    pub(crate) fn sign_in(&self, address: IpAddr) -> bool {
        self.sign_in.check_key(&address).is_ok()
    }

    pub(crate) fn provision(&self, address: IpAddr) -> bool {
        self.provision.check_key(&address).is_ok()
    }

    /// Forgets addresses that have been quiet.
    pub fn shrink(&self) {
        self.sign_in.retain_recent();
        self.provision.retain_recent();
    }
}
