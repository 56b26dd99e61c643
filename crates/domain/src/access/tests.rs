//! Tests of `access`.

mod second_person;

use super::*;
use crate::{PracticeId, RequestId, Role, Timestamp};
use countersign_crypto::SystemRng;
use proptest::prelude::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

fn somebody(registrant: bool) -> Acting {
    Acting {
        person: PersonId::new(at(0), &mut SystemRng).unwrap(),
        marks: Marks::default(),
        confirmed: true,
        registrant,
        designated: true,
    }
}

fn subject(person: &Acting) -> Subject {
    Subject {
        person: person.clone(),
        dea: "AB1234563".parse().unwrap(),
        registration: "NE, schedules 2 3, last day 2028-05-31".to_owned(),
        in_force: true,
        location: PracticeId::new(at(0), &mut SystemRng).unwrap(),
    }
}

fn matter(person: &Acting, change: Change) -> Matter {
    Matter::Permission { subject: subject(person), change }
}

const VERIFIED: fn() -> Change = || Change::Grant { verified: "2027-01-10".parse().ok() };

fn entered(by: &Acting, about: &Acting, change: Change) -> Request {
    let id = RequestId::new(at(0), &mut SystemRng).unwrap();
    enter(id, matter(about, change), "joined us", by.clone(), at(0)).unwrap()
}

fn change_to(request: &mut Request, to: Change) {
    if let Matter::Permission { change, .. } = &mut request.matter {
        *change = to;
    }
}

fn granted() -> Permission {
    Permission::Granted { since: at(0), self_executed: false }
}

/// Executes with what was shown.
fn execute(
    request: &mut Request,
    permission: &mut Permission,
    by: &Acting,
) -> Result<(), AccessRefusal> {
    let confirmed = Confirmed(request.digest());
    request.execute(permission, by, confirmed, Setting::Practitioners, false, at(60))
}

/// Shows: R-1311.125-c1, R-1311.125-c2, R-1311.120-b4
#[test]
fn one_enters_and_a_registrant_executes() {
    let (office, doctor, new) = (somebody(false), somebody(true), somebody(true));
    let mut permission = Permission::None;
    let mut request = entered(&office, &new, VERIFIED());
    assert!(!permission.allows(), "entered is not granted");
    let clerk = somebody(false);
    let refused = execute(&mut request, &mut permission, &clerk);
    assert_eq!(refused, Err(AccessRefusal::NotRegistrant));
    assert!(!permission.allows());
    execute(&mut request, &mut permission, &doctor).unwrap();
    assert_eq!(permission, Permission::Granted { since: at(60), self_executed: false });
    // It is executed once.
    let again = execute(&mut request, &mut permission, &doctor);
    assert_eq!(again, Err(AccessRefusal::NotOpen));
}

/// Shows: R-1311.125-a, R-1311.125-b, R-1311.120-b2ii
#[test]
fn entering_takes_a_designated_person_a_reason_and_a_verification() {
    let (office, doctor) = (somebody(false), somebody(true));
    let id = RequestId::new(at(0), &mut SystemRng).unwrap();
    let enter = |change, reason: &str, by: &Acting| {
        enter(id, matter(&doctor, change), reason, by.clone(), at(0)).map(drop)
    };
    let outsider = Acting { designated: false, ..somebody(true) };
    assert_eq!(enter(VERIFIED(), "x", &outsider), Err(AccessRefusal::NotDesignated));
    assert_eq!(enter(VERIFIED(), "  ", &office), Err(AccessRefusal::NoReason));
    let unverified = Change::Grant { verified: None };
    assert_eq!(enter(unverified, "x", &office), Err(AccessRefusal::NotVerified));
    assert_eq!(enter(Change::Revoke(Cause::Left), "x", &doctor), Ok(()), "oneself may leave");
    let (mut permission, mut request) = (Permission::None, entered(&office, &doctor, VERIFIED()));
    let refused = execute(&mut request, &mut permission, &outsider);
    assert_eq!(refused, Err(AccessRefusal::NotDesignated));
}

/// Shows: R-1311.125-d, R-1311.125-d1, R-1311.125-d2, R-1311.125-d3, A7, A8
#[test]
fn taking_away_works_at_once_and_giving_back_takes_two() {
    let (office, doctor, holder) = (somebody(false), somebody(true), somebody(true));
    for cause in Cause::ALL {
        let mut permission = granted();
        revoke_now(&mut permission, cause, at(10));
        assert!(!permission.allows(), "one report is enough");
        let first = Permission::Revoked { cause, since: at(10), review: Review::Waiting };
        assert_eq!(permission, first);
        // A second cause does not hide the first.
        revoke_now(&mut permission, Cause::Left, at(20));
        assert_eq!(permission, first);
        // Who reported it can't give it back; another confirms the record.
        let mut request = entered(&office, &holder, Change::Revoke(cause));
        request.entered = at(10);
        execute(&mut request, &mut permission, &doctor).unwrap();
        let review = Review::Confirmed;
        assert_eq!(permission, Permission::Revoked { cause, since: at(10), review });
        let mut grant = entered(&office, &holder, VERIFIED());
        grant.entered = at(11);
        assert!(!permission.allows());
        execute(&mut grant, &mut permission, &doctor).unwrap();
        assert!(permission.allows());
    }
}

#[test]
fn what_is_confirmed_is_what_was_shown() {
    let (office, doctor, holder) = (somebody(false), somebody(true), somebody(true));
    let (mut permission, mut request) = (Permission::None, entered(&office, &holder, VERIFIED()));
    let shown = Confirmed(request.digest());
    let mut other = subject(&holder);
    other.dea = "FB1234563".parse().unwrap();
    request.matter = Matter::Permission { subject: other, change: VERIFIED() };
    let refused =
        request.execute(&mut permission, &doctor, shown, Setting::Practitioners, false, at(1));
    assert_eq!(refused, Err(AccessRefusal::Changed));
    assert!(!permission.allows() && request.is_open(at(1)));
    // Every part counts.
    let base = entered(&office, &holder, VERIFIED());
    let changes: [fn(&mut Request); 6] = [
        |r| {
            if let Matter::Permission { subject, .. } = &mut r.matter {
                subject.registration.push('N');
            }
        },
        |r| r.reason.push('.'),
        |r| change_to(r, Change::Grant { verified: "2027-01-11".parse().ok() }),
        |r| change_to(r, Change::Revoke(Cause::Left)),
        |r| r.entered = r.entered.plus_seconds(1),
        |r| r.entered_by = somebody(false),
    ];
    for change in changes {
        let mut other = base.clone();
        change(&mut other);
        assert_ne!(other.digest(), base.digest());
    }
}

#[test]
fn requests_end() {
    let (office, doctor, holder) = (somebody(false), somebody(true), somebody(true));
    let mut request = entered(&office, &holder, VERIFIED());
    let end = REQUEST_DAYS * 86_400;
    assert!(request.is_open(at(end - 1)) && !request.is_open(at(end)));
    let confirmed = Confirmed(request.digest());
    let mut permission = Permission::None;
    let setting = Setting::Practitioners;
    let late = request.execute(&mut permission, &doctor, confirmed, setting, false, at(end));
    assert_eq!(late, Err(AccessRefusal::NotOpen));
    let unsaid = request.reject(&mut permission, &doctor, " ", at(60));
    assert_eq!(unsaid, Err(AccessRefusal::NoReason));
    request.reject(&mut permission, &doctor, "not now", at(60)).unwrap();
    let refused = execute(&mut request, &mut permission, &doctor);
    assert_eq!(refused, Err(AccessRefusal::NotOpen));
    // Nothing to give or to take.
    let mut grant = entered(&office, &holder, VERIFIED());
    let refused = execute(&mut grant, &mut granted(), &doctor);
    assert_eq!(refused, Err(AccessRefusal::NoChange));
    let mut revoke = entered(&office, &holder, Change::Revoke(Cause::Left));
    let refused = execute(&mut revoke, &mut Permission::None, &doctor);
    assert_eq!(refused, Err(AccessRefusal::NoChange));
}

/// Shows: A5
#[test]
fn roles_and_providers_take_two_as_well() {
    let (office, clerk, doctor) = (somebody(false), somebody(false), somebody(true));
    let practice = PracticeId::new(at(0), &mut SystemRng).unwrap();
    let role = |person: &Acting, give| Matter::Role {
        person: person.clone(),
        practice,
        role: Role::Designated,
        unit: String::new(),
        give,
    };
    let provider = Matter::Provider {
        practice,
        issuer: "https://csp.example".to_owned(),
        accepted: "ial2".to_owned(),
        give: true,
    };
    let ask = |matter: Matter| {
        let id = RequestId::new(at(0), &mut SystemRng).unwrap();
        enter(id, matter, "as agreed", office.clone(), at(0))
    };
    assert_eq!(ask(role(&office, true)).unwrap_err(), AccessRefusal::OwnPermission);
    for matter in [role(&clerk, true), role(&clerk, false), provider] {
        let mut request = ask(matter).unwrap();
        let shown = Confirmed(request.digest());
        let by = |request: &mut Request, by: &Acting, shown| {
            request.carry_out(by, shown, Setting::Practitioners, at(1))
        };
        assert_eq!(by(&mut request, &office, shown), Err(AccessRefusal::SamePerson));
        let stranger = Acting { designated: false, ..somebody(true) };
        assert_eq!(by(&mut request, &stranger, shown), Err(AccessRefusal::NotDesignated));
        let colleague = somebody(false);
        assert_eq!(by(&mut request, &colleague, shown), Err(AccessRefusal::NotRegistrant));
        let stale = Confirmed([0; 32]);
        assert_eq!(by(&mut request, &doctor, stale), Err(AccessRefusal::Changed));
        by(&mut request, &doctor, shown).unwrap();
        assert_eq!(by(&mut request, &doctor, shown), Err(AccessRefusal::NotOpen));
    }
    // A permission is executed with its permission at hand, and nothing else is.
    let mut request = entered(&office, &clerk, VERIFIED());
    let shown = Confirmed(request.digest());
    let refused = request.carry_out(&doctor, shown, Setting::Practitioners, at(1));
    assert_eq!(refused, Err(AccessRefusal::NoChange));
    let mut request = ask(role(&doctor, true)).unwrap();
    let shown = Confirmed(request.digest());
    let own = request.carry_out(&doctor, shown, Setting::Practitioners, at(1));
    assert_eq!(own, Err(AccessRefusal::OwnPermission), "nor by the second person");
}

/// Shows: R-1311.125-d1
#[test]
fn a_newer_decision_is_not_undone_by_an_older_one() {
    let (office, doctor, holder) = (somebody(false), somebody(true), somebody(true));
    let entered_at = |change, when| {
        let mut request = entered(&office, &holder, change);
        request.entered = at(when);
        request
    };
    let cause = Cause::FactorLost;
    // A loss, a new grant, and only then the confirmation of the loss: the record alone.
    let mut permission = granted();
    revoke_now(&mut permission, cause, at(10));
    let mut loss = entered_at(Change::Revoke(cause), 10);
    execute(&mut entered_at(VERIFIED(), 20), &mut permission, &doctor).unwrap();
    let newer = permission;
    execute(&mut loss, &mut permission, &doctor).unwrap();
    assert_eq!(permission, newer);
    assert!(permission.allows() && matches!(loss.state, RequestState::Executed { .. }));
    // A second loss is not confirmed by what was entered for the first.
    let mut first = entered_at(Change::Revoke(cause), 10);
    revoke_now(&mut permission, Cause::Left, at(70));
    execute(&mut first, &mut permission, &doctor).unwrap();
    let (cause, since, review) = (Cause::Left, at(70), Review::Waiting);
    assert_eq!(permission, Permission::Revoked { cause, since, review });
    // A grant from before the loss gives nothing back.
    let mut old = entered_at(VERIFIED(), 30);
    let refused = execute(&mut old, &mut permission, &doctor);
    assert_eq!(refused, Err(AccessRefusal::Overtaken));
    assert!(!permission.allows());
    // Nor does anything whose matter was changed meanwhile, or a registration that is not in force.
    let mut changed = entered_at(VERIFIED(), 80);
    changed.overtaken = true;
    let refused = execute(&mut changed, &mut permission, &doctor);
    assert_eq!(refused, Err(AccessRefusal::Overtaken));
    let mut expired = entered_at(VERIFIED(), 80);
    if let Matter::Permission { subject, .. } = &mut expired.matter {
        subject.in_force = false;
    }
    let refused = execute(&mut expired, &mut permission, &doctor);
    assert_eq!(refused, Err(AccessRefusal::NotInForce));
    // Two reports of one loss: each record is confirmed, and nothing hangs.
    let mut again = entered_at(Change::Revoke(Cause::Left), 75);
    let mut twice = entered_at(Change::Revoke(Cause::Left), 76);
    execute(&mut again, &mut permission, &doctor).unwrap();
    execute(&mut twice, &mut permission, &doctor).unwrap();
    assert_eq!(permission, Permission::Revoked { cause, since, review: Review::Confirmed });
}

/// Shows: A8
#[test]
fn a_report_that_was_a_mistake_gives_nothing_back() {
    let (office, doctor, holder) = (somebody(false), somebody(true), somebody(true));
    let cause = Cause::FactorLost;
    let mut permission = granted();
    revoke_now(&mut permission, cause, at(10));
    let mut request = entered(&office, &holder, Change::Revoke(cause));
    request.entered = at(10);
    // It waits as long as it takes, and whoever it is about does not decide on it.
    assert!(request.is_open(at(400 * 86_400)));
    let own = request.reject(&mut permission, &holder, "found it", at(20));
    assert_eq!(own, Err(AccessRefusal::OwnReport));
    assert_eq!(request.withdraw(&office, at(20)), Err(AccessRefusal::WorksAlready));
    request.reject(&mut permission, &doctor, "it was in the other coat", at(20)).unwrap();
    let review = Review::Mistaken;
    assert_eq!(permission, Permission::Revoked { cause, since: at(10), review });
    // What was entered and does nothing yet is withdrawn by who entered it, and by nobody else.
    let mut grant = entered(&office, &holder, VERIFIED());
    assert_eq!(grant.withdraw(&doctor, at(30)), Err(AccessRefusal::NotYours));
    grant.withdraw(&office, at(30)).unwrap();
    assert_eq!(grant.withdraw(&office, at(31)), Err(AccessRefusal::NotOpen));
    let refused = execute(&mut grant, &mut permission, &doctor);
    assert_eq!(refused, Err(AccessRefusal::NotOpen));
}

proptest! {
    /// Whatever a group of people tries, nobody gets a permission without two different people, a
    /// registrant among them who is not the holder.
    #[test]
    fn no_sequence_grants_without_two(acts in prop::collection::vec((0usize..4, 0u8..4, any::<bool>()), 1..40)) {
        let mut people = [somebody(false), somebody(true), somebody(false), somebody(true)];
        // The last two accounts are one person.
        people[2].marks.npi("1234567893".parse().unwrap());
        people[3].marks.npi("1234567893".parse().unwrap());
        let holder = people[1].clone();
        let (mut permission, mut request) = (Permission::None, None::<Request>);
        for (who, act, stale) in acts {
            let by = &people[who];
            match act {
                0 => {
                    let id = RequestId::new(at(0), &mut SystemRng).unwrap();
                    if let Ok(made) = enter(id, matter(&holder, VERIFIED()), "x", by.clone(), at(0)) {
                        request = Some(made);
                    }
                }
                1 => revoke_now(&mut permission, Cause::FactorLost, at(5)),
                2 => if let Some(request) = &mut request {
                    let _ = request.reject(&mut permission, by, "x", at(5));
                },
                _ => if let Some(request) = &mut request {
                    let before = permission;
                    let digest = if stale { [0; 32] } else { request.digest() };
                    let done = request.execute(
                        &mut permission, by, Confirmed(digest), Setting::Practitioners, false, at(5),
                    );
                    if done.is_ok() && !before.allows() {
                        prop_assert!(!by.is(&request.entered_by) && !by.is(&holder));
                        prop_assert!(by.registrant && !stale);
                    } else if done.is_err() {
                        prop_assert_eq!(permission, before);
                    }
                },
            }
        }
    }
}
