//! Tests of who may sign: every reason alone, and every two together.

use super::*;
use crate::{DeaRegistration, Holder};

/// All facts, owned, so that a test can change one.
#[derive(Clone)]
struct World {
    installation: Installation,
    report: ReportFacts,
    address: bool,
    registered: Registered,
    licenses: Vec<(UsState, Standing)>,
    schedule: Schedule,
    code: Option<InternalCode>,
    permitted: bool,
    known: bool,
    token: TokenFacts,
}

impl World {
    fn clear() -> Self {
        let code: InternalCode = "A1".parse().unwrap();
        Self {
            installation: Installation::CLEAR,
            report: ReportFacts::Entered { holds: true, acknowledged: true, reviewed: true },
            address: true,
            registered: Registered {
                registration: DeaRegistration {
                    number: "AB1234563".parse().unwrap(),
                    state: "NE".parse().unwrap(),
                    schedules: "2,3".parse().unwrap(),
                    expires: "2030-01-01".parse().unwrap(),
                    withdrawn: None,
                },
                standing: Standing::Good,
                holder: Holder::Institution(Some(code.clone())),
            },
            licenses: vec![("NE".parse().unwrap(), Standing::Good)],
            schedule: Schedule::II,
            code: Some(code),
            permitted: true,
            known: true,
            token: TokenFacts { model: true, activated: true, permitted: true },
        }
    }

    fn hindrances(&self) -> Vec<SigningHindrance> {
        let number = if self.known {
            NumberFacts::Known {
                registered: &self.registered,
                licenses: &self.licenses,
                schedule: Some(self.schedule),
                code: self.code.as_ref(),
                permitted: self.permitted,
            }
        } else {
            NumberFacts::Unknown
        };
        hindrances(&SigningFacts {
            installation: self.installation,
            report: self.report,
            address: self.address,
            number,
            token: Some(self.token),
        })
    }

    fn report(&mut self) -> (&mut bool, &mut bool, &mut bool) {
        let ReportFacts::Entered { holds, acknowledged, reviewed } = &mut self.report else {
            panic!("changed twice")
        };
        (holds, acknowledged, reviewed)
    }
}

/// A reason, the fact it is about, and the change that brings it about. Two reasons about one fact can't be true
/// at the same time.
type Case = (SigningHindrance, &'static str, fn(&mut World));

const CASES: [Case; 21] = {
    use SigningHindrance as Why;
    [
        (Why::NoGateway, "gateway", |it| it.installation.gateway = false),
        (Why::Build, "build", |it| it.installation.build = false),
        (Why::Noncompliant, "notice", |it| it.installation.noncompliant = true),
        (Why::Clock, "clock", |it| it.installation.clock = false),
        (Why::ReportExpired, "report holds", |it| *it.report().0 = false),
        (Why::ReportNotAcknowledged, "report acknowledged", |it| *it.report().1 = false),
        (Why::ReportNotReviewed, "report reviewed", |it| *it.report().2 = false),
        (Why::NoAddress, "address", |it| it.address = false),
        (Why::RegistrationExpired, "registration", |it| {
            it.registered.standing = Standing::Expired;
        }),
        (Why::RegistrationWithdrawn, "registration", |it| {
            it.registered.standing = Standing::Withdrawn;
        }),
        (Why::NoLicense, "license", |it| it.licenses.clear()),
        (Why::LicenseExpired, "license", |it| {
            it.licenses = vec![("NE".parse().unwrap(), Standing::Expired)];
        }),
        (Why::LicenseWithdrawn, "license", |it| {
            it.licenses = vec![("NE".parse().unwrap(), Standing::Withdrawn)];
        }),
        (Why::NoInternalCode, "code", |it| it.registered.holder = Holder::Institution(None)),
        (Why::Schedule, "schedule", |it| it.schedule = Schedule::V),
        (Why::InternalCodeChanged, "code", |it| it.code = Some("B2".parse().unwrap())),
        (Why::NotPermitted, "permission", |it| it.permitted = false),
        (Why::TokenModel, "token model", |it| it.token.model = false),
        (Why::TokenNotActivated, "token activation", |it| it.token.activated = false),
        (Why::TokenNotPermitted, "token permission", |it| it.token.permitted = false),
        // Alone only: it takes the place of other facts.
        (Why::NoReport, "report", |it| it.report = ReportFacts::Missing),
    ]
};

#[test]
fn every_reason_alone() {
    assert_eq!(World::clear().hindrances(), []);
    for (why, _, change) in CASES {
        let mut world = World::clear();
        change(&mut world);
        assert_eq!(world.hindrances(), [why]);
    }
    let unknown = World { known: false, ..World::clear() };
    assert_eq!(unknown.hindrances(), [SigningHindrance::NotPermitted]);
}

#[test]
fn every_two_reasons_in_one_order() {
    for (first, (one, fact, change)) in CASES.iter().enumerate() {
        for (two, other_fact, other_change) in &CASES[first + 1..] {
            if fact == other_fact || *two == SigningHindrance::NoReport {
                continue;
            }
            for order in [[change, other_change], [other_change, change]] {
                let mut world = World::clear();
                for change in order {
                    change(&mut world);
                }
                assert_eq!(world.hindrances(), [*one, *two]);
            }
        }
    }
}

#[test]
fn nothing_is_said_of_what_is_not_asked() {
    assert_eq!(hindrances(&SigningFacts::CLEAR), []);
}
