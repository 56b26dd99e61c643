//! Accounts of one person, and administrators.

use countersign_domain::PersonId;
use countersign_store::Profile;
use countersign_testkit::{Browser, both};

use crate::access::Place;

both! {
    /// One person with two accounts is not two, whatever the order of the addresses, now or until a while ago; and
    /// whoever has confirmed no address is nobody.
    /// Shows: R-1311.125-c1, R-1311.120-b4
    async fn two_accounts_of_one_person_are_one(app: TestApp) {
        let place = Place::of(app).await;
        place.report_lost().await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let request = place.grant(&mut office).await;
        let profile = async |id: PersonId, emails: &'static [&'static str], phone: &'static str, confirmed: bool| {
            let now = place.app.now();
            place.app.store.write("test_profile", move |tx| {
                let person = tx.person(id)?.unwrap();
                let profile = Profile {
                    emails: emails.iter().map(|it| (*it).to_owned()).collect(),
                    phone: phone.to_owned(),
                    phone_confirmed: confirmed.then_some(now.micros()),
                    ..Profile::default()
                };
                tx.save_profile(&person, &profile, now)
            }).await.unwrap();
        };
        let (one, two) = (place.office.id, place.doctor.id);
        let try_it = async |doctor: &mut Browser| {
            place.app.clock.advance(30);
            place.execute(doctor, &place.doctor, &request).await
        };
        // The second address of one is the first of the other, in other letters.
        profile(one, &["office@lakeside.example", "ruth.amari@home.example"], "+14025550701", true).await;
        profile(two, &["RuthAmari+x@Home.Example", "doctor@lakeside.example"], "+14025550702", true).await;
        try_it(&mut doctor).await.says(422, "share an address");
        // Given up a moment ago, it still tells; after a year it does no more.
        profile(two, &["doctor@lakeside.example"], "+14025550702", true).await;
        try_it(&mut doctor).await.says(422, "share an address");
        let forget = async || {
            let now = place.app.now().plus_seconds(366 * 86_400);
            place.app.store.write("test_forget", move |tx| tx.purge(now).map(drop)).await.unwrap();
        };
        forget().await;
        doctor.get(&request).await.says(200, "approve exactly what is shown above");
        // One telephone.
        profile(two, &["doctor@lakeside.example"], "+14025550701", true).await;
        try_it(&mut doctor).await.says(422, "share an address");
        // Another person, of whom no code has come back.
        profile(two, &["doctor@lakeside.example"], "+14025550702", false).await;
        forget().await;
        try_it(&mut doctor).await.says(422, "confirm your phone or mailing address");
        profile(two, &["doctor@lakeside.example"], "+14025550702", true).await;
        try_it(&mut doctor).await.leads_to(&format!("{}?done=executed", place.base));
    }

    /// Whoever opens records and letters is named by two people, also by way of an invitation.
    async fn an_administrator_takes_two_people(app: TestApp) {
        let place = Place::of(app).await;
        let mut office = place.app.signed_in_as(&place.office).await;
        let mut doctor = place.app.signed_in_as(&place.doctor).await;
        let fields = [
            ("role", "administrator"), ("given", "Mona"), ("family", "Reyes"), ("email", "mona@x.example"),
            ("phone", "402 555 0177"),
        ];
        place.app.clock.advance(1);
        office.post(&format!("{}/invite", place.base), &fields).await.leads_to(&format!("{}?done=invited", place.base));
        let name = "mona@x.example".parse().unwrap();
        let mona = place.app.store.read("test_mona", move |tx| tx.person_by_name(&name)).await.unwrap().unwrap().id;
        let roles = async || place.app.store.read("test_roles", move |tx| tx.roles_of(mona)).await.unwrap().len();
        assert_eq!(roles().await, 0);
        let request = place.waiting(&mut doctor).await;
        doctor.get(&request).await.says(200, "Mona Reyes: assign the role");
        place.execute(&mut office, &place.office, &request).await.says(422, "Another person must do this");
        place.app.clock.advance(30);
        place.execute(&mut doctor, &place.doctor, &request).await.leads_to(&format!("{}?done=executed", place.base));
        assert_eq!(roles().await, 1);
    }
}
