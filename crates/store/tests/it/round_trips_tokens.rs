//! Tokens that were written read back, field by field.

use countersign_crypto::{HmacAlgorithm, SecretBytes, SystemRng};
use countersign_domain::{
    CredentialId, DisableReason, Failures, FipsCertificate, Manufacturer, ModelCode,
    PasscodeFailures, TokenKind, TokenModel, TokenState,
    otp::{Drift, OtpParams, Step, TokenSeed},
};
use countersign_store::Error;

use crate::{
    round_trips::TRICKY,
    support::{NOW, People, facts, new_token, row_of, stored, with_parts},
};

on_both! {
    async fn tokens_in_every_state(place: &Place) {
        let store = place.open().await;
        let people = People::new(&store).await;
        let since = NOW.plus_seconds(5);
        let reasons = [DisableReason::TooManyFailures, DisableReason::Emergency];
        let states: Vec<_> = DisableReason::CHOICES
            .into_iter()
            .chain(reasons)
            .map(|reason| TokenState::Disabled { reason, since })
            .chain([TokenState::Active { since }, TokenState::Unassociated { expires: since }])
            .collect();
        for state in states {
            let token = with_parts(&new_token(), |parts| {
                if !matches!(state, TokenState::Unassociated { .. }) {
                    parts.bind(people.practice, people.prescriber, NOW.plus_seconds(3));
                    parts.last_used = Some(NOW.plus_seconds(4));
                    parts.last_step = Some(Step::new(59_333_333));
                    parts.drift = Drift::from_parts(-100, -97);
                    parts.failures =
                        Failures { count: 9, blocked_until: Some(NOW.plus_seconds(9)) };
                }
                parts.state = state;
                parts.name = TRICKY.parse().unwrap();
            });
            let made = token.clone();
            assert!(store.write("token", move |tx| tx.create_token(&made)).await.unwrap());
            assert_eq!(facts(&stored(&store, token.credential()).await.token), facts(&token));
        }
    }

    async fn tokens_of_every_kind(place: &Place) {
        let store = place.open().await;
        let mut made = Vec::new();
        for algorithm in [HmacAlgorithm::Sha1, HmacAlgorithm::Sha256, HmacAlgorithm::Sha512] {
            for (digits, period, length) in [(6, 30, 14), (7, 1, 20), (8, 120, 256)] {
                made.push(with_parts(&new_token(), |parts| {
                    parts.params = OtpParams::new(algorithm, digits, period).unwrap();
                    parts.seed = TokenSeed::new(SecretBytes::new(vec![digits; length])).unwrap();
                }));
            }
        }
        // Two makers have IDs of digits alone: only the maker tells them apart on the way back.
        let typed = [
            ("SYMC 1234-5678", None),
            ("AVT123456789", None),
            ("123456789", Some(Manufacturer::OneSpan)),
            ("123456788", Some(Manufacturer::Rsa)),
        ];
        for (text, maker) in typed {
            made.push(with_parts(&new_token(), |parts| {
                parts.credential = CredentialId::parse(text, maker).unwrap();
            }));
        }
        made.push(with_parts(&new_token(), |parts| {
            parts.credential = CredentialId::random(TokenKind::OtpHard, &mut SystemRng).unwrap();
        }));
        let tokens = made.clone();
        store
            .write("tokens", move |tx| tokens.iter().try_for_each(|t| tx.create_token(t).map(drop)))
            .await
            .unwrap();
        for token in &made {
            let found = stored(&store, token.credential()).await.token;
            assert_eq!(facts(&found), facts(token));
            assert_eq!(found.credential().manufacturer(), token.credential().manufacturer());
        }
        // Nobody has them, so the read for passcode checks finds none.
        let wanted: Vec<_> = made.iter().map(|t| t.credential().clone()).collect();
        let found = store
            .read("many", move |tx| Ok(tx.owned_tokens(&wanted.iter().collect::<Vec<_>>())?.0))
            .await
            .unwrap();
        assert!(found.is_empty());
        let count = store.read("count", |tx| tx.unassociated_tokens()).await.unwrap();
        assert_eq!(usize::try_from(count).unwrap(), made.len());
    }

    async fn a_credential_exists_once(place: &Place) {
        let store = place.open().await;
        let first = new_token();
        let second =
            with_parts(&new_token(), |parts| parts.credential = first.credential().clone());
        let made = store
            .write("twice", {
                let first = first.clone();
                move |tx| Ok((tx.create_token(&first)?, tx.create_token(&second)?))
            })
            .await
            .unwrap();
        assert_eq!(made, (true, false));
        assert_eq!(facts(&stored(&store, first.credential()).await.token), facts(&first));
    }

    async fn a_saved_token_reads_back_and_keeps_its_seed(place: &Place) {
        let store = place.open().await;
        let token = People::new(&store).await.token(&store).await;
        let mut row = stored(&store, token.credential()).await;
        row.token = with_parts(&row.token, |after| {
            after.name = TRICKY.parse().unwrap();
            after.state =
                TokenState::Disabled { reason: DisableReason::Lost, since: NOW.plus_seconds(8) };
            after.last_step = Some(Step::new(12));
            after.drift = Drift::from_parts(120, 124);
            after.failures = Failures { count: u32::MAX, blocked_until: Some(NOW) };
            after.last_used = Some(NOW.plus_seconds(7));
        });
        let saved = row.clone();
        store.write("save", move |tx| tx.save_token(&saved.token, saved.mark)).await.unwrap();
        assert_eq!(facts(&stored(&store, token.credential()).await.token), facts(&row.token));
    }

    async fn many_tokens_are_saved_like_one(place: &Place) {
        let store = place.open().await;
        let people = People::new(&store).await;
        let mut rows = Vec::new();
        for number in 0..5 {
            let token = people.token(&store).await;
            let mut row = stored(&store, token.credential()).await;
            row.token = with_parts(&row.token, |parts| {
                parts.last_step = (number > 0).then(|| Step::new(100 + number));
                parts.drift = Drift::from_parts(number, number - 1);
                parts.failures.count = u32::try_from(number).unwrap();
                parts.failures.blocked_until = (number % 2 == 0).then_some(NOW);
                parts.last_used = (number % 2 == 1).then_some(NOW);
                if number == 4 {
                    let reason = DisableReason::TooManyFailures;
                    parts.state = TokenState::Disabled { reason, since: NOW.plus_seconds(1) };
                }
            });
            rows.push(row);
        }
        let saved = rows.clone();
        store
            .write("save", move |tx| tx.record_checks(&saved.iter().collect::<Vec<_>>(), &[]))
            .await
            .unwrap();
        for row in &rows {
            let found = stored(&store, row.token.credential()).await;
            assert_eq!(facts(&found.token), facts(&row.token));
        }
    }

    async fn tokens_of_a_prescriber_come_oldest_first(place: &Place) {
        let store = place.open().await;
        let (people, other) = (People::new(&store).await, People::new(&store).await);
        other.token(&store).await;
        let mut wanted = Vec::new();
        for added in [30, 10, 20] {
            let token = with_parts(&new_token(), |parts| {
                parts.bind(people.practice, people.prescriber, NOW.plus_seconds(added));
            });
            wanted.push((added, facts(&token)));
            store.write("token", move |tx| tx.create_token(&token)).await.unwrap();
        }
        wanted.sort_by_key(|(added, _)| *added);
        let found = store
            .read("tokens", move |tx| tx.tokens_of(people.prescriber))
            .await
            .unwrap()
            .iter()
            .map(|row| facts(&row.token))
            .collect::<Vec<_>>();
        assert_eq!(found, wanted.into_iter().map(|(_, facts)| facts).collect::<Vec<_>>());
    }

    async fn owners_of_tokens(place: &Place) {
        let store = place.open().await;
        let (people, other) = (People::new(&store).await, People::new(&store).await);
        let loose = new_token();
        let mut wanted = vec![loose.credential().clone(), new_token().credential().clone()];
        for (owner, count) in [(people, 2), (other, 1)] {
            for _ in 0..count {
                wanted.push(owner.token(&store).await.credential().clone());
            }
        }
        let failures = PasscodeFailures {
            in_a_row: Failures { count: 2, blocked_until: Some(NOW) },
            in_a_day: 3,
            day_began: Some(NOW.plus_seconds(-9)),
        };
        let asked = wanted.clone();
        let signing = TokenModel {
            code: ModelCode::known(ModelCode::AUTHENTICATOR),
            maker: "Countersign".to_owned(),
            name: "Authenticator".to_owned(),
            kind: TokenKind::OtpSoft,
            fips: FipsCertificate::NONE,
            allowed: true,
            note: String::new(),
            changed: NOW,
            changed_by: "Ruth".to_owned(),
        };
        let (found, models) = store
            .write("owners", move |tx| {
                tx.create_token(&loose)?;
                tx.save_token_model(&signing)?;
                tx.save_prescriber_failures(other.prescriber, &failures)?;
                tx.owned_tokens(&asked.iter().collect::<Vec<_>>())
            })
            .await
            .unwrap();
        assert!(models.allow(&ModelCode::known(ModelCode::AUTHENTICATOR)));
        assert!(!models.allow(&ModelCode::known(ModelCode::TERMINAL)));
        assert_eq!(found.len(), 3, "two of the five have no owner");
        for credential in wanted.iter().skip(2) {
            let (row, counted) = &found[credential];
            let alone = stored(&store, credential).await.token;
            assert_eq!(facts(&row.token), facts(&alone), "many rows read like one");
            let mine = row.token.prescriber() == Some(people.prescriber);
            assert_eq!(*counted, if mine { PasscodeFailures::NONE } else { failures });
        }
    }

    async fn a_value_of_another_kind_is_damage_not_a_default(place: &Place) {
        let store = place.open().await;
        let token = People::new(&store).await.token(&store).await;
        let credential = token.credential();
        for (column, value) in [
            ("state", "'asleep'"),
            ("state", "'disabled'"),
            ("algorithm", "'MD5'"),
            ("digits", "9"),
            ("period", "0"),
            ("failures", "-1"),
            ("manufacturer", "'nobody'"),
            ("name", "''"),
        ] {
            let as_text = format!("CAST({column} AS TEXT) FROM token WHERE {column} IS NOT NULL");
            let before = place.texts(&format!("SELECT {as_text}")).await;
            let refused = place.try_sql(&format!("UPDATE token SET {column} = {value}")).await.is_err();
            // PostgreSQL looks at the word itself.
            assert_eq!(refused, place.is_postgres() && value == "'asleep'", "{column} = {value}");
            if refused {
                continue;
            }
            let wanted = credential.clone();
            let read = store.read("damaged", move |tx| row_of(tx, &wanted)).await;
            assert!(matches!(read, Err(Error::Corrupt { .. })), "{column} = {value}: {read:?}");
            let back = match before.first() {
                None => "NULL".to_owned(),
                Some(text) if text.parse::<i64>().is_ok() => text.clone(),
                Some(text) => format!("'{text}'"),
            };
            place.sql(&format!("UPDATE token SET {column} = {back}")).await;
            stored(&store, credential).await;
        }
    }
}
