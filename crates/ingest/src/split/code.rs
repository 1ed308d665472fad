//! Pieces of programs.

use std::sync::Arc;

use atomr_agents_core::Document;
use serde_json::{Map, Value};
use tree_sitter::{Node, Parser};

use super::cut::{Limits, Seams};
use super::recursive::Separators;
use super::{CodeLanguage, Cut, Length};
use crate::{IngestError, Splitter};

/// Where no item ends: blank lines, lines, words.
const SEPARATORS: [&str; 4] = ["\n\n", "\r\n\r\n", "\n", " "];

/// Nodes whose children are items, members or statements: those of this name, and those with this in theirs.
const LISTS: [&str; 12] = [
    "body",
    "block",
    "list",
    "compound_statement",
    "program",
    "module",
    "source_file",
    "translation_unit",
    "object",
    "array",
    "dictionary",
    "ERROR",
];

/// What belongs to the item behind it.
const PREFIXES: [&str; 5] = ["comment", "attribute", "decorator", "annotation", "template_parameter"];

/// Deeper than this no item begins that a piece should begin with.
const DEEPEST: usize = 64;

/// Cuts programs into pieces of at most `chunk_size` characters: between functions, classes and other items; where one is too
/// long, between its members, then between statements, lines and words. Comments, attributes and decorators stay with
/// the item below them, the head of a class with its first member. Small neighbours share a piece.
///
/// The program may be broken: what can be read is cut by its items, the rest by its lines. The metadata has `language`.
///
/// ```
/// use atomr_agents_core::Document;
/// use atomr_agents_ingest::{Code, CodeLanguage, Splitter};
///
/// let text = "import os\n\n\n@cached\nasync def rain():\n    return 1\n\n\ndef wind():\n    return 2\n";
/// let splitter = Code::new(CodeLanguage::Python, 50, 0)?;
/// let pieces = splitter.split(&Document::new("weather.py", text))?;
/// let texts: Vec<_> = pieces.iter().map(|piece| piece.text.as_str()).collect();
/// assert_eq!(texts, ["import os\n\n\n", "@cached\nasync def rain():\n    return 1\n\n\n", "def wind():\n    return 2\n"]);
/// # Ok::<(), atomr_agents_ingest::IngestError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Code {
    language: CodeLanguage,
    limits: Limits,
    separators: Separators,
}

impl Code {
    /// A splitter of programs in this language, for pieces of at most `chunk_size` characters, of which two neighbours share
    /// up to `overlap`.
    ///
    /// # Errors
    /// [`IngestError::Config`] for a size of 0, an overlap that is not smaller than the size, or a language whose grammar was
    /// not built in.
    pub fn new(language: CodeLanguage, chunk_size: usize, overlap: usize) -> Result<Self, IngestError> {
        language.grammar()?;
        let limits = Limits::checked(chunk_size, overlap, Length::Chars)?;
        Ok(Self { language, limits, separators: Separators::new(&SEPARATORS)? })
    }
}

/// A place before an item, and how deep in others it lies.
#[derive(Clone, Copy, Debug)]
struct Item {
    at: usize,
    depth: usize,
}

/// Places before items, else what separates lines.
struct Items<'a> {
    items: Vec<Item>,
    separators: &'a Separators,
}

impl Seams for Items<'_> {
    fn last(&self, text: &str, floor: usize, end: usize, free: &dyn Fn(usize) -> bool) -> Option<usize> {
        let from = self.items.partition_point(|item| item.at <= floor);
        let to = self.items.partition_point(|item| item.at <= end);
        let within = self.items.get(from..to).unwrap_or_default();
        let best = within.iter().rev().filter(|item| free(item.at)).min_by_key(|item| item.depth);
        best.map(|item| item.at).or_else(|| self.separators.last(text, floor, end, free))
    }

    fn first(&self, text: &str, from: usize, to: usize, free: &dyn Fn(usize) -> bool) -> Option<usize> {
        self.separators.first(text, from, to, free)
    }
}

/// Where the line begins that `at` is on, if nothing but white space stands before `at` there.
fn line_start(text: &str, at: usize) -> Option<usize> {
    let before = text.get(..at)?;
    let start = memchr::memrchr(b'\n', before.as_bytes()).map_or(0, |end| end + 1);
    before.get(start..)?.trim().is_empty().then_some(start)
}

/// Whether `node` is bound to what follows: a comment or the like, alone on its line and right above it.
fn is_prefix(text: &str, node: Node<'_>, next: Node<'_>) -> bool {
    let marked = PREFIXES.iter().any(|prefix| node.kind().contains(prefix));
    let between = text.get(node.end_byte()..next.start_byte()).unwrap_or_default();
    let near = between.matches('\n').count()
        + usize::from(text.get(..node.end_byte()).is_some_and(|t| t.ends_with('\n')))
        <= 1;
    let comment = node.kind().contains("comment");
    marked && (near || !comment) && line_start(text, node.start_byte()).is_some()
}

/// The places before the items of a program.
fn items(text: &str, root: Node<'_>) -> Vec<Item> {
    let mut found = Vec::new();
    let mut open = vec![(root, 0)];
    while let Some((node, depth)) = open.pop() {
        let list = node.parent().is_none() || LISTS.iter().any(|list| node.kind().contains(list));
        let inner = if list { depth + 1 } else { depth };
        let mut before: Option<Node<'_>> = None;
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            // The first one stays with what stands before all of them.
            let bound = before.is_none_or(|before| is_prefix(text, before, child));
            if list && child.is_named() {
                if !bound && let Some(at) = line_start(text, child.start_byte()) {
                    found.push(Item { at, depth });
                }
                before = Some(child);
            }
            let long = child.end_position().row > child.start_position().row + 1;
            if inner < DEEPEST && child.child_count() > 0 && long {
                open.push((child, inner));
            }
        }
    }
    found.sort_by_key(|item| (item.at, item.depth));
    found.dedup_by_key(|item| item.at);
    found
}

impl Splitter for Code {
    fn cut(&self, document: &Document) -> Result<Vec<Cut>, IngestError> {
        let text = document.text.as_str();
        let unread = |problem: &str| IngestError::invalid(&document.id, problem);
        let mut parser = Parser::new();
        parser.set_language(&self.language.grammar()?).map_err(|error| unread(&error.to_string()))?;
        let tree = parser.parse(text, None).ok_or_else(|| unread("the parser gave up"))?;
        let seams = Items { items: items(text, tree.root_node()), separators: &self.separators };
        let mut ranges = Vec::new();
        self.limits.cut(text, 0..text.len(), &seams, &mut ranges);
        let cuts = ranges.into_iter().map(Cut::new);
        if document.metadata.contains_key("language") {
            return Ok(cuts.collect());
        }
        let language = Map::from_iter([("language".to_owned(), Value::from(self.language.name()))]);
        let language = Arc::new(language);
        Ok(cuts.map(|cut| cut.knowing(Arc::clone(&language))).collect())
    }
}
