use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use countersign_crypto::{FipsError, SystemRng};
use countersign_domain::{
    NoticeId,
    certification::{BuildId, RunningBuild, Version},
};
use countersign_store::NoncomplianceNotice;

use super::*;
use crate::{key_file, vip_keys};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn says_what_to_do(finding: &Finding) -> bool {
    !finding.says.contains('\n')
        && (finding.state == State::Good) == finding.do_this.is_none()
        && finding.do_this.as_ref().is_none_or(|text| text.len() > 10 && !text.contains('\n'))
}

#[test]
fn a_host_that_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.database.path = folder.path().join("c.db");
    settings.keys.master_key_file = folder.path().join("master.key");
    settings.server.public_url = "https://erx.example.org".into();
    settings.server.trusted_proxies = vec!["127.0.0.1".into()];
    settings.practice.support_phone = "555 0100".into();
    key_file::create(&settings.keys.master_key_file, &mut SystemRng).unwrap();
    let now = Timestamp::from_seconds(1_800_000_000);
    settings.transmission.gateway_url = "https://gateway.example/rx".to_owned();
    settings.transmission.pharmacies = vec!["1234567 Corner Pharmacy".to_owned()];
    settings.signing.time_server = "time.nist.gov:123".to_owned();
    settings.signing.unlisted_build = true;
    let findings = host_findings(&settings, now);
    assert_eq!(findings.len(), 10);
    assert!(findings.iter().all(|f| f.state == State::Good), "{findings:#?}");
    assert_eq!(exit_code(&findings), 0);
    let text = render(&findings);
    assert!(text.contains("FIPS 3") && text.ends_with("All checks passed.\n"), "{text}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the probe is removed");
}

#[test]
fn keys_of_the_vip_access_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    let (hmac, token) = (folder.path().join("hmac"), folder.path().join("token"));
    settings.vip.hmac_key_file = hmac.clone();
    settings.vip.token_key_file = token.clone();
    let named = |settings: &Settings| {
        let findings = host_findings(settings, Timestamp::from_seconds(1_800_000_000));
        findings.into_iter().find(|f| f.name == "VIP Access keys")
    };
    assert_eq!(named(&settings), None, "it is off");
    settings.vip.enabled = true;
    let missing = named(&settings).unwrap();
    assert!(missing.state == State::Bad && says_what_to_do(&missing), "{missing:?}");
    vip_keys::read_or_create(&hmac, &token, &mut SystemRng).unwrap();
    assert_eq!(named(&settings).unwrap().state, State::Good);
    set_mode(&token, 0o644);
    let open = named(&settings).unwrap();
    assert!(open.state == State::Bad && open.says.contains("chmod 600"), "{open:?}");
    set_mode(&token, 0o600);
    fs::write(&token, "too short").unwrap();
    let short = named(&settings).unwrap();
    assert!(short.state == State::Bad && !short.says.contains("too short"), "{short:?}");
}

#[test]
fn a_host_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.database.path = folder.path().join("no/c.db");
    settings.keys.master_key_file = folder.path().join("master.key");
    let findings = host_findings(&settings, Timestamp::from_seconds(0));
    assert!(findings.iter().all(says_what_to_do), "{findings:#?}");
    let bad: Vec<_> = findings.iter().filter(|f| f.state == State::Bad).map(|f| f.name).collect();
    assert_eq!(bad, ["time", "master key file"]);
    assert_eq!(exit_code(&findings), 1);
    let text = render(&findings);
    assert!(text.contains("FAIL  time") && text.contains("To do: set the clock"), "{text}");
    assert!(text.ends_with("2 failed, 5 warnings.\n"), "{text}");
}

#[test]
fn modes_of_files_and_folders() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("data");
    fs::create_dir(&inner).unwrap();
    let database = inner.join("c.db");
    fs::write(&database, "").unwrap();
    let state = |folder_mode, file_mode| {
        set_mode(&inner, folder_mode);
        set_mode(&database, file_mode);
        let finding = data_folder_finding(&database);
        assert!(says_what_to_do(&finding), "{finding:?}");
        finding.state
    };
    assert_eq!(state(0o700, 0o644), State::Good);
    assert_eq!(state(0o755, 0o600), State::Good);
    assert_eq!(state(0o755, 0o644), State::Warn);
    assert_eq!(state(0o777, 0o600), State::Bad);
    assert_eq!(state(0o755, 0o666), State::Bad);
    assert_eq!(data_folder_finding(&database.join("c.db")).state, State::Bad);

    let config = folder.path().join("c.toml");
    fs::write(&config, "").unwrap();
    for (mode, state) in [(0o600, State::Good), (0o644, State::Good), (0o664, State::Bad)] {
        set_mode(&config, mode);
        assert_eq!(config_file_finding(Some(&config)).state, state, "{mode:o}");
    }
    assert_eq!(config_file_finding(None).state, State::Good);
    assert_eq!(config_file_finding(Some(&folder.path().join("no"))).state, State::Bad);

    let key = folder.path().join("master.key");
    key_file::create(&key, &mut SystemRng).unwrap();
    assert_eq!(key_file_finding(&key).state, State::Good);
    set_mode(&key, 0o640);
    let finding = key_file_finding(&key);
    assert!(finding.state == State::Bad && finding.says.contains("chmod 600"), "{finding:?}");
}

#[test]
fn clocks_schemas_and_databases() {
    for (offset, state) in [
        (0, State::Good),
        (-1_000, State::Good),
        (1_001, State::Warn),
        (-10_000, State::Warn),
        (10_001, State::Bad),
        (i64::MIN, State::Bad),
    ] {
        let finding = clock_finding(offset);
        assert_eq!(finding.state, state, "{offset}");
        assert!(says_what_to_do(&finding));
    }
    assert_eq!(clock_finding(2_500).says, "2.5 s behind the database's");
    for (found, state) in
        [(Some(3), State::Good), (Some(2), State::Warn), (None, State::Warn), (Some(4), State::Bad)]
    {
        let finding = schema_finding(found, 3);
        assert_eq!(finding.state, state);
        assert!(says_what_to_do(&finding));
    }
    assert_eq!(database_finding::<String>(Ok("PostgreSQL 15.4".into())).state, State::Good);
    let finding = database_finding(Err("refused\n  by host"));
    assert!(finding.says == "refused by host" && finding.state == State::Bad);
    let missing = FipsError::NotInFipsMode("off".into());
    assert_eq!(fips_finding(Err(missing)).state, State::Bad);
}

#[test]
fn an_open_notice_is_shown_for_every_build_and_an_ended_one_for_those_it_stops() {
    let (old, newer) = (Version::new(0, 9, 0), Version::new(0, 9, 1));
    let build = |version: Version, listed: bool| RunningBuild {
        version,
        id: BuildId::unlisted(version),
        listed: listed.then(|| "R-1".to_owned()),
    };
    let now = Timestamp::from_seconds(1_800_000_000);
    let mut notice = NoncomplianceNotice {
        id: NoticeId::new(now, &mut SystemRng).unwrap(),
        source: "Provider".to_owned(),
        reason: "refills".to_owned(),
        through: old,
        entered: now,
        entered_by: "Ops".to_owned(),
        ended: None,
    };
    assert_eq!(notices_finding(&[], &build(old, false)), None);
    for (version, listed, open, state, do_this) in [
        (newer, false, true, Some(State::Bad), "end-noncompliance"),
        (newer, true, true, Some(State::Warn), "two minutes"),
        (old, true, true, Some(State::Bad), "a newer build"),
        (old, false, false, Some(State::Bad), "a newer build"),
        (newer, false, false, None, ""),
        (newer, true, false, None, ""),
    ] {
        notice.ended = (!open).then_some(now);
        let found = notices_finding(std::slice::from_ref(&notice), &build(version, listed));
        assert_eq!(found.as_ref().map(|it| it.state), state, "{version} {listed} {open}");
        let Some(found) = found else { continue };
        assert!(says_what_to_do(&found), "{found:?}");
        assert!(found.says.contains("from Provider: refills"), "{found:?}");
        assert!(found.do_this.as_ref().is_some_and(|it| it.contains(do_this)), "{found:?}");
    }
}

#[test]
fn a_host_name_of_its_own_and_a_proxy_that_is_trusted() {
    let of = |url: &str, listen: &str, trusted: &[&str]| {
        let mut settings = Settings::default();
        settings.server.public_url = url.into();
        settings.server.listen = listen.into();
        settings.server.trusted_proxies = trusted.iter().map(|it| (*it).into()).collect();
        let both = [host_name_finding(&settings), proxy_finding(&settings)];
        assert!(both.iter().all(says_what_to_do), "{both:?}");
        both.map(|finding| finding.state)
    };
    let (tcp, unix) = ("127.0.0.1:8700", "unix:/run/c.sock");
    let good = "https://erx.example.org";
    assert_eq!(of(good, tcp, &["127.0.0.1"]), [State::Good; 2]);
    assert_eq!(of(good, unix, &["unix"]), [State::Good; 2]);
    assert_eq!(of(good, tcp, &["127.0.0.0/8"])[1], State::Good);
    // Another one than that which speaks here.
    assert_eq!(of(good, tcp, &["unix", "10.0.0.1"])[1], State::Warn);
    assert_eq!(of(good, unix, &["127.0.0.1"])[1], State::Warn);
    assert_eq!(of(good, tcp, &[])[1], State::Warn);
    assert_eq!(of(good, tcp, &["everybody"])[1], State::Bad);
    for shared in ["https://erx.example.org:8443", "https://192.0.2.7", "https://[2001:db8::1]"] {
        assert_eq!(of(shared, tcp, &["127.0.0.1"]), [State::Warn, State::Good], "{shared}");
    }
    assert_eq!(of("http://127.0.0.1:8700", tcp, &[]), [State::Warn, State::Good]);
    assert_eq!(of("nonsense", tcp, &[])[0], State::Bad);
}

#[test]
fn a_socket_needs_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.server.public_url = "https://erx.example.org".into();
    settings.server.listen = format!("unix:{}/c.sock", folder.path().display());
    assert_eq!(listen_finding(&settings).state, State::Good);
    settings.server.listen = format!("unix:{}/no/c.sock", folder.path().display());
    assert_eq!(listen_finding(&settings).state, State::Bad);
    settings.server.listen = "0.0.0.0:1".into();
    assert!(says_what_to_do(&listen_finding(&settings)));
}
