//! What was written reads back, field by field.

use countersign_crypto::{HmacAlgorithm, SecretBytes, SystemRng};
use countersign_domain::{
    Actor, AttemptCounter, CredentialId, DisableReason, Event, EventKind, Failures,
    FipsCertificate, Manufacturer, ModelCode, Outcome, PasscodeFailures, PassphraseHash, Purpose,
    Refusal, SupportCode, Timestamp, TokenKind, TokenModel, TokenState,
    otp::{Drift, OtpParams, Step, TokenSeed},
};
use countersign_store::{
    ApiKey, AuditRow, EhrRow, Error, Identity, Patient, Session, Staff, Stage, Store, Tx,
};

use crate::support::{
    NOW, People, append_many, event, facts, new_token, npi, passphrase_hash, random, row_of, stored,
};

/// Text with what trips careless code: quotes, placeholders, other scripts, several bytes a letter.
const TRICKY: &str = "O'Brien \"&\" Søn $1 ?1 %s \\ 薬局 👩";

fn passphrase_row(iterations: u32, fill: char) -> String {
    let (salt, hash) = (fill.to_string().repeat(42), fill.to_string().repeat(85));
    format!("$pbkdf2-sha512$i={iterations}${salt}A${hash}A")
}

on_both! {
    async fn token_models(place: &Place) {
        let store = place.open().await;
        let model = TokenModel {
            code: "fob-7".parse().unwrap(),
            maker: TRICKY.to_owned(),
            name: TRICKY.to_owned(),
            kind: TokenKind::OtpHard,
            fips: "4816".parse().unwrap(),
            allowed: true,
            note: TRICKY.to_owned(),
            changed: NOW,
            changed_by: TRICKY.to_owned(),
        };
        let other = TokenModel {
            code: ModelCode::known(ModelCode::TERMINAL),
            kind: TokenKind::OtpSoft,
            fips: FipsCertificate::NONE,
            allowed: false,
            note: String::new(),
            ..model.clone()
        };
        let (first, second) = (model.clone(), other.clone());
        store
            .write("models", move |tx| {
                assert!(tx.token_models()?.is_empty() && tx.signing_models()?.is_empty());
                tx.save_token_model(&first)?;
                tx.save_token_model(&second)
            })
            .await
            .unwrap();
        let code = model.code.clone();
        let (all, one, signing) = store
            .write("models", move |tx| {
                Ok((tx.token_models()?, tx.token_model(&code)?, tx.signing_models()?))
            })
            .await
            .unwrap();
        assert_eq!(all, [other.clone(), model.clone()], "by code");
        assert_eq!(one, Some(model.clone()));
        assert!(signing.allow(&model.code) && !signing.allow(&other.code));
        // What is said later takes the place of what was said before.
        let denied = TokenModel { allowed: false, note: "recalled".to_owned(), ..model };
        let last = denied.clone();
        let (all, signing) = store
            .write("models", move |tx| {
                tx.save_token_model(&last)?;
                Ok((tx.token_models()?, tx.signing_models()?))
            })
            .await
            .unwrap();
        assert_eq!(all, [other, denied]);
        assert!(signing.is_empty());
    }

    async fn practices(place: &Place) {
        let store = place.open().await;
        let (first, second) = (new_id!(PracticeId), new_id!(PracticeId));
        store
            .write("practices", move |tx| {
                tx.create_practice(second, TRICKY, NOW)?;
                tx.create_practice(first, "Lakeside Clinic", NOW)
            })
            .await
            .unwrap();
        let (name, none, all) = store
            .read("practices", move |tx| {
                let none = tx.practice_name(new_id!(PracticeId))?;
                Ok((tx.practice_name(second)?, none, tx.practices()?))
            })
            .await
            .unwrap();
        assert_eq!((name.as_deref(), none), (Some(TRICKY), None));
        assert_eq!(all, [(first, "Lakeside Clinic".to_owned()), (second, TRICKY.to_owned())]);
        let again = store.write("again", move |tx| tx.create_practice(first, "x", NOW)).await;
        assert!(matches!(again, Err(Error::Conflict)), "{again:?}");
    }

    async fn prescribers(place: &Place) {
        let store = place.open().await;
        let (practice, id, npi_of) = (new_id!(PracticeId), new_id!(PersonId), npi());
        let first = PassphraseHash::from_row(&passphrase_row(210_000, 'b')).unwrap();
        let raised = PassphraseHash::from_row(&passphrase_row(600_000, 'C')).unwrap();
        let hash = first.clone();
        let (made, again) = store
            .write("prescriber", move |tx| {
                tx.create_practice(practice, "Lakeside Clinic", NOW)?;
                let made = tx.create_prescriber(id, practice, npi_of, TRICKY, &hash, NOW)?;
                let other = new_id!(PersonId);
                let again = tx.create_prescriber(other, practice, npi_of, "x", &hash, NOW)?;
                Ok((made, again))
            })
            .await
            .unwrap();
        assert!(made && !again, "one NPI, one prescriber");
        let (by_npi, by_id, unknown) = store
            .read("prescriber", move |tx| {
                let unknown = (tx.person_by_name(&npi().into())?, tx.person(new_id!(PersonId))?);
                Ok((tx.person_by_name(&npi_of.into())?, tx.person(id)?, unknown))
            })
            .await
            .unwrap();
        assert!(unknown.0.is_none() && unknown.1.is_none());
        for found in [by_npi.unwrap(), by_id.unwrap()] {
            assert_eq!((found.id, found.practice), (id, practice));
            assert_eq!((found.sign_in.as_text(), found.name.as_str()), (npi_of.as_text(), TRICKY));
            assert_eq!(found.practice_name, "Lakeside Clinic");
            assert_eq!(found.passphrase.unwrap().to_row(), first.to_row());
            assert_eq!((found.closed, found.failures), (false, PasscodeFailures::NONE));
        }
        let blocked = PasscodeFailures {
            in_a_row: Failures { count: 7, blocked_until: Some(NOW.plus_seconds(61)) },
            in_a_day: 11,
            day_began: Some(NOW.plus_seconds(-5)),
        };
        let hash = raised.clone();
        let locked = store
            .write("failures", move |tx| {
                let before = tx.lock_prescriber(id)?;
                tx.save_prescriber_failures(id, &blocked)?;
                tx.save_passphrase(id, &hash)?;
                Ok((before, tx.lock_prescriber(id)?))
            })
            .await
            .unwrap();
        assert_eq!(locked, (PasscodeFailures::NONE, blocked));
        let open = store
            .write("close", move |tx| {
                let before = tx.lock_open_account(id)?;
                tx.close_account(id)?;
                Ok((before, tx.lock_open_account(id)?))
            })
            .await
            .unwrap();
        assert_eq!(open, (true, false));
        let found = store.read("prescriber", move |tx| tx.person(id)).await.unwrap().unwrap();
        assert_eq!((found.closed, found.failures), (true, blocked));
        assert_eq!(found.passphrase.unwrap().to_row(), raised.to_row());
    }

    async fn attempts_of_a_key(place: &Place) {
        let store = place.open().await;
        let (known, other): ([u8; 32], [u8; 32]) = (random(), random());
        let paused = AttemptCounter {
            failures: Failures { count: 3, blocked_until: Some(NOW.plus_seconds(30)) },
            under_way_until: None,
        };
        let counted = AttemptCounter {
            failures: Failures { count: 4, blocked_until: None },
            under_way_until: Some(NOW.plus_seconds(60)),
        };
        let seen = store
            .write("attempts", move |tx| {
                let mut seen = vec![tx.attempts(&known, NOW)?];
                tx.save_attempts(&known, &paused, NOW)?;
                seen.push(tx.attempts(&known, NOW)?);
                tx.save_attempts(&known, &counted, NOW)?;
                seen.push(tx.attempts(&known, NOW)?);
                seen.push(tx.attempts(&other, NOW)?);
                Ok(seen)
            })
            .await
            .unwrap();
        assert_eq!(seen, [AttemptCounter::NONE, paused, counted, AttemptCounter::NONE]);
    }

    /// Bound to the account, for its time, so many of each account; ended one by one or together.
    async fn known_browsers(place: &Place) {
        let store = place.open().await;
        let (one, two) = (People::new(&store).await.prescriber, People::new(&store).await.prescriber);
        let browsers: [[u8; 32]; 4] = [random(), random(), random(), random()];
        let seen = store
            .write("known_browsers", move |tx| {
                let known = |tx: &mut Tx<'_>, person| -> Result<Vec<bool>, Error> {
                    let known = browsers.iter().map(|it| tx.is_known_browser(it, Some(person), NOW));
                    known.collect()
                };
                let until = NOW.plus_seconds(1);
                let mut seen = vec![];
                // One secret, two accounts: a computer that people share.
                for (second, browser) in (0..).zip(&browsers) {
                    tx.know_browser(browser, one, NOW.plus_seconds(second), until, 3)?;
                }
                tx.know_browser(&browsers[0], two, NOW, until, 3)?;
                seen.push((known(tx, one)?, known(tx, two)?));
                assert!(!tx.is_known_browser(&browsers[1], None, NOW)?);
                assert!(!tx.is_known_browser(&browsers[1], Some(one), until)?, "its time is over");
                assert!(tx.is_browser_of_anybody(&browsers[0], NOW)?);
                assert!(!tx.is_browser_of_anybody(&browsers[0], until)?);
                // Used again: now another one is the oldest.
                tx.know_browser(&browsers[1], one, NOW.plus_seconds(8), until, 3)?;
                tx.know_browser(&browsers[0], one, NOW.plus_seconds(9), until, 3)?;
                seen.push((known(tx, one)?, known(tx, two)?));
                tx.forget_browser(&browsers[0], one)?;
                seen.push((known(tx, one)?, known(tx, two)?));
                assert_eq!(tx.forget_browsers_of(one, Some(&browsers[3]))?, 1);
                seen.push((known(tx, one)?, known(tx, two)?));
                assert_eq!(tx.forget_browsers_of(one, None)?, 1);
                seen.push((known(tx, one)?, known(tx, two)?));
                Ok(seen)
            })
            .await
            .unwrap();
        let of = |bits: &str| bits.chars().map(|bit| bit == '1').collect::<Vec<_>>();
        let wanted = ["0111", "1101", "0101", "0001", "0000"].map(|bits| (of(bits), of("1000")));
        assert_eq!(seen, wanted);
    }

    /// Told once a day of wrong passcodes, and only of so many.
    async fn wrong_passcodes_are_told_once_a_day(place: &Place) {
        let store = place.open().await;
        let people = People::new(&store).await;
        let id = people.prescriber;
        let counted = move |in_a_day, began: i64| PasscodeFailures {
            in_a_day,
            day_began: Some(NOW.plus_seconds(began)),
            ..PasscodeFailures::NONE
        };
        store
            .write("wrong", move |tx| {
                let untold = |tx: &mut Tx<'_>| tx.wrong_passcodes_untold(10, NOW);
                assert!(!tx.wrong_passcodes_told(id)?, "there is nothing to tell");
                tx.save_prescriber_failures(id, &counted(9, 1))?;
                assert_eq!(untold(tx)?, []);
                tx.save_prescriber_failures(id, &counted(10, 1))?;
                assert_eq!(untold(tx)?, [(id, 10)]);
                assert!(tx.wrong_passcodes_told(id)? && !tx.wrong_passcodes_told(id)?);
                tx.save_prescriber_failures(id, &counted(20, 1))?;
                assert_eq!(untold(tx)?, []);
                tx.save_prescriber_failures(id, &counted(12, 2))?;
                assert_eq!(untold(tx)?, [(id, 12)]);
                tx.close_account(id)?;
                assert_eq!(untold(tx)?, []);
                Ok(())
            })
            .await
            .unwrap();
    }

    async fn staff_and_ehr_users(place: &Place) {
        let store = place.open().await;
        let People { practice, prescriber } = People::new(&store).await;
        let staff = Staff { id: new_id!(StaffId), practice, name: TRICKY.to_owned() };
        let ehr = EhrRow { id: new_id!(EhrId), practice, public_key: random::<65>().to_vec() };
        let (kept_staff, kept_ehr) = (staff.clone(), ehr.clone());
        let again = store
            .write("staff", move |tx| {
                assert!(tx.create_staff(&staff, "nurse.lee", NOW)?);
                let other = Staff { id: new_id!(StaffId), ..staff.clone() };
                let again = tx.create_staff(&other, "nurse.lee", NOW)?;
                tx.create_ehr(&ehr, "Chart", NOW)?;
                tx.link_ehr_user(ehr.id, "dr.moreno", Identity::Prescriber(prescriber))?;
                tx.link_ehr_user(ehr.id, "nurse.lee", Identity::Staff(staff.id))?;
                Ok(again)
            })
            .await
            .unwrap();
        assert!(!again, "one EHR user, one member of staff");
        let (staff, ehr) = (kept_staff.id, kept_ehr.id);
        let found = store
            .read("staff", move |tx| {
                let nobody = (tx.staff(new_id!(StaffId))?, tx.ehr(new_id!(EhrId))?);
                assert!(nobody.0.is_none() && nobody.1.is_none());
                assert_eq!(tx.ehr_user(ehr, "nobody")?, None);
                assert_eq!(tx.ehr_user(new_id!(EhrId), "dr.moreno")?, None);
                let users = (tx.ehr_user(ehr, "dr.moreno")?, tx.ehr_user(ehr, "nurse.lee")?);
                Ok((tx.staff(staff)?, tx.ehr(ehr)?, users))
            })
            .await
            .unwrap();
        let users = (Some(Identity::Prescriber(prescriber)), Some(Identity::Staff(staff)));
        assert_eq!(found, (Some(kept_staff), Some(kept_ehr), users));
        let taken = store
            .write("taken", move |tx| tx.link_ehr_user(ehr, "dr.moreno", Identity::Staff(staff)))
            .await;
        assert!(matches!(taken, Err(Error::Conflict)), "{taken:?}");
    }

    async fn api_keys_until_revoked(place: &Place) {
        let store = place.open().await;
        let People { practice, .. } = People::new(&store).await;
        let (key, hash) = (ApiKey { id: new_id!(ApiKeyId), practice }, random::<32>());
        store.write("key", move |tx| tx.create_api_key(&key, TRICKY, &hash, NOW)).await.unwrap();
        let found = move |tx: &mut countersign_store::Tx<'_>| {
            Ok((tx.api_key(&hash)?, tx.api_key(&[0; 32])?))
        };
        assert_eq!(store.read("key", found).await.unwrap(), (Some(key), None));
        let listed = || store.read("keys", move |tx| tx.api_keys(practice));
        assert_eq!(listed().await.unwrap(), [(key.id, TRICKY.to_owned(), None)]);
        let revoke = |id| store.write("revoke", move |tx| tx.revoke_api_key(id, NOW));
        assert_eq!(revoke(new_id!(ApiKeyId)).await.unwrap(), None);
        assert_eq!(revoke(key.id).await.unwrap(), Some((practice, TRICKY.to_owned())));
        assert_eq!(revoke(key.id).await.unwrap(), None, "once");
        assert_eq!(store.read("key", found).await.unwrap(), (None, None));
        assert_eq!(listed().await.unwrap(), [(key.id, TRICKY.to_owned(), Some(NOW))]);
        let other = store.read("keys", |tx| tx.api_keys(new_id!(PracticeId))).await.unwrap();
        assert_eq!(other, []);
    }

    async fn a_launch_is_used_once(place: &Place) {
        let store = place.open().await;
        let jti = random::<32>();
        let mut uses = Vec::new();
        for _ in 0..3 {
            uses.push(store.write("launch", move |tx| tx.use_launch(&jti, NOW)).await.unwrap());
        }
        assert_eq!(uses, [true, false, false]);
    }

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
            let mut token = new_token();
            token.state = state;
            if !matches!(state, TokenState::Unassociated { .. }) {
                token.practice = Some(people.practice);
                token.prescriber = Some(people.prescriber);
                token.added = Some(NOW.plus_seconds(3));
                token.last_used = Some(NOW.plus_seconds(4));
                token.last_step = Some(Step::new(59_333_333));
                token.drift = Drift::from_parts(-100, -97);
                token.failures = Failures { count: 9, blocked_until: Some(NOW.plus_seconds(9)) };
            }
            token.name = TRICKY.parse().unwrap();
            let made = token.clone();
            assert!(store.write("token", move |tx| tx.create_token(&made)).await.unwrap());
            assert_eq!(facts(&stored(&store, &token.credential).await.token), facts(&token));
        }
    }

    async fn tokens_of_every_kind(place: &Place) {
        let store = place.open().await;
        let mut made = Vec::new();
        for algorithm in [HmacAlgorithm::Sha1, HmacAlgorithm::Sha256, HmacAlgorithm::Sha512] {
            for (digits, period, length) in [(6, 30, 14), (7, 1, 20), (8, 120, 256)] {
                let mut token = new_token();
                token.params = OtpParams::new(algorithm, digits, period).unwrap();
                token.seed = TokenSeed::new(SecretBytes::new(vec![digits; length])).unwrap();
                made.push(token);
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
            let mut token = new_token();
            token.credential = CredentialId::parse(text, maker).unwrap();
            made.push(token);
        }
        let mut hard = new_token();
        hard.credential = CredentialId::random(TokenKind::OtpHard, &mut SystemRng).unwrap();
        made.push(hard);
        let tokens = made.clone();
        store
            .write("tokens", move |tx| tokens.iter().try_for_each(|t| tx.create_token(t).map(drop)))
            .await
            .unwrap();
        for token in &made {
            let found = stored(&store, &token.credential).await.token;
            assert_eq!(facts(&found), facts(token));
            assert_eq!(found.credential.manufacturer(), token.credential.manufacturer());
        }
        // Nobody has them, so the read for passcode checks finds none.
        let wanted: Vec<_> = made.iter().map(|t| t.credential.clone()).collect();
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
        let mut second = new_token();
        second.credential = first.credential.clone();
        let made = store
            .write("twice", {
                let first = first.clone();
                move |tx| Ok((tx.create_token(&first)?, tx.create_token(&second)?))
            })
            .await
            .unwrap();
        assert_eq!(made, (true, false));
        assert_eq!(facts(&stored(&store, &first.credential).await.token), facts(&first));
    }

    async fn a_saved_token_reads_back_and_keeps_its_seed(place: &Place) {
        let store = place.open().await;
        let token = People::new(&store).await.token(&store).await;
        let mut row = stored(&store, &token.credential).await;
        let after = &mut row.token;
        after.name = TRICKY.parse().unwrap();
        after.state =
            TokenState::Disabled { reason: DisableReason::Lost, since: NOW.plus_seconds(8) };
        after.last_step = Some(Step::new(12));
        after.drift = Drift::from_parts(120, 124);
        after.failures = Failures { count: u32::MAX, blocked_until: Some(NOW) };
        after.last_used = Some(NOW.plus_seconds(7));
        let saved = row.clone();
        store.write("save", move |tx| tx.save_token(&saved.token, saved.mark)).await.unwrap();
        assert_eq!(facts(&stored(&store, &token.credential).await.token), facts(&row.token));
    }

    async fn many_tokens_are_saved_like_one(place: &Place) {
        let store = place.open().await;
        let people = People::new(&store).await;
        let mut rows = Vec::new();
        for number in 0..5 {
            let token = people.token(&store).await;
            let mut row = stored(&store, &token.credential).await;
            row.token.last_step = (number > 0).then(|| Step::new(100 + number));
            row.token.drift = Drift::from_parts(number, number - 1);
            row.token.failures.count = u32::try_from(number).unwrap();
            row.token.failures.blocked_until = (number % 2 == 0).then_some(NOW);
            row.token.last_used = (number % 2 == 1).then_some(NOW);
            if number == 4 {
                let reason = DisableReason::TooManyFailures;
                row.token.state = TokenState::Disabled { reason, since: NOW.plus_seconds(1) };
            }
            rows.push(row);
        }
        let saved = rows.clone();
        store
            .write("save", move |tx| tx.record_checks(&saved.iter().collect::<Vec<_>>(), &[]))
            .await
            .unwrap();
        for row in &rows {
            let found = stored(&store, &row.token.credential).await;
            assert_eq!(facts(&found.token), facts(&row.token));
        }
    }

    async fn tokens_of_a_prescriber_come_oldest_first(place: &Place) {
        let store = place.open().await;
        let (people, other) = (People::new(&store).await, People::new(&store).await);
        other.token(&store).await;
        let mut wanted = Vec::new();
        for added in [30, 10, 20] {
            let mut token = new_token();
            token.practice = Some(people.practice);
            token.prescriber = Some(people.prescriber);
            token.state = TokenState::Active { since: NOW };
            token.added = Some(NOW.plus_seconds(added));
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
        let mut wanted = vec![loose.credential.clone(), new_token().credential];
        for (owner, count) in [(people, 2), (other, 1)] {
            for _ in 0..count {
                wanted.push(owner.token(&store).await.credential);
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
            let mine = row.token.prescriber == Some(people.prescriber);
            assert_eq!(*counted, if mine { PasscodeFailures::NONE } else { failures });
        }
    }

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

    async fn events_newest_first_one_by_one_and_many_at_once(place: &Place) {
        let store = place.open().await;
        let people = People::new(&store).await;
        let token = people.token(&store).await.id;
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
            let whose = if token.id == foreign.id { other } else { people };
            if token.id != foreign.id {
                wanted.push((at, Some(token.id)));
            }
            store
                .write("check", move |tx| {
                    let mut row = row_of(tx, &token.credential)?;
                    let event = event(EventKind::PasscodeTried)
                        .about(whose.practice, whose.prescriber)
                        .token(token.id);
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

    async fn what_refers_to_nothing_is_refused(place: &Place) {
        let store = place.open().await;
        let made = store
            .write("orphan", |tx| {
                let (id, practice) = (new_id!(PersonId), new_id!(PracticeId));
                tx.create_prescriber(id, practice, npi(), "x", &passphrase_hash(), NOW)
            })
            .await;
        assert!(made.is_err(), "a prescriber of no practice");
        assert_eq!(place.count("prescriber").await, 0);
    }

    async fn a_value_of_another_kind_is_damage_not_a_default(place: &Place) {
        let store = place.open().await;
        let token = People::new(&store).await.token(&store).await;
        let credential = token.credential;
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
            place.sql(&format!("UPDATE token SET {column} = {value}")).await;
            let wanted = credential.clone();
            let read = store.read("damaged", move |tx| row_of(tx, &wanted)).await;
            assert!(matches!(read, Err(Error::Corrupt { .. })), "{column} = {value}: {read:?}");
            let back = match before.first() {
                None => "NULL".to_owned(),
                Some(text) if text.parse::<i64>().is_ok() => text.clone(),
                Some(text) => format!("'{text}'"),
            };
            place.sql(&format!("UPDATE token SET {column} = {back}")).await;
            stored(&store, &credential).await;
        }
    }
}

async fn written(store: &Store, session: &Session) -> Session {
    let (made, hash) = (session.clone(), random::<32>());
    store.write("session", move |tx| tx.create_session(&made, &hash)).await.unwrap();
    store.read("session", move |tx| tx.session(&hash)).await.unwrap().unwrap()
}
