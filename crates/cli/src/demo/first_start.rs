//! What the first start makes: practices, people, tokens, invitations and the client of the API.

use std::path::Path;

use anyhow::{Context as _, bail};
use countersign_app::{App, At, DemoPerson, Invitee, SCOPES};
use countersign_crypto::{SecretText, SigningKey, SystemRng, random_array};
use countersign_domain::{
    DeaNumber, FipsCertificate, ModelCode, Passphrase, PersonId, PracticeId, Role, TokenKind,
    TokenModel, access::Setting,
};
use countersign_standins::proofer::ASSURANCE;
use countersign_store::{Identity, Invited, Profile};
use data_encoding::HEXLOWER;

use super::{
    API_KEY, InvitedOne, Other, State, pem,
    people::{
        DEA, GRACE, HOSPITAL, HOSPITAL_DEA, NAME, NPI, OMAR, OTHERS, OtherPerson, PRACTICE, TOKEN,
    },
};
use crate::{
    private_file,
    serve::DEMO_MARKER,
    soft_token::{self, now},
};

/// Allows the soft tokens that can be had here, where nobody has judged any model. An operator of a
/// real installation decides for each; none has a certificate.
pub(super) async fn allow_models(app: &App) -> anyhow::Result<()> {
    if !app.models().await?.is_empty() {
        return Ok(());
    }
    for (code, maker, name) in [
        (ModelCode::AUTHENTICATOR, "Countersign", "Authenticator"),
        (ModelCode::TERMINAL, "Countersign", "terminal token"),
        (ModelCode::VIP_ACCESS, "Symantec", "VIP Access"),
    ] {
        let at = app.at()?;
        let model = TokenModel {
            code: ModelCode::known(code),
            maker: maker.to_owned(),
            name: name.to_owned(),
            kind: TokenKind::OtpSoft,
            fips: FipsCertificate::NONE,
            allowed: true,
            note: "demo policy".to_owned(),
            changed: at.now,
            changed_by: "demo".to_owned(),
        };
        app.set_model(model, at).await?;
    }
    Ok(())
}

/// Makes practice, people, EHR and first token. The marker comes last: without it nothing counts.
pub(super) async fn first_start(data: &Path, app: &App, issuer: &str) -> anyhow::Result<State> {
    let at = app.at()?;
    let passphrase = invent_passphrase()?;
    let practice = app.create_practice(PRACTICE.to_owned(), at).await?;
    let person = made_up(NPI, NAME, &passphrase, vec![Role::Prescriber], "+1 402 555 0101")?;
    let prescriber = app.install_demo_person(practice, person, at).await?.context(
        "the database already has the demonstration's prescriber: run make demo-reset to start over",
    )?;
    let nurse = app
        .create_staff(practice, "Jamie Lee".to_owned(), "jlee".to_owned(), at)
        .await?
        .done()
        .context(
            "the database already has the demonstration's nurse: run make demo-reset to start over",
        )?;
    let (key, document) = SigningKey::generate()?;
    private_file::create(&data.join("ehr.key"), HEXLOWER.encode(document.expose()).as_bytes())?;
    let users = vec![
        ("amoreno".to_owned(), Identity::Prescriber(prescriber)),
        ("jlee".to_owned(), Identity::Staff(nurse)),
        ("Practitioner/amoreno".to_owned(), Identity::Prescriber(prescriber)),
        ("Practitioner/jlee".to_owned(), Identity::Staff(nurse)),
    ];
    let point = key.verifying_key().point().to_vec();
    let ehr =
        app.register_ehr(practice, "Lakeside Clinic EHR".to_owned(), point, users, at).await?;
    let (api_key, api_document) = SigningKey::generate()?;
    private_file::create(&data.join(API_KEY), pem(&api_document).as_bytes())?;
    let api_point = api_key.verifying_key().point().to_vec();
    let api_name = "EHR with its own screens".to_owned();
    let made = app.create_api_client(practice, api_name, api_point, SCOPES.join(" "), at).await?;
    let api_client_id = made.to_string();
    let secret: [u8; 32] = random_array(&mut SystemRng)?;
    let smart_secret = HEXLOWER.encode(&secret);
    let made = app.install_demo_token(practice, prescriber, TOKEN.parse()?, at).await?;
    let pin: [u8; 8] = random_array(&mut SystemRng)?;
    let pin = HEXLOWER.encode(&pin);
    private_file::create(&data.join("token.pin"), pin.as_bytes())?;
    let tokens = data.join("tokens");
    soft_token::keep_for_demo(&tokens, TOKEN, made, &pin)?;
    app.install_demo_permission(practice, prescriber, DEA.parse()?, at).await?;
    let mut others = Vec::new();
    let mut people = Vec::new();
    for other in &OTHERS {
        let (id, other) = make_other(app, practice, other, &tokens, &pin, at).await?;
        people.push(id);
        others.push(other);
    }
    let hospital = app.create_practice(HOSPITAL.to_owned(), at).await?;
    let provider = Some((issuer.to_owned(), ASSURANCE.to_owned()));
    let [ruth, ben, sam] = people[..] else {
        bail!("the demonstration does not have three people")
    };
    let unit = |text: &str| text.to_owned();
    let roles = vec![(sam, Role::Proofing, unit("Front office"))];
    let setting = Setting::Practitioners;
    app.install_demo_rules(practice, setting, roles, provider, None, at).await?;
    let roles = vec![
        (ruth, Role::Administrator, unit("")),
        (ruth, Role::Designated, unit("")),
        (ruth, Role::Issuing, unit("Security office")),
        (ben, Role::Designated, unit("")),
        (sam, Role::Proofing, unit("Credentialing office")),
    ];
    let own = Some(HOSPITAL_DEA.parse()?);
    app.install_demo_rules(hospital, Setting::Institution, roles, None, own, at).await?;
    let mut invited = Vec::new();
    for (person, place, name, dea) in
        [(GRACE, practice, PRACTICE, Some("BL4005129")), (OMAR, hospital, HOSPITAL, None)]
    {
        let (given, family, npi, born, _) = person;
        let link = app.install_demo_invitation(place, invitee(person, dea)?, at).await?;
        invited.push(InvitedOne {
            name: format!("{given} {family}"),
            practice: name.to_owned(),
            npi: npi.to_owned(),
            born: born.to_owned(),
            link,
        });
    }
    let npi = NPI.to_owned();
    let state = State {
        npi,
        passphrase,
        ehr_id: ehr.to_string(),
        smart_secret,
        api_client_id,
        others,
        invited,
    };
    private_file::create(&data.join(DEMO_MARKER), &serde_json::to_vec_pretty(&state)?)?;
    Ok(state)
}

/// Somebody whom the demonstration invites. An institution's own registration serves where there is none.
fn invitee(
    (given, family, npi, _, phone): (&str, &str, &str, &str, &str),
    dea: Option<&str>,
) -> anyhow::Result<Invitee> {
    let expires = "2030-12-31".to_owned();
    let email = format!("{}@lakeside.example", given.to_lowercase());
    let registration = |number: &str| {
        [number.to_owned(), "NE".to_owned(), "2 2N 3 3N 4 5".to_owned(), expires.clone()]
    };
    Ok(Invitee {
        sign_in: npi.parse()?,
        invited: Invited {
            profile: Profile {
                given: given.to_owned(),
                family: family.to_owned(),
                phone: phone.to_owned(),
                emails: vec![email],
                ..Profile::default()
            },
            roles: vec![Role::Prescriber.code().to_owned()],
            registrations: dea.map(registration).into_iter().collect(),
            licences: vec![["NE".to_owned(), format!("NE-{}", &npi[4..]), expires.clone()]],
            ..Invited::default()
        },
    })
}

fn made_up(
    sign_in: &str,
    name: &str,
    passphrase: &str,
    roles: Vec<Role>,
    phone: &str,
) -> anyhow::Result<DemoPerson> {
    let phrase = SecretText::new(passphrase.to_owned());
    let first = name.split(' ').rev().nth(1).unwrap_or(name).to_lowercase();
    let email = if sign_in.contains('@') {
        sign_in.to_owned()
    } else {
        format!("{first}@lakeside.example")
    };
    Ok(DemoPerson {
        sign_in: sign_in.parse()?,
        name: name.to_owned(),
        passphrase: Passphrase::choose(&phrase, &[name, sign_in, PRACTICE])?,
        roles,
        profile: Profile {
            given: first,
            family: name.rsplit(' ').next().unwrap_or(name).to_owned(),
            address: "12 Elm Street, Lincoln NE 68501".to_owned(),
            phone: phone.replace(' ', ""),
            emails: vec![email],
            phone_confirmed: Some(now().micros()),
            address_confirmed: Some(now().micros()),
            ..Profile::default()
        },
    })
}

async fn make_other(
    app: &App,
    practice: PracticeId,
    &OtherPerson { name, sign_in, role, dea, token, phone }: &OtherPerson,
    tokens: &Path,
    pin: &str,
    at: At,
) -> anyhow::Result<(PersonId, Other)> {
    let passphrase = invent_passphrase()?;
    let roles = match (dea, name) {
        (Some(_), _) => vec![Role::Prescriber, Role::Designated],
        (None, "Ruth Okafor") => vec![Role::Administrator, Role::Designated],
        (None, _) => Vec::new(),
    };
    let person = made_up(sign_in, name, &passphrase, roles, phone)?;
    let id = app.install_demo_person(practice, person, at).await?.context(
        "the database already has the demonstration's people: run make demo-reset to start over",
    )?;
    let made = app.install_demo_token(practice, id, token.parse()?, at).await?;
    soft_token::keep_for_demo(tokens, token, made, pin)?;
    if let Some(dea) = dea {
        app.install_demo_permission(practice, id, dea.parse::<DeaNumber>()?, at).await?;
    }
    let other = Other {
        name: name.to_owned(),
        role: role.to_owned(),
        sign_in: sign_in.to_owned(),
        passphrase,
        token: token.to_owned(),
    };
    Ok((id, other))
}

/// Five words of a list of 64 and two digits: easy to type, new in each folder, a demonstration's.
fn invent_passphrase() -> anyhow::Result<String> {
    const WORDS: [&str; 64] = [
        "anchor", "basil", "copper", "dragon", "ember", "falcon", "garden", "harbor", "island",
        "jigsaw", "kettle", "lantern", "marble", "nectar", "orchid", "pepper", "quartz", "ribbon",
        "saddle", "teapot", "umbrella", "velvet", "walnut", "yellow", "zipper", "amber", "bridge",
        "candle", "domino", "engine", "feather", "glacier", "hammer", "indigo", "jacket", "kitten",
        "ladder", "magnet", "needle", "oyster", "paddle", "quiver", "rocket", "silver", "tunnel",
        "upward", "violin", "window", "yonder", "zephyr", "acorn", "button", "cactus", "desert",
        "eleven", "fossil", "goblet", "hollow", "ivory", "jungle", "kernel", "lizard", "meadow",
        "napkin",
    ];
    let bytes: [u8; 6] = random_array(&mut SystemRng)?;
    let words: Vec<&str> =
        bytes.iter().take(5).filter_map(|b| WORDS.get(usize::from(b & 63)).copied()).collect();
    Ok(format!("{} {:02}", words.join(" "), bytes.last().copied().unwrap_or(0) % 100))
}
