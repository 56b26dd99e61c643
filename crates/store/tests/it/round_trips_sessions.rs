//! Sessions that were written read back, field by field.

use countersign_domain::Timestamp;
use countersign_store::{Error, Identity, Patient, Session, Staff, Stage, Store};

use crate::{
    round_trips::TRICKY,
    support::{NOW, People, random},
};

on_both! {
    async fn sessions_in_every_stage(place: &Place) {
        let store = place.open().await;
        let People { practice, prescriber } = People::new(&store).await;
        let staff = new_id!(StaffId);
        store
            .write("staff", move |tx| {
                tx.create_staff(&Staff { id: staff, practice, name: "Lee".to_owned() }, "lee", NOW)
            })
            .await
            .unwrap();
        let patient = Patient {
            id: "p-1".to_owned(),
            name: TRICKY.to_owned(),
            birth_date: "1950-02-28".to_owned(),
            mrn: "00042".to_owned(),
            address: String::new(),
        };
        let stages = [
            Stage::Launched,
            Stage::Passphrase { prescriber },
            Stage::Full { prescriber, passcode_at: NOW.plus_seconds(-3) },
        ];
        let launches = [None, Some(Identity::Prescriber(prescriber)), Some(Identity::Staff(staff))];
        for stage in stages {
            for launched_as in launches {
                for patient in [None, Some(patient.clone())] {
                    let session = Session {
                        id: new_id!(SessionRowId),
                        practice,
                        stage,
                        launched_as,
                        patient,
                        created: NOW.plus_seconds(-9),
                        seen: NOW,
                        expires: NOW.plus_seconds(43_200),
                    };
                    assert_eq!(written(&store, &session).await, session);
                }
            }
        }
        let nobody = store.read("session", |tx| tx.session(&[0; 32])).await.unwrap();
        assert_eq!(nobody, None);
    }

    async fn a_session_is_touched_renewed_and_ended(place: &Place) {
        let store = place.open().await;
        let People { practice, prescriber } = People::new(&store).await;
        let session = |stage| Session {
            id: new_id!(SessionRowId),
            practice,
            stage,
            launched_as: None,
            patient: None,
            created: NOW,
            seen: NOW,
            expires: NOW.plus_seconds(60),
        };
        let full = Stage::Full { prescriber, passcode_at: NOW };
        let (one, two, half) =
            (session(full), session(full), session(Stage::Passphrase { prescriber }));
        let (hash, other, third) = (random::<32>(), random::<32>(), random::<32>());
        let (one_id, half_id) = (one.id, half.id);
        let later = NOW.plus_seconds(10);
        let (touched, renewed) = store
            .write("session", move |tx| {
                tx.create_session(&one, &hash)?;
                tx.create_session(&two, &other)?;
                tx.create_session(&half, &third)?;
                tx.touch_session(one.id, later)?;
                // A request that was overtaken does not turn the clock back.
                tx.touch_session(one.id, NOW)?;
                let touched = tx.session(&hash)?.expect("it was just made");
                tx.renew_passcode(one.id, later.plus_seconds(1))?;
                Ok((touched, tx.session(&hash)?.expect("it was just made")))
            })
            .await
            .unwrap();
        assert_eq!((touched.seen, touched.stage), (later, full));
        let passcode_at = later.plus_seconds(1);
        let wanted = (passcode_at, Stage::Full { prescriber, passcode_at });
        assert_eq!((renewed.seen, renewed.stage), wanted);
        let half_renewed = store.write("half", move |tx| tx.renew_passcode(half_id, NOW)).await;
        assert!(half_renewed.is_err(), "a passcode is not renewed before it was ever proved");
        let (stale, proved) = store
            .write("stale", move |tx| {
                let before = (tx.lock_session(one_id)?, tx.lock_session(half_id)?);
                let stale = tx.stale_passcodes(prescriber)?;
                assert_eq!(before, (Some(Some(passcode_at)), Some(None)));
                Ok((stale, (tx.lock_session(one_id)?, tx.lock_session(half_id)?)))
            })
            .await
            .unwrap();
        let never = Timestamp::from_micros(0);
        assert_eq!((stale, proved), (2, (Some(Some(never)), Some(None))));
        let (gone, stands) = store
            .write("end", move |tx| {
                let gone = tx.end_other_sessions(prescriber, one_id)?;
                let others = tx.session(&other)?.is_some() || tx.session(&third)?.is_some();
                assert!(!others);
                let before = tx.lock_session(one_id)?.is_some();
                assert!(tx.end_session(one_id)? && !tx.end_session(one_id)?, "it ends once");
                Ok((gone, (before, tx.lock_session(one_id)?.is_some())))
            })
            .await
            .unwrap();
        assert_eq!((gone, stands), (2, (true, false)));
    }

    async fn a_session_secret_exists_once(place: &Place) {
        let store = place.open().await;
        let People { practice, .. } = People::new(&store).await;
        let hash = random::<32>();
        let made = store
            .write("twice", move |tx| {
                for _ in 0..2 {
                    let session = Session {
                        id: new_id!(SessionRowId),
                        practice,
                        stage: Stage::Launched,
                        launched_as: None,
                        patient: None,
                        created: NOW,
                        seen: NOW,
                        expires: NOW,
                    };
                    tx.create_session(&session, &hash)?;
                }
                Ok(())
            })
            .await;
        assert!(matches!(made, Err(Error::Conflict)), "{made:?}");
        assert_eq!(place.count("session").await, 0);
    }

    async fn all_sessions_of_a_prescriber_end(place: &Place) {
        let store = place.open().await;
        let (one, other) = (People::new(&store).await, People::new(&store).await);
        let gone = store
            .write("end", move |tx| {
                for People { practice, prescriber } in [one, one, other] {
                    let session = Session {
                        id: new_id!(SessionRowId),
                        practice,
                        stage: Stage::Passphrase { prescriber },
                        launched_as: None,
                        patient: None,
                        created: NOW,
                        seen: NOW,
                        expires: NOW,
                    };
                    tx.create_session(&session, &random())?;
                }
                tx.end_sessions_of(one.prescriber)
            })
            .await
            .unwrap();
        assert_eq!((gone, place.count("session").await), (2, 1));
    }
}

async fn written(store: &Store, session: &Session) -> Session {
    let (made, hash) = (session.clone(), random::<32>());
    store.write("session", move |tx| tx.create_session(&made, &hash)).await.unwrap();
    store.read("session", move |tx| tx.session(&hash)).await.unwrap().unwrap()
}
