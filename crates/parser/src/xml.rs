//! An element of XML.

use atomr_agents_core::Value;
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use serde_json::Map;

use crate::{ParseError, Parser};

const NAME: &str = "xml";
/// How many openings of an element in a text are tried.
const MAX_OPENINGS: usize = 32;
/// What `max_depth` may be at most: values that lie in each other deeper cannot be dropped safely.
const DEEPEST: usize = 512;

/// Reads an XML element: the whole text, or the first element between words or in a code fence.
///
/// | XML | becomes |
/// |---|---|
/// | `<a>text</a>` | `{"a": "text"}`, without white space around it; a `CDATA` section is taken as it is |
/// | `<a/>` | `{"a": ""}` |
/// | `<a><b>1</b><c>2</c></a>` | `{"a": {"b": "1", "c": "2"}}` |
/// | `<a><b>1</b><b>2</b></a>` | `{"a": {"b": ["1", "2"]}}` |
/// | `<a n="1">text</a>` | `{"a": {"@n": "1", "#text": "text"}}` |
///
/// An element that begins and is no XML further on is an error, and no part of it is taken for the answer; where an
/// element was named, a later one of that name may be.
///
/// The five entities of XML and references to characters are resolved. A `DOCTYPE` and every other entity are refused: no
/// entity can grow, and nothing is read from elsewhere.
///
/// ```
/// use atomr_agents_parser::{Parser, Xml};
/// use serde_json::json;
///
/// let text = r#"Here you are: <day n="1"><rain>yes</rain><wind>5</wind><wind>7</wind></day>"#;
/// assert_eq!(Xml::new().parse(text)?, json!({"day": {"@n": "1", "rain": "yes", "wind": ["5", "7"]}}));
/// assert_eq!(Xml::new().element("rain").parse(text)?, json!({"rain": "yes"}));
/// # Ok::<(), atomr_agents_parser::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Xml {
    element: Option<String>,
    max_depth: usize,
    max_bytes: usize,
}

impl Default for Xml {
    fn default() -> Self {
        Self::new()
    }
}

impl Xml {
    /// A parser for any element: at most 64 elements in each other, in a text of at most 1 MiB.
    #[must_use]
    pub fn new() -> Self {
        Self { element: None, max_depth: 64, max_bytes: 1 << 20 }
    }

    /// Reads only the first element of this name, wherever it stands.
    #[must_use]
    pub fn element(mut self, name: impl Into<String>) -> Self {
        self.element = Some(name.into());
        self
    }

    /// How many elements may lie in each other, at most 512.
    ///
    /// ```
    /// use atomr_agents_parser::{Parser, Xml};
    ///
    /// assert!(Xml::new().max_depth(1).parse("<a><b/></a>").is_err());
    /// ```
    #[must_use]
    pub fn max_depth(mut self, depth: usize) -> Self {
        self.max_depth = depth.min(DEEPEST);
        self
    }

    /// How long a text may be, in bytes.
    ///
    /// ```
    /// use atomr_agents_parser::{Parser, Xml};
    ///
    /// assert!(Xml::new().max_bytes(7).parse("<a>1</a>").is_err());
    /// ```
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Reads the element that begins here.
    fn read(&self, text: &str, start: usize) -> Result<Value, Refused> {
        let mut reader = Reader::from_str(&text[start..]);
        let mut open: Vec<Element> = Vec::new();
        loop {
            let before = start + position(reader.buffer_position());
            let event = reader.read_event();
            let begun = !open.is_empty();
            let refused = |message: String| Refused { message, offset: before, begun };
            let closed = match event.map_err(|error| refused(error.to_string()))? {
                Event::Start(tag) => {
                    if open.len() >= self.max_depth {
                        return Err(refused(format!("more than {} elements lie in each other", self.max_depth)));
                    }
                    open.push(Element::of(&tag).map_err(refused)?);
                    continue;
                }
                Event::Empty(tag) if open.len() < self.max_depth => Element::of(&tag).map_err(refused)?,
                Event::Empty(_) => {
                    return Err(refused(format!("more than {} elements lie in each other", self.max_depth)));
                }
                Event::End(_) => match open.pop() {
                    Some(element) => element,
                    None => return Err(refused("an element ends that never began".into())),
                },
                Event::Eof => return Err(refused("the text ends inside of an element".into())),
                event => {
                    let Some(element) = open.last_mut() else {
                        return Err(refused("no element begins here".into()));
                    };
                    element.take(event).map_err(refused)?;
                    continue;
                }
            };
            let (name, value) = closed.finish();
            match open.last_mut() {
                Some(parent) => parent.add(name, value),
                None => return Ok(Value::Object([(name, value)].into_iter().collect())),
            }
        }
    }

    /// The places where an element may begin.
    fn openings<'t>(&'t self, text: &'t str) -> impl Iterator<Item = usize> + 't {
        let begins = move |at: &usize| {
            let after = &text[at + 1..];
            match &self.element {
                Some(name) => after.strip_prefix(name.as_str()).is_some_and(|rest| {
                    rest.starts_with(|next: char| next.is_whitespace() || matches!(next, '>' | '/'))
                }),
                None => after.starts_with(is_start),
            }
        };
        text.match_indices('<').map(|(at, _)| at).filter(begins).take(MAX_OPENINGS)
    }
}

impl Parser for Xml {
    type Output = Value;

    fn parse(&self, text: &str) -> Result<Value, ParseError> {
        if text.len() > self.max_bytes {
            return Err(ParseError::invalid(NAME, format!("it is longer than {} bytes", self.max_bytes), text));
        }
        let mut worst: Option<Refused> = None;
        for at in self.openings(text) {
            match self.read(text, at) {
                Ok(value) => {
                    return match doctype(&text[..at]) {
                        None => Ok(value),
                        Some(place) => Err(ParseError::at(NAME, "a DOCTYPE is refused", text, place)),
                    };
                }
                Err(refused) => {
                    let ends = refused.begun && self.element.is_none();
                    if worst.as_ref().is_none_or(|worst| refused.offset > worst.offset) || ends {
                        worst = Some(refused);
                    }
                    if ends {
                        break;
                    }
                }
            }
        }
        Err(match (worst, &self.element) {
            (Some(worst), _) => ParseError::at(NAME, format!("not XML: {}", worst.message), text, worst.offset),
            (None, Some(name)) => ParseError::invalid(NAME, format!("there is no element <{name}>"), text),
            (None, None) => ParseError::invalid(NAME, "there is no element", text),
        })
    }

    fn format_instructions(&self) -> String {
        match &self.element {
            Some(name) => format!("Answer with one XML element <{name}>, and with nothing else."),
            None => "Answer with one XML element, and with nothing else.".into(),
        }
    }
}

/// Why there is no element at a place.
struct Refused {
    message: String,
    offset: usize,
    /// There is an element, and its end is missing or wrong.
    begun: bool,
}

/// An element that is read.
struct Element {
    name: String,
    fields: Map<String, Value>,
    text: String,
    /// White space at the ends of its text is meant.
    verbatim: bool,
}

impl Element {
    fn of(tag: &BytesStart<'_>) -> Result<Self, String> {
        let name = checked_name(tag.name().0)?;
        let mut fields = Map::new();
        // It would compare each attribute with all the others.
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let key = checked_name(attribute.key.0)?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())?;
            checked(&value)?;
            if fields.insert(format!("@{key}"), Value::from(&*value)).is_some() {
                return Err(format!("the attribute {key} is there twice"));
            }
        }
        Ok(Self { name, fields, text: String::new(), verbatim: false })
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Text(text) => self.text.push_str(checked(&text.xml10_content())?),
            Event::CData(text) => {
                self.verbatim = true;
                self.text.push_str(checked(&text.xml10_content())?);
            }
            Event::GeneralRef(entity) => match entity.resolve_char_ref().map_err(|error| error.to_string())? {
                Some(letter) => self.text.push_str(checked(letter.encode_utf8(&mut [0; 4]))?),
                None => {
                    let known = quick_xml::escape::resolve_predefined_entity(&entity);
                    self.text.push_str(known.ok_or_else(|| format!("the entity &{}; is unknown", &*entity))?);
                }
            },
            Event::Comment(_) | Event::PI(_) => {}
            Event::DocType(_) => return Err("a DOCTYPE is refused".into()),
            Event::Decl(_) => return Err("a declaration cannot stand inside of an element".into()),
            Event::Start(_) | Event::Empty(_) | Event::End(_) | Event::Eof => {}
        }
        Ok(())
    }

    /// Adds an element inside this one; what repeats becomes a list.
    fn add(&mut self, name: String, value: Value) {
        match self.fields.get_mut(&name) {
            None => {
                self.fields.insert(name, value);
            }
            // An element is a string or an object, so a list was made here.
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }

    fn finish(mut self) -> (String, Value) {
        let text = if self.verbatim { self.text.as_str() } else { self.text.trim() };
        if self.fields.is_empty() {
            return (self.name, Value::from(text));
        }
        if !text.trim().is_empty() {
            self.fields.insert("#text".into(), Value::from(text));
        }
        (self.name, Value::Object(self.fields))
    }
}

fn is_start(letter: char) -> bool {
    letter.is_alphabetic() || letter == '_'
}

fn checked_name(name: &str) -> Result<String, String> {
    let inside = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.' | ':' | '·');
    if name.starts_with(is_start) && name.chars().all(inside) {
        Ok(name.to_owned())
    } else {
        Err(format!("{:?} is no name", crate::error::cut(name, 40)))
    }
}

/// Refuses what no XML may have in it.
fn checked(text: &str) -> Result<&str, String> {
    let bad = |letter: char| matches!(letter, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    match text.chars().find(|letter| bad(*letter)) {
        None => Ok(text),
        Some(letter) => Err(format!("the character {letter:?} cannot be in XML")),
    }
}

fn doctype(text: &str) -> Option<usize> {
    text.match_indices("<!").map(|(at, _)| at).find(|at| {
        let word = text.as_bytes().get(at + 2..at + 9);
        word.is_some_and(|word| word.eq_ignore_ascii_case(b"DOCTYPE"))
    })
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
