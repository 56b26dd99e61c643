//! Every change of the console: the roles that may make it and how fresh a passcode it asks for.

use std::fmt::Write as _;

use countersign_domain::{
    Role,
    command::{COMMANDS, Command, Guard, StepUp, commands},
};
use countersign_testkit::{TestApp, WRONG_CODE, both};

use super::{Cast, asks, borrowed};

/// The table as the documentation has it.
fn table() -> String {
    let mut text = "# Commands\n\nMade from `crates/domain/src/command/commands.rs` by `UPDATE_DOCS=1 cargo test -p countersign-server \
        commands_are_documented`. Whatever changes a state is one of these commands; `App::run` (`crates/app/src/command.rs`) reads \
        the line before it does anything.\n\n\
        Whoever is not named under \"Who may\" finds nothing. What is refused is on record as the same event, with its reason. \
        Two people make what is entered as a change: one enters it, another one executes it.\n\n\
        | Command | What | Who may | Passcode | On record as |\n|---|---|---|---|---|\n"
        .to_owned();
    for command in COMMANDS {
        let (name, what, event) = (command.name, command.what, command.event.code());
        let (may, step_up) = (command.may.label(), command.step_up.label());
        writeln!(text, "| `{name}` | {what} | {may} | {step_up} | `{event}` |").unwrap();
    }
    text
}

#[test]
fn commands_are_documented() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/commands.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, table()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), table(), "run it with UPDATE_DOCS=1");
}

/// Makes every change once, by somebody who may; but for decisions on a case, which need a case at its turn.
pub(crate) async fn every_change_once(app: TestApp) {
    let mut cast = Cast::of(app).await;
    for rule in of_the_practice().filter(|rule| !decides_on_a_case(rule)) {
        let (path, fields) = cast.form(*rule).await;
        let person = cast.with(rule.may.roles()[0]).clone();
        let mut by = cast.stale(&person).await;
        let page = cast.place.app.confirm(&mut by, &person, &path, &borrowed(&fields)).await;
        assert!(
            matches!(page.status, 200 | 303),
            "{}: {} {}",
            rule.what,
            page.status,
            page.words()
        );
    }
}

fn decides_on_a_case(command: &Command) -> bool {
    matches!(
        *command,
        commands::PROOF_IN_PERSON | commands::DECIDE_NEAR | commands::AUTHORIZE_ISSUE
    )
}

/// The commands that somebody gives in the administration of a practice. That numbers were shown in full is noted when a
/// page is read: nobody asks for it.
fn of_the_practice() -> impl Iterator<Item = &'static Command> {
    let given = |command: &&Command| **command != commands::NOTE_IDENTIFIERS_SHOWN;
    COMMANDS.iter().filter(|command| matches!(command.may, Guard::Roles(_))).filter(given)
}

both! {
    /// Each change of the console, with each role, in a session whose last passcode is old.
    /// Shows: R-1311.125-a, R-1311.130-b1, H-164.312-a1
    async fn every_change_asks_for_its_role_and_its_passcode(app: TestApp) {
        let mut cast = Cast::of(app).await;
        for rule in of_the_practice() {
            let (kind, what) = (rule.event.code(), rule.what);
            let (path, fields) = cast.form(*rule).await;
            let fields = borrowed(&fields);
            let before = cast.successes(kind).await;
            for role in Role::ALL {
                let person = cast.with(role).clone();
                if !rule.allows(&[role]) {
                    // Not even with a passcode.
                    let mut by = cast.place.app.signed_in_as(&person).await;
                    let page = cast.place.app.confirm(&mut by, &person, &path, &fields).await;
                    let refused = page.status == 404 || page.status == 422 && *rule == commands::EXECUTE_REQUEST;
                    assert!(refused, "{what}, {role:?}: {} {}", page.status, page.words());
                } else if rule.step_up != StepUp::Never {
                    let mut by = cast.stale(&person).await;
                    let page = by.post(&path, &fields).await;
                    assert!(asks(&page), "{what}, {role:?}: {} {}", page.status, page.words());
                    // What was typed goes along.
                    for (name, value) in fields.iter().filter(|(name, _)| !matches!(*name, "passphrase" | "decision")) {
                        assert!(page.body.contains(*value) && page.body.contains(*name), "{what}: {name} is lost");
                        // And is seen: what the passcode is for.
                        if name.ends_with("reason") {
                            assert!(page.words().contains(*value), "{what}: {name} is not shown: {}", page.words());
                        }
                    }
                    // A passcode that is not right does nothing either. A few of them: they are counted.
                    let few = [commands::ENTER_REQUEST, commands::REFUSE_MODEL, commands::PLACE_HOLD];
                    if role == rule.may.roles()[0] && few.contains(rule) {
                        let mut wrong = fields.clone();
                        wrong.extend([("stepup_token", "any"), ("stepup_passcode", WRONG_CODE)]);
                        let page = by.post(&path, &wrong).await;
                        assert!(page.status == 422 && asks(&page), "{what}, {role:?}: {}", page.words());
                    }
                }
                // A session that is fresh is enough only where the table says so.
                if rule.allows(&[role]) && matches!(rule.step_up, StepUp::Always | StepUp::OwnFactors) {
                    let mut by = cast.place.app.signed_in_as(&person).await;
                    let page = by.post(&path, &fields).await;
                    assert!(asks(&page), "{what}, {role:?}: {} {}", page.status, page.words());
                }
            }
            assert_eq!(cast.successes(kind).await, before, "{what}: nothing was done");
            if decides_on_a_case(rule) {
                continue;
            }
            let person = cast.with(rule.may.roles()[0]).clone();
            let mut by = cast.stale(&person).await;
            let page = if rule.step_up == StepUp::Never {
                by.post(&path, &fields).await
            } else {
                cast.place.app.confirm(&mut by, &person, &path, &fields).await
            };
            assert!(matches!(page.status, 200 | 303) && !asks(&page), "{what}: {} {}", page.status, page.words());
            assert_eq!(cast.successes(kind).await, before + 1, "{what}: done, and on record");
        }
    }

    /// A role that was taken after the page was loaded does nothing any more; and nobody prints a letter of their own,
    /// by whatever account.
    async fn a_role_that_is_gone_does_nothing(app: TestApp) {
        let mut cast = Cast::of(app).await;
        let (path, _) = cast.form(commands::PRINT_LETTER).await;
        let twin = cast.with(Role::Administrator).clone();
        let (id, now) = (twin.id, cast.place.app.now());
        cast.place.app.store.write("test_twin", move |tx| {
            let person = tx.person(id)?.unwrap();
            let mut profile = tx.profile(&person)?.unwrap();
            profile.emails.push("Ada+work@lakeside.example".to_owned());
            tx.save_profile(&person, &profile, now)
        }).await.unwrap();
        let mut by = cast.place.app.signed_in_as(&twin).await;
        let page = cast.place.app.confirm(&mut by, &twin, &path, &[]).await;
        assert_eq!(page.status, 404, "the account of the person whom the letter is for: {}", page.words());
        let issuer = cast.with(Role::Issuing).clone();
        let mut by = cast.place.app.signed_in_as(&issuer).await;
        let (gone, practice) = (issuer.id, cast.place.app.practice);
        cast.place.app.store.write("test_gone", move |tx| {
            tx.end_role(gone, practice, Role::Issuing, now).map(drop)
        }).await.unwrap();
        let page = cast.place.app.confirm(&mut by, &issuer, &path, &[]).await;
        assert_eq!(page.status, 404);
    }
}
