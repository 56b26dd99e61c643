//! Audit events that were written read back, field by field.

use countersign_crypto::SystemRng;
use countersign_domain::{Actor, Event, EventKind, Outcome, Purpose, Refusal, SupportCode};
use countersign_store::AuditRow;

use crate::{
    round_trips::TRICKY,
    support::{NOW, People, append_many, event, row_of},
};

on_both! {
    async fn events_newest_first_one_by_one_and_many_at_once(place: &Place) {
        let store = place.open().await;
        let people = People::new(&store).await;
        let token = people.token(&store).await.id();
        let actors = [
            Actor::Unknown,
            Actor::Person(people.prescriber),
            Actor::Staff(new_id!(StaffId)),
            Actor::Operator,
            Actor::ApiKey(new_id!(ApiKeyId)),
            Actor::Ehr(new_id!(EhrId)),
            Actor::System,
        ];
        let events: Vec<Event> = EventKind::ALL
            .into_iter()
            .enumerate()
            .map(|(number, kind)| {
                let support = SupportCode::new(&mut SystemRng).unwrap();
                let actor = actors[number % actors.len()];
                let event = match number % 3 {
                    0 => Event::refused(kind, actor, &Refusal::WrongPasscode, support),
                    1 => Event::success(kind, actor, support).token(token).detail(TRICKY),
                    _ => Event::success(kind, actor, support).purpose(Purpose::Sign).reason("lost"),
                };
                event.about(people.practice, people.prescriber)
            })
            .collect();
        let mut wanted: Vec<AuditRow> = Vec::new();
        for at in [NOW, NOW.plus_seconds(1)] {
            wanted.extend(events.iter().map(|event| AuditRow {
                at,
                kind: event.kind,
                success: event.outcome == Outcome::Success,
                actor: event.actor.code().to_owned(),
                actor_id: event.actor.id_bytes().copied(),
                actor_name: (event.actor == Actor::Person(people.prescriber))
                    .then(|| "Ada Moreno".to_owned()),
                token: event.token,
                purpose: event.purpose.map(|purpose| purpose.code().to_owned()),
                reason: event.reason.map(str::to_owned),
                detail: event.detail.clone(),
                support: event.support.to_string(),
            }));
        }
        store
            .write("events", move |tx| {
                append_many(tx, &events, NOW)?;
                events.iter().try_for_each(|event| tx.append(event, NOW.plus_seconds(1)))?;
                tx.append(&event(EventKind::SessionEnded), NOW)
            })
            .await
            .unwrap();
        let (found, newest, count) = store
            .read("events", move |tx| {
                let newest = tx.events_of(people.prescriber, 3)?;
                Ok((tx.events_of(people.prescriber, 1_000)?, newest, tx.event_count()?))
            })
            .await
            .unwrap();
        assert_eq!(usize::try_from(count).unwrap(), wanted.len() + 1);
        let times: Vec<_> = found.iter().map(|row| row.at).collect();
        assert!(times.is_sorted_by(|earlier, later| earlier >= later), "newest first");
        assert_eq!(newest, found[..3]);
        assert_eq!(found.len(), wanted.len());
        for row in wanted {
            assert!(found.contains(&row), "{row:?}");
        }
    }

    /// Events of the hot path hang on their token; those of others stay out of the list.
    async fn events_are_found_through_their_tokens(place: &Place) {
        let store = place.open().await;
        let (people, other) = (People::new(&store).await, People::new(&store).await);
        let (first, second) = (people.token(&store).await, people.token(&store).await);
        let foreign = other.token(&store).await;
        let mut wanted = Vec::new();
        for second_no in 0..9 {
            let at = NOW.plus_seconds(second_no);
            let token = [&first, &second, &foreign][usize::try_from(second_no % 3).unwrap()].clone();
            let whose = if token.id() == foreign.id() { other } else { people };
            if token.id() != foreign.id() {
                wanted.push((at, Some(token.id())));
            }
            store
                .write("check", move |tx| {
                    let mut row = row_of(tx, token.credential())?;
                    let event = event(EventKind::PasscodeTried)
                        .about(whose.practice, whose.prescriber)
                        .token(token.id());
                    // Two events of one token in one group: the second follows the first.
                    let linked: Vec<_> = tx
                        .links(&[at, at])?
                        .into_iter()
                        .map(|link| (event.clone(), link.after(&mut row)))
                        .collect();
                    tx.record_checks(&[&row], &linked)
                })
                .await
                .unwrap();
        }
        let slow = NOW.plus_seconds(100);
        store
            .write("slow", move |tx| {
                let event = event(EventKind::TokenRenamed);
                tx.append(&event.about(people.practice, people.prescriber), slow)
            })
            .await
            .unwrap();
        let mut expected: Vec<_> = wanted.iter().flat_map(|it| [*it, *it]).collect();
        expected.push((slow, None));
        expected.reverse();
        for most in [100, 13, 5, 1] {
            let found = store
                .read("events", move |tx| tx.events_of(people.prescriber, most))
                .await
                .unwrap();
            let found: Vec<_> = found.iter().map(|row| (row.at, row.token)).collect();
            let most = usize::try_from(most).unwrap().min(expected.len());
            assert_eq!(found, expected[..most]);
        }
        assert_eq!(place.count("audit_event").await, 19);
    }
}
