//! House rules that a compiler can't hold.

use std::{fs, path::Path};

#[test]
fn use_cases_know_nothing_of_http() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/app");
    let mut read = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            for word in ["axum", "http::", "hyper", "StatusCode", "askama", "tower"] {
                assert!(
                    !code.contains(word),
                    "{}:{}: a use case mentions {word}",
                    path.display(),
                    number + 1
                );
            }
        }
        read += 1;
    }
    assert!(read >= 8, "src/app has moved");
}
