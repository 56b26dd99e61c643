use super::*;

fn addresses(source: AddressSource, proxies: &[&str]) -> ClientAddresses {
    ClientAddresses::new(proxies.iter().map(|it| it.parse().unwrap()).collect(), source)
}

fn lines(name: &'static str, lines: &[&str]) -> HeaderMap {
    let name = HeaderName::from_static(name);
    lines
        .iter()
        .map(|line| (name.clone(), HeaderValue::from_bytes(line.as_bytes()).unwrap()))
        .collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const PROXY: Sender = Sender::Address(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

#[test]
fn proxies_are_addresses_networks_and_the_socket() {
    let holds = |proxy: &str, address: &str| {
        proxy.parse::<TrustedProxy>().unwrap().holds(Sender::Address(ip(address)))
    };
    for (proxy, inside, outside) in [
        ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
        ("127.0.0.1", "::ffff:127.0.0.1", "::1"),
        ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
        ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
        ("192.0.2.8/31", "192.0.2.9", "192.0.2.10"),
        ("fd00:1::/32", "fd00:1:ffff::1", "fd00:2::"),
        ("2001:db8::/127", "2001:db8::1", "2001:db8::2"),
        ("::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.0"),
        ("128.0.0.0/1", "255.0.0.1", "127.0.0.1"),
    ] {
        assert!(holds(proxy, inside) && !holds(proxy, outside), "{proxy}");
    }
    assert!("unix".parse::<TrustedProxy>().unwrap().holds(Sender::Unix));
    assert!(!"unix".parse::<TrustedProxy>().unwrap().holds(PROXY));
    assert!(!"127.0.0.1".parse::<TrustedProxy>().unwrap().holds(Sender::Unix));
    for bad in [
        "",
        "localhost",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "/8",
        "10.0/16",
        "10.0.0.0/8/8",
        "Unix",
        "fe80::1%eth0",
        "[::1]",
        "127.0.0.1:80",
        " 127.0.0.1",
    ] {
        assert_eq!(bad.parse::<TrustedProxy>(), Err(TrustedProxyError::Malformed), "{bad}");
    }
    for everybody in ["0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96"] {
        assert_eq!(everybody.parse::<TrustedProxy>(), Err(TrustedProxyError::Everybody));
    }
    assert_eq!(
        "10.1.2.3/8".parse::<TrustedProxy>().unwrap_err().to_string(),
        "this network starts at 10.0.0.0/8: use that address"
    );
}

#[test]
fn the_client_is_the_rightmost_that_is_not_trusted() {
    let it = addresses(AddressSource::XForwardedFor, &["127.0.0.1", "10.0.0.0/8", "fd00::/16"]);
    for (header, client) in [
        (vec!["203.0.113.5"], "203.0.113.5"),
        (vec!["203.0.113.5:1234"], "203.0.113.5"),
        (vec!["2001:db8::5"], "2001:db8::5"),
        (vec!["[2001:db8::5]"], "2001:db8::5"),
        (vec!["[2001:db8::5]:80"], "2001:db8::5"),
        (vec!["::ffff:203.0.113.5"], "203.0.113.5"),
        // Whatever the client wrote stands to the left.
        (vec!["198.51.100.1, 203.0.113.5"], "203.0.113.5"),
        (vec!["\"x, 203.0.113.5"], "203.0.113.5"),
        (vec!["127.0.0.1, 203.0.113.5, 10.0.0.9"], "203.0.113.5"),
        (vec!["203.0.113.5, 10.0.0.9, fd00::1"], "203.0.113.5"),
        (vec!["198.51.100.1", "203.0.113.5"], "203.0.113.5"),
        (vec!["198.51.100.1, 203.0.113.5", "10.0.0.9 ,\t10.0.0.8"], "203.0.113.5"),
        (vec!["198.51.100.1,, 203.0.113.5 ,"], "203.0.113.5"),
        // Nobody but proxies: the first of them.
        (vec!["10.0.0.7, 10.0.0.8"], "10.0.0.7"),
        // What can't be read ends the chain at the proxy that is known.
        (vec![], "127.0.0.1"),
        (vec![""], "127.0.0.1"),
        (vec!["unknown"], "127.0.0.1"),
        (vec!["_hidden"], "127.0.0.1"),
        (vec!["203.0.113.5, x"], "127.0.0.1"),
        (vec!["203.0.113.5, x, 10.0.0.8"], "10.0.0.8"),
        (vec!["203.0.113.5, 203.0.113"], "127.0.0.1"),
        (vec!["203.0.113.5, fe80::1%eth0"], "127.0.0.1"),
        (vec!["203.0.113.5", "caf\u{e9}"], "127.0.0.1"),
    ] {
        let headers = lines("x-forwarded-for", &header);
        assert_eq!(it.client(PROXY, &headers), ip(client), "{header:?}");
    }
    let long = vec!["10.0.0.1"; 40].join(", ");
    let long = format!("203.0.113.5, {long}");
    assert_eq!(it.client(PROXY, &lines("x-forwarded-for", &[&long])), ip("10.0.0.1"));
}

#[test]
fn forwarded_is_read_in_all_its_forms() {
    let it = addresses(AddressSource::Forwarded, &["127.0.0.1", "10.0.0.0/8"]);
    for (header, client) in [
        (vec!["for=203.0.113.5"], "203.0.113.5"),
        (vec!["For=203.0.113.5;proto=https;by=10.0.0.1"], "203.0.113.5"),
        (vec!["proto=https; for=\"203.0.113.5:80\""], "203.0.113.5"),
        (vec!["for=\"203.0.113.5:_port\""], "203.0.113.5"),
        (vec!["for=\"[2001:db8::5]\""], "2001:db8::5"),
        (vec!["for=\"[2001:db8::5]:4711\""], "2001:db8::5"),
        (vec!["for=\"[2001:db8::5]:_x.y-z\""], "2001:db8::5"),
        (vec!["for=[2001:db8::5]"], "2001:db8::5"),
        (vec!["for=\"\\203.0.113.5\""], "203.0.113.5"),
        (vec!["for=198.51.100.1, for=203.0.113.5"], "203.0.113.5"),
        (vec!["for=\"a,b;c\", for=203.0.113.5"], "203.0.113.5"),
        (vec!["for=203.0.113.5, for=10.0.0.1"], "203.0.113.5"),
        (vec!["for=198.51.100.1", "for=203.0.113.5"], "203.0.113.5"),
        (vec!["for=\"never closed", "for=203.0.113.5"], "203.0.113.5"),
        (vec![", ,for=203.0.113.5;, "], "203.0.113.5"),
        (vec!["for=unknown"], "127.0.0.1"),
        (vec!["for=_gazonk"], "127.0.0.1"),
        (vec!["for=203.0.113.5, for=unknown"], "127.0.0.1"),
        (vec!["for=203.0.113.5, for=_x, for=10.0.0.1"], "10.0.0.1"),
        (vec!["by=10.0.0.1;proto=https"], "127.0.0.1"),
        (vec!["for=203.0.113.5;for=203.0.113.6"], "127.0.0.1"),
        // A quote that the client opened can't hide what the proxy added.
        (vec!["for=\"x, for=203.0.113.5"], "127.0.0.1"),
        (vec!["for=\"x, for=\"[2001:db8::5]:80\""], "127.0.0.1"),
        (vec!["203.0.113.5"], "127.0.0.1"),
        (vec!["for = 203.0.113.5"], "127.0.0.1"),
        (vec!["for="], "127.0.0.1"),
        (vec!["for=\"2001:db8::5\""], "127.0.0.1"),
        (vec!["for=\"203.0.113.5\"x"], "127.0.0.1"),
        (vec![], "127.0.0.1"),
    ] {
        let headers = lines("forwarded", &header);
        assert_eq!(it.client(PROXY, &headers), ip(client), "{header:?}");
    }
}

#[test]
fn only_the_header_of_a_trusted_sender_counts_and_only_the_chosen_one() {
    let mut both = lines("x-forwarded-for", &["203.0.113.5"]);
    both.extend(lines("forwarded", &["for=198.51.100.9"]));
    let stranger = Sender::Address(ip("192.0.2.7"));
    for (source, client) in [
        (AddressSource::XForwardedFor, "203.0.113.5"),
        (AddressSource::Forwarded, "198.51.100.9"),
        (AddressSource::ProxyProtocol, "127.0.0.1"),
    ] {
        let it = addresses(source, &["127.0.0.1"]);
        assert_eq!(it.client(PROXY, &both), ip(client), "{source:?}");
        assert_eq!(it.client(stranger, &both), ip("192.0.2.7"), "{source:?}");
        assert_eq!(it.client(Sender::Unix, &both), ip("127.0.0.1"), "{source:?}");
        assert_eq!(ClientAddresses::default().client(PROXY, &both), ip("127.0.0.1"));
    }
    let socket = addresses(AddressSource::XForwardedFor, &["unix"]);
    assert_eq!(socket.client(Sender::Unix, &both), ip("203.0.113.5"));
    assert_eq!(socket.client(PROXY, &both), ip("127.0.0.1"));
}
