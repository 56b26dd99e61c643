//! Tests of who may be the second person.

use super::*;

/// Shows: R-1311.125-c1, R-1311.120-b4
#[test]
fn nobody_approves_what_they_entered_not_even_by_another_account() {
    let new = somebody(true);
    let mut office = somebody(true);
    office.marks.npi("1234567893".parse().unwrap());
    office.marks.email("ruth@clinic.example");
    office.marks.email("ruth.okafor@home.example");
    office.marks.phone("+14025550101");
    let mut by_npi = somebody(true);
    by_npi.marks.npi("1234567893".parse().unwrap());
    // The second address of one is the first of the other.
    let mut by_email = somebody(true);
    by_email.marks.email(" RuthOkafor+2@HOME.example");
    by_email.marks.email("other@clinic.example");
    let mut by_phone = somebody(true);
    by_phone.marks.phone("+1 402 555 0101");
    for other in [office.clone(), by_npi, by_email, by_phone] {
        let (mut permission, mut request) = (Permission::None, entered(&office, &new, VERIFIED()));
        let refused = execute(&mut request, &mut permission, &other);
        assert_eq!(refused, Err(AccessRefusal::SamePerson));
        let rejected = request.reject(&mut permission, &other, "no", at(60));
        assert_eq!(rejected, Err(AccessRefusal::SamePerson));
        assert!(!permission.allows());
    }
    // Two without any address or number are not the same for that.
    assert!(!somebody(false).is(&somebody(false)));
}

/// Shows: A9
#[test]
fn the_own_grant_is_for_a_solo_practice_and_marked() {
    let (office, doctor) = (somebody(false), somebody(true));
    let refused = enter(
        RequestId::new(at(0), &mut SystemRng).unwrap(),
        matter(&doctor, VERIFIED()),
        "myself",
        doctor.clone(),
        at(0),
    );
    assert_eq!(refused.unwrap_err(), AccessRefusal::OwnPermission);
    let (mut permission, mut request) = (Permission::None, entered(&office, &doctor, VERIFIED()));
    let refused = execute(&mut request, &mut permission, &doctor);
    assert_eq!(refused, Err(AccessRefusal::OwnPermission));
    let confirmed = Confirmed(request.digest());
    let setting = Setting::Practitioners;
    request.execute(&mut permission, &doctor, confirmed, setting, true, at(60)).unwrap();
    assert_eq!(permission, Permission::Granted { since: at(60), self_executed: true });
}

/// Shows: R-1311.130-b2
#[test]
fn in_an_institution_the_second_person_needs_no_registration() {
    let (office, other, new) = (somebody(false), somebody(false), somebody(false));
    let (mut permission, mut request) = (Permission::None, entered(&office, &new, VERIFIED()));
    let confirmed = Confirmed(request.digest());
    let setting = Setting::Institution;
    request.execute(&mut permission, &other, confirmed, setting, false, at(1)).unwrap();
    assert!(permission.allows());
}

/// Shows: R-1311.120-b4
#[test]
fn nobody_unknown_is_a_second_person() {
    let (office, doctor, holder) = (somebody(false), somebody(true), somebody(true));
    let unknown = Acting { confirmed: false, ..doctor.clone() };
    let id = RequestId::new(at(0), &mut SystemRng).unwrap();
    let enter =
        |by: &Acting, change| enter(id, matter(&holder, change), "x", by.clone(), at(0)).map(drop);
    assert_eq!(enter(&unknown, VERIFIED()), Err(AccessRefusal::Unconfirmed));
    assert_eq!(enter(&unknown, Change::Revoke(Cause::Left)), Ok(()), "what protects does not wait");
    let (mut permission, mut request) = (Permission::None, entered(&office, &holder, VERIFIED()));
    let refused = execute(&mut request, &mut permission, &unknown);
    assert_eq!(refused, Err(AccessRefusal::Unconfirmed));
    request.entered_by.confirmed = false;
    let refused = execute(&mut request, &mut permission, &doctor);
    assert_eq!(refused, Err(AccessRefusal::Unconfirmed));
    assert!(!permission.allows());
}

/// Shows: R-1311.125-d2
#[test]
fn nobody_approves_their_own_registration() {
    let (office, doctor) = (somebody(false), somebody(true));
    let practice = PracticeId::new(at(0), &mut SystemRng).unwrap();
    let renewal = |person: Option<&Acting>| Matter::Paper {
        person: person.cloned(),
        practice,
        authority: None,
        before: "NE, last day 2027-05-31".to_owned(),
        after: "NE, last day 2030-05-31".to_owned(),
    };
    let ask = |matter: Matter, by: &Acting| {
        let id = RequestId::new(at(0), &mut SystemRng).unwrap();
        enter(id, matter, "renewed", by.clone(), at(0)).unwrap()
    };
    let run = |request: &mut Request, by: &Acting| {
        let shown = Confirmed(request.digest());
        request.carry_out(by, shown, Setting::Practitioners, at(1))
    };
    // The holder says that it was renewed, and somebody else approves, also without a registration.
    let mut own = ask(renewal(Some(&doctor)), &doctor);
    assert_eq!(run(&mut own, &doctor), Err(AccessRefusal::SamePerson));
    run(&mut own, &office).unwrap();
    let mut other = ask(renewal(Some(&doctor)), &office);
    assert_eq!(run(&mut other, &doctor), Err(AccessRefusal::OwnPaper));
    run(&mut ask(renewal(None), &office), &doctor).unwrap();
    let mut changed = ask(renewal(None), &office);
    let shown = Confirmed(changed.digest());
    if let Matter::Paper { after, .. } = &mut changed.matter {
        "NE, last day 2099-05-31".clone_into(after);
    }
    let refused = changed.carry_out(&doctor, shown, Setting::Practitioners, at(1));
    assert_eq!(refused, Err(AccessRefusal::Changed));
}
