//! Changes of access control that two people make: entered, executed, rejected, withdrawn.

use axum::extract::Path;
use countersign_app::{Asked, ChangeRequestView, Execution, Wanted, paper_in_words, still_waits};
use countersign_domain::{
    RequestId, SignInName, Timestamp,
    access::{AccessRefusal, Matter},
    command::commands,
};
use countersign_store::{AccessChange, Authority, RequestRow, RequestStage};
use data_encoding::HEXLOWER;
use http::StatusCode;

use super::{
    context::{Asking, Known, known},
    people::{odd_name, signs_in},
};
use crate::{
    portal::{Ctx, Fields, reason, show, tokens},
    views::{
        ANY_TOKEN, Notice, NoticeKind, RequestLine, RequestPage, SecretField, StepUp, TextField,
    },
    web::respond::{Out, Stop, page, see_other},
};

impl Known {
    fn authority(&self, row: &RequestRow) -> Option<&Authority> {
        self.practice_overview.authorities.iter().find(|it| Some(it.id) == row.authority)
    }

    pub(super) fn line(&self, row: &RequestRow, now: Timestamp) -> RequestLine {
        let whom = row.person.map(|id| self.name(id)).unwrap_or_default();
        let what = match &row.change {
            AccessChange::Grant { .. } => format!("{whom}: permission to sign"),
            AccessChange::Revoke { cause } => {
                let cause = cause.label().to_lowercase();
                format!("{whom}: permission to sign revoked ({cause})")
            }
            AccessChange::Role { role, give, .. } => {
                let role = role.label().to_lowercase();
                format!(
                    "{whom}: {} the role \u{201c}{role}\u{201d}",
                    if *give { "assign" } else { "remove" }
                )
            }
            AccessChange::Provider { issuer, give: true, .. } => {
                format!("Accept the identity proofing provider {issuer}")
            }
            AccessChange::Provider { issuer, .. } => {
                format!("Stop accepting the identity proofing provider {issuer}")
            }
            AccessChange::Paper { paper, .. } => {
                let whose = if whom.is_empty() { "The institution" } else { &whom };
                let label = paper.label();
                format!("{whose}: {label} extended")
            }
        };
        let state = match (row.stage, row.decided) {
            (RequestStage::Executed, Some((by, _))) => format!("Approved by {}", self.name(by)),
            (RequestStage::Rejected, Some((by, _))) => format!("Rejected by {}", self.name(by)),
            (RequestStage::Withdrawn, _) => "Withdrawn".to_owned(),
            (RequestStage::Overtaken, _) => "Superseded".to_owned(),
            _ if !still_waits(row, now) => "Expired".to_owned(),
            _ => "Waiting for approval".to_owned(),
        };
        RequestLine {
            href: format!("{}/requests/{}", self.base(), row.id),
            what,
            dea: self
                .authority(row)
                .and_then(|it| it.paper.dea())
                .map(|dea| dea.masked())
                .unwrap_or_default(),
            reason: row.reason.clone(),
            by: self.name(row.entered_by),
            when: show::when(row.entered),
            state,
        }
    }
}

/// Enters a change; why access control says no, where it does. Where a passcode is asked for, the handler ends with the
/// page that asks for it.
pub(super) async fn enter(
    asking: &Asking<'_>,
    wanted: Wanted,
    reason: String,
) -> Result<Option<AccessRefusal>, Stop> {
    let ctx = asking.ctx;
    let act = asking.act()?;
    match ctx.app().enter_request(act, wanted, reason, ctx.at).await {
        Ok(Asked::Done(_)) => Ok(None),
        Ok(Asked::Refused(refusal)) => Ok(Some(refusal)),
        Ok(Asked::NotConfirmed(refusal)) => Err(Stop::with(asking.again(&refusal))),
        Err(error) => Err(ctx.stop(&error)),
    }
}

async fn shown(ctx: &Ctx, known: &Known, id: &str) -> Result<(ChangeRequestView, RequestId), Stop> {
    let id: RequestId = id.parse().map_err(|_| ctx.not_found())?;
    let shown = ctx.app().request(&known.membership, id, ctx.at).await;
    Ok((shown.map_err(|error| ctx.stop(&error))?, id))
}

/// Lays out the page of a change. Whoever sets access control sees NPI and DEA numbers in full, since they check
/// them; that goes on record.
async fn request_out(
    ctx: &Ctx,
    known: &Known,
    shown: &ChangeRequestView,
    template: &RequestPage,
    status: StatusCode,
) -> Out {
    let row = &shown.row;
    let npi = row.person.is_some_and(|id| {
        let is = |name: &SignInName| matches!(name, SignInName::Npi(_));
        known.practice_overview.people.iter().any(|it| it.id == id && is(&it.sign_in))
    });
    let numbers = npi || !template.line.dea.is_empty() || template.paper.is_some();
    if numbers && known.membership.may(commands::EXECUTE_REQUEST) {
        let what = format!("change {}", row.id);
        let noted = ctx.app().note_shown(known.reads(), row.person, what, ctx.at).await;
        noted.map_err(|error| ctx.stop(&error))?;
    }
    Ok(page(status, template))
}

fn request_page(ctx: &Ctx, known: &Known, shown: &ChangeRequestView) -> RequestPage {
    let row = &shown.row;
    let full = known.membership.may(commands::EXECUTE_REQUEST);
    let is_open = shown.request.is_open(ctx.now());
    let sign_in = row.person.map(|id| signs_in(known, id, full)).unwrap_or_default();
    let authority = known.authority(row);
    let mut line = known.line(row, ctx.now());
    if full && let Some(dea) = authority.and_then(|it| it.paper.dea()) {
        line.dea = dea.as_text();
    }
    let paper = match &shown.request.matter {
        Matter::Paper { before, after, .. } if full => {
            Some((paper_in_words(before), paper_in_words(after)))
        }
        Matter::Paper { .. } => match &row.change {
            AccessChange::Paper { paper, before } => {
                let before = if before.is_empty() { "none" } else { before };
                Some((paper_in_words(before), paper_in_words(&paper.says())))
            }
            _ => None,
        },
        _ => None,
    };
    let registration = match authority {
        Some(it) if paper.is_none() => paper_in_words(&it.says()),
        _ => String::new(),
    };
    let mine = shown.hindrance == Some(AccessRefusal::SamePerson);
    let outside = shown.hindrance == Some(AccessRefusal::NotDesignated);
    let works = shown.request.matter.works_at_once();
    RequestPage {
        page: known.frame(ctx, "Access control change"),
        base: known.base(),
        here: format!("{}/requests/{}", known.base(), row.id),
        odd_name: row.person.map_or("", |id| odd_name(&known.name(id))),
        line,
        sign_in,
        registration,
        verified: match &row.change {
            AccessChange::Grant { verified: Some(day), .. } => day.text(),
            _ => String::new(),
        },
        more: match &row.change {
            AccessChange::Role { unit, .. } if !unit.is_empty() => format!("Department: {unit}"),
            AccessChange::Provider { accepted, .. } if !accepted.is_empty() => {
                format!("Accepted as IAL2: {accepted}")
            }
            _ => String::new(),
        },
        digest: HEXLOWER.encode(&shown.digest),
        open: is_open,
        hindrance: shown.hindrance.as_ref().map(ToString::to_string),
        reject: (!mine && !outside).then(TextField::default),
        can_withdraw: !works && row.entered_by == known.membership.person,
        works,
        paper,
        passphrase: SecretField::default(),
        step_up: Some(StepUp {
            token: show::choices(&known.overview.tokens, ANY_TOKEN, ctx.now()),
            passcode: SecretField::default(),
        }),
        lock: None,
    }
}

pub(in crate::portal) async fn request(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (shown, _) = shown(&ctx, &known, &id).await?;
    let template = request_page(&ctx, &known, &shown);
    request_out(&ctx, &known, &shown, &template, StatusCode::OK).await
}

pub(in crate::portal) async fn execute(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (it, id) = shown(&ctx, &known, &id).await?;
    let mut template = request_page(&ctx, &known, &it);
    let digest = HEXLOWER.decode(fields.text("shown").as_bytes()).ok();
    let digest: Option<[u8; 32]> = digest.and_then(|bytes| bytes.try_into().ok());
    if fields.text("passphrase").is_empty() {
        template.passphrase.error = Some("Enter your passphrase.".to_owned());
    }
    let confirm = tokens::confirm(&fields, template.step_up.as_mut());
    let (Ok(Some(confirm)), None) = (confirm, &template.passphrase.error) else {
        return request_out(&ctx, &known, &it, &template, StatusCode::UNPROCESSABLE_ENTITY).await;
    };
    // A form without what was shown is bound to nothing, and so is refused as changed.
    let shown = digest.unwrap_or_default();
    let execution = Execution { shown, passphrase: fields.secret("passphrase") };
    match ctx.app().execute_request(known.act(Some(confirm)), id, execution, ctx.at).await {
        Ok(Asked::Done(())) => {
            let taken = matches!(it.row.change, AccessChange::Revoke { .. });
            let done = if taken { "confirmed" } else { "executed" };
            return Ok(see_other(&format!("{}?done={done}", known.base())));
        }
        Ok(Asked::Refused(refusal)) => {
            let notice = Notice::new(NoticeKind::Error, refusal.to_string());
            template.page.notice = Some(notice);
        }
        Ok(Asked::NotConfirmed(refusal @ countersign_domain::Refusal::WrongPassphrase)) => {
            template.passphrase.error = Some(refusal.to_string());
        }
        Ok(Asked::NotConfirmed(refusal)) => {
            let mut asked = template.step_up.take();
            template.lock = tokens::step_up_refused(&ctx, &mut asked, &refusal, &known.overview);
            template.step_up = asked;
        }
        Err(error) => return Err(ctx.stop(&error)),
    }
    request_out(&ctx, &known, &it, &template, StatusCode::UNPROCESSABLE_ENTITY).await
}

pub(in crate::portal) async fn reject(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (it, id) = shown(&ctx, &known, &id).await?;
    let mut template = request_page(&ctx, &known, &it);
    let typed = reason(&fields, "reject_reason");
    let (why, wrong) = (typed.value.clone(), typed.error.is_some());
    if template.reject.is_some() {
        template.reject = Some(typed);
        if wrong {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return request_out(&ctx, &known, &it, &template, status).await;
        }
    }
    let (change, back) = (commands::REJECT_REQUEST, template.here.clone());
    let action = format!("{back}/reject");
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Change", template.line.what.clone()),
        ("DEA number", template.line.dea.clone()),
        ("Requested by", template.line.by.clone()),
        ("Reason", why.clone()),
    ]);
    let act = asking.act()?;
    match ctx.app().reject_request(act, id, why, ctx.at).await.map_err(|error| ctx.stop(&error))? {
        Asked::Done(()) => {
            let done = if template.works { "mistaken" } else { "rejected" };
            Ok(see_other(&format!("{}?done={done}", known.base())))
        }
        Asked::Refused(refusal) => {
            template.page.notice = Some(Notice::new(NoticeKind::Error, refusal.to_string()));
            request_out(&ctx, &known, &it, &template, StatusCode::UNPROCESSABLE_ENTITY).await
        }
        Asked::NotConfirmed(refusal) => Ok(asking.again(&refusal)),
    }
}

/// Whoever entered a change withdraws it.
pub(in crate::portal) async fn withdraw(
    ctx: Ctx,
    Path((practice, id)): Path<(String, String)>,
    fields: Fields,
) -> Out {
    let known = known(&ctx, &practice).await?;
    let (it, id) = shown(&ctx, &known, &id).await?;
    let back = format!("{}/requests/{id}", known.base());
    let (change, action) = (commands::WITHDRAW_REQUEST, format!("{back}/withdraw"));
    let asking = Asking::new(&ctx, &known, &fields, change, action, back).about([
        ("Change", known.line(&it.row, ctx.now()).what),
        ("Reason", it.row.reason.clone()),
    ]);
    let act = asking.act()?;
    match ctx.app().withdraw_request(act, id, ctx.at).await.map_err(|error| ctx.stop(&error))? {
        Asked::Done(()) => Ok(see_other(&format!("{}?done=withdrawn", known.base()))),
        Asked::Refused(refusal) => {
            let mut template = request_page(&ctx, &known, &it);
            template.page.notice = Some(Notice::new(NoticeKind::Error, refusal.to_string()));
            request_out(&ctx, &known, &it, &template, StatusCode::UNPROCESSABLE_ENTITY).await
        }
        Asked::NotConfirmed(refusal) => Ok(asking.again(&refusal)),
    }
}
