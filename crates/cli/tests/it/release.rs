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
        .fails("drugs: line 3: federally this drug is of schedule 3N");
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
        ("\"NY\"", "\"New York\"", "signing.no_series_states: \"New York\": Use the two letters"),
        ("\"TX\"", "\"XX\"", "signing.supervisor_states: \"XX\": Use the two letters"),
    ] {
        place.write("countersign.toml", &file.replace(good, bad));
        place.run(&["serve", "--check-config"]).fails(text);
    }
}
