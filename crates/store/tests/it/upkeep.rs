//! What runs out is removed, and nothing else; the database's clock is compared with ours.

use countersign_domain::{
    AttemptCounter, DisableReason, Failures, InternalCode, Timestamp, TokenState,
};
use countersign_store::{Pairing, Session, Stage, Tx};

use crate::support::{NOW, People, new_token, random, with_parts};

on_both! {
    /// An internal code is one person's for good, a person has one at a time, and the codes of a practice are its own.
    async fn an_internal_code_stays_its_persons(place: &Place) {
        let store = place.open().await;
        let (people, others) = (People::new(&store).await, People::new(&store).await);
        let (one, two) = (people.prescriber, others.prescriber);
        let set = async |practice, person, code: &'static str, at: Timestamp| {
            let write = move |tx: &mut Tx<'_>| {
                let code: Option<InternalCode> = code.parse().ok();
                tx.set_internal_code(practice, person, code.as_ref(), one, at)
            };
            store.write("code", write).await.unwrap()
        };
        let code = async |practice, person| {
            let found = store.read("code", move |tx| tx.internal_code(practice, person)).await;
            found.unwrap().map(|code| code.to_string()).unwrap_or_default()
        };
        let at = |seconds| NOW.plus_seconds(seconds);
        assert!(set(people.practice, one, "012", at(0)).await);
        assert!(set(people.practice, one, "012", at(1)).await, "the same again");
        assert!(!set(people.practice, two, "012", at(2)).await, "taken");
        assert!(set(others.practice, two, "012", at(2)).await, "of another practice");
        assert!(set(people.practice, one, "A1", at(3)).await);
        assert_eq!(code(people.practice, one).await, "A1");
        assert!(!set(people.practice, two, "012", at(4)).await, "it was somebody's");
        assert!(set(people.practice, one, "", at(5)).await);
        assert_eq!(code(people.practice, one).await, "");
        assert!(set(people.practice, one, "012", at(6)).await, "back to its person");
        let practice = people.practice;
        let all = store.read("codes", move |tx| tx.internal_codes(practice)).await.unwrap();
        let all: Vec<_> = all.iter().map(|it| (it.code.as_str(), it.entered, it.ended)).collect();
        assert_eq!(all, [("012", at(6), None), ("A1", at(3), Some(at(5)))]);
        assert_eq!(code(others.practice, two).await, "012");
    }

    /// A pairing goes with its token, however soon that goes, and by itself an hour after its end.
    async fn a_pairing_never_holds_up_the_rest(place: &Place) {
        let store = place.open().await;
        let people = People::new(&store).await;
        let soon = NOW.plus_seconds(60);
        let token = with_parts(&new_token(), |parts| {
            parts.state = TokenState::Unassociated { expires: soon };
        });
        let hashes: [[u8; 32]; 2] = [random(), random()];
        store
            .write("pairings", move |tx| {
                assert!(tx.create_token(&token)?);
                for hash in &hashes {
                    let pairing = Pairing {
                        id: new_id!(PairingId),
                        practice: people.practice,
                        prescriber: people.prescriber,
                        session: new_id!(SessionRowId),
                        expires: NOW.plus_seconds(300),
                    };
                    tx.create_pairing(&pairing, hash, NOW)?;
                }
                tx.use_pairing(&hashes[0], token.id(), NOW)
            })
            .await
            .unwrap();
        let purge = |at| store.write("purge", move |tx| tx.purge(at));
        purge(soon).await.unwrap();
        assert_eq!((place.count("pairing").await, place.count("token").await), (2, 1));
        purge(soon.plus_seconds(1)).await.unwrap();
        assert_eq!((place.count("pairing").await, place.count("token").await), (1, 0));
        purge(NOW.plus_seconds(3_900)).await.unwrap();
        assert_eq!(place.count("pairing").await, 1);
        purge(NOW.plus_seconds(3_901)).await.unwrap();
        assert_eq!(place.count("pairing").await, 0);
    }

    async fn only_what_has_run_out_is_purged(place: &Place) {
        let store = place.open().await;
        let people = People::new(&store).await;
        let kept = people.token(&store).await;
        let before = NOW.plus_seconds(-1);
        let day_ago = NOW.plus_seconds(-86_401);
        let loose = |expires| {
            with_parts(&new_token(), |parts| parts.state = TokenState::Unassociated { expires })
        };
        // Nobody will ever add it: too many wrong codes while it was being added.
        let mut spoilt = new_token();
        let reason = DisableReason::TooManyFailures;
        assert!(spoilt.force_disable(reason, before));
        let (old, fresh, at_the_edge) = (loose(before), loose(NOW.plus_seconds(1)), loose(NOW));
        let mut disabled = people.bound(&new_token());
        assert!(disabled.force_disable(DisableReason::Lost, day_ago));
        let session = move |expires| Session {
            id: new_id!(SessionRowId),
            practice: people.practice,
            stage: Stage::Passphrase { prescriber: people.prescriber },
            launched_as: None,
            patient: None,
            created: day_ago,
            seen: day_ago,
            expires,
        };
        let blocked = Failures { count: 9, blocked_until: Some(NOW.plus_seconds(60)) };
        let over = Failures { count: 9, blocked_until: Some(before) };
        let counted = Failures { count: 1, blocked_until: None };
        let pauses: [([u8; 32], _, _); 4] = [
            (random(), over, day_ago),
            (random(), counted, day_ago),
            (random(), blocked, day_ago),
            (random(), counted, before),
        ];
        let (old_launch, launch) = (random(), random());
        let (old_browser, browser): ([u8; 32], [u8; 32]) = (random(), random());
        let credentials = [&old, &spoilt, &fresh, &at_the_edge, &disabled, &kept]
            .map(|token| token.credential().clone());
        store
            .write("rows", move |tx| {
                for token in [&old, &spoilt, &fresh, &at_the_edge, &disabled] {
                    assert!(tx.create_token(token)?);
                }
                tx.create_session(&session(before), &random())?;
                tx.create_session(&session(NOW.plus_seconds(1)), &random())?;
                for (npi, failures, at) in &pauses {
                    let counter = AttemptCounter { failures: *failures, under_way_until: None };
                    tx.save_attempts(npi, &counter, *at)?;
                }
                for (browser, expires) in [(&old_browser, before), (&browser, NOW)] {
                    tx.know_browser(browser, people.prescriber, day_ago, expires, 10)?;
                }
                assert!(tx.use_launch(&old_launch, day_ago)?);
                // Run out here, but not yet by the clock of a server that is behind.
                assert!(tx.use_launch(&launch, before)?);
                Ok(())
            })
            .await
            .unwrap();
        // Two tokens, two pauses, one launch, one browser; sessions are told one by one.
        assert_eq!(store.write("purge", |tx| tx.purge(NOW)).await.unwrap(), 6);
        assert_eq!(store.write("purge", |tx| tx.purge(NOW)).await.unwrap(), 0);
        let end = || store.write("end", |tx| tx.end_expired_sessions(NOW));
        assert_eq!(end().await.unwrap(), [(people.practice, Some(people.prescriber))]);
        assert_eq!(end().await.unwrap(), []);
        let (tokens, failures, used) = store
            .write("left", move |tx| {
                let mut tokens = Vec::new();
                for credential in &credentials {
                    tokens.push(tx.token_by_credential(credential)?.is_some());
                }
                let mut failures = Vec::new();
                for (npi, ..) in &pauses {
                    failures.push(tx.attempts(npi, NOW)?.failures);
                }
                let used = (tx.use_launch(&launch, NOW)?, tx.use_launch(&old_launch, NOW)?);
                Ok((tokens, failures, used))
            })
            .await
            .unwrap();
        assert_eq!(tokens, [false, false, true, true, true, true]);
        assert_eq!(failures, [Failures::NONE, Failures::NONE, blocked, counted]);
        assert_eq!(used, (false, true));
        assert_eq!(place.count("session").await, 1);
    }

    async fn the_clock_of_the_database(place: &Place) {
        let store = place.open().await;
        let ours = Timestamp::from_seconds(1_000);
        let offset = store.clock_offset(ours).await.unwrap();
        if !place.is_postgres() {
            assert_eq!(offset, None);
            return;
        }
        let now = "SELECT CAST(CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) \
                   AS TEXT)";
        let later: i64 = place.texts(now).await[0].parse().unwrap();
        let theirs = ours.micros() + offset.unwrap();
        assert!((later - 5_000_000..=later).contains(&theirs), "{theirs} and then {later}");
    }
}
