//! Reviewing and signing prescriptions.

use countersign_app::{Overview, Signing, SigningForm, SigningRefusal};
use countersign_domain::{
    ModelCode, PersonId,
    canonical::CanonicalError,
    ocra::Challenge,
    prescription::{SIGNING_STATEMENT, StateRefusal},
};
use countersign_store::PrescriptionRow;
use data_encoding::HEXLOWER;
use http::StatusCode;

use super::context::{HOME, Known, known};
use crate::{
    portal::{Ctx, Fields, show, start::closed, tokens},
    views::{ANY_TOKEN, Notice, NoticeKind, RxLine, RxSignPage, SecretField, StepUp},
    web::{
        qr,
        respond::{Out, Stop, page, see_other},
    },
};

/// Most bytes of a text that is offered as a picture: with more, its squares are too small for a phone's camera.
const MOST_PICTURE: usize = 1_200;

async fn sign_page(ctx: &Ctx, known: &Known, overview: &Overview) -> Result<RxSignPage, Stop> {
    let set = ctx.app().signing_set(&known.chart, ctx.at).await;
    let set = set.map_err(|error| ctx.stop(&error))?;
    let shown_at = ctx.now().micros();
    let npi = set.npi();
    let line = |row: &PrescriptionRow| {
        let mut line = known.line(row);
        let why = set.hindrances.iter().filter(|(id, _)| *id == row.id);
        let why: Vec<String> = why.map(|(_, why)| why.to_string()).collect();
        line.hindrance = why.join(" ");
        line.facts.insert(0, ("Date", set.today.text()));
        line.facts.push(("Prescriber", format!("{}, NPI {npi}", set.person.name)));
        line.facts.push(("Prescriber's address", set.address.clone()));
        line
    };
    let rows: Vec<RxLine> = set.rows.iter().map(line).collect();
    let held = set.held.iter().map(line).collect();
    let signing = show::signing_choices(overview, ANY_TOKEN, ctx.now());
    let signs = !signing.options.is_empty();
    let own = [ModelCode::AUTHENTICATOR, ModelCode::TERMINAL].map(ModelCode::known);
    let app = overview.tokens.iter().any(|it| it.is_active() && own.contains(it.model()));
    // What has no canonical form is not shown to be signed.
    let stop = |error: CanonicalError| ctx.stop(&error.into());
    let text = set.text(&ctx.app().options().public_url).map_err(stop)?;
    let bound = app.then(|| {
        let challenge = Challenge::of(&text).digits();
        let (first, last) = challenge.split_at(4);
        let picture = Some(&text).filter(|text| text.len() <= MOST_PICTURE);
        (picture.and_then(|text| qr::svg(text).ok()), format!("{first} {last}"))
    });
    let template = RxSignPage {
        page: known.frame(ctx, "Review and sign"),
        can_sign: !rows.is_empty() && signs,
        no_token: !signs,
        rows,
        held,
        statement: SIGNING_STATEMENT,
        digest: HEXLOWER.encode(&set.digest(shown_at).map_err(stop)?),
        shown_at,
        passphrase: SecretField::default(),
        step_up: Some(StepUp { token: signing, passcode: SecretField::default() }),
        bound,
        lock: None,
    };
    Ok(template)
}

/// Staff write, and never sign.
fn practitioner<'a>(ctx: &Ctx, known: &'a Known) -> Result<(PersonId, &'a Overview), Stop> {
    known.me().zip(known.overview.as_ref()).ok_or_else(|| {
        Stop::with(closed(
            ctx.frame(""),
            "Only prescribers can sign",
            "Prescriptions you write wait for the named prescriber to sign.",
            Some((HOME.to_owned(), "Back to prescriptions".to_owned())),
        ))
    })
}

pub(in crate::portal) async fn sign_form(ctx: Ctx) -> Out {
    let known = known(&ctx).await?;
    let (_, overview) = practitioner(&ctx, &known)?;
    let template = sign_page(&ctx, &known, overview).await?;
    Ok(page(StatusCode::OK, &template))
}

pub(in crate::portal) async fn sign(ctx: Ctx, fields: Fields) -> Out {
    let known = known(&ctx).await?;
    let (me, overview) = practitioner(&ctx, &known)?;
    let mut template = sign_page(&ctx, &known, overview).await?;
    if fields.text("passphrase").is_empty() {
        template.passphrase.error = Some("Enter your passphrase.".to_owned());
    }
    let confirm = tokens::confirm(&fields, template.step_up.as_mut());
    let (Ok(Some(confirm)), None) = (confirm, &template.passphrase.error) else {
        return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
    };
    // A form without what was shown is bound to nothing, and so is refused as changed.
    let digest = HEXLOWER.decode(fields.text("shown").as_bytes()).ok();
    let form = SigningForm {
        shown_at: fields.text("shown_at").parse().unwrap_or_default(),
        digest: digest.and_then(|bytes| bytes.try_into().ok()).unwrap_or_default(),
        passphrase: fields.secret("passphrase"),
        confirm,
    };
    let signing = ctx.app().sign(&known.session, form, ctx.at).await;
    let text = match signing.map_err(|error| ctx.stop(&error))? {
        Signing::Done(_) => return Ok(see_other(&format!("{HOME}?done=signed"))),
        Signing::Refused(SigningRefusal::State(StateRefusal::NotReady)) => {
            "Nothing was signed: a prescription you reviewed is no longer marked ready to sign. Someone may have changed it. \
             Review it, then mark it ready again."
                .to_owned()
        }
        Signing::Refused(SigningRefusal::State(refusal)) => refusal.to_string(),
        Signing::Refused(SigningRefusal::Hindered(hindrance)) => hindrance.to_string(),
        Signing::Refused(SigningRefusal::TimedOut) => {
            "More than 2 minutes have passed. Review the prescriptions again, then sign.".to_owned()
        }
        Signing::NotConfirmed(refusal @ countersign_domain::Refusal::WrongPassphrase) => {
            template.passphrase.error = Some(refusal.to_string());
            return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
        }
        Signing::NotConfirmed(refusal) => {
            let overview = ctx.app().overview(me).await.map_err(|error| ctx.stop(&error))?;
            let mut asked = template.step_up.take();
            template.lock = tokens::step_up_refused(&ctx, &mut asked, &refusal, &overview);
            template.step_up = asked;
            return Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template));
        }
    };
    template.page.notice = Some(Notice::new(NoticeKind::Error, text));
    Ok(page(StatusCode::UNPROCESSABLE_ENTITY, &template))
}
