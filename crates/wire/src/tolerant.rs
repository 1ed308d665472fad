//! Deserialisers for fields whose type differs from server to server. They borrow from the document where they can.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A string. Numbers (ids, codes) are taken by their digits, null is the empty string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v.to_owned())))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v.to_string())))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v.to_string())))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Text::default())
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

/// A string; whatever else stands in its place is skipped and gives the empty string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lax<'a>(pub(crate) Cow<'a, str>);

impl Lax<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Lax<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LaxVisitor;
        impl<'de> Visitor<'de> for LaxVisitor {
            type Value = Lax<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Lax(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Lax(Cow::Owned(v.to_owned())))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Lax::default())
            }
            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Lax::default())
            }
            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Lax::default())
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Lax::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Lax::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Lax::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Lax::default())
            }
        }
        deserializer.deserialize_any(LaxVisitor)
    }
}

/// Tool-call arguments: a string of JSON, or (some servers) the JSON itself, whose text is taken as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Arguments<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?.get();
        match raw.as_bytes().first() {
            Some(b'"') => {
                // Without an escape the string's bytes are its value.
                match raw.get(1..raw.len().saturating_sub(1)) {
                    Some(inner) if memchr::memchr(b'\\', inner.as_bytes()).is_none() => Ok(Self(Cow::Borrowed(inner))),
                    _ => serde_json::from_str::<Text<'de>>(raw).map(|text| Self(text.0)).map_err(D::Error::custom),
                }
            }
            Some(b'n') => Ok(Self::default()),
            _ => Ok(Self(Cow::Borrowed(raw))),
        }
    }
}

/// One piece of a message's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Text(Cow<'a, str>),
    Thinking(Cow<'a, str>),
    Refusal(Cow<'a, str>),
}

/// A message's content: a string, or a list of typed parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    Text(Cow<'a, str>),
    Pieces(Vec<Piece<'a>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContentVisitor;
        impl<'de> Visitor<'de> for ContentVisitor {
            type Value = Content<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of content parts")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Content::Text(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Content::Text(Cow::Owned(v.to_owned())))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Content::Pieces(Vec::new()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut pieces = Vec::new();
                while let Some(part) = seq.next_element::<Part<'de>>()? {
                    part.into_pieces(&mut pieces);
                }
                Ok(Content::Pieces(pieces))
            }
        }
        deserializer.deserialize_any(ContentVisitor)
    }
}

/// A part of a content list: `{type: text, text}`, `{type: thinking, thinking: [...]}`, `{type: refusal, refusal}`, or
/// a bare string. What it holds decides, not its `type`; parts of other kinds hold no text and give nothing.
#[derive(Debug, Default)]
struct Part<'a> {
    text: Option<Text<'a>>,
    thinking: Option<Content<'a>>,
    refusal: Option<Text<'a>>,
}

impl<'a> Part<'a> {
    fn into_pieces(self, pieces: &mut Vec<Piece<'a>>) {
        match self.thinking {
            Some(Content::Text(text)) => pieces.push(Piece::Thinking(text)),
            Some(Content::Pieces(inner)) => pieces.extend(inner.into_iter().map(|piece| match piece {
                Piece::Text(text) | Piece::Thinking(text) => Piece::Thinking(text),
                refusal @ Piece::Refusal(_) => refusal,
            })),
            None => {}
        }
        pieces.extend(self.text.map(|text| Piece::Text(text.0)));
        pieces.extend(self.refusal.map(|text| Piece::Refusal(text.0)));
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Part<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PartVisitor;
        impl<'de> Visitor<'de> for PartVisitor {
            type Value = Part<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a content part")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Part { text: Some(Text(Cow::Borrowed(v))), ..Part::default() })
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Part { text: Some(Text(Cow::Owned(v.to_owned()))), ..Part::default() })
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Part::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut part = Part::default();
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    match key.as_str() {
                        "text" => part.text = map.next_value()?,
                        "thinking" => part.thinking = map.next_value()?,
                        "refusal" => part.refusal = map.next_value()?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(part)
            }
        }
        deserializer.deserialize_any(PartVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(json: &str) -> Content<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn text_takes_strings_numbers_and_null() {
        for (json, want) in [(r#""a""#, "a"), (r#""a\nb""#, "a\nb"), ("7", "7"), ("-7", "-7"), ("null", "")] {
            assert_eq!(serde_json::from_str::<Text<'_>>(json).unwrap().as_str(), want);
        }
        assert!(serde_json::from_str::<Text<'_>>("{}").is_err());
        let plain: Text<'_> = serde_json::from_str(r#""borrowed""#).unwrap();
        assert!(matches!(plain.0, Cow::Borrowed(_)));
    }

    #[test]
    fn lax_takes_strings_and_skips_the_rest() {
        for (json, want) in [
            (r#""a\nb""#, "a\nb"),
            ("null", ""),
            ("7", ""),
            ("-7", ""),
            ("0.5", ""),
            ("true", ""),
            ("[{}]", ""),
            (r#"{"a":[1]}"#, ""),
        ] {
            assert_eq!(serde_json::from_str::<Lax<'_>>(json).unwrap().as_str(), want, "{json}");
        }
    }

    #[test]
    fn arguments_take_strings_and_json() {
        for (json, want) in [
            (r#""{\"a\":1}""#, r#"{"a":1}"#),
            (r#""""#, ""),
            (r#""\u00e9\\""#, "é\\"),
            (r#""plain""#, "plain"),
            (r#"{"a": 1.0}"#, r#"{"a": 1.0}"#),
            ("null", ""),
        ] {
            assert_eq!(serde_json::from_str::<Arguments<'_>>(json).unwrap().0, want, "{json}");
        }
        assert!(serde_json::from_str::<Arguments<'_>>(r#""\ud800""#).is_err());
    }

    #[test]
    fn content_takes_strings_and_lists() {
        assert_eq!(content(r#""a""#), Content::Text("a".into()));
        assert_eq!(content("[]"), Content::Pieces(vec![]));
        let list = r#"[{"type":"thinking","thinking":[{"type":"text","text":"hm"},{"type":"text","text":"m"}],"closed":true},
            {"type":"thinking","thinking":"x"},{"type":"text","text":"hi"},"bare",{"type":"image_url","image_url":{"url":"u"}},
            {"type":"refusal","refusal":"no"},{"type":"thinking","thinking":[]},null]"#;
        assert_eq!(
            content(list),
            Content::Pieces(vec![
                Piece::Thinking("hm".into()),
                Piece::Thinking("m".into()),
                Piece::Thinking("x".into()),
                Piece::Text("hi".into()),
                Piece::Text("bare".into()),
                Piece::Refusal("no".into()),
            ])
        );
    }
}
