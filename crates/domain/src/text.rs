//! What people type, as one line in which everything is seen.

/// The text with a space in place of each character that is not seen: no part of it looks like another line, and
/// nothing in it turns the order of what is seen. An app refuses to show what has such a character.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if is_unseen(c) { ' ' } else { c }).collect()
}

/// Whether a character is not seen, or turns the order of those that are: control and format characters, line and
/// paragraph separators, and all that Unicode lets a font leave out (`Default_Ignorable_Code_Point`). With them a
/// text could be shown as another one.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}' | '\u{891}' | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}
/// Whether the letters of a name come from more than one script, so that one of them may be another letter than it
/// looks like: a Cyrillic "A" among Latin letters.
pub fn mixes_scripts(name: &str) -> bool {
    let mut scripts = name.chars().filter_map(script);
    scripts.next().is_some_and(|first| scripts.any(|other| other != first))
}

/// A script that has letters which look like those of another one; all else that is no Latin letter is one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Other,
}

fn script(c: char) -> Option<Script> {
    match c {
        // Modifier letters, such as an okina or an apostrophe, belong to every script.
        '\u{2b0}'..='\u{2ff}' => None,
        'A'..='Z'
        | 'a'..='z'
        | '\u{c0}'..='\u{2af}'
        | '\u{1e00}'..='\u{1eff}'
        | '\u{2c60}'..='\u{2c7f}'
        | '\u{a722}'..='\u{a7ff}'
        | '\u{aa}'
        | '\u{ba}' => c.is_alphabetic().then_some(Script::Latin),
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => {
            c.is_alphabetic().then_some(Script::Greek)
        }
        '\u{400}'..='\u{52f}'
        | '\u{1c80}'..='\u{1c8f}'
        | '\u{2de0}'..='\u{2dff}'
        | '\u{a640}'..='\u{a69f}' => c.is_alphabetic().then_some(Script::Cyrillic),
        _ => c.is_alphabetic().then_some(Script::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_two_scripts_is_found() {
        for one in [
            "Ada Moreno",
            "José Núñez",
            "O\u{2019}Brien-Łukasz",
            "Kaʻiulani",
            "Анна Петрова",
            "Ελένη",
            "王芳",
            "",
        ] {
            assert!(!mixes_scripts(one), "{one}");
        }
        for two in [
            "\u{410}da Moreno",
            "Ada M\u{43e}reno",
            "Ad\u{3b1} Moreno",
            "Ada \u{ff2d}oreno",
            "Ada Моreno",
        ] {
            assert!(mixes_scripts(two), "{two}");
        }
    }
}
