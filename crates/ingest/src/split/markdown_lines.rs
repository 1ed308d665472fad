//! Where the headings of a Markdown text stand, by one look at each line.
//!
//! Headings inside of quotes, lists, fences, indented code, comments and other HTML are none of the document's.

/// A heading of the document itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heading {
    /// Where its first line begins.
    pub(crate) start: usize,
    /// Where its last line ends.
    pub(crate) end: usize,
    /// 1 to 6.
    pub(crate) level: u8,
    /// Its text, without marks and white space around.
    pub(crate) title: String,
}

/// In what the lines of a text stand.
#[derive(Debug)]
enum Block {
    /// In nothing in particular.
    None,
    /// In a paragraph that began there.
    Paragraph(usize),
    /// In a fence of so many of these.
    Fence(u8, usize),
    /// In HTML up to a line with this, or up to a blank line.
    Html(&'static [&'static str]),
    /// In a quote; whether a line without its mark may go on with it.
    Quote(bool),
    /// In a list item whose content is that far in; whether a line that is not may go on with it; whether nothing is in it
    /// yet.
    List(usize, bool, bool),
}

/// What ends HTML that begins with these.
const HTML: [(&str, &[&str]); 8] = [
    ("<!--", &["-->"]),
    ("<?", &["?>"]),
    ("<![CDATA[", &["]]>"]),
    ("<script", &["</script>"]),
    ("<pre", &["</pre>"]),
    ("<style", &["</style>"]),
    ("<textarea", &["</textarea>"]),
    ("<!", &[">"]),
];

fn starts(line: &str, with: &str) -> bool {
    line.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

/// What ends the HTML that a line begins, if it begins some: a few words, or nothing for a blank line.
fn html(line: &str, in_paragraph: bool) -> Option<&'static [&'static str]> {
    let known = HTML.iter().find(|(start, _)| {
        let after = line.as_bytes().get(start.len()).copied().unwrap_or(b' ');
        starts(line, start) && (!after.is_ascii_alphanumeric() || !start.ends_with(|last: char| last.is_alphabetic()))
    });
    if let Some((_, ends)) = known {
        return Some(ends);
    }
    // A tag that is alone on its line.
    let name = line.strip_prefix('<').map(|rest| rest.strip_prefix('/').unwrap_or(rest))?;
    let len = name.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'-').count();
    let (name, rest) = name.split_at(len);
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return None;
    }
    let block = BLOCKS.iter().any(|block| name.eq_ignore_ascii_case(block));
    let closed = rest.starts_with([' ', '\t', '>']) || rest.starts_with("/>") || rest.is_empty();
    let alone = !in_paragraph && closed && rest.trim_end().ends_with('>') && rest.matches('>').count() == 1;
    ((block && closed) || alone).then_some(&[])
}

/// The tags of HTML that need not be alone on their line.
const BLOCKS: [&str; 62] = [
    "address",
    "article",
    "aside",
    "base",
    "basefont",
    "blockquote",
    "body",
    "caption",
    "center",
    "col",
    "colgroup",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "frame",
    "frameset",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "html",
    "iframe",
    "legend",
    "li",
    "link",
    "main",
    "menu",
    "menuitem",
    "nav",
    "noframes",
    "ol",
    "optgroup",
    "option",
    "p",
    "param",
    "search",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "title",
    "tr",
    "track",
    "ul",
];

/// How many columns of white space a line begins with, and how many bytes that are.
fn indent(line: &[u8]) -> (usize, usize) {
    let mut columns = 0;
    for (at, byte) in line.iter().enumerate() {
        match byte {
            b' ' => columns += 1,
            b'\t' => columns += 4 - columns % 4,
            _ => return (columns, at),
        }
    }
    (columns, line.len())
}

fn run(line: &[u8], of: u8) -> usize {
    line.iter().take_while(|byte| **byte == of).count()
}

fn blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t'))
}

/// Whether the line is three or more of one mark and nothing else.
fn is_rule(line: &[u8]) -> bool {
    let Some(mark @ (b'*' | b'-' | b'_')) = line.first() else { return false };
    let marks = line.iter().filter(|byte| *byte == mark).count();
    marks >= 3 && line.iter().all(|byte| byte == mark || matches!(byte, b' ' | b'\t'))
}

/// The level of a heading with `#`.
fn atx(line: &[u8]) -> Option<u8> {
    let level = run(line, b'#');
    let after = line.get(level);
    let is = (1..=6).contains(&level) && matches!(after, None | Some(b' ' | b'\t'));
    is.then(|| u8::try_from(level).unwrap_or(6))
}

/// The mark and the length of a fence that the line opens.
fn fence(line: &[u8]) -> Option<(u8, usize)> {
    let mark @ (b'`' | b'~') = *line.first()? else { return None };
    let len = run(line, mark);
    let opens = len >= 3 && (mark == b'~' || !line.get(len..).unwrap_or_default().contains(&b'`'));
    opens.then_some((mark, len))
}

/// How far in the content of a list item stands that the line begins.
fn list_item(line: &[u8], in_paragraph: bool) -> Option<usize> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let marker = match (line.first()?, line.get(digits)) {
        (b'-' | b'+' | b'*', _) => 1,
        (b'0'..=b'9', Some(b'.' | b')')) if digits <= 9 => digits + 1,
        _ => return None,
    };
    let rest = line.get(marker..)?;
    if !matches!(rest.first(), None | Some(b' ' | b'\t')) {
        return None;
    }
    // An empty item and a number other than 1 do not end a paragraph.
    let one = marker == 1 || line.get(..digits) == Some(b"1");
    if in_paragraph && (blank(rest) || !one) {
        return None;
    }
    let (columns, _) = indent(rest);
    Some(if blank(rest) || columns > 4 { marker + 1 } else { marker + columns })
}

/// Whether a line begins a block, and so does not go on with the paragraph of a quote or an item that it is not in.
fn begins(columns: usize, rest: &str) -> bool {
    let bytes = rest.as_bytes();
    columns < 4
        && (atx(bytes).is_some()
            || fence(bytes).is_some()
            || is_rule(bytes)
            || bytes.first() == Some(&b'>')
            || list_item(bytes, false).is_some()
            || html(rest, true).is_some())
}

/// Whether a line in a quote or a list item ends with an open paragraph, which the next line may go on with.
fn goes_on(mut rest: &str, mut columns: usize, open: bool) -> bool {
    // Quotes and items in it are opened on the same line.
    loop {
        let bytes = rest.as_bytes();
        if bytes.is_empty() || (columns >= 4 && !open) {
            return false;
        }
        let skip = match (bytes.first(), list_item(bytes, false)) {
            (Some(b'>'), _) => 1,
            (_, Some(_)) if !is_rule(bytes) => bytes.iter().take_while(|byte| !byte.is_ascii_whitespace()).count(),
            _ => break,
        };
        let inner = rest.get(skip..).unwrap_or_default();
        let (wide, bytes) = indent(inner.as_bytes());
        (rest, columns) = (inner.get(bytes..).unwrap_or_default(), wide.saturating_sub(1));
    }
    let bytes = rest.as_bytes();
    let underline = open && bytes.iter().all(|byte| *byte == b'=');
    !underline && atx(bytes).is_none() && fence(bytes).is_none() && !is_rule(bytes) && html(rest, true).is_none()
}

/// The text of a heading with `#`.
fn atx_title(line: &str) -> String {
    let inner = line.trim().trim_start_matches('#').trim();
    let open = inner.trim_end_matches('#');
    let closed = open.is_empty() || open.ends_with([' ', '\t']);
    (if closed { open.trim_end() } else { inner }).to_owned()
}

/// Reads the lines of a text.
#[derive(Debug)]
struct Scanner<'a> {
    text: &'a str,
    block: Block,
    found: Vec<Heading>,
}

/// Where the front matter of a text ends, if it has some.
pub(crate) fn front_matter(text: &str) -> Option<usize> {
    let first = text.split_inclusive('\n').next()?;
    if first.trim_end() != "---" || !first.ends_with('\n') {
        return None;
    }
    let mut at = first.len();
    for line in text.get(at..)?.split_inclusive('\n') {
        at += line.len();
        if matches!(line.trim_end(), "---" | "...") {
            return Some(at);
        }
    }
    None
}

/// The headings of a text, in their order.
pub(crate) fn headings(text: &str) -> Vec<Heading> {
    let mut scanner = Scanner { text, block: Block::None, found: Vec::new() };
    let mut start = front_matter(text).unwrap_or(0);
    let bytes = text.as_bytes();
    let ends = memchr::memchr_iter(b'\n', bytes.get(start..).unwrap_or_default());
    let begin = start;
    for end in ends.map(|at| begin + at + 1).chain([bytes.len()]) {
        if end > start {
            scanner.line(start, end);
        }
        start = end;
    }
    scanner.found
}

impl Scanner<'_> {
    fn line(&mut self, start: usize, end: usize) {
        let whole = self.text.get(start..end).unwrap_or_default();
        let line = whole.strip_suffix('\n').unwrap_or(whole);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (columns, skip) = indent(line.as_bytes());
        let rest = line.get(skip..).unwrap_or_default();
        match &mut self.block {
            Block::Fence(mark, len) => {
                let run = run(rest.as_bytes(), *mark);
                if columns < 4 && run >= *len && rest.get(run..).is_some_and(|rest| blank(rest.as_bytes())) {
                    self.block = Block::None;
                }
                return;
            }
            Block::Html(ends) => {
                let over = if ends.is_empty() { rest.is_empty() } else { ends.iter().any(|end| holds(line, end)) };
                if over {
                    self.block = Block::None;
                }
                return;
            }
            Block::List(_, _, true) if rest.is_empty() => {
                self.block = Block::None;
                return;
            }
            Block::List(inside, lazy, empty) => {
                *empty = false;
                if rest.is_empty() || columns >= *inside {
                    *lazy = goes_on(rest, columns.saturating_sub(*inside), *lazy);
                    return;
                }
                if *lazy && !begins(columns, rest) {
                    return;
                }
                self.block = Block::None;
            }
            Block::Quote(lazy) => {
                if *lazy && !rest.is_empty() && !begins(columns, rest) {
                    return;
                }
                self.block = Block::None;
            }
            Block::None | Block::Paragraph(_) => {}
        }
        self.open(start, end, columns, rest);
    }

    /// A line that goes on with nothing that is open, except perhaps a paragraph.
    fn open(&mut self, start: usize, end: usize, columns: usize, rest: &str) {
        let paragraph = if let Block::Paragraph(start) = self.block { Some(start) } else { None };
        let bytes = rest.as_bytes();
        let Some(first) = bytes.first() else {
            self.block = Block::None;
            return;
        };
        if columns >= 4 {
            // Code, or one more line of the paragraph.
            return;
        }
        if first.is_ascii_alphabetic() || !first.is_ascii() {
            self.block = Block::Paragraph(paragraph.unwrap_or(start));
            return;
        }
        if let Some(level) = atx(bytes) {
            self.found.push(Heading { start, end, level, title: atx_title(rest) });
            self.block = Block::None;
            return;
        }
        if let (Some(from), b'=' | b'-') = (paragraph, first)
            && rest.trim_end().bytes().all(|byte| byte == *first)
        {
            let lines = self.text.get(from..start).unwrap_or_default().lines().map(str::trim);
            let title = lines.collect::<Vec<_>>().join(" ");
            self.found.push(Heading { start: from, end, level: if *first == b'=' { 1 } else { 2 }, title });
            self.block = Block::None;
            return;
        }
        self.block = if let Some((mark, len)) = fence(bytes) {
            Block::Fence(mark, len)
        } else if is_rule(bytes) {
            Block::None
        } else if *first == b'>' {
            Block::Quote(goes_on(rest, 0, false))
        } else if let Some(inside) = list_item(bytes, paragraph.is_some()) {
            Block::List(columns + inside, goes_on(rest, 0, false), inside > bytes.trim_ascii_end().len())
        } else if let Some(ends) = html(rest, paragraph.is_some()) {
            let opened = rest.get(2..).unwrap_or_default();
            if !ends.is_empty() && ends.iter().any(|end| holds(opened, end)) { Block::None } else { Block::Html(ends) }
        } else {
            Block::Paragraph(paragraph.unwrap_or(start))
        };
    }
}

/// Whether a line has these letters, in any case.
fn holds(line: &str, wanted: &str) -> bool {
    line.as_bytes().windows(wanted.len()).any(|part| part.eq_ignore_ascii_case(wanted.as_bytes()))
}
