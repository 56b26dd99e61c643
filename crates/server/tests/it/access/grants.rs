//! Grants and revocations: two people enter and execute one, and each DEA number has its own permission.

use countersign_domain::Role;
use countersign_testkit::{PASSPHRASE, WRONG_CODE, both};

use super::{Place, blob, hex};

both! {
    /// One enters, another executes; neither alone gets anything done.
    /// Shows: R-1311.125-c1, R-1311.125-c2, R-1311.120-b4, R-1311.120-b5, R-1311.120-b23ii, R-1311.120-b23iv, R-1311.150-a4, A9
    async fn a_grant_takes_two_people(app: TestApp) {
        let place = Place::of(app).await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        assert!(place.may_sign().await);
        // Taken away on one person's word, at once.
        let registration = place.registration(&mut office).await;
        let fields = [
            ("revoked", registration.as_str()),
            ("cause", "non_compliant"),
            ("revoke_reason", "Audit finding"),
        ];
        let confirm = place.enter(&mut office, "revoke", &fields).await;
        place.app.clock.advance(30);
        assert!(!place.may_sign().await, "one report is enough");
        // Who entered it can't confirm it, and whoever has no registration neither.
        office.get(&confirm).await.says(200, "Another person must do this");
        let page = place.execute(&mut office, &place.office, &confirm).await;
        page.says(422, "Another person must do this");
        place.execute(&mut doctor, &place.doctor, &confirm).await
            .leads_to(&format!("{}?done=confirmed", place.base));

        let request = place.grant(&mut office).await;
        place.app.clock.advance(30);
        assert!(!place.may_sign().await, "entered is not granted");
        let page = doctor.get(&request).await;
        page.says(200, "Token is back");
        page.says(200, "May 25, 2026");
        // A wrong passphrase spends no passcode, a wrong passcode grants nothing, nor does another page.
        let code = place.doctor.phone.code(place.app.now());
        let shown = page.value("shown");
        let send = |shown: String, passphrase: &'static str, code: String| {
            vec![("shown", shown), ("passphrase", passphrase.to_owned()),
                 ("stepup_token", "any".to_owned()), ("stepup_passcode", code)]
        };
        for (shown, passphrase, code, text) in [
            (shown.clone(), "not the right passphrase", code.clone(), "Incorrect passphrase"),
            (shown.clone(), PASSPHRASE, WRONG_CODE.to_owned(), "Incorrect passcode"),
            ("00".repeat(32), PASSPHRASE, code.clone(), "has changed since"),
            (String::new(), PASSPHRASE, code.clone(), "has changed since"),
        ] {
            let fields = send(shown, passphrase, code);
            let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
            doctor.post(&request, &fields).await.says(422, text);
        }
        assert!(!place.may_sign().await);
        let fields = send(shown, PASSPHRASE, code);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        doctor.post(&request, &fields).await.leads_to(&format!("{}?done=executed", place.base));
        place.app.clock.advance(30);
        assert!(place.may_sign().await);
        // Once.
        let page = place.execute(&mut doctor, &place.doctor, &request).await;
        page.says(422, "no longer open");
        doctor.get(&place.base).await.says(200, "May sign");
        assert_eq!(place.notices("permission_granted").await, ["+14025550100", "ada@lakeside.example"]);
        let said = place.app.events().await;
        for line in [
            "request_entered success -", "request_executed success -", "request_executed refused same_person",
            "request_executed refused passphrase_wrong", "request_executed refused request_changed",
            "permission_changed success granted", "permission_changed success non_compliant",
        ] {
            assert!(said.iter().any(|event| event == line), "{line}: {said:?}");
        }
    }

    /// The holder grants nothing to themselves; a rogue administrator and a colleague without
    /// registration get nowhere together.
    /// Shows: R-1311.125-a, R-1311.125-b
    async fn nobody_gets_round_the_second_person(app: TestApp) {
        let mut place = Place::of(app).await;
        place.report_lost().await;
        let clerk = place.app.another_person().await;
        place.app.give_roles(&clerk, &[Role::Designated]).await;
        place.app.give_addresses(&clerk, "clerk@lakeside.example").await;
        let clerk_id = blob(&place.app, &hex(clerk.id.as_bytes()));
        place.app.database.execute(&format!("DELETE FROM authority WHERE person = {clerk_id} AND kind = 'licence'")).await;
        place.app.database.execute(&format!("UPDATE authority SET stops_at = 0 WHERE person = {clerk_id}")).await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut colleague = place.app.signed_in_as(&clerk).await;
        let request = place.grant(&mut office).await;
        let page = place.execute(&mut colleague, &clerk, &request).await;
        page.says(422, "Only a practitioner with a DEA registration in force");
        assert!(!place.may_sign().await);
        // A reason and a day are asked for, and the holder can't enter it.
        let registration = place.registration(&mut office).await;
        for (verified, reason, field) in [
            ("2026-05-25", "", "grant_reason"),
            ("2026-13-01", "x", "verified"),
            ("2026-05-26", "x", "verified"),
            ("2026-01-01", "x", "verified"),
        ] {
            let fields = [("registration", registration.as_str()), ("verified", verified), ("grant_reason", reason)];
            let page = office.post(&format!("{}/grant", place.person()), &fields).await;
            assert_eq!(page.status, 422);
            assert!(page.field_error(field).is_some(), "{field} {}", page.words());
        }
        let holder = place.app.person.clone();
        place.app.give_roles(&holder, &[Role::Designated]).await;
        let (_, second) = place.app.another_token(&holder, "Second phone").await;
        let mut own = place.app.signed_in_as(&holder).await;
        let fields = [("registration", registration.as_str()), ("verified", "2026-05-25"), ("grant_reason", "me")];
        let page = own.post(&format!("{}/grant", place.person()), &fields).await;
        page.says(422, "You can't grant a permission to yourself");
        let code = second.code(place.app.now());
        let page = own.get(&request).await;
        page.says(200, "You can't grant a permission to yourself");
        let fields = [("shown", ""), ("passphrase", PASSPHRASE), ("stepup_token", "any"), ("stepup_passcode", code.as_str())];
        own.post(&request, &fields).await.says(422, "You can't grant a permission to yourself");
        // The doctor turns it down; then nobody executes it.
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let reject = format!("{request}/reject");
        let page = doctor.post(&reject, &[("reject_reason", " ")]).await;
        assert!(page.field_error("reject_reason").is_some());
        place.app.confirm(&mut doctor, &place.doctor, &reject, &[("reject_reason", "Not now")]).await
            .leads_to(&format!("{}?done=rejected", place.base));
        let page = place.execute(&mut doctor, &place.doctor, &request).await;
        page.says(422, "no longer open");
    }

    /// A change that waits for a second person is not entered a second time, by whomever and for whatever reason; once it
    /// is withdrawn or overtaken it can be. What still takes something away is never refused for that.
    async fn the_same_change_waits_only_once(app: TestApp) {
        const WAITS: &str = "The same change is already waiting for approval";
        let place = Place::of(app).await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let here = place.person();
        // A registration that lasts longer.
        let dea = format!("{here}/dea");
        let longer = |last: &'static str| [
            ("dea", "BM0000000"), ("dea_state", "NE"), ("schedules", "2 2N 3 3N 4 5"), ("dea_expires", last), ("dea_reason", "Renewed"),
        ];
        let entered = format!("{}?done=entered", place.base);
        place.app.confirm(&mut office, &place.office, &dea, &longer("2029-05-31")).await.leads_to(&entered);
        place.app.confirm(&mut office, &place.office, &dea, &longer("2029-05-31")).await.says(422, WAITS);
        place.app.confirm(&mut doctor, &place.doctor, &dea, &longer("2029-05-31")).await.says(422, WAITS);
        place.app.confirm(&mut office, &place.office, &dea, &longer("2029-04-30")).await.leads_to(&entered);
        // A license, however its number is written.
        let license = |number: &'static str| [
            ("licence_state", "NE"), ("licence", number), ("licence_expires", "2028-05-31"), ("licence_reason", "New"),
        ];
        let licence = format!("{here}/licence");
        let first = place.app.confirm(&mut office, &place.office, &licence, &license("MD-7771")).await;
        if first.location() == entered {
            for same in ["md-7771", "MD 7771", "MD7771"] {
                place.app.confirm(&mut office, &place.office, &licence, &license(same)).await.says(422, WAITS);
            }
        } else {
            panic!("{} {}", first.status, first.words());
        }
        // A role.
        let role = |unit: &'static str, reason: &'static str| [
            ("role", "proofing"), ("give", "yes"), ("unit", unit), ("role_reason", reason),
        ];
        place.enter(&mut office, "role", &role("Front", "helps")).await;
        office.post(&format!("{here}/role"), &role("Front", "still helps")).await.says(422, WAITS);
        office.post(&format!("{here}/role"), &role("front", "helps")).await.says(422, WAITS);
        doctor.post(&format!("{here}/role"), &role("Front", "helps")).await.says(422, WAITS);
        place.enter(&mut office, "role", &role("Back", "helps")).await;
        // A grant, whatever day is given.
        place.report_lost().await;
        let registration = place.registration(&mut office).await;
        let first = place.grant(&mut office).await;
        let told = place.notices("request_waiting").await.len();
        let waiting = place.all_waiting(&mut office).await.len();
        let grant = [("registration", registration.as_str()), ("verified", "2026-05-24"), ("grant_reason", "Once more")];
        for by in [&mut office, &mut doctor] {
            by.post(&format!("{here}/grant"), &grant).await.says(422, WAITS);
        }
        assert_eq!(place.all_waiting(&mut office).await.len(), waiting);
        assert_eq!(place.notices("request_waiting").await.len(), told, "nobody is told again");
        assert!(place.app.events().await.contains(&"request_entered refused waits_already".to_owned()));
        // Withdrawn, it can be entered again.
        office.post(&format!("{first}/withdraw"), &[]).await.leads_to(&format!("{}?done=withdrawn", place.base));
        let second = place.grant(&mut office).await;
        // A report closes the grant that waits; the same report has nothing more to take, until another grant waits.
        let left = [("revoked", registration.as_str()), ("cause", "left"), ("revoke_reason", "Gone")];
        place.enter(&mut office, "revoke", &left).await;
        doctor.get(&second).await.says(200, "Superseded");
        doctor.post(&format!("{here}/revoke"), &left).await.says(422, WAITS);
        place.app.clock.advance(1);
        let third = place.grant(&mut office).await;
        place.enter(&mut doctor, "revoke", &left).await;
        doctor.get(&third).await.says(200, "Superseded");
    }

    /// Two people who enter one change at the same moment: one of them is told that it waits.
    async fn race_of_two_people_to_enter_one_change(app: TestApp) {
        let place = Place::of(app).await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let path = format!("{}/role", place.person());
        for round in 0..5 {
            let unit = format!("Unit {round}");
            let fields = [("role", "proofing"), ("give", "yes"), ("unit", unit.as_str()), ("role_reason", "helps")];
            let (one, other) = tokio::join!(office.post(&path, &fields), doctor.post(&path, &fields));
            let mut answers = [one.status, other.status];
            answers.sort_unstable();
            assert_eq!(answers, [303, 422], "{} {}", one.words(), other.words());
        }
        assert_eq!(place.all_waiting(&mut office).await.len(), 5);
    }

    /// One credential, a permission for each DEA number: one taken leaves the other.
    /// Shows: A12, R-1311.135-b
    async fn each_dea_number_has_its_own_permission(app: TestApp) {
        let place = Place::of(app).await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let first = place.registration(&mut office).await;
        let second = countersign_testkit::dea(900).as_text();
        let fields = [("dea", second.as_str()), ("dea_state", "NE"), ("schedules", "4 5"), ("dea_expires", "2029-05-31"), ("dea_reason", "A second one")];
        place.app.confirm(&mut office, &place.office, &format!("{}/dea", place.person()), &fields).await
            .leads_to(&format!("{}?done=saved", place.person()));
        let page = office.get(&place.person()).await;
        page.says(200, "May not sign");
        let choices = page.field("registration").options();
        let (other, _) = choices.into_iter().find(|(id, _)| *id != first).unwrap();
        let fields = [("registration", other.as_str()), ("verified", "2026-05-25"), ("grant_reason", "Second number")];
        let request = place.enter(&mut office, "grant", &fields).await;
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &request).await.leads_to(&format!("{}?done=executed", place.base));
        let fields = [("revoked", first.as_str()), ("cause", "withdrawn"), ("revoke_reason", "Returned")];
        place.enter(&mut office, "revoke", &fields).await;
        place.app.clock.advance(30);
        assert!(place.may_sign().await, "under the other number");
        let page = office.get(&place.person()).await;
        page.says(200, "Suspended: registration or license withdrawn");
        let fields = [("revoked", other.as_str()), ("cause", "withdrawn"), ("revoke_reason", "Returned too")];
        place.enter(&mut office, "revoke", &fields).await;
        place.app.clock.advance(30);
        assert!(!place.may_sign().await);
    }
}
