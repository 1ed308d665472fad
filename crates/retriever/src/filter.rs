//! Conditions on the metadata of documents.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::RetrieveError;

/// How deep filters may lie in each other.
const MAX_DEPTH: usize = 64;

/// A condition on the metadata of a document, as plain data.
///
/// Numbers compare as numbers: 3 is 3.0. A value of another type than the filter's, and one that is not there, is not
/// equal, not below and not above; so `ne` and `not` hold for it. Texts compare by their code points, as dates in the form
/// of ISO 8601 need it. A key is one of the metadata as it stands: a dot in it is a dot.
///
/// ```
/// use atomr_agents_core::Document;
/// use atomr_agents_retriever::Filter;
/// use serde_json::json;
///
/// let document = Document::new("a", "Rain.").with("year", json!(2026)).with("tags", json!(["wet"]));
/// let filter = Filter::ge("year", 2020.5) & Filter::contains("tags", "wet") & !Filter::exists("draft");
/// assert!(filter.matches(&document.metadata));
/// let written = json!({"op": "lt", "key": "year", "value": 2000});
/// assert!(!serde_json::from_value::<Filter>(written)?.matches(&document.metadata));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Filter {
    /// The value is this one.
    Eq {
        /// The key of the metadata.
        key: String,
        /// The value.
        value: Value,
    },
    /// The value is another one, or there is none.
    Ne {
        /// The key of the metadata.
        key: String,
        /// The value.
        value: Value,
    },
    /// The value lies below this number or text.
    Lt {
        /// The key of the metadata.
        key: String,
        /// A number or a text.
        value: Value,
    },
    /// The value lies below it or is it.
    Le {
        /// The key of the metadata.
        key: String,
        /// A number or a text.
        value: Value,
    },
    /// The value lies above this number or text.
    Gt {
        /// The key of the metadata.
        key: String,
        /// A number or a text.
        value: Value,
    },
    /// The value lies above it or is it.
    Ge {
        /// The key of the metadata.
        key: String,
        /// A number or a text.
        value: Value,
    },
    /// The value is one of these.
    In {
        /// The key of the metadata.
        key: String,
        /// The values.
        values: Vec<Value>,
    },
    /// The value is a list that holds this.
    Contains {
        /// The key of the metadata.
        key: String,
        /// What it holds.
        value: Value,
    },
    /// There is a value, and it is not null.
    Exists {
        /// The key of the metadata.
        key: String,
    },
    /// All of these hold; of none, all do.
    And {
        /// The conditions.
        filters: Vec<Filter>,
    },
    /// One of these holds; of none, none does.
    Or {
        /// The conditions.
        filters: Vec<Filter>,
    },
    /// This does not hold.
    Not {
        /// The condition.
        filter: Box<Filter>,
    },
}

macro_rules! comparing {
    ($($(#[$doc:meta])* $name:ident => $variant:ident;)*) => {
        $($(#[$doc])*
        #[must_use]
        pub fn $name(key: impl Into<String>, value: impl Into<Value>) -> Self {
            Self::$variant { key: key.into(), value: value.into() }
        })*
    };
}

impl Filter {
    comparing! {
        /// The value is this one.
        eq => Eq;
        /// The value is another one, or there is none.
        ne => Ne;
        /// The value lies below this number or text.
        lt => Lt;
        /// The value lies below this number or text, or is it.
        le => Le;
        /// The value lies above this number or text.
        gt => Gt;
        /// The value lies above this number or text, or is it.
        ge => Ge;
        /// The value is a list that holds this.
        contains => Contains;
    }

    /// The value is one of these.
    #[must_use]
    pub fn any_of<V: Into<Value>>(key: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        Self::In { key: key.into(), values: values.into_iter().map(Into::into).collect() }
    }

    /// There is a value, and it is not null.
    #[must_use]
    pub fn exists(key: impl Into<String>) -> Self {
        Self::Exists { key: key.into() }
    }

    /// All of these hold.
    #[must_use]
    pub fn all(filters: impl IntoIterator<Item = Self>) -> Self {
        Self::And { filters: filters.into_iter().collect() }
    }

    /// One of these holds.
    #[must_use]
    pub fn any(filters: impl IntoIterator<Item = Self>) -> Self {
        Self::Or { filters: filters.into_iter().collect() }
    }

    /// Whether it can be asked: what is ordered is a number or a text, and the depth is below 64. Every search asks this
    /// first.
    ///
    /// # Errors
    /// [`RetrieveError::Filter`] names the key.
    pub fn check(&self) -> Result<(), RetrieveError> {
        self.check_at(0)
    }

    fn check_at(&self, depth: usize) -> Result<(), RetrieveError> {
        if depth >= MAX_DEPTH {
            return Err(RetrieveError::filter("", format!("filters lie more than {MAX_DEPTH} deep in each other")));
        }
        match self {
            Self::Lt { key, value } | Self::Le { key, value } | Self::Gt { key, value } | Self::Ge { key, value } => {
                match value {
                    Value::Number(_) | Value::String(_) => Ok(()),
                    other => Err(RetrieveError::filter(
                        key,
                        format!("only numbers and texts have an order, not {}", type_of(other)),
                    )),
                }
            }
            Self::And { filters } | Self::Or { filters } => {
                filters.iter().try_for_each(|filter| filter.check_at(depth + 1))
            }
            Self::Not { filter } => filter.check_at(depth + 1),
            Self::Eq { .. } | Self::Ne { .. } | Self::In { .. } | Self::Contains { .. } | Self::Exists { .. } => Ok(()),
        }
    }

    /// Whether it holds for this metadata.
    #[must_use]
    pub fn matches(&self, metadata: &Map<String, Value>) -> bool {
        let ordered = |key: &str, value: &Value, fits: fn(Ordering) -> bool| {
            metadata.get(key).and_then(|have| order(have, value)).is_some_and(fits)
        };
        let is = |key: &str, value: &Value| metadata.get(key).is_some_and(|have| equal(have, value));
        match self {
            Self::Eq { key, value } => is(key, value),
            Self::Ne { key, value } => !is(key, value),
            Self::Lt { key, value } => ordered(key, value, Ordering::is_lt),
            Self::Le { key, value } => ordered(key, value, Ordering::is_le),
            Self::Gt { key, value } => ordered(key, value, Ordering::is_gt),
            Self::Ge { key, value } => ordered(key, value, Ordering::is_ge),
            Self::In { key, values } => values.iter().any(|value| is(key, value)),
            Self::Contains { key, value } => match metadata.get(key) {
                Some(Value::Array(list)) => list.iter().any(|have| equal(have, value)),
                _ => false,
            },
            Self::Exists { key } => metadata.get(key).is_some_and(|value| !value.is_null()),
            Self::And { filters } => filters.iter().all(|filter| filter.matches(metadata)),
            Self::Or { filters } => filters.iter().any(|filter| filter.matches(metadata)),
            Self::Not { filter } => !filter.matches(metadata),
        }
    }
}

impl std::ops::BitAnd for Filter {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        match self {
            Self::And { mut filters } => {
                filters.push(other);
                Self::And { filters }
            }
            first => Self::all([first, other]),
        }
    }
}

impl std::ops::BitOr for Filter {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        match self {
            Self::Or { mut filters } => {
                filters.push(other);
                Self::Or { filters }
            }
            first => Self::any([first, other]),
        }
    }
}

impl std::ops::Not for Filter {
    type Output = Self;

    fn not(self) -> Self {
        Self::Not { filter: Box::new(self) }
    }
}

/// What a value is, in words.
pub(crate) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Whether two values are the same, where 3 is 3.0.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => numbers(a, b) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        (a, b) => a == b,
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => numbers(a, b),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Whole numbers compare exactly, also with fractions: 2^53 and 2^53 + 1 are not one number.
fn numbers(a: &Number, b: &Number) -> Option<Ordering> {
    let whole = |number: &Number| number.as_i64().map(i128::from).or(number.as_u64().map(i128::from));
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        (Some(a), None) => Some(with_fraction(a, b.as_f64()?)),
        (None, Some(b)) => Some(with_fraction(b, a.as_f64()?).reverse()),
        (None, None) => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

/// A whole number of 65 bits beside one with a fraction, which JSON knows to be finite.
fn with_fraction(whole: i128, other: f64) -> Ordering {
    // The cast keeps the whole part, and stops at the ends of i128, far outside of what `whole` can be.
    whole.cmp(&(other.trunc() as i128)).then_with(|| 0.0f64.total_cmp(&(other.fract() + 0.0)))
}

#[cfg(test)]
mod tests;
