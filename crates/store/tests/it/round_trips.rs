//! What was written reads back, field by field.

use countersign_domain::{
    AttemptCounter, Failures, FipsCertificate, ModelCode, PasscodeFailures, PassphraseHash,
    TokenKind, TokenModel,
};
use countersign_store::{ApiKey, EhrRow, Error, Identity, Staff, Tx};

use crate::support::{NOW, People, npi, passphrase_hash, random};

/// Text with what trips careless code: quotes, placeholders, other scripts, several bytes a letter.
pub(crate) const TRICKY: &str = "O'Brien \"&\" Søn $1 ?1 %s \\ 薬局 👩";

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
}
