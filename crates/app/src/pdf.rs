//! Lines of text as a PDF of letter-size pages, for those who keep paper.

use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str};

/// Points of a letter-size page: width, height.
const PAGE: (f32, f32) = (612.0, 792.0);
const MARGIN: f32 = 36.0;
const SIZE: f32 = 9.0;
const LEADING: f32 = 11.5;
/// Characters in a line: each is 0.6 of the size wide in Courier.
const COLUMNS: usize = 100;
/// Lines on a page below its heading.
const LINES: usize = 58;

/// A character in the encoding of the font (`WinAnsiEncoding`); what it does not have becomes a question mark.
fn byte(c: char) -> u8 {
    match c {
        '\u{2014}' => 0x97,
        '\u{2013}' => 0x96,
        '\u{2019}' => 0x92,
        '\u{201c}' => 0x93,
        '\u{201d}' => 0x94,
        ' '..='~' | '\u{a0}'..='\u{ff}' => u8::try_from(u32::from(c)).unwrap_or(b'?'),
        _ => b'?',
    }
}

/// A text in lines that fit, the later ones set in.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let room = COLUMNS.saturating_sub(line.chars().count() + 1);
        if !line.trim().is_empty() && word.chars().count() > room {
            lines.push(std::mem::replace(&mut line, "    ".to_owned()));
        }
        if !line.is_empty() && !line.ends_with(' ') {
            line.push(' ');
        }
        // A word that no line holds is cut into such as do.
        let mut rest: Vec<char> = word.chars().collect();
        while line.chars().count() + rest.len() > COLUMNS {
            let take = COLUMNS - line.chars().count();
            line.extend(rest.drain(..take.min(rest.len())));
            lines.push(std::mem::replace(&mut line, "    ".to_owned()));
        }
        line.extend(rest);
    }
    lines.push(line);
    lines
}

/// A document: its title stands on every page, with the number of the page.
pub fn document(title: &str, paragraphs: &[String]) -> Vec<u8> {
    let lines: Vec<String> = paragraphs.iter().flat_map(|text| wrapped(text)).collect();
    let mut pages: Vec<&[String]> = lines.chunks(LINES).collect();
    if pages.is_empty() {
        pages.push(&[]);
    }
    let (catalog, tree, font) = (Ref::new(1), Ref::new(2), Ref::new(3));
    let id = |at: usize| Ref::new(i32::try_from(4 + at).unwrap_or(i32::MAX));
    let (of_page, of_content) = (|at: usize| id(2 * at), |at: usize| id(2 * at + 1));
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(tree);
    let count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
    pdf.pages(tree).kids((0..pages.len()).map(of_page)).count(count);
    pdf.type1_font(font).base_font(Name(b"Courier")).encoding_predefined(Name(b"WinAnsiEncoding"));
    for (at, lines) in pages.iter().enumerate() {
        let mut page = pdf.page(of_page(at));
        page.media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1));
        page.parent(tree);
        page.contents(of_content(at));
        page.resources().fonts().pair(Name(b"F1"), font);
        page.finish();
        let mut content = Content::new();
        content.begin_text();
        content.set_font(Name(b"F1"), SIZE);
        content.next_line(MARGIN, PAGE.1 - MARGIN - SIZE);
        let heading = format!("{title}    {} of {}", at + 1, pages.len());
        let heading: Vec<u8> = heading.chars().take(COLUMNS).map(byte).collect();
        content.show(Str(&heading));
        content.next_line(0.0, -LEADING);
        for line in *lines {
            let line: Vec<u8> = line.chars().map(byte).collect();
            content.next_line(0.0, -LEADING);
            content.show(Str(&line));
        }
        content.end_text();
        pdf.stream(of_content(at), &content.finish());
    }
    pdf.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_fits_and_nothing_is_lost() {
        let long = format!("{} {} end", "word ".repeat(40).trim(), "x".repeat(250));
        let lines = wrapped(&long);
        assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS), "{lines:?}");
        let together = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(together(&lines.join("")), together(&long));
        assert_eq!(wrapped(""), [""]);
    }

    #[test]
    fn pages_are_numbered_and_text_is_no_command() {
        let many: Vec<String> =
            (0..=LINES).map(|n| format!("Zo\u{eb} (Example) \\ {n} \u{4e16}")).collect();
        let made = document("Log, 2027-05", &many);
        let text = String::from_utf8_lossy(&made);
        assert!(text.starts_with("%PDF-") && text.trim_end().ends_with("%%EOF"));
        assert!(text.contains("Log, 2027-05    1 of 2") && text.contains("Log, 2027-05    2 of 2"));
        assert!(!text.contains("(Example) \\ 0"), "brackets and strokes are escaped");
        assert!(document("Nothing", &[]).starts_with(b"%PDF-"));
    }
}
