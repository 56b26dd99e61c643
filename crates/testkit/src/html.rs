//! Pages as a browser reads them: elements found by a selector, the values of fields, what a person reads.

use std::collections::BTreeMap;

use html5ever::{ParseOpts, parse_document, tendril::TendrilSink as _};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

use crate::Page;

/// An element with all that is in it.
#[derive(Debug, Clone)]
pub struct Element {
    /// Its name in small letters, such as `select`.
    pub name: String,
    attributes: BTreeMap<String, String>,
    children: Vec<Node>,
}

#[derive(Debug, Clone)]
enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    /// The root of a document, with what an HTML parser adds: `html`, `head` and `body` are always there.
    pub fn document(html: &str) -> Self {
        let parsed = parse_document(RcDom::default(), ParseOpts::default()).one(html);
        Self { name: String::new(), attributes: BTreeMap::new(), children: nodes(&parsed.document) }
    }

    /// The value of an attribute, empty where it has none; `None` where it is not there.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// What a person reads: a blank between any two elements, blanks squeezed.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write_text(&mut text);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn write_text(&self, text: &mut String) {
        for child in &self.children {
            match child {
                Node::Text(words) => text.push_str(words),
                Node::Element(element) => {
                    text.push(' ');
                    element.write_text(text);
                    text.push(' ');
                }
            }
        }
    }

    /// The element line by line, indented by its depth: elements with their attributes in the order of the alphabet,
    /// and texts with their blanks squeezed.
    pub fn outline(&self) -> String {
        let mut lines = String::new();
        self.write_outline(0, &mut lines);
        lines
    }

    fn write_outline(&self, depth: usize, lines: &mut String) {
        let attributes = self.attributes.iter().map(|(name, value)| format!(" {name}={value:?}"));
        let attributes: String = attributes.collect();
        lines.push_str(&"  ".repeat(depth));
        lines.extend(["<", self.name.as_str(), attributes.as_str(), ">\n"]);
        for child in &self.children {
            match child {
                Node::Element(element) => element.write_outline(depth + 1, lines),
                Node::Text(text) => {
                    let text: Vec<&str> = text.split_whitespace().collect();
                    if !text.is_empty() {
                        lines.push_str(&"  ".repeat(depth + 1));
                        lines.extend([text.join(" ").as_str(), "\n"]);
                    }
                }
            }
        }
    }

    /// The elements below this one that fit a selector, in the order of the page. A selector has the form
    /// `section[aria-labelledby=due] a.button`: names, `#id`, `.class`, `[attribute]`, `[attribute=value]` and
    /// `[attribute^=start]`, with blanks between ancestor and descendant. A value may hold no blank.
    pub fn all(&self, selector: &str) -> Vec<&Self> {
        let parts: Vec<Part> = selector.split_whitespace().map(Part::read).collect();
        assert!(!parts.is_empty(), "an empty selector");
        let mut found = Vec::new();
        self.collect(&parts, &mut found);
        found
    }

    fn collect<'a>(&'a self, parts: &[Part], found: &mut Vec<&'a Self>) {
        for child in &self.children {
            let Node::Element(element) = child else { continue };
            let here = parts[0].fits(element);
            if here && parts.len() == 1 {
                found.push(element);
            }
            element.collect(if here && parts.len() > 1 { &parts[1..] } else { parts }, found);
        }
    }

    /// The first of them.
    pub fn find(&self, selector: &str) -> Option<&Self> {
        self.all(selector).into_iter().next()
    }

    /// What a form sends for this field: of a `select` the chosen option, or its first one.
    pub fn value(&self) -> String {
        match self.name.as_str() {
            "select" => {
                let chosen = self.find("option[selected]").or_else(|| self.find("option"));
                chosen.map_or_else(String::new, Self::value)
            }
            "textarea" => self.raw_text(),
            "option" => self.attribute("value").map_or_else(|| self.text(), str::to_owned),
            _ => self.attribute("value").unwrap_or_default().to_owned(),
        }
    }

    /// Its text as it is written, lines and blanks included: for what is preformatted.
    pub fn raw_text(&self) -> String {
        let texts = self.children.iter().map(|child| match child {
            Node::Text(text) => text.clone(),
            Node::Element(element) => element.raw_text(),
        });
        texts.collect()
    }

    /// The options of a `select`: value, and what a person reads.
    pub fn options(&self) -> Vec<(String, String)> {
        self.all("option").iter().map(|option| (option.value(), option.text())).collect()
    }
}

/// One element of a selector.
struct Part {
    name: String,
    /// Attribute, comparison (`=`, `^` for a start, `~` for a word, `?` for any value), and what it is compared with.
    wanted: Vec<(String, char, String)>,
}

impl Part {
    fn read(text: &str) -> Self {
        let end = text.find(['#', '.', '[']).unwrap_or(text.len());
        let (name, mut rest) = text.split_at(end);
        let mut wanted = Vec::new();
        while let Some(first) = rest.chars().next() {
            let body = &rest[1..];
            if first == '[' {
                let (inside, after) = body.split_once(']').expect("a selector with ]");
                wanted.push(match inside.split_once('=') {
                    None => (inside.to_owned(), '?', String::new()),
                    Some((name, value)) => match name.strip_suffix('^') {
                        Some(name) => (name.to_owned(), '^', value.to_owned()),
                        None => (name.to_owned(), '=', value.to_owned()),
                    },
                });
                rest = after;
                continue;
            }
            let end = body.find(['#', '.', '[']).unwrap_or(body.len());
            let (value, after) = body.split_at(end);
            let (name, how) = if first == '#' { ("id", '=') } else { ("class", '~') };
            wanted.push((name.to_owned(), how, value.to_owned()));
            rest = after;
        }
        Self { name: name.to_owned(), wanted }
    }

    fn fits(&self, element: &Element) -> bool {
        (self.name.is_empty() || self.name == "*" || self.name == element.name)
            && self.wanted.iter().all(|(name, how, value)| {
                element.attribute(name).is_some_and(|has| match how {
                    '=' => has == value,
                    '^' => has.starts_with(value.as_str()),
                    '~' => has.split_whitespace().any(|word| word == value),
                    _ => true,
                })
            })
    }
}

fn nodes(parent: &Handle) -> Vec<Node> {
    let children = parent.children.borrow();
    children
        .iter()
        .filter_map(|child| match &child.data {
            NodeData::Text { contents } => Some(Node::Text(contents.borrow().to_string())),
            NodeData::Element { name, attrs, .. } => {
                let attributes = attrs.borrow();
                let attributes = attributes
                    .iter()
                    .map(|it| (it.name.local.to_string(), it.value.to_string()))
                    .collect();
                let name = name.local.to_string();
                Some(Node::Element(Element { name, attributes, children: nodes(child) }))
            }
            _ => None,
        })
        .collect()
}

impl Page {
    /// The page as it is read.
    pub fn html(&self) -> Element {
        Element::document(&self.body)
    }

    /// The first element that fits a selector of [`Element::all`].
    pub fn find(&self, selector: &str) -> Option<Element> {
        self.html().find(selector).cloned()
    }

    /// The same, which has to be there.
    #[track_caller]
    pub fn one(&self, selector: &str) -> Element {
        let found = self.find(selector);
        found.unwrap_or_else(|| {
            panic!("no {selector} on a page of status {}: {}", self.status, self.words())
        })
    }

    /// The element with this `data-hook`: a place that tests look at, whatever its words are.
    #[track_caller]
    pub fn hook(&self, name: &str) -> Element {
        self.one(&format!("[data-hook={name}]"))
    }

    /// The first field with this name.
    #[track_caller]
    pub fn field(&self, name: &str) -> Element {
        self.one(&format!("[name={name}]"))
    }

    /// What the first field with this name would send now.
    #[track_caller]
    pub fn value(&self, name: &str) -> String {
        self.field(name).value()
    }

    /// What the first link that fits leads to.
    #[track_caller]
    pub fn link(&self, selector: &str) -> String {
        self.one(selector)
            .attribute("href")
            .unwrap_or_else(|| panic!("{selector} leads nowhere"))
            .to_owned()
    }

    /// Where links lead and forms go that begin with this address, in the order of the page, each once.
    pub fn addresses(&self, start: &str) -> Vec<String> {
        let html = self.html();
        let mut found = Vec::new();
        for element in html.all("*") {
            let address = element.attribute("href").or_else(|| element.attribute("action"));
            if let Some(address) =
                address.filter(|it| it.starts_with(start) && !found.contains(&(*it).to_owned()))
            {
                found.push(address.to_owned());
            }
        }
        found
    }

    /// The rows of a table, header included, as a person reads their cells.
    #[track_caller]
    pub fn table(&self, selector: &str) -> Vec<Vec<String>> {
        let table = self.one(selector);
        let cells = |row: &Element| {
            let cells = row.children.iter().filter_map(|child| match child {
                Node::Element(cell) => Some(cell.text()),
                Node::Text(_) => None,
            });
            cells.collect()
        };
        table.all("tr").into_iter().map(cells).collect()
    }

    /// The text beside a field that is wrong.
    pub fn field_error(&self, id: &str) -> Option<String> {
        let text = self.find(&format!("#{id}-error"))?.text();
        Some(text.strip_prefix("Error: ").unwrap_or(&text).to_owned())
    }

    /// The seconds of the first countdown.
    pub fn seconds(&self) -> Option<i64> {
        self.find(".left[data-seconds]")?.attribute("data-seconds")?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Element;

    const HTML: &str = "<title>T</title><section aria-labelledby=due><h2 id=due>Due &amp; late</h2>\
        <ul class='list wide'><li><a href='/x/1'>One</a><li><a href='/y/2' class=button>Two</a></ul></section>\
        <form action=/z/3><select name=kind><option value=''>Choose<option value=b selected>B</select>\
        <textarea name=note>\n a  b</textarea><input name=id value='&lt;7&gt;'></form>";

    #[test]
    fn selectors_find_what_they_say_and_nothing_else() {
        let page = Element::document(HTML);
        let texts = |selector| page.all(selector).iter().map(|it| it.text()).collect::<Vec<_>>();
        assert_eq!(texts("#due"), ["Due & late"]);
        assert_eq!(texts("section[aria-labelledby=due] a"), ["One", "Two"]);
        assert_eq!(texts("ul.wide a.button"), ["Two"]);
        assert_eq!(texts("a[href^=/x/]"), ["One"]);
        assert_eq!(texts("ul.wid a"), Vec::<String>::new());
        assert_eq!(texts("form a"), Vec::<String>::new());
        assert_eq!(page.all("[class]").len(), 2);
        assert_eq!(page.find("ul a").unwrap().outline(), "<a href=\"/x/1\">\n  One\n");
        assert_eq!(page.find("body").unwrap().text(), "Due & late One Two Choose B a b");
    }

    #[test]
    fn fields_have_the_values_that_they_send() {
        let page = Element::document(HTML);
        let value = |name| page.find(&format!("[name={name}]")).unwrap().value();
        assert_eq!(
            (value("kind"), value("note"), value("id")),
            ("b".into(), " a  b".into(), "<7>".into())
        );
        let options = page.find("select").unwrap().options();
        assert_eq!(options, [(String::new(), "Choose".into()), ("b".into(), "B".into())]);
    }
}
