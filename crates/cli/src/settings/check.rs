//! Checks all settings together; every fault is reported.

use std::net::SocketAddr;

use countersign_domain::{EmailAddress, Manufacturer};

use super::{
    ClientAddress, DatabaseKind, Settings, SettingsError, entries, is_safe,
    parse::{
        check_email, check_path, check_symantec_prefix, check_text, check_time_server,
        check_vip_path, parse_listen, parse_manufacturers, parse_proxies, parse_public_url,
    },
};

impl Settings {
    /// Checks every value; all faults are reported, one line each.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        let mut faults = self.bounds_faults();
        let mut note = |result: Result<(), String>| {
            if let Err(fault) = result {
                faults.push(fault);
            }
        };
        note(parse_listen(&self.server.listen).map(|_| ()));
        note(parse_public_url(&self.server.public_url).map(|_| ()));
        note(self.check_proxies());
        note(self.check_database());
        note(check_path("keys.master_key_file", &self.keys.master_key_file));
        note(check_text("practice.support_name", &self.practice.support_name, true));
        note(check_text("practice.support_phone", &self.practice.support_phone, false));
        note(check_text("practice.support_email", &self.practice.support_email, false));
        note(check_email(&self.practice.support_email));
        note(parse_manufacturers(&self.manufacturers.enabled).map(|_| ()));
        note(check_symantec_prefix(&self.manufacturers.symantec_prefix));
        note(self.check_vip());
        note(self.check_notices());
        note(self.check_orders());
        note(check_time_server(&self.signing.time_server));
        if !self.signing.release_manifest_file.is_empty()
            && self.signing.release_keys_file.is_empty()
        {
            faults.push("signing.release_keys_file is empty: name the file of the keys that sign the manifest, since signing.release_manifest_file is set".into());
        }
        // Where a single value is out of its bounds, that has been said already.
        if faults.is_empty()
            && let Err(error) = self.domain_policy().check()
        {
            faults.push(error.to_string());
        }
        if faults.is_empty() { Ok(()) } else { Err(SettingsError(faults)) }
    }

    fn bounds_faults(&self) -> Vec<String> {
        let values = serde_json::to_value(self).unwrap_or_default();
        entries()
            .iter()
            .filter_map(|entry| {
                let value = values.get(entry.section)?.get(entry.name)?.as_i64()?;
                entry.out_of_bounds(value)
            })
            .collect()
    }

    fn check_orders(&self) -> Result<(), String> {
        let p = &self.policy;
        let counts = [
            ("token", p.token_throttle_from, p.token_lock_from),
            ("prescriber", p.prescriber_throttle_from, p.prescriber_lock_from),
            ("passphrase", p.passphrase_throttle_from, p.passphrase_lock_from),
        ];
        for (who, throttle, lock) in counts {
            if lock < throttle {
                return Err(format!(
                    "policy.{who}_lock_from ({lock}) must not be below policy.{who}_throttle_from ({throttle})"
                ));
            }
        }
        if p.session_absolute_seconds < p.session_idle_seconds {
            return Err(
                "policy.session_absolute_seconds must not be below policy.session_idle_seconds"
                    .into(),
            );
        }
        Ok(())
    }

    fn check_vip(&self) -> Result<(), String> {
        let vip = &self.vip;
        check_vip_path(&vip.path)?;
        check_path("vip.hmac_key_file", &vip.hmac_key_file)?;
        check_path("vip.token_key_file", &vip.token_key_file)?;
        let symantec = Manufacturer::Symantec.code();
        if vip.enabled && !self.manufacturers.enabled.iter().any(|code| code == symantec) {
            return Err(
                "vip.enabled is true, but its credentials can't be added: add \"symantec\" to manufacturers.enabled"
                    .into(),
            );
        }
        Ok(())
    }

    fn check_notices(&self) -> Result<(), String> {
        let notices = &self.notices;
        if !notices.smtp.is_empty() {
            let here = notices.smtp.parse::<SocketAddr>().is_ok_and(|it| it.ip().is_loopback());
            if !here {
                return Err("notices.smtp must be a loopback address with its port, such as 127.0.0.1:25: run a mail relay with TLS on this machine".into());
            }
            if notices.from.parse::<EmailAddress>().is_err() {
                return Err("notices.from must be an email address, such as countersign@clinic.example, since notices.smtp is set".into());
            }
        }
        if !notices.webhook_url.is_empty() && !is_safe(&notices.webhook_url) {
            return Err(
                "notices.webhook_url must begin with https://, except for a server on this machine"
                    .into(),
            );
        }
        let transmission = &self.transmission;
        if !transmission.gateway_url.is_empty() && !is_safe(&transmission.gateway_url) {
            return Err(
                "transmission.gateway_url must begin with https://, except for a server on this machine"
                    .into(),
            );
        }
        self.pharmacies().map_err(|error| error.to_string())?;
        self.retention().map_err(|error| error.to_string())?;
        self.state_rules().map_err(|error| error.to_string())?;
        check_path("transmission.gateway_key_file", &transmission.gateway_key_file)?;
        check_path("notices.webhook_key_file", &notices.webhook_key_file)
    }

    fn check_proxies(&self) -> Result<(), String> {
        let proxies = parse_proxies(&self.server.trusted_proxies)?;
        if proxies.is_empty() && self.server.client_address == ClientAddress::ProxyProtocol {
            return Err("server.client_address is proxy-protocol, but no proxy is trusted: add the proxy to server.trusted_proxies".into());
        }
        Ok(())
    }

    fn check_database(&self) -> Result<(), String> {
        let database = &self.database;
        match database.kind {
            DatabaseKind::Sqlite if !database.url.is_empty() => {
                Err("database.url is set, but database.kind is sqlite: set kind = \"postgres\", or remove url".into())
            }
            DatabaseKind::Sqlite => check_path("database.path", &database.path),
            DatabaseKind::Postgres if database.url.is_empty() => {
                Err("database.url is empty: with kind = \"postgres\", give postgres://user@host:5432/name".into())
            }
            DatabaseKind::Postgres => {
                let url = database.url.expose();
                let known = ["postgres://", "postgresql://"].iter().any(|s| url.starts_with(s))
                    || url.contains("host=")
                    || url.contains("host =");
                if known && !url.chars().any(char::is_control) {
                    return Ok(());
                }
                // The text is not repeated: it may hold a password.
                Err("database.url is not valid: give postgres://user@host1:5432,host2:5432/name".into())
            }
        }
    }
}
