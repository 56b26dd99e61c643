//! The hot path: many requests under one commit, each with its own answer.

use std::{collections::HashMap, sync::Arc};

use countersign_domain::{CredentialId, otp::Step};
use countersign_store::{Error, Lane, Store, TokenRow, Tx};

use crate::support::{People, Place, named, seen, stored};

/// Asks to consume a step, or for trouble.
#[derive(Debug, Clone)]
enum Ask {
    Step(CredentialId, Step),
    Fail,
    Panic,
    NoAnswer,
}

/// Decides a group as a passcode check does: all tokens read and locked at once, the requests
/// decided in the order they came, all tokens saved at once.
fn run(tx: &mut Tx<'_>, asked: &[Ask]) -> Result<Vec<bool>, Error> {
    let mut wanted: Vec<&CredentialId> = Vec::new();
    for ask in asked {
        match ask {
            Ask::Step(credential, _) => wanted.push(credential),
            Ask::Fail => return Err(Error::Conflict),
            Ask::Panic => panic!("asked for"),
            Ask::NoAnswer => return Ok(Vec::new()),
        }
    }
    wanted.sort_unstable();
    wanted.dedup();
    let mut rows: HashMap<CredentialId, TokenRow> =
        tx.owned_tokens(&wanted)?.0.into_iter().map(|(id, (row, _))| (id, row)).collect();
    let mut answers = Vec::new();
    for ask in asked {
        let Ask::Step(credential, step) = ask else { continue };
        let token = &mut rows.get_mut(credential).expect("the token is there").token;
        let fresh = token.last_step().is_none_or(|last| last < *step);
        if fresh {
            token.consume(*step);
        }
        answers.push(fresh);
    }
    tx.record_checks(&rows.values().collect::<Vec<_>>(), &[])?;
    Ok(answers)
}

type Checks = Arc<Lane<Ask, bool>>;

fn lane(store: &Store) -> Checks {
    Arc::new(store.lane("lane", run))
}

/// Hands all requests in at once, in turn to each lane; gives the answers in the order of asking.
async fn ask_all(lanes: &[Checks], asked: Vec<Ask>) -> Vec<Result<bool, Error>> {
    let asking: Vec<_> = asked
        .into_iter()
        .zip(lanes.iter().cycle())
        .map(|(ask, lane)| {
            let lane = Arc::clone(lane);
            tokio::spawn(async move { lane.submit(ask).await })
        })
        .collect();
    let mut answers = Vec::new();
    for answer in asking {
        answers.push(answer.await.unwrap());
    }
    answers
}

async fn tokens(store: &Store, count: usize) -> Vec<CredentialId> {
    let people = People::new(store).await;
    let mut made = Vec::new();
    for _ in 0..count {
        made.push(people.token(store).await.credential().clone());
    }
    made
}

async fn race(place: &Place, stores: usize) {
    let mut opened = Vec::new();
    for _ in 0..stores {
        opened.push(place.open().await);
    }
    let lanes: Vec<_> = opened.iter().map(lane).collect();
    let tokens = tokens(&opened[0], 3).await;
    for round in 0..50 {
        let asked = (0..64)
            .map(|number| Ask::Step(tokens[number % tokens.len()].clone(), Step::new(round)))
            .collect();
        let answers = ask_all(&lanes, asked).await;
        for (index, token) in tokens.iter().enumerate() {
            let of_this = answers.iter().skip(index).step_by(tokens.len());
            let winners = of_this.filter(|answer| *answer.as_ref().unwrap()).count();
            assert_eq!(winners, 1, "round {round}, {token}");
        }
    }
}

on_both! {
    async fn every_request_gets_its_own_answer(place: &Place) {
        let store = place.open().await;
        let lanes = [lane(&store)];
        let tokens = tokens(&store, 40).await;
        let steps =
            |number| tokens.iter().map(|t| Ask::Step(t.clone(), Step::new(number))).collect();
        for (step, fresh) in [(10, true), (10, false), (9, false), (11, true)] {
            for answer in ask_all(&lanes, steps(step)).await {
                assert_eq!(answer.unwrap(), fresh, "step {step}");
            }
        }
        for token in &tokens {
            assert_eq!(stored(&store, token).await.token.last_step(), Some(Step::new(11)));
        }
    }

    async fn race_of_duplicates_in_one_lane(place: &Place) {
        race(place, 1).await;
    }

    async fn race_of_duplicates_in_lanes_of_two_stores(place: &Place) {
        race(place, 2).await;
    }

    async fn one_bad_request_fails_alone(place: &Place) {
        let store = place.open().await;
        let lanes = [lane(&store)];
        let tokens = tokens(&store, 30).await;
        let mut asked: Vec<_> = tokens.iter().map(|t| Ask::Step(t.clone(), Step::new(1))).collect();
        asked.insert(10, Ask::Fail);
        asked.insert(20, Ask::Panic);
        asked.insert(25, Ask::NoAnswer);
        for (number, answer) in ask_all(&lanes, asked).await.into_iter().enumerate() {
            match number {
                10 => assert!(matches!(answer, Err(Error::Conflict)), "{answer:?}"),
                20 => assert!(matches!(answer, Err(Error::Driver(_))), "{answer:?}"),
                25 => assert!(answer.is_err(), "{answer:?}"),
                _ => assert!(answer.unwrap(), "request {number}"),
            }
        }
        for token in &tokens {
            assert_eq!(stored(&store, token).await.token.last_step(), Some(Step::new(1)));
        }
        store.write("after", named("after")).await.unwrap();
        assert_eq!(seen(place, "after").await, 1);
    }

    async fn a_lane_outlives_the_handles_of_its_store(place: &Place) {
        let store = place.open().await;
        let token = tokens(&store, 1).await.remove(0);
        let lane = lane(&store);
        drop(store);
        assert!(lane.submit(Ask::Step(token, Step::new(1))).await.unwrap());
    }
}
