//! The few things that both directions need of XML, with limits on everything that is read.

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};
use roxmltree::{Document, Node, ParsingOptions};

pub(super) const NAMESPACE: &str = "http://www.verisign.com/2006/08/vipservice";
pub(super) const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
pub(super) const PROTOCOL_VERSION: &str = "2.0";

/// A request has about 50 nodes, the white space between elements counted.
const NODES_MAX: u32 = 160;
const DEPTH_MAX: usize = 8;

/// Not the XML that is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct XmlError;

/// Parses within the limits: no document type, no comment, no CDATA, no processing instruction.
pub(super) fn parse(text: &str) -> Result<Document<'_>, XmlError> {
    // Whatever begins so is one of those. An honest message has none, and a text that a comment cuts
    // in two could be read as two different values.
    if text.contains("<!") {
        return Err(XmlError);
    }
    let options =
        ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|_| XmlError)?;
    let holds = document.descendants().all(|node| {
        !node.is_pi()
            && !node.is_comment()
            && node.ancestors().take(DEPTH_MAX + 1).count() <= DEPTH_MAX
    });
    if holds { Ok(document) } else { Err(XmlError) }
}

/// An element of the protocol's namespace with this name and no attributes but `attributes`.
pub(super) fn expect(node: Node<'_, '_>, name: &str, attributes: &[&str]) -> Result<(), XmlError> {
    let known = node.has_tag_name((NAMESPACE, name))
        && node.attributes().all(|attribute| {
            attributes.contains(&attribute.name())
                && attribute.namespace().is_none_or(|namespace| namespace == XSI)
        });
    if known { Ok(()) } else { Err(XmlError) }
}

/// The child elements, where there is nothing but white space between them.
pub(super) fn children<'a, 'input>(
    node: Node<'a, 'input>,
) -> Result<Vec<Node<'a, 'input>>, XmlError> {
    let mut elements = Vec::new();
    for child in node.children() {
        if child.is_element() {
            elements.push(child);
        } else if !child.text().unwrap_or_default().trim_ascii().is_empty() {
            return Err(XmlError);
        }
    }
    Ok(elements)
}

/// The text of an element without children: printable ASCII, at most `most` bytes.
pub(super) fn text<'a>(node: Node<'a, '_>, most: usize) -> Result<&'a str, XmlError> {
    if node.children().any(|child| !child.is_text()) || node.children().count() > 1 {
        return Err(XmlError);
    }
    printable(node.text().unwrap_or_default(), most)
}

/// `text` if it is printable ASCII of at most `most` bytes.
pub(super) fn printable(text: &str, most: usize) -> Result<&str, XmlError> {
    let holds = text.len() <= most && text.bytes().all(|b| (b' '..=b'~').contains(&b));
    if holds { Ok(text) } else { Err(XmlError) }
}

/// Puts `value` into an empty `slot`; an error if the slot has one, since an element comes once.
pub(super) fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), XmlError> {
    if slot.replace(value).is_some() { Err(XmlError) } else { Ok(()) }
}

/// Writes a message; escapes what it is given.
pub(super) struct XmlWriter {
    writer: Writer<Vec<u8>>,
    open: Vec<&'static str>,
    failed: bool,
}

impl XmlWriter {
    pub(super) fn new() -> Self {
        let mut new = Self { writer: Writer::new(Vec::new()), open: Vec::new(), failed: false };
        new.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        new
    }

    pub(super) fn open(&mut self, name: &'static str, attributes: &[(&str, &str)]) -> &mut Self {
        self.event(Event::Start(start(name, attributes)));
        self.open.push(name);
        self
    }

    pub(super) fn close(&mut self) -> &mut Self {
        match self.open.pop() {
            Some(name) => self.event(Event::End(BytesEnd::new(name))),
            None => self.failed = true,
        }
        self
    }

    pub(super) fn text(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.text_with(name, &[], text)
    }

    pub(super) fn text_with(
        &mut self,
        name: &'static str,
        attributes: &[(&str, &str)],
        text: &str,
    ) -> &mut Self {
        self.open(name, attributes);
        self.event(Event::Text(BytesText::new(text)));
        self.close()
    }

    pub(super) fn empty(&mut self, name: &'static str, attributes: &[(&str, &str)]) -> &mut Self {
        self.event(Event::Empty(start(name, attributes)));
        self
    }

    pub(super) fn finish(mut self) -> Result<String, XmlError> {
        while !self.open.is_empty() {
            self.close();
        }
        if self.failed {
            return Err(XmlError);
        }
        String::from_utf8(self.writer.into_inner()).map_err(|_| XmlError)
    }

    fn event(&mut self, event: Event<'_>) {
        self.failed |= self.writer.write_event(event).is_err();
    }
}

fn start<'a>(name: &'a str, attributes: &[(&'a str, &'a str)]) -> BytesStart<'a> {
    let mut start = BytesStart::new(name);
    for attribute in attributes {
        start.push_attribute(*attribute);
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_document_type_comment_or_instruction() {
        assert!(parse("<a/>").is_ok());
        assert!(parse("<?xml version=\"1.0\"?><a> <b/> </a>").is_ok());
        for bad in [
            "",
            "<a",
            "<!DOCTYPE a><a/>",
            "<!doctype a><a/>",
            "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
            "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
            "<a>&x;</a>",
            "<a><!-- c --></a>",
            "<a><![CDATA[c]]></a>",
            "<a><?php ?></a>",
            "<a b='1' b='2'/>",
            "<a/><a/>",
            "<a>\u{0}</a>",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let deep = |levels: usize| "<a>".repeat(levels) + &"</a>".repeat(levels);
        assert!(parse(&deep(DEPTH_MAX - 1)).is_ok());
        assert!(parse(&deep(DEPTH_MAX)).is_err());
        assert!(parse(&deep(4_000)).is_err());
        assert!(parse(&format!("<a>{}</a>", "<b/>".repeat(1_000))).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in "[ -~]{0,30}") {
            let mut xml = XmlWriter::new();
            xml.open("a", &[("b", &value)]).text("c", &value);
            let xml = xml.finish().unwrap();
            let document = parse(&xml).unwrap();
            let root = document.root_element();
            prop_assert_eq!(root.attribute("b"), Some(value.as_str()));
            prop_assert_eq!(text(children(root).unwrap()[0], 30).unwrap(), value);
        }
    }
}
