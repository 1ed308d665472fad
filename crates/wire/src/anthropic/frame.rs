//! The shape of one event of a stream, and of a whole message, borrowed from the document.
//!
//! Keys that are not listed are skipped without allocation; null is the same as a missing key.

use serde::de::{IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use crate::WireError;
use crate::in_place::Fill;
use crate::tolerant::Text;

/// One event, or a whole message, of which only the type is read here: events of types that are not known may hold other
/// things under the same names.
#[derive(Debug, Default)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Text<'a>,
    pub(crate) index: Option<u64>,
    /// A [`Delta`], in the events that have one.
    pub(crate) delta: Option<&'a RawValue>,
    pub(crate) content_block: Option<&'a RawValue>,
    pub(crate) message: Option<&'a RawValue>,
    pub(crate) usage: Option<&'a RawValue>,
    pub(crate) error: Option<&'a RawValue>,
}

impl<'de> Fill<'de> for Frame<'de> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "type" => self.kind = map.next_value()?,
            "index" => self.index = map.next_value()?,
            "delta" => self.delta = map.next_value()?,
            "content_block" => self.content_block = map.next_value()?,
            "message" => self.message = map.next_value()?,
            "usage" => self.usage = map.next_value()?,
            "error" => self.error = map.next_value()?,
            _ => {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// What is added to a block, or (in `message_delta`) to the message.
#[derive(Debug, Default)]
pub(crate) struct Delta<'a> {
    pub(crate) kind: Text<'a>,
    pub(crate) text: Text<'a>,
    pub(crate) partial_json: Option<Text<'a>>,
    pub(crate) thinking: Text<'a>,
    pub(crate) signature: Text<'a>,
    pub(crate) citation: Option<&'a RawValue>,
    pub(crate) ending: Ending<'a>,
}

impl<'de> Fill<'de> for Delta<'de> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "type" => self.kind = map.next_value()?,
            "text" => self.text = map.next_value()?,
            "partial_json" => self.partial_json = map.next_value()?,
            "thinking" => self.thinking = map.next_value()?,
            "signature" => self.signature = map.next_value()?,
            "citation" => self.citation = map.next_value()?,
            other => self.ending.field(other, map)?,
        }
        Ok(())
    }
}

/// How a message ended.
#[derive(Debug, Default)]
pub(crate) struct Ending<'a> {
    pub(crate) stop_reason: Text<'a>,
    pub(crate) stop_sequence: Option<Text<'a>>,
    pub(crate) stop_details: Option<&'a RawValue>,
    pub(crate) container: Option<&'a RawValue>,
}

impl<'de> Fill<'de> for Ending<'de> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "stop_reason" => self.stop_reason = map.next_value()?,
            "stop_sequence" => self.stop_sequence = map.next_value()?,
            "stop_details" => self.stop_details = map.next_value()?,
            "container" => self.container = map.next_value()?,
            _ => {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// A message: whole, or (in `message_start`) without content.
#[derive(Debug, Default)]
pub(crate) struct Message<'a> {
    pub(crate) id: Text<'a>,
    pub(crate) model: Text<'a>,
    pub(crate) content: Option<Vec<&'a RawValue>>,
    pub(crate) usage: Option<&'a RawValue>,
    pub(crate) ending: Ending<'a>,
}

impl<'de> Fill<'de> for Message<'de> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "id" => self.id = map.next_value()?,
            "model" => self.model = map.next_value()?,
            "content" => self.content = map.next_value()?,
            "usage" => self.usage = map.next_value()?,
            other => self.ending.field(other, map)?,
        }
        Ok(())
    }
}

/// A block of content: as it begins, or whole. Only its type is read here: under the same names, blocks of different
/// types hold different things.
#[derive(Debug, Default)]
pub(crate) struct Block<'a> {
    pub(crate) kind: Text<'a>,
    pub(crate) id: Option<&'a RawValue>,
    pub(crate) name: Option<&'a RawValue>,
    pub(crate) input: Option<&'a RawValue>,
    pub(crate) caller: Option<&'a RawValue>,
    pub(crate) text: Option<&'a RawValue>,
    pub(crate) thinking: Option<&'a RawValue>,
    pub(crate) signature: Option<&'a RawValue>,
    pub(crate) data: Option<&'a RawValue>,
    pub(crate) citations: Option<&'a RawValue>,
}

impl<'de> Fill<'de> for Block<'de> {
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let field = match key {
            "type" => {
                self.kind = map.next_value()?;
                return Ok(());
            }
            "id" => &mut self.id,
            "name" => &mut self.name,
            "input" => &mut self.input,
            "caller" => &mut self.caller,
            "text" => &mut self.text,
            "thinking" => &mut self.thinking,
            "signature" => &mut self.signature,
            "data" => &mut self.data,
            "citations" => &mut self.citations,
            _ => return map.next_value::<IgnoredAny>().map(|_| ()),
        };
        *field = map.next_value()?;
        Ok(())
    }
}

/// The text of a field; empty where there is none.
pub(crate) fn text(field: Option<&RawValue>) -> Result<String, WireError> {
    let Some(raw) = field else { return Ok(String::new()) };
    let text: Text<'_> = serde_json::from_str(raw.get()).map_err(|source| WireError::json(raw.get(), source))?;
    Ok(text.0.into_owned())
}
