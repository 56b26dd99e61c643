//! Ten key pages as they were looked at and found good, each as the outline of its main part. After a change that is
//! meant, `UPDATE_SNAPSHOTS=1` writes them anew; what changed stands in the diff of the commit.

use std::{env, fs, path::Path};

use countersign_domain::access::Setting;
use countersign_testkit::{Backend, Page, TestApp};

use crate::{access::Place, enrol::House, prescribing};

/// Compares a page with its file. All differences are collected, so that one run shows every page that changed.
fn compare(name: &str, page: &Page, changed: &mut Vec<String>) {
    assert_eq!(page.status, 200, "{name}: {}", page.words());
    let title = page.one("title").text();
    let lines = page.one("main").outline();
    let lines: Vec<&str> = lines.lines().map(without_picture_or_number).collect();
    let found = without_secrets(&format!("{title}\n{}\n", lines.join("\n")));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/snapshots/{name}.txt"));
    if env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &found).unwrap();
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    let mut lines = found.lines().zip(wanted.lines().chain(std::iter::repeat("(end)")));
    if let Some((now, before)) = lines.find(|(now, before)| now != before) {
        changed.push(format!("{name}: {before:?} is now {now:?}"));
    } else if found != wanted {
        changed.push(format!("{name}: it is shorter now"));
    }
}

/// Leaves out the squares of a QR code, and the eight digits that stand for what is signed.
fn without_picture_or_number(line: &str) -> &str {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_group = |word: &&str| word.len() == 4 && word.chars().all(|c| c.is_ascii_digit());
    match words[..] {
        ["<path", ..] => "<path>",
        [one, two] if is_group(&one) && is_group(&two) => "#### ####",
        _ => line,
    }
}

/// Replaces what is different in every run: IDs, secrets and hashes, and the digits of credential IDs. Times stay: the
/// clock stands still.
fn without_secrets(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut result = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if end == 0 {
            result.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (word, after) = rest.split_at(end);
        rest = after;
        let digits = word.chars().filter(char::is_ascii_digit).count();
        let is_id = word.len() == 36 && word.matches('-').count() == 4 && digits > 4;
        let is_tail =
            word.len() == 4 && (result.ends_with("••••") || result.ends_with("ending in "));
        let is_credential = word.len() == 12 && word.starts_with("CNST") && digits == 8;
        let is_letter_or_id = |c: char| c.is_ascii_hexdigit();
        result.push_str(if is_id {
            "ID"
        } else if is_tail {
            "####"
        } else if is_credential {
            "CNST########"
        } else if word.len() >= 20 && (digits > 2 || word.chars().all(is_letter_or_id)) {
            "SECRET"
        } else {
            word
        });
    }
    result
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_pages_are_as_they_were_found_good() {
    let mut changed = Vec::new();

    let app = TestApp::on(Backend::Sqlite).await;
    app.give_addresses(&app.person, "ada@x.example").await;
    compare("sign-in", &app.browser().get("/portal/login").await, &mut changed);
    let mut browser = app.signed_in().await;
    for (name, path) in [
        ("tokens", "/portal/tokens".to_owned()),
        ("add-token", "/portal/tokens/new".to_owned()),
        ("disable", format!("/portal/tokens/{}/disable", app.person.token)),
    ] {
        compare(name, &browser.get(&path).await, &mut changed);
    }
    let mut chart = app.launched("amoreno").await;
    let path = prescribing::ready(&mut chart).await;
    compare("signing", &chart.get("/e-prescribing/sign").await, &mut changed);
    compare("prescription", &chart.get(&path).await, &mut changed);

    let place = Place::of(TestApp::on(Backend::Sqlite).await).await;
    let mut office = place.app.signed_in_as(&place.office).await;
    let change =
        [("role", "issuing"), ("give", "yes"), ("unit", "Front"), ("role_reason", "helps")];
    let request = place.enter(&mut office, "role", &change).await;
    compare("practice", &office.get(&place.base).await, &mut changed);
    let mut doctor = place.app.signed_in_as(&place.doctor).await;
    compare("request", &doctor.get(&request).await, &mut changed);

    let house = House::of(TestApp::on(Backend::Sqlite).await, Setting::Institution).await;
    assert_eq!(house.invite(&[]).await.status, 303);
    let mut browser = house.begin().await;
    compare("enrollment", &browser.get("/enrol").await, &mut changed);
    let mut proofer = house.at_desk(&house.proofer).await;
    let case = house.case(&mut proofer).await;
    compare("case", &proofer.get(&case).await, &mut changed);

    assert!(
        changed.is_empty(),
        "UPDATE_SNAPSHOTS=1 writes anew what is meant:\n{}",
        changed.join("\n")
    );
}

#[test]
fn what_differs_in_every_run_is_replaced() {
    let text = "/x/0196f000-0000-7000-8000-000000000000 CNST••••4821, ending in 4821 CNST12345678 \
        q1W2e3R4t5Y6u7I8o9P0 2026-05-25 a-long-name-without-any-digits";
    let wanted = "/x/ID CNST••••####, ending in #### CNST######## SECRET 2026-05-25 a-long-name-without-any-digits";
    assert_eq!(without_secrets(text), wanted);
    assert_eq!(without_picture_or_number("  9028 3327"), "#### ####");
    assert_eq!(without_picture_or_number("  <path d=\"M4 4h7\">"), "<path>");
    assert_eq!(without_picture_or_number("  4 Birch Lane"), "  4 Birch Lane");
}
