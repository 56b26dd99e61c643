//! Tests of `proofing`.

use super::*;
use countersign_crypto::SystemRng;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

fn today() -> Date {
    "2027-01-15".parse().unwrap()
}

type Spoil = fn(&mut InPerson);

fn somebody() -> Acting {
    Acting {
        person: PersonId::new(at(0), &mut SystemRng).unwrap(),
        marks: crate::marks::Marks::default(),
        confirmed: true,
        registrant: false,
        designated: false,
    }
}

fn case(evidence: Option<Evidence>) -> Case {
    Case {
        subject: somebody(),
        prescribes: true,
        evidence,
        near_match_accepted: None,
        address_confirmed: true,
        issue: None,
    }
}

fn provider(identity: Match) -> Evidence {
    Evidence::Provider { assurance: Assurance::Ial2, listed: true, identity }
}

fn seen(by: &Acting) -> InPerson {
    InPerson {
        by: by.clone(),
        unit: "Credentialing".to_owned(),
        photo_id: PhotoId {
            kind: "Passport".to_owned(),
            last_four: "4821".to_owned(),
            expires: "2030-01-01".parse().unwrap(),
        },
        licence: Standing::Good,
        registration: Some(Standing::ExpiresIn(20)),
        privileges: false,
        va_confirmed: None,
    }
}

/// Shows: R-1311.105-a1, R-1311.105-b, A4, A5
#[test]
fn an_individual_needs_a_listed_provider_that_vouches_enough() {
    let mut it = case(None);
    assert_eq!(missing(&it, today()), [Missing::Evidence, Missing::Issue]);
    let officer = somebody();
    let refused = it.authorize_issue(&officer, "Office", today());
    assert_eq!(refused, Err(CaseRefusal::NotComplete), "pending is not proofed");
    it.evidence = Some(Evidence::Provider {
        assurance: Assurance::Lower,
        listed: false,
        identity: Match::Same,
    });
    let wants = [Missing::ListedProvider, Missing::Assurance];
    assert_eq!(missing(&it, today()), wants);
    it.evidence = Some(provider(Match::Same));
    assert_eq!(missing(&it, today()), []);
    let list =
        Provider { issuer: "https://csp.example".to_owned(), accepted: ["ial2".to_owned()].into() };
    assert_eq!(list.assurance("ial2"), Assurance::Ial2);
    assert_eq!(list.assurance("ial1"), Assurance::Lower);
    assert!(Assurance::Ial3 > Assurance::Ial2);
}

#[test]
fn a_near_match_goes_to_a_person_and_another_person_never_matches() {
    let mut it = case(Some(provider(Match::Near(vec![Difference::Middle]))));
    let (officer, subject) = (somebody(), it.subject.clone());
    assert_eq!(missing(&it, today()), [Missing::NearMatch(vec![Difference::Middle])]);
    assert_eq!(it.accept_near_match(&subject, at(0)), Err(CaseRefusal::OwnCase));
    it.accept_near_match(&officer, at(0)).unwrap();
    assert_eq!(missing(&it, today()), []);
    let mut it = case(Some(provider(Match::Other)));
    let refused = it.accept_near_match(&officer, at(0));
    assert_eq!(refused, Err(CaseRefusal::NothingToDecide));
    assert_eq!(missing(&it, today()), [Missing::Identity]);
    assert!(it.authorize_issue(&officer, "Office", today()).is_err());
}

/// Shows: R-1311.110-a1, R-1311.110-a2, R-1311.110-a3, R-1311.110-a45
#[test]
fn in_person_every_point_is_looked_at() {
    let office = somebody();
    let changes: [(Spoil, Missing); 7] = [
        (|s| s.photo_id.kind.clear(), Missing::PhotoId),
        (|s| s.photo_id.last_four = "21".to_owned(), Missing::PhotoId),
        (|s| s.photo_id.expires = "2027-01-14".parse().unwrap(), Missing::PhotoId),
        (|s| s.licence = Standing::Expired, Missing::Licence),
        (|s| s.registration = None, Missing::Registration),
        (|s| s.registration = Some(Standing::Withdrawn), Missing::Registration),
        (|s| s.va_confirmed = Some(false), Missing::VaConfirmation),
    ];
    for (change, wants) in changes {
        let (mut it, mut what) = (case(None), seen(&office));
        change(&mut what);
        it.proof_in_person(what).unwrap();
        assert_eq!(missing(&it, today()), [wants, Missing::Issue]);
        let refused = it.authorize_issue(&somebody(), "Security", today());
        assert_eq!(refused, Err(CaseRefusal::NotComplete));
    }
    // An exempt practitioner has privileges instead of a registration.
    let mut exempt = seen(&office);
    (exempt.registration, exempt.privileges) = (None, true);
    exempt.va_confirmed = Some(true);
    let mut it = case(None);
    it.proof_in_person(exempt).unwrap();
    assert_eq!(missing(&it, today()), [Missing::Issue]);
}

/// Shows: R-1311.110-b
#[test]
fn another_hand_issues_than_the_one_that_proofed() {
    let office = somebody();
    let mut it = case(None);
    let subject = it.subject.clone();
    assert_eq!(it.proof_in_person(seen(&subject)), Err(CaseRefusal::OwnCase));
    it.proof_in_person(seen(&office)).unwrap();
    let issue = |it: &mut Case, by: &Acting, unit| it.authorize_issue(by, unit, today());
    assert_eq!(issue(&mut it, &office, "Security"), Err(CaseRefusal::SameHand));
    assert_eq!(issue(&mut it, &somebody(), " credentialing "), Err(CaseRefusal::SameHand));
    assert_eq!(issue(&mut it, &subject, "Security"), Err(CaseRefusal::OwnCase));
    issue(&mut it, &somebody(), "Security").unwrap();
    assert_eq!(missing(&it, today()), []);
    // New evidence needs a new authorization.
    it.proof_in_person(seen(&office)).unwrap();
    assert_eq!(missing(&it, today()), [Missing::Issue]);
}

/// Shows: R-1311.105-c
#[test]
fn two_pieces_over_two_channels() {
    let piece = |channel, used| Piece { channel, sent: at(0), used: at(used) };
    let portal = piece(Channel::Portal, 1);
    assert_eq!(may_activate(&[portal]), Err(ActivationRefusal::OnePiece));
    assert_eq!(may_activate(&[portal, portal]), Err(ActivationRefusal::OneChannel));
    let mail = piece(Channel::Email, 1);
    assert_eq!(may_activate(&[portal, mail]), Err(ActivationRefusal::ByEmail));
    for (channel, seconds) in [(Channel::Phone, 600), (Channel::Post, 10 * 86_400)] {
        assert_eq!(may_activate(&[portal, piece(channel, seconds - 1)]), Ok(()));
        let late = may_activate(&[portal, piece(channel, seconds)]);
        assert_eq!(late, Err(ActivationRefusal::RunOut));
    }
    let late = piece(Channel::Portal, 600);
    let refused = may_activate(&[piece(Channel::Post, 1), late]);
    assert_eq!(refused, Err(ActivationRefusal::RunOut));
}

/// Shows: N-28
#[test]
fn a_code_is_good_as_long_as_its_way_allows() {
    let minutes = |channel: Channel| channel.validity_seconds() / 60;
    assert_eq!(minutes(Channel::Phone), 10);
    assert_eq!(minutes(Channel::Post), 10 * 24 * 60);
    assert_eq!(minutes(Channel::Email), 24 * 60);
    let mut it = case(Some(provider(Match::Same)));
    it.address_confirmed = false;
    assert_eq!(missing(&it, today()), [Missing::AddressCode]);
    // Who does not prescribe is asked for an address alone.
    let mut it = case(None);
    (it.prescribes, it.address_confirmed) = (false, false);
    assert_eq!(missing(&it, today()), [Missing::AddressCode]);
}
