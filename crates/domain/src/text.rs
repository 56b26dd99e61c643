//! Text that a person or another system gives: what may stand in one line, in the name of a thing, and in the name of
//! a person.
//!
//! What a person types is read into [`Line`], [`Label`], [`Name`] or [`KeyboardLine`], or refused with a [`TextError`]
//! beside its field. What another system sends and must be shown is made safe to show by [`shown_line`]. The terms are
//! those of Unicode 17: UAX #15 (normalization), UAX #24 (scripts), UAX #31 (joiners in words), UTS #39 (security).

use std::{fmt, str::FromStr};

use thiserror::Error;
use unicode_normalization::{UnicodeNormalization, char::canonical_combining_class};
use unicode_properties::{
    GeneralCategory as Category, GeneralCategoryGroup as Group, UnicodeGeneralCategory,
};
use unicode_script::{Script, ScriptExtension, UnicodeScript};

/// Zero width non-joiner: Persian and Indic words need it.
const ZWNJ: char = '\u{200c}';
/// Zero width joiner: Indic words need it.
const ZWJ: char = '\u{200d}';
/// Stands for a character that can't be shown.
const REPLACEMENT: char = '\u{fffd}';
/// Most marks of no width on one letter (UTS #39, 5.4).
const MOST_MARKS: usize = 4;
/// The canonical combining class of a virama, which joins Indic consonants (UAX #44).
const VIRAMA: u8 = 9;
/// Signs in names of people, beside letters, marks, spaces and ASCII digits.
const NAME_SIGNS: &str =
    "'\u{2018}\u{2019}`\u{b4}\"-\u{2010}\u{2011}\u{58a}\u{5be}\u{5f3}\u{5f4}.,()\u{b7}\u{30fb}/";

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

/// Why a text is not taken. The words are for whoever typed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TextError {
    /// The text is empty or has spaces only.
    #[error("Enter a value.")]
    Empty,
    /// Longer than its field. Nothing is cut.
    #[error("Use at most {most} characters (now {found}).")]
    TooLong {
        /// Most characters of the field.
        most: usize,
        /// Characters of the text.
        found: usize,
    },
    /// A line or paragraph separator (CR, LF, VT, FF, NEL, U+2028, U+2029).
    #[error("Enter it on one line.")]
    LineBreak,
    /// A control or format character, or another one that is not seen.
    #[error("This contains an invisible character ({}). Remove it.", code(.0))]
    Unseen(char),
    /// Unassigned, or for private use: it looks different everywhere, or like nothing.
    #[error("This contains an unsupported character ({}). Remove it.", code(.0))]
    Unassigned(char),
    /// The sign that stands for a character which could not be read or shown.
    #[error("The character \u{fffd} can't be shown. Remove it.")]
    Replaced,
    /// A combining mark without a letter before it.
    #[error("An accent has no letter before it ({}). Enter it after its letter.", code(.0))]
    LoneMark(char),
    /// More than four marks of no width on one letter.
    #[error("A letter can have at most {MOST_MARKS} accents.")]
    ManyMarks,
    /// A sign that no name of a person has.
    #[error("A name can't contain the character {0}.")]
    NotInNames(char),
    /// A name of signs and digits only.
    #[error("A name needs at least one letter.")]
    NoLetter,
    /// A letter in a special form, such as full width or mathematical, that looks like a plain one.
    #[error("The letter {0} is a special form. Enter the plain letter.")]
    Styled(char),
    /// Letters of scripts that are not used together: some look alike.
    #[error(
        "This mixes letters from two alphabets ({} and {}). Use only one.",
        .0.full_name(),
        .1.full_name()
    )]
    MixedScripts(Script, Script),
    /// A character that is not on an American keyboard.
    #[error("Use only letters A to Z, digits, and characters on a US keyboard.")]
    NotOnKeyboard,
}

/// The code point as `U+` and four or more hexadecimal digits, such as `U+202E`.
fn code(c: &char) -> String {
    format!("U+{:04X}", u32::from(*c))
}

/// What stands before a character, as far as it matters.
#[derive(Default)]
struct Before {
    /// The character directly before; none at the start.
    last: Option<char>,
    /// The letter or sign that marks would join; none at the start and after a space.
    base: Option<char>,
    /// Marks of no width on it.
    marks: usize,
}

impl Before {
    /// What is wrong with the next character; none if it is allowed here.
    fn fault(&self, c: char, next: Option<char>) -> Option<TextError> {
        if matches!(c, ' '..='~') {
            return None;
        }
        match c {
            '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                return Some(TextError::LineBreak);
            }
            ZWNJ | ZWJ => return (!self.joins(c, next)).then_some(TextError::Unseen(c)),
            REPLACEMENT | '\u{fffc}' => return Some(TextError::Replaced),
            _ if is_unseen(c) => return Some(TextError::Unseen(c)),
            _ => {}
        }
        match c.general_category() {
            Category::Control | Category::Format => Some(TextError::Unseen(c)),
            Category::LineSeparator | Category::ParagraphSeparator => Some(TextError::LineBreak),
            Category::Unassigned | Category::PrivateUse | Category::Surrogate => {
                Some(TextError::Unassigned(c))
            }
            Category::NonspacingMark | Category::EnclosingMark | Category::SpacingMark
                if self.base.is_none() =>
            {
                Some(TextError::LoneMark(c))
            }
            Category::NonspacingMark | Category::EnclosingMark if self.marks >= MOST_MARKS => {
                Some(TextError::ManyMarks)
            }
            _ => None,
        }
    }

    /// Whether a joiner changes here how a word of its script is written (UAX #31, 2.3): between Arabic letters, and
    /// beside a virama. Anywhere else nobody would see it.
    fn joins(&self, joiner: char, next: Option<char>) -> bool {
        let (Some(base), Some(last)) = (self.base, self.last) else { return false };
        if matches!(last, ZWNJ | ZWJ) || self.marks >= MOST_MARKS {
            return false;
        }
        let script = base.script();
        let is_letter = |c: char| c.general_category_group() == Group::Letter;
        let before_letter = next.is_some_and(|next| next.script() == script && is_letter(next));
        match script {
            Script::Arabic | Script::Syriac | Script::Nko => {
                joiner == ZWNJ && is_letter(base) && before_letter
            }
            Script::Bengali
            | Script::Devanagari
            | Script::Gujarati
            | Script::Gurmukhi
            | Script::Kannada
            | Script::Khmer
            | Script::Malayalam
            | Script::Myanmar
            | Script::Oriya
            | Script::Sinhala
            | Script::Tamil
            | Script::Telugu
            | Script::Tibetan => {
                let is_virama = |c: char| canonical_combining_class(c) == VIRAMA;
                match joiner {
                    ZWNJ => is_virama(last) && before_letter,
                    // Also before one: Bengali and Kannada write some words with ra, joiner, virama.
                    _ => is_virama(last) || is_letter(last) && next.is_some_and(is_virama),
                }
            }
            _ => false,
        }
    }

    fn push(&mut self, c: char, good: bool) {
        self.last = Some(c);
        match c.general_category() {
            _ if !good => (self.base, self.marks) = (None, 0),
            Category::NonspacingMark | Category::EnclosingMark => self.marks += 1,
            Category::Format | Category::SpacingMark => {}
            _ => (self.base, self.marks) = (Some(c).filter(|c| !c.is_whitespace()), 0),
        }
    }
}

/// Each character, and what is wrong with it where it stands.
fn faults(text: &str) -> impl Iterator<Item = (char, Option<TextError>)> {
    let mut before = Before::default();
    let mut chars = text.chars().peekable();
    std::iter::from_fn(move || {
        let c = chars.next()?;
        let fault = before.fault(c, chars.peek().copied());
        before.push(c, fault.is_none());
        Some((c, fault))
    })
}

/// Checks that a text is one line of at most `most` characters in which everything is seen, and in its order. The
/// empty text is such a line.
pub fn check_line(text: &str, most: usize) -> Result<(), TextError> {
    let found = text.chars().count();
    if found > most {
        return Err(TextError::TooLong { most, found });
    }
    faults(text).find_map(|(_, fault)| fault).map_or(Ok(()), Err)
}

/// What another system sent, as one line of at most `most` characters: a space for each line break and tab, U+FFFD for
/// each run of characters that can't be shown, an ellipsis at the end of what was longer.
pub fn shown_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    for (c, fault) in faults(text.trim()) {
        let shown = match fault {
            None => c,
            Some(TextError::LineBreak) => ' ',
            Some(_) if c == '\t' => ' ',
            Some(_) => REPLACEMENT,
        };
        if fault.is_some() && line.ends_with(shown) {
            continue;
        }
        line.push(shown);
        length += 1;
        if length > most {
            // The last one, and the one in whose place the ellipsis stands.
            line.pop();
            line.pop();
            while line.ends_with([ZWNJ, ZWJ]) {
                line.pop();
            }
            line.push('\u{2026}');
            break;
        }
    }
    line.trim_end().to_owned()
}

/// What somebody typed, as their form shows it again: where a character can't be seen there stands U+FFFD, so that
/// they can find it.
pub fn retyped(text: &str) -> String {
    faults(text).map(|(c, fault)| if fault.is_some() { REPLACEMENT } else { c }).collect()
}

/// Checks that all letters are of one script, or of scripts that are written together ("highly restrictive" of
/// UTS #39, 5.2): Latin, Han and Japanese syllables; Latin, Han and Bopomofo; Latin, Han and Hangul.
pub fn one_script(text: &str) -> Result<(), TextError> {
    let together = |parts: [Script; 3]| {
        let latin = ScriptExtension::from(Script::Latin);
        parts.into_iter().fold(latin, |all, script| all.union(script.into()))
    };
    let letters = || {
        text.chars()
            .map(|c| (c, c.script_extension()))
            .filter(|(_, of)| !of.is_common() && !of.is_inherited())
    };
    let customary = [
        together([Script::Han, Script::Hiragana, Script::Katakana]),
        together([Script::Han, Script::Bopomofo, Script::Han]),
        together([Script::Han, Script::Hangul, Script::Han]),
    ];
    if customary.into_iter().any(|all| letters().all(|(_, of)| !of.intersection(all).is_empty())) {
        return Ok(());
    }
    let mut common: Option<(char, ScriptExtension)> = None;
    for (c, of) in letters() {
        let (first, all) = common.unwrap_or((c, of));
        let all = all.intersection(of);
        if all.is_empty() {
            return Err(TextError::MixedScripts(first.script(), c.script()));
        }
        common = Some((first, all));
    }
    Ok(())
}

/// Refuses letters that are a special form of an ASCII letter: full width, mathematical, ligatures. `ª` and `º` stay:
/// Spanish abbreviates names with them.
fn no_styled_letters(text: &str) -> Result<(), TextError> {
    let styled = |c: &char| {
        !c.is_ascii()
            && !matches!(c, 'ª' | 'º')
            && c.is_alphanumeric()
            && c.nfkd().all(|plain| plain.is_ascii_alphanumeric())
    };
    text.chars().find(styled).map_or(Ok(()), |c| Err(TextError::Styled(c)))
}

/// Whether a name that was given before names were checked has letters that may be others than they look like.
pub fn mixes_scripts(name: &str) -> bool {
    unambiguous(name).is_err()
}

/// Refuses letters that may be others than they look like: of several alphabets ([`one_script`]), or a special form of a
/// plain letter.
pub fn unambiguous(text: &str) -> Result<(), TextError> {
    no_styled_letters(text)?;
    one_script(text)
}

fn check_name(text: &str) -> Result<(), TextError> {
    no_styled_letters(text)?;
    let mut letters = false;
    for c in text.chars() {
        match c.general_category_group() {
            Group::Letter => letters = true,
            Group::Mark => {}
            _ if c == ' ' || c.is_ascii_digit() || NAME_SIGNS.contains(c) => {}
            _ if matches!(c, ZWNJ | ZWJ) => {}
            _ => return Err(TextError::NotInNames(c)),
        }
    }
    if !letters {
        return Err(TextError::NoLetter);
    }
    one_script(text)
}

/// The text without spaces at its ends; refuses the empty one.
fn trimmed(text: &str, most: usize) -> Result<&str, TextError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    check_line(text, most)?;
    Ok(text)
}

/// The text in normalization form C, with one plain space for each run of spaces and none at its ends.
pub fn normalized(text: &str) -> String {
    let plain: String = text.nfc().map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
    plain.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn line(text: &str, most: usize) -> Result<String, TextError> {
    trimmed(text, most).map(str::to_owned)
}

fn label(text: &str, most: usize) -> Result<String, TextError> {
    let text = normalized(trimmed(text, most)?);
    check_line(&text, most)?;
    no_styled_letters(&text)?;
    one_script(&text)?;
    Ok(text)
}

fn name(text: &str, most: usize) -> Result<String, TextError> {
    let text = normalized(trimmed(text, most)?);
    check_line(&text, most)?;
    check_name(&text)?;
    Ok(text)
}

fn keyboard_line(text: &str, most: usize) -> Result<String, TextError> {
    let text = trimmed(text, most)?;
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        Ok(text.to_owned())
    } else {
        Err(TextError::NotOnKeyboard)
    }
}

macro_rules! text_type {
    ($(#[$about:meta])* $type:ident, $read:ident) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $type<const MOST: usize>(String);

        impl<const MOST: usize> $type<MOST> {
            /// The checked text: one line of at most `MOST` characters.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<const MOST: usize> FromStr for $type<MOST> {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                $read(text, MOST).map(Self)
            }
        }

        impl<const MOST: usize> From<$type<MOST>> for String {
            fn from(text: $type<MOST>) -> Self {
                text.0
            }
        }

        impl<const MOST: usize> fmt::Display for $type<MOST> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_type! {
    /// Free text of 1 to `MOST` characters on one line, such as a reason or an address: see [`check_line`].
    Line, line
}
text_type! {
    /// The name of a thing: a practice, a unit, a system. A [`Line`] in normalization form C and of one script, since
    /// people and rules compare such names.
    Label, label
}
text_type! {
    /// The name of a person, or a part of one: letters of one script with their marks, spaces, ASCII digits and the
    /// signs of names; at least one letter; in normalization form C.
    Name, name
}
text_type! {
    /// A number that an authority gives, such as that of a license: visible ASCII and spaces.
    KeyboardLine, keyboard_line
}

#[cfg(test)]
mod tests;
