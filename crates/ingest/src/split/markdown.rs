//! Sections of Markdown.

use std::ops::Range;
use std::sync::Arc;

use atomr_agents_core::Document;
use serde_json::{Map, Value};

use super::cut::Limits;
use super::markdown_lines::{Heading, headings};
use super::recursive::{SEPARATORS, Separators};
use super::{Cut, Length};
use crate::{IngestError, Splitter};

const NAMES: [&str; 6] = ["h1", "h2", "h3", "h4", "h5", "h6"];

/// Cuts Markdown before its headings: those with `#` and those that are underlined, but not what looks like one in a fence,
/// in code, a quote, a list or a comment. The metadata of a section has the headings above it, each as `h1` to `h6`, and
/// their path as the list `headings`. A heading that has nothing below it but a deeper one stands with that one.
///
/// ```
/// use atomr_agents_core::Document;
/// use atomr_agents_ingest::{MarkdownHeader, Splitter};
///
/// let text = "# Weather\n\n## Oslo\nRain.\n\n```sh\n# no heading\n```\n## Bergen\nRain.\n";
/// let sections = MarkdownHeader::new().build()?.split(&Document::new("a", text))?;
/// assert_eq!(sections.len(), 2);
/// assert_eq!(sections[1].text, "## Bergen\nRain.\n");
/// assert_eq!(sections[1].metadata["h1"], "Weather");
/// assert_eq!(sections[1].metadata["headings"], serde_json::json!(["Weather", "Bergen"]));
/// # Ok::<(), atomr_agents_ingest::IngestError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MarkdownHeader {
    levels: [bool; 6],
    within: Option<(Limits, Separators)>,
}

/// Makes a [`MarkdownHeader`].
#[derive(Clone, Debug)]
#[must_use]
pub struct MarkdownHeaderBuilder {
    levels: Vec<u8>,
    size: Option<usize>,
    overlap: usize,
    length: Length,
}

impl MarkdownHeader {
    /// A splitter before headings of every level, for sections of any size.
    #[expect(clippy::new_ret_no_self, reason = "what it is made of is checked when all of it is known")]
    pub fn new() -> MarkdownHeaderBuilder {
        MarkdownHeaderBuilder { levels: (1..=6).collect(), size: None, overlap: 0, length: Length::Chars }
    }
}

impl MarkdownHeaderBuilder {
    /// Before headings of which levels to cut. 1 to 6.
    pub fn levels(mut self, levels: impl IntoIterator<Item = u8>) -> Self {
        self.levels = levels.into_iter().collect();
        self
    }

    /// Cuts sections that are longer as [`Recursive`](super::Recursive) does.
    pub fn chunk_size(mut self, size: usize) -> Self {
        self.size = Some(size);
        self
    }

    /// How much two pieces of one section share at most. 0.
    pub fn overlap(mut self, overlap: usize) -> Self {
        self.overlap = overlap;
        self
    }

    /// In what size and overlap are counted. Characters.
    pub fn length(mut self, length: Length) -> Self {
        self.length = length;
        self
    }

    /// The splitter.
    ///
    /// # Errors
    /// [`IngestError::Config`] for no level or one that is none of 1 to 6, a size of 0, or an overlap that is not smaller
    /// than the size.
    pub fn build(self) -> Result<MarkdownHeader, IngestError> {
        let mut levels = [false; 6];
        for level in &self.levels {
            let slot = usize::from(*level).checked_sub(1).and_then(|at| levels.get_mut(at));
            let problem = || IngestError::config("levels", format!("must be from 1 to 6, not {level}"));
            *slot.ok_or_else(problem)? = true;
        }
        if self.levels.is_empty() {
            return Err(IngestError::config("levels", "must name a level at least"));
        }
        let within = match self.size {
            Some(size) => Some((Limits::checked(size, self.overlap, self.length)?, Separators::new(&SEPARATORS)?)),
            None if self.overlap > 0 => {
                return Err(IngestError::config("overlap", "needs a chunk_size: sections as such share nothing"));
            }
            None => None,
        };
        Ok(MarkdownHeader { levels, within })
    }
}

/// A part of the text, and the headings above it.
struct Section {
    range: Range<usize>,
    path: Arc<Path>,
}

/// The headings above a part of a text, by their level.
#[derive(Clone, Debug, Default)]
pub(crate) struct Path([Option<Arc<str>>; 6]);

impl Path {
    /// This and nothing below it.
    fn enter(&mut self, level: usize, title: &str) {
        self.0.iter_mut().skip(level - 1).for_each(|below| *below = None);
        if let Some(own) = self.0.get_mut(level - 1) {
            *own = Some(title.into());
        }
    }

    /// Says it in a section's metadata.
    pub(crate) fn describe(&self, metadata: &mut Map<String, Value>) {
        let mut headings = Vec::new();
        for (name, title) in NAMES.iter().zip(&self.0) {
            let Some(title) = title else { continue };
            metadata.insert((*name).to_owned(), Value::from(&**title));
            headings.push(Value::from(&**title));
        }
        if !headings.is_empty() {
            metadata.insert("headings".to_owned(), Value::Array(headings));
        }
    }
}

impl MarkdownHeader {
    fn sections(&self, text: &str) -> Vec<Section> {
        let chosen = |heading: &Heading| self.levels.get(usize::from(heading.level) - 1).copied().unwrap_or(false);
        let mut sections: Vec<Section> = Vec::new();
        let mut path = Arc::<Path>::default();
        let (mut start, mut last): (usize, Option<(u8, usize)>) = (0, None);
        for heading in headings(text).into_iter().filter(chosen) {
            // Nothing but a deeper heading is below the one before.
            let below = |(level, end): (u8, usize)| {
                level < heading.level && text.get(end..heading.start).is_some_and(|text| text.trim().is_empty())
            };
            if !last.is_some_and(below) && heading.start > start {
                sections.push(Section { range: start..heading.start, path: Arc::clone(&path) });
                start = heading.start;
            }
            last = Some((heading.level, heading.end));
            Arc::make_mut(&mut path).enter(usize::from(heading.level), &heading.title);
        }
        if start < text.len() {
            sections.push(Section { range: start..text.len(), path });
        }
        sections
    }
}

impl Splitter for MarkdownHeader {
    fn cut(&self, document: &Document) -> Result<Vec<Cut>, IngestError> {
        let text = &document.text;
        let sections = self.sections(text);
        let mut cuts = Vec::with_capacity(sections.len());
        let mut ranges = Vec::new();
        for Section { range, path } in sections {
            match &self.within {
                Some((limits, separators)) => limits.cut(text, range, separators, &mut ranges),
                None => ranges.push(range),
            }
            cuts.extend(ranges.drain(..).map(|range| Cut::new(range).below(Arc::clone(&path))));
        }
        Ok(cuts)
    }
}
