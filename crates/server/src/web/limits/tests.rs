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
    assert_eq!([one(0), one(0), one(59), one(60)], [Ok(()), Err(Wait(60)), Err(Wait(1)), Ok(())]);
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
