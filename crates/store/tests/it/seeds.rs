//! At rest nothing can be read that a thief could use.

use countersign_store::{Error, Patient, Session, Stage};

use crate::support::{NOW, People, Place, facts, hex, new_token, random, row_of, stored};

const TABLES: [&str; 14] = [
    "instance",
    "practice",
    "prescriber",
    "staff",
    "ehr",
    "ehr_user",
    "launch_used",
    "token",
    "session",
    "sign_in_pause",
    "known_browser",
    "api_key",
    "audit_event",
    "schema_version",
];

/// All that somebody who stole the database would see, and whether these bytes are in it.
async fn is_in_database(place: &Place, secret: &[u8]) -> bool {
    match place {
        Place::Sqlite { folder } => std::fs::read_dir(folder.path()).unwrap().any(|file| {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            bytes.windows(secret.len()).any(|window| window == secret)
        }),
        Place::Postgres { .. } => {
            let (text, hex) = (String::from_utf8_lossy(secret).into_owned(), hex(secret));
            for table in TABLES {
                let rows = place.texts(&format!("SELECT CAST(t AS TEXT) FROM {table} t")).await;
                if rows.iter().any(|row| row.contains(&hex) || row.contains(&text)) {
                    return true;
                }
            }
            false
        }
    }
}

on_both! {
    /// Shows: N-05, H-164.312-a2iv
    async fn seeds_keys_and_patients_are_sealed(place: &Place) {
        let store = place.open().await;
        let people = People::new(&store).await;
        let active = people.token(&store).await;
        let loose = new_token();
        let made = loose.clone();
        let session = Session {
            id: new_id!(SessionRowId),
            practice: people.practice,
            stage: Stage::Launched,
            launched_as: None,
            patient: Some(Patient {
                id: "patient-4711".to_owned(),
                name: "Edna Example".to_owned(),
                birth_date: "1950-02-28".to_owned(),
                mrn: "mrn-0042".to_owned(),
                address: "4 Birch Lane".to_owned(),
            }),
            created: NOW,
            seen: NOW,
            expires: NOW.plus_seconds(60),
        };
        store
            .write("secrets", move |tx| {
                tx.create_token(&made)?;
                tx.create_session(&session, &random())
            })
            .await
            .unwrap();
        // What is not secret is found, or this test would prove nothing.
        for plain in ["Lakeside Clinic", active.credential().as_str(), loose.credential().as_str()] {
            assert!(is_in_database(place, plain.as_bytes()).await, "{plain}");
        }
        assert!(is_in_database(place, active.id().as_bytes()).await);
        for seed in [active.seed().expose(), loose.seed().expose()] {
            // A part of a seed is as bad as all of it.
            for part in seed.chunks(8) {
                assert!(!is_in_database(place, part).await);
            }
        }
        assert!(!is_in_database(place, &[1; 32]).await, "the master key");
        for word in ["patient-4711", "Edna", "1950-02-28", "mrn-0042"] {
            assert!(!is_in_database(place, word.as_bytes()).await, "{word}");
        }
    }

    async fn a_sealed_seed_opens_only_in_its_own_row(place: &Place) {
        let store = place.open().await;
        let people = People::new(&store).await;
        let (one, two) = (people.token(&store).await, people.token(&store).await);
        // Same practice, same key: only the place tells the two seeds apart.
        place
            .sql(&format!(
                "UPDATE token SET seed_sealed = \
                 (SELECT seed_sealed FROM token WHERE credential = '{}') WHERE credential = '{}'",
                two.credential(), one.credential()
            ))
            .await;
        let read = store.read("swapped", move |tx| row_of(tx, one.credential())).await;
        assert!(
            matches!(read, Err(Error::Corrupt { column: "token.seed_sealed", .. })),
            "{read:?}"
        );
        assert_eq!(facts(&stored(&store, two.credential()).await.token), facts(&two));
    }

    /// Whoever looks for the damage is told table, column and row, and nothing that the row holds.
    async fn damage_names_its_row_and_no_content(place: &Place) {
        let store = place.open().await;
        let people = People::new(&store).await;
        place.sql("UPDATE practice SET time_zone = 'Mars/Olympus'").await;
        let read = store.read("damaged", move |tx| tx.practice(people.practice)).await;
        let error = read.unwrap_err();
        let row = hex(people.practice.as_bytes());
        let said = format!("the value of practice.time_zone is damaged, in row {row}");
        assert_eq!(error.to_string(), said);
        assert!(!format!("{error:?}").contains("Olympus"), "{error:?}");
        let token = people.token(&store).await;
        place.sql("UPDATE token SET seed_sealed = practice").await;
        let row = hex(token.id().as_bytes());
        let read = store.read("damaged", move |tx| row_of(tx, token.credential())).await;
        let said = format!("the value of token.seed_sealed is damaged, in row {row}");
        assert_eq!(read.unwrap_err().to_string(), said);
    }

    async fn a_data_key_opens_only_for_its_own_practice(place: &Place) {
        let store = place.open().await;
        let (one, two) = (People::new(&store).await, People::new(&store).await);
        let token = one.token(&store).await;
        drop(store);
        let id = if place.is_postgres() { "encode(id, 'hex')" } else { "lower(hex(id))" };
        place
            .sql(&format!(
                "UPDATE practice SET data_key_sealed = \
                 (SELECT data_key_sealed FROM practice WHERE {id} = '{}') WHERE {id} = '{}'",
                hex(two.practice.as_bytes()),
                hex(one.practice.as_bytes())
            ))
            .await;
        let store = place.open().await;
        let read = store.read("swapped", move |tx| row_of(tx, token.credential())).await;
        assert!(
            matches!(read, Err(Error::Corrupt { column: "practice.data_key_sealed", .. })),
            "{read:?}"
        );
    }

    async fn a_restart_with_the_same_key_reads_everything(place: &Place) {
        let store = place.open().await;
        let active = People::new(&store).await.token(&store).await;
        let loose = new_token();
        let made = loose.clone();
        store.write("loose", move |tx| tx.create_token(&made)).await.unwrap();
        drop(store);
        let store = place.open().await;
        for token in [active, loose] {
            assert_eq!(facts(&stored(&store, token.credential()).await.token), facts(&token));
        }
    }
}
