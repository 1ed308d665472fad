//! Filters in SQL.
//!
//! Each condition is true or false and never NULL, as `fields` of a value that is no object, or a key that is not there,
//! must make `ne` and `not` hold. `fields` was written by [`comparable`], and so are the values it is compared with.

use atomr_agents_core::Value;
use atomr_agents_retriever::Filter;
use tokio_postgres::types::Type;

use crate::fields::{comparable, plain};
use crate::statement::Arguments;

/// The condition, and its keys and values as one argument more.
pub(crate) fn condition(filter: &Filter, arguments: &mut Arguments) -> String {
    let mut texts = Texts { array: arguments.next(), all: Vec::new() };
    let written = texts.condition(filter);
    arguments.add(texts.all, Type::TEXT_ARRAY);
    written
}

/// Keys and values, in one argument: there is no end to how many a filter has.
struct Texts {
    array: String,
    all: Vec<String>,
}

impl Texts {
    fn add(&mut self, text: String) -> String {
        self.all.push(text);
        format!("({})[{}]", self.array, self.all.len())
    }

    /// The value of a key.
    fn field(&mut self, key: &str) -> String {
        format!("(fields -> {})", self.add(plain(key).into_owned()))
    }

    fn value(&mut self, value: &Value) -> String {
        format!("({})::jsonb", self.add(comparable(value)))
    }

    fn equal(&mut self, key: &str, value: &Value) -> String {
        format!("COALESCE({} = {}, false)", self.field(key), self.value(value))
    }

    fn ordered(&mut self, key: &str, value: &Value, sign: &str) -> String {
        let field = self.field(key);
        match value {
            Value::Number(_) => {
                let value = self.value(value);
                format!("COALESCE(jsonb_typeof({field}) = 'number' AND {field} {sign} {value}, false)")
            }
            Value::String(text) => {
                let text = self.add(plain(text).into_owned());
                let have = format!("({field} #>> '{{}}') COLLATE \"C\"");
                format!("COALESCE(jsonb_typeof({field}) = 'string' AND {have} {sign} {text}, false)")
            }
            // Refused by `Filter::check`.
            _ => "false".to_owned(),
        }
    }

    fn joined(&mut self, filters: &[Filter], word: &str, none: &str) -> String {
        let all: Vec<String> = filters.iter().map(|filter| self.condition(filter)).collect();
        if all.is_empty() { none.to_owned() } else { format!("({})", all.join(word)) }
    }

    fn condition(&mut self, filter: &Filter) -> String {
        match filter {
            Filter::Eq { key, value } => self.equal(key, value),
            Filter::Ne { key, value } => format!("(NOT {})", self.equal(key, value)),
            Filter::Lt { key, value } => self.ordered(key, value, "<"),
            Filter::Le { key, value } => self.ordered(key, value, "<="),
            Filter::Gt { key, value } => self.ordered(key, value, ">"),
            Filter::Ge { key, value } => self.ordered(key, value, ">="),
            Filter::In { values, .. } if values.is_empty() => "false".to_owned(),
            Filter::In { key, values } => {
                let field = self.field(key);
                let values: Vec<String> = values.iter().map(|value| self.value(value)).collect();
                format!("COALESCE({field} IN ({}), false)", values.join(", "))
            }
            Filter::Contains { key, value } => {
                let (field, value) = (self.field(key), self.value(value));
                let list = format!("CASE WHEN jsonb_typeof({field}) = 'array' THEN {field} ELSE '[]'::jsonb END");
                format!("EXISTS (SELECT FROM jsonb_array_elements({list}) have (value) WHERE have.value = {value})")
            }
            Filter::Exists { key } => format!("COALESCE(jsonb_typeof({}) <> 'null', false)", self.field(key)),
            Filter::And { filters } => self.joined(filters, " AND ", "true"),
            Filter::Or { filters } => self.joined(filters, " OR ", "false"),
            Filter::Not { filter } => format!("(NOT {})", self.condition(filter)),
        }
    }
}
