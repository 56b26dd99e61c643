use super::time_check::measured;
use super::*;

/// A server of SNTP whose clock is ahead by so many seconds.
async fn time_server(ahead: i64, stratum: u8) -> String {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut asked = [0; 48];
        let (_, from) = socket.recv_from(&mut asked).await.unwrap();
        // Seconds since 1900 (RFC 4330, section 3).
        let seconds = u32::try_from(now().seconds() + ahead + 2_208_988_800).unwrap();
        let mut answer = [0; 48];
        // No leap second, version 4, server.
        answer[0] = 0b00_100_100;
        answer[1] = stratum;
        answer[24..32].copy_from_slice(&asked[40..48]);
        for at in [16, 32, 40] {
            answer[at..at + 4].copy_from_slice(&seconds.to_be_bytes());
        }
        socket.send_to(&answer, from).await.unwrap();
    });
    address
}

#[tokio::test]
async fn a_time_server_is_asked_and_believed_only_when_it_has_the_time() {
    assert!(measured(&time_server(0, 1).await).await.unwrap().abs() <= 1);
    let ahead = measured(&time_server(400, 2).await).await.unwrap();
    assert!((399..=401).contains(&ahead), "{ahead}");
    // A kiss of death (stratum 0) says no time.
    assert!(measured(&time_server(0, 0).await).await.is_err());
}
