//! Deserialising into a place that exists already.
//!
//! serde's derived code returns structs by value, through several layers; for the nested structs of a chunk those
//! copies cost more than the decoding. Here a struct is filled where it lies. Of a key sent twice the last one counts.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::WireError;
use crate::tolerant::Text;

/// A struct that is filled field by field.
pub(crate) trait Fill<'de>: Default {
    /// Reads the value of `key` into its field, or skips it.
    fn field<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

/// A field that is replaced by its value, or filled in place.
pub(crate) trait Field<'de> {
    /// Reads the next value of `map` into this field.
    fn read<A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error>;
}

/// Implements [`Fill`]: each field by its own name or by the one given after `=`; `plain` fields are deserialised,
/// `nested` ones filled in place. The keys that are not listed are skipped, or tried on the field after `rest`.
macro_rules! fill {
    ($type:ident: plain { $($plain:ident $(= $plain_key:literal)?),* }
        nested { $($nested:ident $(= $nested_key:literal)?),* }
        $(rest $rest:ident)?) => {
        impl<'de> $crate::in_place::Fill<'de> for $type<'de> {
            fn field<A: serde::de::MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
                match key {
                    $($crate::in_place::key!($plain $($plain_key)?) => self.$plain = map.next_value()?,)*
                    $($crate::in_place::key!($nested $($nested_key)?) => {
                        $crate::in_place::Field::read(&mut self.$nested, map)?;
                    })*
                    _ => $crate::in_place::rest!(self, key, map $(, $rest)?),
                }
                Ok(())
            }
        }
    };
}
pub(crate) use fill;

/// What is done with a key that is not listed.
macro_rules! rest {
    ($fields:ident, $key:ident, $map:ident) => {{
        $map.next_value::<serde::de::IgnoredAny>()?;
    }};
    ($fields:ident, $key:ident, $map:ident, $rest:ident) => {
        $crate::in_place::Fill::field(&mut $fields.$rest, $key, $map)?
    };
}
pub(crate) use rest;

/// The name of a field in the document.
macro_rules! key {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $key:literal) => {
        $key
    };
}
pub(crate) use key;

/// Fills one struct; null leaves it as it is and gives `false`.
#[derive(Debug)]
pub(crate) struct InPlace<'s, T>(pub(crate) &'s mut T);

impl<'de, T: Fill<'de>> DeserializeSeed<'de> for InPlace<'_, T> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Fill<'de>> Visitor<'de> for InPlace<'_, T> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while let Some(key) = map.next_key::<Text<'de>>()? {
            self.0.field(key.as_str(), &mut map)?;
        }
        Ok(true)
    }
}

impl<'de, T: Fill<'de>> Field<'de> for Option<T> {
    fn read<A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        if !map.next_value_seed(InPlace(self.insert(T::default())))? {
            *self = None;
        }
        Ok(())
    }
}

/// A list that usually has one element: that one needs no allocation.
#[derive(Debug)]
pub(crate) struct List<T> {
    first: Option<T>,
    rest: Vec<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { first: None, rest: Vec::new() }
    }
}

impl<T> List<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.rest)
    }
}

impl<'de, T: Fill<'de>> Field<'de> for List<T> {
    fn read<A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        map.next_value_seed(self)
    }
}

impl<'de, T: Fill<'de>> DeserializeSeed<'de> for &mut List<T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        *self = List::default();
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Fill<'de>> Visitor<'de> for &mut List<T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if seq.next_element_seed(InPlace(self.first.insert(T::default())))?.is_none() {
            self.first = None;
            return Ok(());
        }
        loop {
            let mut element = T::default();
            if seq.next_element_seed(InPlace(&mut element))?.is_none() {
                return Ok(());
            }
            self.rest.push(element);
        }
    }
}

/// Reads a whole document into `seed`'s place.
pub(crate) fn read_document<'de, S: DeserializeSeed<'de>>(json: &'de str, seed: S) -> Result<S::Value, WireError> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let read = seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|source| WireError::json(json, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Inner<'a> {
        name: Text<'a>,
    }
    fill!(Inner: plain { name } nested {});

    #[derive(Debug, Default)]
    struct Outer<'a> {
        number: Option<u64>,
        one: Option<Inner<'a>>,
        many: List<Inner<'a>>,
    }
    fill!(Outer: plain { number } nested { one, many });

    type Found = (Option<u64>, Option<String>, Vec<String>);

    fn read(json: &str) -> Result<Found, WireError> {
        let mut outer = Outer::default();
        read_document(json, InPlace(&mut outer))?;
        let many = outer.many.iter().map(|inner| inner.name.as_str().to_owned()).collect();
        Ok((outer.number, outer.one.map(|one| one.name.0.into_owned()), many))
    }

    #[test]
    fn fills_nested_structs_and_lists() {
        let full = r#"{"x":[{}],"number":1,"one":{"name":"a","y":null},"many":[{"name":"b"},null,{"n\u0061me":"c"}]}"#;
        assert_eq!(read(full).unwrap(), (Some(1), Some("a".into()), vec!["b".into(), "".into(), "c".into()]));
        assert_eq!(read(r#"{"number":null,"one":null,"many":null}"#).unwrap(), (None, None, vec![]));
        assert_eq!(read(r#"{"many":[]}"#).unwrap(), (None, None, vec![]));
        assert_eq!(read("null").unwrap(), (None, None, vec![]));
    }

    #[test]
    fn of_a_repeated_key_the_last_counts() {
        let twice = r#"{"number":1,"many":[{"name":"a"},{"name":"b"}],"one":{"name":"x"},"one":{},"many":[{"name":"c"}],"number":2}"#;
        assert_eq!(read(twice).unwrap(), (Some(2), Some("".into()), vec!["c".into()]));
    }

    #[test]
    fn other_types_are_errors() {
        for json in ["[]", "1", r#"{"one":[]}"#, r#"{"many":{}}"#, r#"{"many":[1]}"#, r#"{"one":{"name":{}}}"#] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
