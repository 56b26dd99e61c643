//! The order of decisions, reports made by mistake, and entries that are withdrawn.

use countersign_domain::{Role, access::Permission};
use countersign_testkit::both;

use crate::access::Place;

both! {
    /// After a loss, a new grant; then the older suspension is confirmed: the record alone. And what was entered
    /// before a loss gives nothing back.
    /// Shows: R-1311.125-d1, A7, A8
    async fn an_older_decision_undoes_no_newer_one(app: TestApp) {
        let place = Place::of(app).await;
        let (_, second) = place.app.another_token(&place.app.person, "Second phone").await;
        let api = place.app.api().await;
        let may = async || {
            place.app.clock.advance(30);
            api.check(second.credential.as_str(), &second.code(place.app.now())).await.verified()
        };
        place.report_lost().await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let grant = place.grant(&mut office).await;
        let waiting = place.all_waiting(&mut doctor).await;
        assert_eq!(waiting.last(), Some(&grant), "the suspension stands above the grant");
        let suspension = waiting[0].clone();
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &grant).await.leads_to(&format!("{}?done=executed", place.base));
        assert!(may().await);
        place.execute(&mut doctor, &place.doctor, &suspension).await.leads_to(&format!("{}?done=confirmed", place.base));
        assert!(may().await, "the newer grant stands");
        let said = place.app.events().await;
        assert!(said.contains(&"request_executed success record_only".to_owned()), "{said:?}");
        // A grant that waits is closed by a loss that comes after it.
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let registration = place.registration(&mut office).await;
        let fields = [("revoked", registration.as_str()), ("cause", "non_compliant"), ("revoke_reason", "Audit")];
        place.enter(&mut office, "revoke", &fields).await;
        let old = place.grant(&mut office).await;
        place.app.clock.advance(1);
        let fields = [("revoked", registration.as_str()), ("cause", "left"), ("revoke_reason", "Gone")];
        place.enter(&mut office, "revoke", &fields).await;
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &old).await.says(422, "no longer open");
        assert!(!may().await);
        doctor.get(&old).await.says(200, "Superseded");
        // The same with a role: given and taken since, the older giving is over.
        let fields = [("role", "proofing"), ("give", "yes"), ("unit", "Front"), ("role_reason", "x")];
        let given = place.enter(&mut office, "role", &fields).await;
        doctor.get(&given).await.says(200, "approve exactly what is shown above");
        let (id, practice, now) = (place.app.person.id, place.app.practice, place.app.now());
        place.app.store.write("test_given", move |tx| {
            tx.give_role(id, practice, Role::Proofing, "Front", now.plus_seconds(1))?;
            tx.end_role(id, practice, Role::Proofing, now.plus_seconds(2)).map(drop)
        }).await.unwrap();
        doctor.get(&given).await.says(200, "A newer decision was made");
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &given).await.says(422, "A newer decision was made");
    }

    /// "The report was a mistake": a reason, a passcode, what is due is settled, and signing takes two again. Whoever
    /// entered a change withdraws it.
    /// Shows: A8, R-1311.102-b, R-1311.120-b23ii, R-1311.150-a4, R-1311.150-c1
    async fn a_report_can_be_a_mistake_and_an_entry_withdrawn(app: TestApp) {
        let place = Place::of(app).await;
        let (_, second) = place.app.another_token(&place.app.person, "Second phone").await;
        let api = place.app.api().await;
        let may = async || {
            place.app.clock.advance(30);
            api.check(second.credential.as_str(), &second.code(place.app.now())).await.verified()
        };
        place.report_lost().await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let report = place.waiting(&mut doctor).await;
        doctor.get(&report).await.says(200, "The report was a mistake");
        let reason = [("reject_reason", "It was in the other coat")];
        place.app.confirm(&mut doctor, &place.doctor, &format!("{report}/reject"), &reason).await
            .leads_to(&format!("{}?done=mistaken", place.base));
        assert!(!may().await, "it gives nothing back");
        doctor.get(&place.person()).await.says(200, "Suspended. Report not confirmed: two people must grant it again");
        doctor.get(&format!("{}/due", place.base)).await.says(200, "It was in the other coat");
        let practice = place.app.practice;
        let due = place.app.store.read("test_due", move |tx| tx.deadlines(practice, 9)).await.unwrap();
        assert!(due.iter().all(|it| it.done.is_some()));
        let said = place.app.events().await;
        for line in ["request_rejected success -", "permission_changed success report_mistaken", "deadline_done success -"] {
            assert!(said.iter().any(|event| event == line), "{line}: {said:?}");
        }
        // Entered and withdrawn by who entered it, and by nobody else.
        let mut office = place.app.signed_in_as(&place.office).await;
        let first = place.grant(&mut office).await;
        doctor.post(&format!("{first}/withdraw"), &[]).await.says(422, "Only the person who requested it");
        office.get(&first).await.says(200, "Withdraw");
        office.post(&format!("{first}/withdraw"), &[]).await.leads_to(&format!("{}?done=withdrawn", place.base));
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &first).await.says(422, "no longer open");
        assert!(place.app.events().await.contains(&"request_withdrawn success -".to_owned()));
        let again = place.grant(&mut office).await;
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &again).await.leads_to(&format!("{}?done=executed", place.base));
        assert!(may().await);
        // What works already is not withdrawn.
        let registration = place.registration(&mut office).await;
        let fields = [("revoked", registration.as_str()), ("cause", "left"), ("revoke_reason", "Gone")];
        let taken = place.enter(&mut office, "revoke", &fields).await;
        office.post(&format!("{taken}/withdraw"), &[]).await.says(422, "already in effect");
        let id = place.app.person.id;
        let stands = place.app.store.read("test_permission", move |tx| tx.permissions_of(id)).await.unwrap();
        assert!(stands.iter().all(|(_, row)| matches!(row.permission, Permission::Revoked { .. })));
    }
}
