//! Lists of certified builds.

use crate::run::Place;

#[test]
fn a_manifest_lists_binaries_and_nothing_else_does() {
    let place = Place::new();
    let keys = place.run(&["release", "new-key", "release.key"]).good();
    let keys = place.write("keys.json", &keys).display().to_string();
    place.run(&["release", "new-key", "release.key"]).fails("release.key");
    let other = place.write("other", "another program").display().to_string();
    let own = env!("CARGO_BIN_EXE_countersign");
    let sign = |binary: &str| {
        place
            .run(&["release", "sign", "--key-file", "release.key", "--report", "R-1", binary])
            .good()
    };
    let listed = place.write("listed.jws", &sign(own)).display().to_string();
    let check = |manifest: &str, keys: &str, binary: &[&str]| {
        place.run(&[&["release", "check", manifest, "--keys", keys], binary].concat())
    };
    assert!(check(&listed, &keys, &[]).good().contains("is listed: R-1"));
    check(&listed, &keys, &[&other]).fails("is not listed");
    let elsewhere = place.write("elsewhere.jws", &sign(&other)).display().to_string();
    check(&elsewhere, &keys, &[]).fails("is not listed");
    // Somebody else's key, and a manifest that was changed.
    let stranger = place.run(&["release", "new-key", "stranger.key"]).good();
    let stranger = place.write("stranger.json", &stranger).display().to_string();
    check(&listed, &stranger, &[]).fails("not valid");
    let text = std::fs::read_to_string(&listed).unwrap();
    let changed = place.write("changed.jws", &text.replacen(".e", ".f", 1)).display().to_string();
    check(&changed, &keys, &[]).fails("not valid");
    // The server reads the same files; one that does not hold is a fault of the configuration.
    let config = |manifest: &str| {
        let text = format!(
            "[signing]\nrelease_manifest_file = \"{manifest}\"\nrelease_keys_file = \"{keys}\"\n"
        );
        place.write("countersign.toml", &text);
        place.run(&["serve", "--check-config"])
    };
    config(&listed).good();
    config(&elsewhere).good();
    config(&changed).fails("not valid");
    place.write("countersign.toml", "[signing]\ndrug_table_file = \"drugs\"\n");
    place.write("drugs", "4 | A\nfour | B\n");
    place.run(&["serve", "--check-config"]).fails("drugs: line 2");
    // A state is never looser than the federal schedule.
    place.write("drugs", "3N | Testosterone\n2N | Testosterone | NY\n4 | Testosterone | KY\n");
    place
        .run(&["serve", "--check-config"])
        .fails("drugs: line 3: this drug is federally in schedule 3N");
    place.write("drugs", "3N | Testosterone\n2N | Testosterone | NY\n5 | Gabapentin | KY\n");
    let states = "schedule_v_states = [\"KY 5 180\"]\nno_series_states = [\"NY\"]\nsupervisor_states = [\"TX\"]\n";
    let file = format!("[signing]\ndrug_table_file = \"drugs\"\n{states}");
    place.write("countersign.toml", &file);
    place.run(&["serve", "--check-config"]).good();
    for (good, bad, text) in [
        ("KY 5 180", "KY five", "signing.schedule_v_states: \"KY five\": write the two letters"),
        (
            "\"KY 5 180\"",
            "\"KY 5 180\", \"KY 4 -\"",
            "signing.schedule_v_states: this state has a limit already",
        ),
        ("\"NY\"", "\"New York\"", "signing.no_series_states: \"New York\": Enter the two-letter"),
        ("\"TX\"", "\"XX\"", "signing.supervisor_states: \"XX\": Enter the two-letter"),
    ] {
        place.write("countersign.toml", &file.replace(good, bad));
        place.run(&["serve", "--check-config"]).fails(text);
    }
}

/// The operator enters reports and notices of noncompliance; what is wrong is named in one line.
/// Shows: R-1304.06-ef
#[test]
fn reports_and_notices_are_entered_on_the_command_line() {
    let place = Place::new();
    place.run(&["migrate"]).good();
    assert!(place.run(&["admin", "reports"]).good().contains("No report"));
    let today = countersign_domain::Date::at(
        countersign_testkit::real_now(),
        &countersign_domain::TimeZone::UTC,
    );
    let (issued, expires) = (today.plus_days(-30).to_string(), today.plus_days(300).to_string());
    let own = env!("CARGO_BIN_EXE_countersign");
    place.write("report.txt", "Audited.\n");
    let add = |file: &str, expires: &str, more: &[&str]| {
        let fixed = [
            "admin",
            "add-report",
            "--id",
            "R-1",
            "--kind",
            "audit",
            "--auditor",
            "Example LLP",
            "--issued",
            &issued,
            "--expires",
            expires,
            "--file",
            file,
            "--by",
            "Ops",
        ];
        place.run(&[&fixed, more].concat())
    };
    add("nowhere.pdf", &expires, &["--binary", own]).fails("nowhere.pdf");
    add("report.txt", &expires, &[]).fails("must cover at least one build");
    let late = today.plus_years(3).to_string();
    add("report.txt", &late, &["--binary", own]).fails("at most two years");
    let said = add("report.txt", &expires, &["--binary", own, "--build", &"ab".repeat(32)]).good();
    assert!(
        said.contains("R-1  audit of Example LLP") && said.contains(&"ab".repeat(32)),
        "{said}"
    );
    add("report.txt", &expires, &["--binary", own]).fails("can't be changed");
    let notice = |reason: &str| {
        place.run(&[
            "admin",
            "noncompliance",
            "--from",
            "Example Provider",
            "--reason",
            reason,
            "--by",
            "Ops",
        ])
    };
    // The true cause, once.
    for (reason, why) in [
        ("a\nb", "--reason: Enter it on one line."),
        ("a\u{202e}b", "--reason: This contains an invisible character (U+202E). Remove it."),
        (" ", "--reason: Enter a value."),
        (&"x".repeat(201), "--reason: Use at most 200 characters (now 201)."),
    ] {
        assert_eq!(notice(reason).err, format!("countersign: {why}\n"));
    }
    let late = add("report.txt", &late, &["--binary", own]).err;
    assert_eq!(late.matches("at most two years").count(), 1, "{late}");
    assert!(
        notice("refills are sent wrongly").good().contains("Signing is stopped in every practice")
    );
    notice("refills are sent wrongly").fails("already entered and open");
    let said = place.run(&["admin", "reports"]).good();
    assert!(said.contains("open: signing is stopped") && said.contains("refills"), "{said}");
}

/// An open notice is shown whatever the settings say of the build, and has an end where no manifest lists the build.
#[test]
fn a_notice_of_noncompliance_is_shown_and_ended() {
    let place = Place::new();
    place.run(&["migrate"]).good();
    let notice = |through: &[&str]| {
        let fixed =
            ["admin", "noncompliance", "--from", "Provider", "--reason", "x", "--by", "Ops"];
        place.run(&[&fixed, through].concat()).good()
    };
    let end = |id: &str| {
        place.run(&[
            "admin",
            "end-noncompliance",
            id,
            "--from",
            "Provider",
            "--reason",
            "mended",
            "--by",
            "Ops",
        ])
    };
    let doctor = || place.run(&["doctor"]);
    let id_in = |said: &str| {
        let id = said.split("Recorded as ").nth(1).unwrap().split('.').next().unwrap();
        id.to_owned()
    };
    assert!(!doctor().out.contains("noncompliance"));
    let older = id_in(&notice(&["--through", "0.0.1"]));
    for text in ["", "[signing]\nunlisted_build = true\n"] {
        place.write("countersign.toml", text);
        let said = doctor();
        assert_eq!(said.code, 1, "{said:?}");
        for part in ["this build can't sign", "through version 0.0.1, from Provider: x", &older] {
            assert!(said.out.contains(part), "{part}: {}", said.out);
        }
        assert!(said.out.contains("also with signing.unlisted_build = true"), "{}", said.out);
        assert!(said.out.contains("admin end-noncompliance"), "{}", said.out);
    }
    end("0196f000-0000-7000-8000-000000000000").fails("no open notice has this ID");
    assert!(end(&older).good().starts_with("Ended."));
    end(&older).fails("no open notice has this ID");
    let said = doctor();
    assert!(!said.out.contains("noncompliance"), "{}", said.out);
    assert!(place.run(&["admin", "reports"]).good().contains("ended "));
    // One about this very version ends with a newer program alone.
    let own = id_in(&notice(&[]));
    end(&own).fails("install a newer version first");
    let said = doctor();
    assert!(said.out.contains("To do: install a newer build"), "{}", said.out);
}
