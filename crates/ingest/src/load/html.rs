//! Pages of HTML.

use html5gum::{Token, Tokenizer};

use super::source::document;
use super::{Format, Records, Source, Text, one};

/// A page is a document: its text as Markdown would have it, with headings, items of lists and paragraphs; scripts, styles
/// and comments are no part of it. The metadata has its `title`.
#[derive(Clone, Debug, Default)]
pub struct Html(pub Text);

impl Format for Html {
    fn read(&self, source: Source) -> Records {
        let format = self.0.clone();
        one(move || {
            let (id, html) = format.text(source)?;
            let (text, title) = html_text(&html);
            let made = document(&id, text, &id);
            Ok(if title.is_empty() { made } else { made.with("title", title.into()) })
        })
    }
}

/// What is no text.
const HIDDEN: [&[u8]; 7] = [b"title", b"script", b"style", b"template", b"noscript", b"svg", b"head"];
/// What begins and ends a paragraph.
const BLOCKS: [&[u8]; 25] = [
    b"p",
    b"div",
    b"section",
    b"article",
    b"header",
    b"footer",
    b"main",
    b"nav",
    b"aside",
    b"ul",
    b"ol",
    b"dl",
    b"dt",
    b"dd",
    b"table",
    b"tr",
    b"blockquote",
    b"pre",
    b"figure",
    b"figcaption",
    b"form",
    b"fieldset",
    b"address",
    b"hr",
    b"body",
];

/// The text of a page as it grows.
#[derive(Default)]
struct Page {
    text: String,
    title: String,
    in_title: bool,
    /// How many hidden elements are open, by their names.
    hidden: Vec<Vec<u8>>,
    pre: usize,
    /// Line ends that are due before the next word.
    due: usize,
    space: bool,
    /// What stands before the next word: the mark of a heading or of an item.
    mark: String,
}

impl Page {
    fn end_line(&mut self, lines: usize) {
        self.due = self.due.max(lines);
        self.space = false;
    }

    fn begin(&mut self) {
        if self.due > 0 && !self.text.is_empty() {
            self.text.extend(std::iter::repeat_n('\n', self.due));
        } else if self.space && !self.text.is_empty() {
            self.text.push(' ');
        }
        (self.due, self.space) = (0, false);
        self.text.push_str(&std::mem::take(&mut self.mark));
    }

    fn words(&mut self, words: &str) {
        if self.in_title {
            self.title.push_str(words);
        }
        if !self.hidden.is_empty() {
            return;
        }
        if self.pre > 0 {
            self.begin();
            self.text.push_str(words);
            return;
        }
        if words.starts_with(char::is_whitespace) {
            self.space = true;
        }
        for word in words.split_whitespace() {
            self.begin();
            self.text.push_str(word);
            self.space = true;
        }
        self.space = words.ends_with(char::is_whitespace) || (self.space && words.trim().is_empty());
    }

    fn start(&mut self, name: &[u8], closed: bool) {
        self.in_title |= name == b"title" && self.title.is_empty();
        if HIDDEN.contains(&name) && !closed {
            self.hidden.push(name.to_vec());
            return;
        }
        match name {
            [b'h', level @ b'1'..=b'6'] => {
                self.end_line(2);
                self.mark = format!("{} ", "#".repeat(usize::from(level - b'0')));
            }
            b"br" => self.end_line(1),
            b"li" => {
                self.end_line(1);
                "- ".clone_into(&mut self.mark);
            }
            b"td" | b"th" => self.space = true,
            _ if BLOCKS.contains(&name) => {
                self.end_line(if name == b"tr" { 1 } else { 2 });
                self.pre += usize::from(name == b"pre");
                // A body begins although the head was never closed.
                if name == b"body" {
                    self.hidden.clear();
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &[u8]) {
        if name == b"title" {
            self.in_title = false;
        }
        if let Some(at) = self.hidden.iter().rposition(|open| open == name) {
            self.hidden.truncate(at);
        } else if matches!(name, [b'h', b'1'..=b'6']) || BLOCKS.contains(&name) {
            self.end_line(if name == b"tr" { 1 } else { 2 });
            self.mark.clear();
            self.pre = self.pre.saturating_sub(usize::from(name == b"pre"));
        } else if name == b"li" {
            self.end_line(1);
            self.mark.clear();
        }
    }
}

/// The text of a page and its title.
///
/// ```
/// let (text, title) = atomr_agents_ingest::html_text("<title>W</title><h2>Oslo</h2><p>Rain &amp; <b>wind</b><script>x</script>");
/// assert_eq!((text.as_str(), title.as_str()), ("## Oslo\n\nRain & wind", "W"));
/// ```
#[must_use]
pub fn html_text(html: &str) -> (String, String) {
    let mut page = Page::default();
    for token in Tokenizer::new(html) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => page.start(&tag.name, tag.self_closing),
            Token::EndTag(tag) => page.end(&tag.name),
            Token::String(text) => page.words(&String::from_utf8_lossy(&text)),
            _ => {}
        }
    }
    let title = page.title.split_whitespace().collect::<Vec<_>>().join(" ");
    (page.text, title)
}
