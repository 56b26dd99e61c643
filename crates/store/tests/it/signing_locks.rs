//! Locks under which rows are written that follow from other rows. Until when a token signs is written under two locks: its holder's row, and that of the instance, which a notice of
//! non-compliance takes alone. Two transactions that change what it follows from take turns, in whatever order they come.

use std::{future::Future, pin::Pin};

use countersign_domain::{
    CredentialId, DeaRegistration, NoticeId, PersonId, PracticeId, StateLicence, Timestamp,
    access::{Cause, Permission, Review},
    certification::Version,
};
use countersign_store::{Authority, Error, NoncomplianceNotice, Paper, Store, Tx};

use crate::support::{Gate, NOW, People, Place, is_waiting, new_token, started, stored};

const DAY: i64 = 86_400;

/// What a transaction does.
type Work = Box<dyn FnMut(&mut Tx<'_>) -> Result<(), Error> + Send>;

/// A prescriber with an activated token, a registration and a license of its state, and no permission yet.
struct Signer {
    practice: PracticeId,
    person: PersonId,
    credential: CredentialId,
    registration: Authority,
    license: Authority,
}

impl Signer {
    async fn new(store: &Store) -> Self {
        let People { practice, prescriber: person } = People::new(store).await;
        let mut token = People { practice, prescriber: person }.bound(&new_token());
        token.activate(NOW).unwrap();
        let credential = token.credential().clone();
        let state = "NE".parse().unwrap();
        let authority = |paper: Paper| Authority {
            id: new_id!(AuthorityId),
            practice,
            person: Some(person),
            paper,
            stops_at: NOW.plus_seconds(300 * DAY),
            withdrawn: None,
            warned: None,
        };
        let registration = authority(Paper::Dea(DeaRegistration {
            number: "BM1234563".parse().unwrap(),
            state,
            schedules: "2 3 4 5".parse().unwrap(),
            expires: "2028-03-31".parse().unwrap(),
            withdrawn: None,
        }));
        let license = authority(Paper::Licence(StateLicence {
            state,
            number: "NE-1".to_owned(),
            expires: "2028-03-31".parse().unwrap(),
            withdrawn: None,
        }));
        let papers = [registration.clone(), license.clone()];
        store
            .write("signer", move |tx| {
                assert!(tx.create_token(&token)?);
                papers.iter().try_for_each(|it| tx.create_authority(it, NOW))
            })
            .await
            .unwrap();
        Self { practice, person, credential, registration, license }
    }

    /// Gives the permission, or takes it away.
    fn permit(&self, give: bool) -> Work {
        let (person, practice, id) = (self.person, self.practice, self.registration.id);
        let to = if give {
            Permission::Granted { since: NOW, self_executed: false }
        } else {
            Permission::Revoked { cause: Cause::Left, since: NOW, review: Review::Waiting }
        };
        Box::new(move |tx| tx.save_permission(person, practice, id, &to))
    }

    /// Lets the license end after so many days.
    fn shorten(&self, days: i64) -> Work {
        let it = Authority { stops_at: NOW.plus_seconds(days * DAY), ..self.license.clone() };
        Box::new(move |tx| tx.save_authority(&it))
    }

    /// Until when the token signs, as its row says.
    async fn sign_until(&self, store: &Store) -> Option<Timestamp> {
        stored(store, &self.credential).await.token.sign_until()
    }
}

/// Enters a notice of non-compliance.
fn give_notice(id: NoticeId) -> Work {
    let it = NoncomplianceNotice {
        id,
        source: "auditor".to_owned(),
        reason: format!("finding {id}"),
        through: Version::new(0, 0, 1),
        entered: NOW,
        entered_by: "operator".to_owned(),
        ended: None,
    };
    Box::new(move |tx| tx.create_noncompliance(&it).map(drop))
}

fn end_notice(id: NoticeId) -> Work {
    Box::new(move |tx| tx.end_noncompliance(id, "operator", NOW))
}

/// Returns when the request waits for a lock that another transaction holds, and fails where it is answered instead.
/// On SQLite every change waits for the one before it.
async fn waits_for_a_lock<F: Future>(place: &Place, work: &mut Pin<Box<F>>) {
    let locked = "pg_stat_activity WHERE datname = current_database() \
                  AND application_name = 'countersign' AND wait_event_type = 'Lock'";
    loop {
        assert!(is_waiting(work).await, "it did not wait for the other transaction");
        if !place.is_postgres() || place.count(locked).await > 0 {
            return;
        }
    }
}

/// Runs the first change up to its commit, hands in the second one, which must wait, and lets both end.
async fn in_turn(place: &Place, store: &Store, first: Work, second: Work) {
    let (gate, first) = Gate::around(first);
    let first = started(store.write("first", first)).await;
    gate.reached.await.unwrap();
    let mut second = started(store.write("second", second)).await;
    waits_for_a_lock(place, &mut second).await;
    gate.go_on.send(()).unwrap();
    first.await.unwrap();
    second.await.unwrap();
}

on_both! {
    /// Who asks what waits for a second person, before they enter a change, takes turns with others who ask.
    async fn who_asks_for_open_changes_waits_for_others(place: &Place) {
        let store = place.open().await;
        let practice = Signer::new(&store).await.practice;
        let ask = || -> Work { Box::new(move |tx| tx.open_requests(practice).map(drop)) };
        in_turn(place, &store, ask(), ask()).await;
    }

    /// Without the lock of the holder's row the later one would write what it read before the earlier one's commit: no
    /// permission.
    async fn a_license_that_is_shortened_beside_a_grant_sees_the_grant(place: &Place) {
        let store = place.open().await;
        let signer = Signer::new(&store).await;
        assert_eq!(signer.sign_until(&store).await, None);
        in_turn(place, &store, signer.permit(true), signer.shorten(10)).await;
        assert_eq!(signer.sign_until(&store).await, Some(NOW.plus_seconds(10 * DAY)));
    }

    /// The same the other way round: the grant would write the day on which the license ended before.
    async fn a_grant_beside_a_license_that_is_shortened_sees_the_new_day(place: &Place) {
        let store = place.open().await;
        let signer = Signer::new(&store).await;
        in_turn(place, &store, signer.shorten(10), signer.permit(true)).await;
        assert_eq!(signer.sign_until(&store).await, Some(NOW.plus_seconds(10 * DAY)));
    }

    /// A permission that is taken beside a change of the license stays taken for the token too.
    async fn a_license_that_is_extended_beside_a_revocation_sees_it(place: &Place) {
        let store = place.open().await;
        let signer = Signer::new(&store).await;
        store.write("grant", signer.permit(true)).await.unwrap();
        assert_eq!(signer.sign_until(&store).await, Some(NOW.plus_seconds(300 * DAY)));
        in_turn(place, &store, signer.permit(false), signer.shorten(200)).await;
        assert_eq!(signer.sign_until(&store).await, None);
    }

    /// Without the lock of the instance's row the grant would not see the notice, and the notice not the token.
    async fn a_grant_beside_a_notice_of_noncompliance_sees_it(place: &Place) {
        let store = place.open().await;
        let signer = Signer::new(&store).await;
        let notice = give_notice(new_id!(NoticeId));
        in_turn(place, &store, notice, signer.permit(true)).await;
        assert_eq!(signer.sign_until(&store).await, None);
    }

    /// A notice waits for whoever writes until when a token signs at that moment, and then stops that token too.
    async fn a_notice_of_noncompliance_stops_a_grant_that_is_under_way(place: &Place) {
        let store = place.open().await;
        let signer = Signer::new(&store).await;
        let notice = give_notice(new_id!(NoticeId));
        in_turn(place, &store, signer.permit(true), notice).await;
        assert_eq!(signer.sign_until(&store).await, None);
    }

    /// Two notices that end at the same moment: neither takes the other for open.
    async fn of_two_notices_that_end_beside_one_another_the_last_gives_signing_back(place: &Place) {
        let store = place.open().await;
        let signer = Signer::new(&store).await;
        store.write("grant", signer.permit(true)).await.unwrap();
        let (one, two) = (new_id!(NoticeId), new_id!(NoticeId));
        store.write("one", give_notice(one)).await.unwrap();
        store.write("two", give_notice(two)).await.unwrap();
        assert_eq!(signer.sign_until(&store).await, None);
        in_turn(place, &store, end_notice(one), end_notice(two)).await;
        assert_eq!(signer.sign_until(&store).await, Some(NOW.plus_seconds(300 * DAY)));
    }

    /// Permission, license and notice change at the same moment on two stores: what a token's row says is what follows
    /// from all of them.
    async fn race_to_write_until_when_a_token_signs(place: &Place) {
        let stores = [place.open().await, place.open().await];
        let signer = Signer::new(&stores[0]).await;
        let (practice, person) = (signer.practice, signer.person);
        let (mut notice, mut signing) = (new_id!(NoticeId), 0);
        for round in 0..24 {
            let last = if round % 2 == 0 {
                notice = new_id!(NoticeId);
                give_notice(notice)
            } else {
                end_notice(notice)
            };
            let changes = [signer.permit(round % 4 < 2), signer.shorten(round + 1), last];
            let racers: Vec<_> = changes
                .into_iter()
                .zip(stores.iter().cycle())
                .map(|(change, store)| {
                    let store = store.clone();
                    tokio::spawn(async move { store.write("race", change).await })
                })
                .collect();
            for racer in racers {
                racer.await.unwrap().unwrap();
            }
            let until = move |tx: &mut Tx<'_>| tx.may_sign_until(person, practice);
            let follows = stores[0].read("until", until).await.unwrap();
            assert_eq!(signer.sign_until(&stores[1]).await, follows, "round {round}");
            signing += i32::from(follows.is_some());
        }
        assert_eq!(signing, 6, "the rounds without a notice and with a permission");
    }
}
