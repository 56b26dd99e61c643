//! Compare and set: a step is consumed once, and a token is bound once.

use std::sync::Arc;

use countersign_domain::{CredentialId, DisableReason, PersonId, TokenState, otp::Step};
use countersign_store::{Error, Pairing, Session, Stage, Store, Tx};

use crate::support::{NOW, People, facts, new_token, random, row_of, stored, with_parts};

const RACERS: usize = 64;
const ROUNDS: i64 = 50;

/// Consumes this step if nobody has. The token is read either locked, as a passcode check reads it,
/// or with all tokens of the prescriber, where only the compare and set stands in the way.
fn consume(
    tx: &mut Tx<'_>,
    credential: &CredentialId,
    owner: Option<PersonId>,
    step: Step,
) -> Result<bool, Error> {
    let mut row = match owner {
        None => row_of(tx, credential)?,
        Some(prescriber) => tx
            .tokens_of(prescriber)?
            .into_iter()
            .find(|row| row.token.credential() == credential)
            .expect("the token is there"),
    };
    if row.token.last_step().is_some_and(|last| last >= step) {
        return Ok(false);
    }
    row.token.consume(step);
    tx.save_token(&row.token, row.mark)?;
    Ok(true)
}

/// Lets many requests race for one step, in turn on each of the stores; says how many got it.
async fn race(
    stores: &[Store],
    people: People,
    credential: &Arc<CredentialId>,
    step: Step,
) -> usize {
    let racers: Vec<_> = stores
        .iter()
        .cycle()
        .take(RACERS)
        .cloned()
        .enumerate()
        .map(|(number, store)| {
            let credential = Arc::clone(credential);
            let owner = (number % 4 < 2).then_some(people.prescriber);
            tokio::spawn(async move {
                store.write("race", move |tx| consume(tx, &credential, owner, step)).await
            })
        })
        .collect();
    let mut winners = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(won) => winners += usize::from(won),
            // Nobody is told "yes" who has not won; to be told "try again" is no win.
            Err(Error::Retry | Error::Unavailable(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    winners
}

on_both! {
    /// Eight devices, on two stores, that have one pairing code: one of them gets to use it.
    async fn race_for_one_pairing_code(place: &Place) {
        let stores = [place.open().await, place.open().await];
        let people = People::new(&stores[0]).await;
        for _ in 0..8 {
            let hash: [u8; 32] = random();
            let session = Session {
                id: new_id!(SessionRowId),
                practice: people.practice,
                stage: Stage::Passphrase { prescriber: people.prescriber },
                launched_as: None,
                patient: None,
                created: NOW,
                seen: NOW,
                expires: NOW.plus_seconds(600),
            };
            let pairing = Pairing {
                id: new_id!(PairingId),
                practice: people.practice,
                prescriber: people.prescriber,
                session: session.id,
                expires: NOW.plus_seconds(300),
            };
            stores[0]
                .write("pairing", move |tx| {
                    tx.create_session(&session, &random())?;
                    tx.create_pairing(&pairing, &hash, NOW)
                })
                .await
                .unwrap();
            let racers: Vec<_> = (0..8)
                .map(|number: usize| {
                    let store = stores[number % 2].clone();
                    tokio::spawn(async move {
                        let token = new_token();
                        store
                            .write("pair", move |tx| {
                                if tx.open_pairing(&hash, NOW)?.is_none() {
                                    return Ok(false);
                                }
                                tx.create_token(&token)?;
                                tx.use_pairing(&hash, token.id(), NOW)?;
                                Ok(true)
                            })
                            .await
                    })
                })
                .collect();
            let mut winners = 0;
            for racer in racers {
                match racer.await.unwrap() {
                    Ok(won) => winners += usize::from(won),
                    Err(Error::Retry | Error::Unavailable(_)) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
            assert_eq!(winners, 1);
        }
        let made = place.count("token").await;
        assert_eq!(made, 8, "who lost the race left no token");
    }

    async fn a_stale_mark_changes_nothing(place: &Place) {
        let store = place.open().await;
        let token = People::new(&store).await.token(&store).await;
        let stale = stored(&store, token.credential()).await;
        let mut winner = stale.clone();
        winner.token.consume(Step::new(100));
        let saved = winner.clone();
        store.write("first", move |tx| tx.save_token(&saved.token, saved.mark)).await.unwrap();
        for many in [false, true] {
            let mut loser = stale.clone();
            loser.token = with_parts(&loser.token, |parts| {
                parts.last_step = Some(Step::new(101));
                let reason = DisableReason::Lost;
                parts.state = TokenState::Disabled { reason, since: NOW };
                parts.failures.count = 5;
            });
            let other = People::new(&store).await.token(&store).await;
            let mut other_row = stored(&store, other.credential()).await;
            other_row.token.consume(Step::new(7));
            let late = store
                .write("late", move |tx| {
                    if many {
                        tx.record_checks(&[&other_row, &loser], &[])
                    } else {
                        tx.save_token(&other_row.token, other_row.mark)?;
                        tx.save_token(&loser.token, loser.mark)
                    }
                })
                .await;
            // PostgreSQL tries again, as another transaction may have been in the way; in the end
            // the answer is that it did not work.
            assert!(matches!(late, Err(Error::Retry | Error::Unavailable(_))), "{late:?}");
            assert_eq!(facts(&stored(&store, token.credential()).await.token), facts(&winner.token));
            let other_now = stored(&store, other.credential()).await.token;
            assert_eq!(facts(&other_now), facts(&other), "all of the transaction or nothing");
        }
    }

    async fn a_first_step_is_compared_too(place: &Place) {
        let store = place.open().await;
        let token = People::new(&store).await.token(&store).await;
        let before = stored(&store, token.credential()).await;
        for (step, wins) in [(0, true), (1, false)] {
            let mut row = before.clone();
            row.token.consume(Step::new(step));
            let saved = store.write("step", move |tx| tx.save_token(&row.token, row.mark)).await;
            assert_eq!(saved.is_ok(), wins, "step {step}: {saved:?}");
        }
        let now = stored(&store, token.credential()).await.token;
        assert_eq!(now.last_step(), Some(Step::new(0)), "step 0 is a step, not \"none yet\"");
    }

    async fn a_token_is_bound_once(place: &Place) {
        let store = place.open().await;
        let (first, second) = (People::new(&store).await, People::new(&store).await);
        let loose = new_token();
        let made = loose.clone();
        store.write("loose", move |tx| tx.create_token(&made)).await.unwrap();
        let row = stored(&store, loose.credential()).await;
        let bound = |people: People| {
            let mut row = row.clone();
            row.token = people.bound(&row.token);
            row.token.consume(Step::new(40));
            row.token.rename("key fob".parse().unwrap());
            row
        };
        let (winner, loser) = (bound(first), bound(second));
        let wanted = facts(&winner.token);
        store
            .write("bind", move |tx| tx.associate_token(&winner.token, winner.mark))
            .await
            .unwrap();
        let again = loser.clone();
        let late =
            store.write("late", move |tx| tx.associate_token(&again.token, again.mark)).await;
        assert!(matches!(late, Err(Error::Retry | Error::Unavailable(_))), "{late:?}");
        // With a fresh mark neither.
        let mark = stored(&store, loose.credential()).await.mark;
        let late = store.write("late", move |tx| tx.associate_token(&loser.token, mark)).await;
        assert!(matches!(late, Err(Error::Retry | Error::Unavailable(_))), "{late:?}");
        assert_eq!(facts(&stored(&store, loose.credential()).await.token), wanted);
        assert_eq!(store.read("loose", |tx| tx.unassociated_tokens()).await.unwrap(), 0);
    }

    /// Shows: R-1311.102-a, A11
    async fn race_to_bind_one_token(place: &Place) {
        let stores = [place.open().await, place.open().await];
        let mut people = Vec::new();
        for _ in 0..8 {
            people.push(People::new(&stores[0]).await);
        }
        for _ in 0..10 {
            let loose = new_token();
            let credential = loose.credential().clone();
            stores[0].write("loose", move |tx| tx.create_token(&loose)).await.unwrap();
            let racers: Vec<_> = people
                .iter()
                .zip(stores.iter().cycle())
                .map(|(&people, store)| {
                    let (store, credential) = (store.clone(), credential.clone());
                    tokio::spawn(async move {
                        let bound = store
                            .write("bind", move |tx| {
                                let mut row = row_of(tx, &credential)?;
                                if row.token.prescriber().is_some() {
                                    return Ok(false);
                                }
                                row.token = people.bound(&row.token);
                                tx.associate_token(&row.token, row.mark)?;
                                Ok(true)
                            })
                            .await;
                        bound.unwrap().then_some(people.prescriber)
                    })
                })
                .collect();
            let mut winners = Vec::new();
            for racer in racers {
                winners.extend(racer.await.unwrap());
            }
            let owner = stored(&stores[0], &credential).await.token.prescriber();
            assert_eq!(winners.len(), 1);
            assert_eq!(owner, Some(winners[0]));
        }
    }

    async fn race_for_one_step_on_one_store(place: &Place) {
        let store = place.open().await;
        let people = People::new(&store).await;
        let credential = Arc::new(people.token(&store).await.credential().clone());
        for round in 0..ROUNDS {
            let stores = std::slice::from_ref(&store);
            let winners = race(stores, people, &credential, Step::new(round)).await;
            assert_eq!(winners, 1, "round {round}");
        }
    }

    /// Shows: N-08, A11
    async fn race_for_one_step_on_two_stores(place: &Place) {
        let stores = [place.open().await, place.open().await];
        let people = People::new(&stores[0]).await;
        let credential = Arc::new(people.token(&stores[0]).await.credential().clone());
        for round in 0..ROUNDS {
            let winners = race(&stores, people, &credential, Step::new(round)).await;
            assert_eq!(winners, 1, "round {round}");
        }
    }
}
