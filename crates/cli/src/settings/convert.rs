//! The settings as the types that the other crates use.

use std::{fmt, str::FromStr};

use countersign_domain::{
    FailureLimits, Manufacturer, Policy as DomainPolicy, SameBrowser as DomainSameBrowser, UsState,
    prescription::Pharmacy,
    retention::{Retention, RetentionError},
    state_rules::{LimitOfV, StateRules},
};
use countersign_server::{AddressSource, ClientAddresses, Rates};
use reqwest::Url;

use super::{
    ClientAddress, Listen, SameBrowser, Settings, SettingsError,
    parse::{parse_listen, parse_manufacturers, parse_proxies, parse_public_url},
};

impl Settings {
    /// The policy of the domain, checked.
    pub(crate) fn policy(&self) -> Result<DomainPolicy, SettingsError> {
        let policy = self.domain_policy();
        policy.check().map_err(|error| error.to_string())?;
        Ok(policy)
    }

    /// Where to listen, checked.
    pub(crate) fn listen(&self) -> Result<Listen, SettingsError> {
        Ok(parse_listen(&self.server.listen)?)
    }

    /// The address that browsers use.
    pub(crate) fn public_url(&self) -> Result<Url, SettingsError> {
        Ok(parse_public_url(&self.server.public_url)?)
    }

    /// The origin that browsers use, such as `https://erx.example.org`, without a closing slash.
    pub(crate) fn public_origin(&self) -> Result<String, SettingsError> {
        Ok(parse_public_url(&self.server.public_url)?.origin().ascii_serialization())
    }

    /// The proxies that are trusted, and where they say whom they speak for.
    pub(crate) fn client_addresses(&self) -> Result<ClientAddresses, SettingsError> {
        let source = match self.server.client_address {
            ClientAddress::XForwardedFor => AddressSource::XForwardedFor,
            ClientAddress::Forwarded => AddressSource::Forwarded,
            ClientAddress::ProxyProtocol => AddressSource::ProxyProtocol,
        };
        Ok(ClientAddresses::new(parse_proxies(&self.server.trusted_proxies)?, source))
    }

    /// Limits by network address, and on all together.
    pub(crate) const fn rates(&self) -> Rates {
        let limits = &self.limits;
        Rates {
            login: limits.login_per_minute,
            launch: limits.launch_per_minute,
            invitation: limits.invitation_per_minute,
            forgotten_passphrase: limits.forgotten_passphrase_per_minute,
            api_token: limits.api_token_per_minute,
            provisioning: limits.provisioning_per_minute,
            provisioning_all: limits.provisioning_all_per_minute,
            vip_provisioning: self.vip.provisioning_per_minute,
            vip_check: self.vip.checks_per_minute,
        }
    }

    /// Whose tokens may be added, in the order of the form.
    pub(crate) fn manufacturers(&self) -> Result<Vec<Manufacturer>, SettingsError> {
        Ok(parse_manufacturers(&self.manufacturers.enabled)?)
    }

    /// The pharmacies that can be chosen.
    pub(crate) fn pharmacies(&self) -> Result<Vec<Pharmacy>, SettingsError> {
        let all = &self.transmission.pharmacies;
        all.iter()
            .map(|text| {
                text.parse().map_err(|error| {
                    SettingsError::from(format!("transmission.pharmacies: \"{text}\": {error}"))
                })
            })
            .collect()
    }

    /// For how long signed records are kept.
    pub(crate) fn retention(&self) -> Result<Retention, SettingsError> {
        let wrong = |error: RetentionError, text: &str| {
            SettingsError::from(format!("records.{text}: {error}"))
        };
        let states = &self.records.states;
        let states = states
            .iter()
            .map(|text| text.parse().map_err(|error| wrong(error, &format!("states: \"{text}\""))))
            .collect::<Result<Vec<_>, _>>()?;
        let years = u8::try_from(self.records.years).unwrap_or(u8::MAX);
        Retention::new(years, &states).map_err(|error| wrong(error, "states"))
    }

    /// What states ask of prescriptions beyond the federal rules.
    pub(crate) fn state_rules(&self) -> Result<StateRules, SettingsError> {
        fn all<T: FromStr<Err: fmt::Display>>(
            name: &str,
            texts: &[String],
        ) -> Result<Vec<T>, SettingsError> {
            let read = |text: &String| {
                text.parse().map_err(|error| {
                    SettingsError::from(format!("signing.{name}: \"{text}\": {error}"))
                })
            };
            texts.iter().map(read).collect()
        }
        let it = &self.signing;
        let limits: Vec<LimitOfV> = all("schedule_v_states", &it.schedule_v_states)?;
        let no_series: Vec<UsState> = all("no_series_states", &it.no_series_states)?;
        let supervised: Vec<UsState> = all("supervisor_states", &it.supervisor_states)?;
        StateRules::new(&limits, &no_series, &supervised)
            .map_err(|error| SettingsError::from(format!("signing.schedule_v_states: {error}")))
    }

    pub(super) fn domain_policy(&self) -> DomainPolicy {
        let p = &self.policy;
        DomainPolicy {
            max_active_tokens: p.max_active_tokens,
            step_up_seconds: p.step_up_seconds,
            session_idle_seconds: p.session_idle_seconds,
            session_absolute_seconds: p.session_absolute_seconds,
            launch_seconds: p.launch_seconds,
            unassociated_seconds: p.unassociated_seconds,
            otpauth: p.otpauth,
            token: FailureLimits {
                throttle_from: p.token_throttle_from,
                throttle_seconds: p.token_throttle_seconds,
                lock_from: p.token_lock_from,
                lock_seconds: p.token_lock_seconds,
                disable_at: Some(p.token_disable_at),
            },
            prescriber: FailureLimits {
                throttle_from: p.prescriber_throttle_from,
                throttle_seconds: p.prescriber_throttle_seconds,
                lock_from: p.prescriber_lock_from,
                lock_seconds: p.prescriber_lock_seconds,
                disable_at: None,
            },
            passphrase: FailureLimits {
                throttle_from: p.passphrase_throttle_from,
                throttle_seconds: p.passphrase_throttle_seconds,
                lock_from: p.passphrase_lock_from,
                lock_seconds: p.passphrase_lock_seconds,
                disable_at: None,
            },
            same_browser: match p.same_browser {
                SameBrowser::Deny => DomainSameBrowser::Deny,
                SameBrowser::Warn => DomainSameBrowser::Warn,
            },
        }
    }
}
