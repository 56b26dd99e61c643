//! Lines for the terminal: codes, credential IDs, commands to go on with and the warning about the clock.

use std::path::PathBuf;

use countersign_domain::{
    CredentialId, Timestamp,
    otp::{OtpParams, TokenSeed, passcode},
};

use super::TokenFolder;

/// A clock further than this from the server's is worth a warning: milliseconds.
const CLOCK_FINE_MS: i64 = 3_000;

/// `123 456   (17 s left)`
pub(super) fn code_line(seed: &TokenSeed, params: OtpParams, now: Timestamp) -> String {
    let code = passcode(seed, &params, params.step_at(now));
    let half = code.len() / 2;
    let (first, second) = code.split_at_checked(half).unwrap_or((&code, ""));
    format!("{first} {second}   ({} s left)", params.seconds_left(now))
}

/// `CNST 1234 5674`: the letters, then the digits by four.
pub(super) fn grouped_id(id: &CredentialId) -> String {
    let text = id.as_str();
    let letters = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let mut grouped = letters.to_owned();
    for (index, digit) in text.chars().skip(letters.len()).enumerate() {
        if index % 4 == 0 && !grouped.is_empty() {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// A command of ours to go on with, that works as it stands: this program as it was called, in
/// the folder that was named.
pub(super) fn follow_up(folder: &TokenFolder, words: &[&str]) -> String {
    let program = std::env::args_os().next().map(PathBuf::from);
    let program = program.unwrap_or_else(|| "countersign".into()).display().to_string();
    let mut line = vec![quoted(&program), "token".to_owned()];
    line.extend(
        words
            .iter()
            .map(|word| if word.starts_with("--") { (*word).to_owned() } else { quoted(word) }),
    );
    if let Some(dir) = folder.dir.as_ref().filter(|dir| !dir.as_os_str().is_empty()) {
        line.extend(["--dir".to_owned(), quoted(&dir.display().to_string())]);
    }
    line.join(" ")
}

/// A name or a path as a shell takes it.
pub(crate) fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+');
    if !name.is_empty() && name.chars().all(plain) && !name.starts_with('-') {
        return name.to_owned();
    }
    format!("'{}'", name.replace('\'', r"'\''"))
}

pub(super) fn clock_warning(offset_ms: i64) -> Option<String> {
    if offset_ms.saturating_abs() <= CLOCK_FINE_MS {
        return None;
    }
    let seconds = offset_ms.saturating_abs() / 1_000;
    let side = if offset_ms > 0 { "behind" } else { "ahead of" };
    Some(format!(
        "Check your clock: this computer is {seconds} s {side} the server.\nPasscodes may be rejected until it is correct. Turn on automatic time, then continue."
    ))
}
