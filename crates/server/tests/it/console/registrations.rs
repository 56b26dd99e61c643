//! Registrations: extended by two people, narrowed at once; and who sees their numbers in full.

use countersign_domain::{AuthorityId, DeaRegistration, Role, access::Permission};
use countersign_store::{Authority, Paper};
use countersign_testkit::{SeededRng, TestApp, both, dea};

use crate::access::Place;

both! {
    /// What lasts longer or covers more takes two people, none of them its holder; what is narrower, shorter or
    /// ended works at once.
    /// Shows: R-1311.125-d2, R-1311.125-d3
    async fn a_registration_is_extended_by_two_and_narrowed_at_once(app: TestApp) {
        let place = Place::of(app).await;
        let holder = place.app.person.clone();
        place.app.give_roles(&holder, &[Role::Designated]).await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let form = |schedules: &'static str, last: &'static str| [
            ("dea", "BM0000000"), ("dea_state", "NE"), ("schedules", schedules), ("dea_expires", last), ("dea_reason", "Letter of the DEA"),
        ];
        let path = format!("{}/dea", place.person());
        // The licence stands in nobody's way here.
        let blob = crate::access::blob(&place.app, &crate::access::hex(holder.id.as_bytes()));
        let far = place.app.now().plus_seconds(5 * 365 * 86_400).micros();
        place.app.database.execute(&format!("UPDATE authority SET stops_at = {far} WHERE person = {blob} AND kind = 'licence'")).await;
        let row = async || place.app.database.texts("SELECT schedules || ', ' || expires FROM authority WHERE number = 'BM0000000'").await;
        let until = async || place.app.token(&holder.phone.credential).await.sign_until();
        let first = (row().await, until().await);
        // No date that no registration has.
        for last in ["2099-12-31", "2029-08-26"] {
            let page = place.app.confirm(&mut office, &place.office, &path, &form("2 2N 3 3N 4 5", last)).await;
            assert!(page.field_error("dea_expires").unwrap().contains("too far in the future"), "{}", page.words());
        }
        // Entered, it waits; nothing has moved, and the others are told.
        place.app.confirm(&mut office, &place.office, &path, &form("2 2N 3 3N 4 5", "2029-05-31")).await
            .leads_to(&format!("{}?done=entered", place.base));
        assert_eq!((row().await, until().await), first);
        assert!(place.notices("request_waiting").await.contains(&"doctor@lakeside.example".to_owned()));
        let renewal = place.waiting(&mut office).await;
        office.get(&renewal).await.says(200, "Another person must do this");
        place.app.clock.advance(30);
        let mut own = place.app.signed_in_as(&holder).await;
        place.execute(&mut own, &holder, &renewal).await.says(422, "own registration or license");
        let page = doctor.get(&renewal).await;
        page.says(200, "BM0000000: NE, schedules 2 2N 3 3N 4 5, expires May 31, 2029");
        place.execute(&mut doctor, &place.doctor, &renewal).await.leads_to(&format!("{}?done=executed", place.base));
        assert_eq!(row().await, ["2 2N 3 3N 4 5, 2029-05-31"]);
        assert!(until().await > first.1);
        let said = place.app.database.texts("SELECT detail FROM audit_event WHERE kind = 'authority_changed' ORDER BY at DESC").await;
        assert!(said[0].contains("2028-04-24 -> NE") && said[0].contains("2029-05-31") && !said[0].contains("BM0000000"), "{said:?}");
        assert_eq!(place.notices("paper_changed").await.iter().filter(|to| to.as_str() == "ada@lakeside.example").count(), 1);
        // Narrower and shorter works at once, and `sign_until` follows.
        let at_once = until().await;
        place.app.confirm(&mut office, &place.office, &path, &form("4 5", "2029-01-31")).await
            .leads_to(&format!("{}?done=saved", place.person()));
        assert_eq!(row().await, ["4 5, 2029-01-31"]);
        assert!(until().await < at_once);
        place.app.confirm(&mut office, &place.office, &path, &form("4 5", "2029-01-31")).await.says(422, "No changes: this is already on file");
        // Both at once: what is narrower works, the rest waits. The holder enters it, and does not approve it.
        place.app.clock.advance(30);
        let mut own = place.app.signed_in_as(&holder).await;
        place.app.confirm(&mut own, &holder, &path, &form("3 5", "2029-05-31")).await
            .leads_to(&format!("{}?done=narrowed", place.person()));
        assert_eq!(row().await, ["5, 2029-01-31"]);
        let wider = place.waiting(&mut office).await;
        place.app.clock.advance(30);
        place.execute(&mut own, &holder, &wider).await.says(422, "Another person must do this");
        // Changed meanwhile, it is not executed: it would undo what is newer.
        place.app.confirm(&mut office, &place.office, &path, &form("5", "2028-12-31")).await
            .leads_to(&format!("{}?done=saved", place.person()));
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &wider).await.says(422, "A newer decision was made");
        assert_eq!(row().await, ["5, 2028-12-31"]);
        // A licence of the state that is new would carry the permission further: two people as well.
        let licence = [("licence_state", "NE"), ("licence", "NE-999"), ("licence_expires", "2031-05-31"), ("licence_reason", "A new one")];
        place.app.confirm(&mut office, &place.office, &format!("{}/licence", place.person()), &licence).await
            .leads_to(&format!("{}?done=entered", place.base));
        let none = place.app.database.texts("SELECT number FROM authority WHERE number = 'NE-999'").await;
        assert!(none.is_empty(), "{none:?}");
        // Ended: at once, with what rests on it.
        assert!(place.may_sign().await);
        let page = office.get(&place.person()).await;
        let choices = page.field("ended").options();
        let (id, _) = choices.into_iter().find(|(_, name)| name.contains("DEA registration BM")).unwrap();
        let end = [("ended", id.as_str()), ("end_reason", "Revoked by the DEA")];
        place.app.confirm(&mut office, &place.office, &format!("{}/end", place.person()), &end).await
            .leads_to(&format!("{}?done=ended", place.person()));
        place.app.clock.advance(30);
        assert!(!place.may_sign().await && until().await.is_none());
        office.get(&place.person()).await.says(200, "Suspended: registration or license withdrawn");
        // In force again takes two.
        place.app.confirm(&mut office, &place.office, &path, &form("5", "2028-12-31")).await
            .leads_to(&format!("{}?done=entered", place.base));
        office.get(&place.person()).await.says(200, "Withdrawn");
    }

    /// The institution's own registration too: extended by two, ended by one with all that is signed under it; and a
    /// grant is executed only while the registration says what it said.
    /// Shows: R-1311.125-d3
    async fn the_institutions_own_registration_takes_two_as_well(app: TestApp) {
        let place = Place::of(app).await;
        place.app.clock.advance(1);
        let (practice, holder, now) = (place.app.practice, place.app.person.id, place.app.now());
        let number = dea(950);
        let id = AuthorityId::new(now, &mut SeededRng).unwrap();
        place.app.store.write("test_institution", move |tx| {
            let zone = tx.practice(practice)?.unwrap().zone;
            let expires = "2028-03-31".parse().unwrap();
            let (state, schedules) = ("NE".parse().unwrap(), "2 3 4 5".parse().unwrap());
            let paper = Paper::Dea(DeaRegistration { number, state, schedules, expires, withdrawn: None });
            let stops_at = paper.expires().end(&zone);
            let it = Authority { id, practice, person: None, paper, stops_at, withdrawn: None, warned: None };
            tx.create_authority(&it, now)?;
            tx.set_internal_code(practice, holder, Some(&"012".parse().unwrap()), holder, now)?;
            let granted = Permission::Granted { since: now, self_executed: false };
            tx.save_permission(holder, practice, id, &granted)
        }).await.unwrap();
        let text = number.as_text();
        let row = async || place.app.database.texts(&format!("SELECT schedules || ', ' || expires FROM authority WHERE number = '{text}'")).await;
        let form = |schedules: &'static str, last: &'static str| [
            ("dea", text.as_str()), ("dea_state", "NE"), ("schedules", schedules), ("dea_expires", last), ("dea_reason", "Renewed"),
        ];
        let path = format!("{}/dea", place.person());
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        place.app.confirm(&mut office, &place.office, &path, &form("2 3 4 5", "2029-03-31")).await
            .leads_to(&format!("{}?done=entered", place.base));
        assert_eq!(row().await, ["2 3 4 5, 2028-03-31"]);
        let renewal = place.waiting(&mut office).await;
        doctor.get(&renewal).await.says(200, "The institution");
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &renewal).await.leads_to(&format!("{}?done=executed", place.base));
        assert_eq!(row().await, ["2 3 4 5, 2029-03-31"], "one row, and nobody's own");
        // A grant that waits was entered for what the registration said then.
        let registration = place.registration(&mut office).await;
        let fields = [("revoked", registration.as_str()), ("cause", "non_compliant"), ("revoke_reason", "Audit")];
        place.enter(&mut office, "revoke", &fields).await;
        let grant = place.grant(&mut office).await;
        let narrower = [("dea", "BM0000000"), ("dea_state", "NE"), ("schedules", "4 5"), ("dea_expires", "2028-01-31"), ("dea_reason", "Less")];
        place.app.confirm(&mut office, &place.office, &path, &narrower).await.leads_to(&format!("{}?done=saved", place.person()));
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &grant).await.says(422, "A newer decision was made");
        // Ended: everybody's permission under it goes at once.
        let end = [("ended", id.to_string()), ("end_reason", "Surrendered".to_owned())];
        let end = end.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert!(place.may_sign().await, "under the institution's number");
        place.app.confirm(&mut office, &place.office, &format!("{}/end", place.person()), &end).await
            .leads_to(&format!("{}?done=ended", place.person()));
        place.app.clock.advance(30);
        assert!(!place.may_sign().await);
    }

    /// The two who check NPI and DEA number see them, and that goes on record; nobody else does. A name with letters
    /// of two scripts is pointed out.
    /// Shows: R-1311.125-b
    async fn who_checks_a_number_sees_it_in_full(app: TestApp) {
        let mut place = Place::of(app).await;
        let clerk = place.app.another_person().await;
        place.app.give_roles(&clerk, &[Role::Administrator]).await;
        let number = place.app.person.npi.as_text();
        let shown = async |app: &TestApp| {
            app.database.texts("SELECT detail FROM audit_event WHERE kind = 'identifiers_shown' AND outcome = 'success'").await.len()
        };
        let mut browser = place.app.signed_in_as(&clerk).await;
        let page = browser.get(&place.person()).await;
        assert!(!page.body.contains("BM0000000") && !page.body.contains(&number), "{}", page.words());
        assert_eq!(shown(&place.app).await, 0);
        let mut office = place.app.signed_in_as(&place.office).await;
        let page = office.get(&place.person()).await;
        assert!(page.body.contains("BM0000000") && page.body.contains(&number), "{}", page.words());
        assert_eq!(shown(&place.app).await, 1);
        place.report_lost().await;
        let request = place.grant(&mut office).await;
        let before = shown(&place.app).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let page = doctor.get(&request).await;
        assert!(page.body.contains("BM0000000") && page.body.contains(&number), "{}", page.words());
        assert_eq!(shown(&place.app).await, before + 1);
        let page = browser.get(&request).await;
        assert!(!page.body.contains("BM0000000") && !page.body.contains(&number), "{}", page.words());
        assert!(!page.body.contains("letters from different alphabets"));
        let blob = crate::access::blob(&place.app, &crate::access::hex(place.app.person.id.as_bytes()));
        place.app.database.execute(&format!("UPDATE prescriber SET name = 'Dr. \u{410}da Moreno' WHERE id = {blob}")).await;
        doctor.get(&request).await.says(200, "letters from different alphabets");
        doctor.get(&place.person()).await.says(200, "letters from different alphabets");
    }
}
