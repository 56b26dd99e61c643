//! The schema: made once, never changed silently, never used by a program that is too old for it.

use std::sync::Arc;

use countersign_crypto::sha256;
use countersign_domain::{EventKind, PersonId};
use countersign_store::{Error, SCHEMA_VERSION};

use crate::support::{NOW, People, event, hex, master_key, named, seen};

/// Every migration that was released as a pair of files, with the checksums of the two. A released file never changes:
/// a difference here means that databases in the field would be refused.
const RELEASED: [Released; 14] = [
    Released {
        version: 1,
        name: "first",
        sqlite: (
            include_bytes!("../../migrations/sqlite/0001_first.sql"),
            "71ea0f7789ed315c2b9982284c9f386a113860f94fe8d63c66cda13686961748",
        ),
        postgres: (
            include_bytes!("../../migrations/postgres/0001_first.sql"),
            "a02aaaf872445da00ad5fdada0d776b22ede65b8d9065e855af518119e9dc3db",
        ),
    },
    Released {
        version: 2,
        name: "event_chain",
        sqlite: (
            include_bytes!("../../migrations/sqlite/0002_event_chain.sql"),
            "3986091f49d8abd554f6dfbb3f8b80942aa2c33746bbef710f66b0e83276f3e9",
        ),
        postgres: (
            include_bytes!("../../migrations/postgres/0002_event_chain.sql"),
            "106d8e0f772e268fae8b222d356e3619b9d1c9d24c4093feeca2640667a0db91",
        ),
    },
    Released {
        version: 3,
        name: "provisioning",
        sqlite: (
            include_bytes!("../../migrations/sqlite/0003_provisioning.sql"),
            "8641a63822cb3114de98dda96fb5fa18675ad185d67e7257ab87b9de8b2dedf5",
        ),
        postgres: (
            include_bytes!("../../migrations/postgres/0003_provisioning.sql"),
            "9f938c6cc060084a8ca158a49615d57b6a8bfbdb16fb819996b3a7dcafff8c4f",
        ),
    },
    Released {
        version: 4,
        name: "hot_path",
        sqlite: (
            include_bytes!("../../migrations/sqlite/0004_hot_path.sql"),
            "13ea4a78dc18a3ef5541179af5b6fa3cfe4b1fba16b208561fd6ff5bc0ed087c",
        ),
        postgres: (
            include_bytes!("../../migrations/postgres/0004_hot_path.sql"),
            "62b7ea347eeef50a05d97d3425e374d249e6874ce01b54217f09818ce0a5464b",
        ),
    },
    Released {
        version: 5,
        name: "people",
        sqlite: (
            include_bytes!("../../migrations/sqlite/0005_people.sql"),
            "2008ef887f891f556ad13d800b75f0036bfb964d9d45c48e88a3a18018230c07",
        ),
        postgres: (
            include_bytes!("../../migrations/postgres/0005_people.sql"),
            "20f55ee9c812c038f45ba08b74710109a66ecef17095df17bba88292d161023c",
        ),
    },
    Released {
        version: 6,
        name: "console",
        sqlite: (
            include_bytes!("../../migrations/sqlite/0006_console.sql"),
            "3ec99a3eee5a5882683267658de63aa4c010b6c734eef22a323edb46c4a03276",
        ),
        postgres: (
            include_bytes!("../../migrations/postgres/0006_console.sql"),
            "dc598378058ea07693f9e14271c75cea135bd0adb57e448871c9c6eaaa97e44d",
        ),
    },
    Released {
        version: 7,
        name: "prescriptions",
        sqlite: (
            include_bytes!("../../migrations/sqlite/0007_prescriptions.sql"),
            "f59a6a4cb22289426c7d6134c2358e8356e938b9ae58e4ef6315b7ab64a81d37",
        ),
        postgres: (
            include_bytes!("../../migrations/postgres/0007_prescriptions.sql"),
            "6dd6c6b04e420f11b444d93bab49647803492627b40b0f4d6b15d2900ec89f9e",
        ),
    },
    Released {
        version: 8,
        name: "transmission",
        sqlite: (
            include_bytes!("../../migrations/sqlite/0008_transmission.sql"),
            "90410a5bed6a15a43403665543f925d66c073e65d4cf83e4c55b1ce444081940",
        ),
        postgres: (
            include_bytes!("../../migrations/postgres/0008_transmission.sql"),
            "9059ec6925378f5a4a6407aaf4f8d7445f052289699dfd32949a2f974f802e9d",
        ),
    },
    Released {
        version: 9,
        name: "holds",
        sqlite: (
            include_bytes!("../../migrations/sqlite/0009_holds.sql"),
            "224d12d2f5a8ae87882743d40b2bd9d6558cb7579e845481b6a314a559ac392b",
        ),
        postgres: (
            include_bytes!("../../migrations/postgres/0009_holds.sql"),
            "31f9247698ecff734995eac40a1f3f10beee7fb9d5865df6a3698a4799b6a57e",
        ),
    },
    Released {
        version: 10,
        name: "wrong_passcodes",
        sqlite: (
            include_bytes!("../../migrations/sqlite/0010_wrong_passcodes.sql"),
            "ff412378390bc893ae0acb392955925052d9c862dc1ba80a0b10da32aff1157e",
        ),
        postgres: (
            include_bytes!("../../migrations/postgres/0010_wrong_passcodes.sql"),
            "962aff59fc1b66ac374c076fc2486c2f442baa884d8a4efc2335465e586c243f",
        ),
    },
    Released {
        version: 11,
        name: "attempts",
        sqlite: (
            include_bytes!("../../migrations/sqlite/0011_attempts.sql"),
            "e6bca24cde90a54bf6658b642a6d216bd59a9e7b8959a9ba37273d994c2d9624",
        ),
        postgres: (
            include_bytes!("../../migrations/postgres/0011_attempts.sql"),
            "d1efe2e59d0cafaf91b45b0b962b569c7d8a8f3129333114f0419811bcd8eec7",
        ),
    },
    Released {
        version: 12,
        name: "certification",
        sqlite: (
            include_bytes!("../../migrations/sqlite/0012_certification.sql"),
            "e0bcd6c4794e0de3e261240a378de78b707bf015b9bf2cb8c8a7f4482533b8d5",
        ),
        postgres: (
            include_bytes!("../../migrations/postgres/0012_certification.sql"),
            "38cc0a1fde4c96816b3a8f12dbca8ba05720720249664f9086be0c9c85eae1e1",
        ),
    },
    Released {
        version: 13,
        name: "former_marks",
        sqlite: (
            include_bytes!("../../migrations/sqlite/0013_former_marks.sql"),
            "a42272ca1ab7008ddd428557a3beb3026e492beafe957bebd180af0c80cf5ab2",
        ),
        postgres: (
            include_bytes!("../../migrations/postgres/0013_former_marks.sql"),
            "c8232ab0a0872c9414aada872c4be0e85c4966c80e93c106122e8a905194519b",
        ),
    },
    Released {
        version: 14,
        name: "internal_codes",
        sqlite: (
            include_bytes!("../../migrations/sqlite/0014_internal_codes.sql"),
            "c8a690bfa9079b189c5da3707359b546edd5bceeb4fb03557a101473198960ce",
        ),
        postgres: (
            include_bytes!("../../migrations/postgres/0014_internal_codes.sql"),
            "e5ccfa7ab9722c6483744159c3daf11d9d82d09d9824dda9128ce1e287d3e4dd",
        ),
    },
];

/// Those written once, with the checksum of the file and of what each database gets of it.
const RELEASED_FOR_BOTH: [ReleasedForBoth; 2] = [
    ReleasedForBoth {
        version: 15,
        name: "audit_only_grows",
        file: (
            include_bytes!("../../migrations/0015_audit_only_grows.sql"),
            "868b2289e7cafba7a483081226b6f10e62849d58441c47040f125783b01b3d7b",
        ),
        sqlite: "19d40af8e1918c8df31007e048c9dec47d5671edf20b60dfb0edc5f3498f8bfd",
        postgres: "1ff87ab765f97880a996af5963279f13d2476757c528c2125c58693257325ef1",
    },
    ReleasedForBoth {
        version: 16,
        name: "state_words",
        file: (
            include_bytes!("../../migrations/0016_state_words.sql"),
            "f7c3770064144ed1f2a1ffa2249644239500db2d43e539788d1accc6fce87bdb",
        ),
        sqlite: "bfb9913f3c895b372d7ea73c6f55b3439bda29908cf33570e43e22fbc17d2f86",
        postgres: "a71a4fe7644b4754e94517c24e3445fd9e092249f2dd498d9722ca8a6bd9709e",
    },
];

const RELEASED_FIRST: (&str, &str) = (
    include_str!("../../migrations/sqlite/0001_first.sql"),
    include_str!("../../migrations/postgres/0001_first.sql"),
);

/// Sixteen equal bytes, in hexadecimal.
fn uuid_of(byte: u8) -> String {
    hex(&[byte; 16])
}

struct Released {
    version: i64,
    name: &'static str,
    sqlite: (&'static [u8], &'static str),
    postgres: (&'static [u8], &'static str),
}

struct ReleasedForBoth {
    version: i64,
    name: &'static str,
    file: (&'static [u8], &'static str),
    sqlite: &'static str,
    postgres: &'static str,
}

/// Name and checksum of each migration, as a database has them.
fn applied(postgres: bool) -> Vec<String> {
    let pairs = RELEASED.iter().map(|m| (m.name, m.sqlite.1, m.postgres.1));
    let shared = RELEASED_FOR_BOTH.iter().map(|m| (m.name, m.sqlite, m.postgres));
    pairs
        .chain(shared)
        .map(|(name, sqlite, pg)| format!("{name} {}", if postgres { pg } else { sqlite }))
        .collect()
}

#[test]
fn released_files_have_not_changed() {
    for Released { version, name, sqlite, postgres } in RELEASED {
        assert_eq!(hex(&sha256(sqlite.0)), sqlite.1, "SQLite, {version} {name}");
        assert_eq!(hex(&sha256(postgres.0)), postgres.1, "PostgreSQL, {version} {name}");
    }
    for ReleasedForBoth { version, name, file, .. } in RELEASED_FOR_BOTH {
        assert_eq!(hex(&sha256(file.0)), file.1, "{version} {name}");
    }
    assert_eq!(RELEASED_FOR_BOTH.last().map(|m| m.version), Some(SCHEMA_VERSION));
}

on_both! {
    async fn from_empty_then_nothing_to_do(place: &Place) {
        let store = place.bare();
        assert_eq!(store.schema_state().await.unwrap().version(), 0);
        assert!(store.read("ping", |tx| tx.ping()).await.is_err(), "there is no table to ask");
        assert_eq!(store.migrate(NOW).await.unwrap(), applied(place.is_postgres()).len());
        assert_eq!(store.migrate(NOW).await.unwrap(), 0);
        store.schema_state().await.unwrap().check().unwrap();
        drop(store);
        let store = place.open().await;
        store.write("practice", named("kept")).await.unwrap();
        drop(store);
        let store = place.open().await;
        store.read("ping", |tx| tx.ping()).await.unwrap();
        assert_eq!(seen(place, "kept").await, 1);
    }

    async fn the_database_keeps_name_and_checksum(place: &Place) {
        place.open().await;
        let sql = "SELECT name || ' ' || checksum FROM schema_version ORDER BY version";
        let sums = place.texts(sql).await;
        assert_eq!(sums, applied(place.is_postgres()));
    }

    async fn race_of_four_stores_on_an_empty_database(place: &Place) {
        for _ in 0..8 {
            let fresh = Arc::new(place.another().await);
            let opened: Vec<_> = (0..4)
                .map(|_| {
                    let fresh = Arc::clone(&fresh);
                    tokio::spawn(async move { fresh.try_open(1, true).await })
                })
                .collect();
            for store in opened {
                store.await.unwrap().unwrap();
            }
            assert_eq!(fresh.count("schema_version").await, SCHEMA_VERSION);
            assert_eq!(fresh.count("instance").await, 1);
            assert_eq!(fresh.count("schema_lock").await, 0);
            Arc::into_inner(fresh).unwrap().remove().await;
        }
    }

    /// Events from before the chain are found by the index, as they were.
    async fn events_of_an_older_schema_are_still_found(place: &Place) {
        place.sql(if place.is_postgres() { RELEASED_FIRST.1 } else { RELEASED_FIRST.0 }).await;
        place
            .sql(if place.is_postgres() {
                "CREATE TABLE schema_version (version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied BIGINT NOT NULL)"
            } else {
                "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied INTEGER NOT NULL) STRICT"
            })
            .await;
        let sums = &RELEASED[0];
        let sum = if place.is_postgres() { sums.postgres.1 } else { sums.sqlite.1 };
        place.sql(&format!("INSERT INTO schema_version VALUES (1, 'first', '{sum}', 0)")).await;
        let id = uuid_of(7);
        let (id, whose) = if place.is_postgres() {
            (format!("'\\x{id}'"), format!("'\\x{}'", uuid_of(9)))
        } else {
            (format!("x'{id}'"), format!("x'{}'", uuid_of(9)))
        };
        place
            .sql(&format!(
                "INSERT INTO audit_event (id, at, kind, outcome, actor, prescriber, support) \
                 VALUES ({id}, 5, 'passcode_tried', 'success', 'api_key', {whose}, 'ABCD-EFGH')"
            ))
            .await;
        let store = place.open().await;
        let owner = PersonId::from_slice(&[9; 16]).unwrap();
        let found = store.read("events", move |tx| tx.events_of(owner, 10)).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].at.micros(), 5);
    }

    /// The database itself refuses to change or remove an audit record, whoever asks; adding goes on.
    async fn an_audit_record_is_neither_changed_nor_removed(place: &Place) {
        let store = place.open().await;
        let add = || store.write("event", |tx| tx.append(&event(EventKind::TokenAdded), NOW));
        add().await.unwrap();
        let before = place.texts("SELECT support || outcome FROM audit_event").await;
        let mut refused = vec![
            "UPDATE audit_event SET outcome = 'failure'",
            "UPDATE audit_event SET detail = NULL WHERE support <> ''",
            "DELETE FROM audit_event",
            "DELETE FROM audit_event WHERE outcome = 'success'",
        ];
        if place.is_postgres() {
            refused.extend(["TRUNCATE audit_event", "TRUNCATE audit_event, schema_lock CASCADE"]);
        } else {
            refused.push(
                "PRAGMA recursive_triggers = ON; REPLACE INTO audit_event SELECT * FROM audit_event",
            );
        }
        for sql in refused {
            let error = place.try_sql(sql).await.unwrap_err();
            assert!(error.contains("an audit record is never"), "{sql}: {error}");
        }
        assert_eq!(place.texts("SELECT support || outcome FROM audit_event").await, before);
        add().await.unwrap();
        assert_eq!(place.count("audit_event").await, 2);
    }

    /// No other word than the known ones gets into a column that says how far something is, by whatever way.
    async fn words_that_nobody_knows_are_refused(place: &Place) {
        let store = place.open().await;
        let people = People::new(&store).await;
        people.token(&store).await;
        let zones = "SELECT time_zone FROM practice WHERE setting = 'practitioners'";
        let before = place.texts(zones).await;
        let error = place.try_sql("UPDATE practice SET setting = 'hospital'").await.unwrap_err();
        assert!(error.contains("setting"), "{error}");
        place.sql("UPDATE practice SET name = 'Lake'").await;
        let id = uuid_of(7);
        let id = if place.is_postgres() { format!("'\\x{id}'") } else { format!("x'{id}'") };
        let practice = format!(
            "INSERT INTO practice (id, name, data_key_sealed, created, setting) VALUES ({id}, 'Hill', {id}, 0, 'hospital')"
        );
        assert!(place.try_sql(&practice).await.is_err());
        place.sql(&practice.replace("'hospital'", "'institution'")).await;
        assert_eq!(place.texts(zones).await, before);
        // The token's word is looked at on PostgreSQL alone.
        let lost = place.try_sql("UPDATE token SET state = 'lost'").await;
        assert_eq!(lost.is_err(), place.is_postgres());
    }

    async fn an_empty_database_is_refused_where_nobody_migrates(place: &Place) {
        let error = place.try_open(1, false).await.err().unwrap();
        assert_eq!(
            error.to_string(),
            format!("the database has schema 0, this program needs {SCHEMA_VERSION}: run countersign migrate")
        );
    }

    async fn a_newer_schema_is_refused(place: &Place) {
        let store = place.open().await;
        store.write("newer", |tx| tx.pretend_newer_schema()).await.unwrap();
        let by_migrate = store.migrate(NOW).await.unwrap_err();
        let by_open = place.try_open(1, true).await.err().unwrap();
        let without_migrating = place.try_open(1, false).await.err().unwrap();
        for error in [by_migrate, by_open, without_migrating] {
            assert!(matches!(error, Error::Schema(_)), "{error:?}");
            assert_eq!(
                error.to_string(),
                format!(
                    "the database has schema 999, made by a newer version; this one knows \
                     {SCHEMA_VERSION}: use the newer program"
                )
            );
        }
        assert_eq!(place.count("schema_version").await, SCHEMA_VERSION + 1);
    }

    async fn a_migration_of_another_program_is_refused(place: &Place) {
        place.open().await;
        place.sql("UPDATE schema_version SET checksum = 'of another file'").await;
        let error = place.try_open(1, true).await.err().unwrap();
        assert!(matches!(error, Error::Schema(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("migration 1 in the database is not the one"), "{text}");
    }

    async fn the_lock_of_a_dead_migration_runs_out(place: &Place) {
        place.sql("CREATE TABLE schema_lock (id BIGINT PRIMARY KEY, until BIGINT NOT NULL)").await;
        let past = NOW.micros() - 1;
        place.sql(&format!("INSERT INTO schema_lock (id, until) VALUES (1, {past})")).await;
        place.open().await;
        assert_eq!(place.count("schema_lock").await, 0);
    }

    /// A migration that took longer than its lock holds must not release another's.
    async fn the_lock_is_released_by_its_owner_alone(place: &Place) {
        let store = place.open().await;
        let take = |now| store.write("take", move |tx| tx.take_migration_lock(now));
        let release = |mark| store.write("release", move |tx| tx.release_migration_lock(mark));
        let slow = take(NOW).await.unwrap().unwrap();
        assert_eq!(take(NOW).await.unwrap(), None, "one at a time");
        let later = NOW.plus_seconds(700);
        let other = take(later).await.unwrap().unwrap();
        release(slow).await.unwrap();
        assert_eq!(take(later).await.unwrap(), None, "the other still holds it");
        release(other).await.unwrap();
        assert_eq!(place.count("schema_lock").await, 0);
        // Taken in the same instant, two locks have two marks.
        let first = take(NOW).await.unwrap().unwrap();
        release(first).await.unwrap();
        assert_ne!(take(NOW).await.unwrap().unwrap(), first);
    }

    async fn a_wrong_master_key_is_named_and_changes_nothing(place: &Place) {
        let store = place.open().await;
        let people = People::new(&store).await;
        let error = place.try_open(2, true).await.err().unwrap();
        let Error::WrongKey { found, wanted } = &error else { panic!("{error:?}") };
        assert_eq!(*wanted, master_key(1).key_id());
        assert_eq!(*found, master_key(2).key_id());
        let text = error.to_string();
        assert!(text.contains("put the right key file back") && text.contains(wanted), "{text}");
        drop(store);
        let store = place.open().await;
        people.token(&store).await;
    }
}
