//! From what a model wrote to a value: JSON, YAML, XML, lists and choices.
//!
//! This crate knows no agent, no wire format of a provider and no Python. It decides nothing by the meaning of a text, only
//! by its form; it reads nothing but the text it is given, and never panics on any.
//!
//! ```
//! use atomr_agents_parser::{JsonSchema, Parser};
//! use serde_json::json;
//!
//! let parser = JsonSchema::new(json!({"type": "object", "required": ["city"]}))?;
//! let answer = "Of course! Here it is:\n```json\n{\"city\": \"Oslo\"}\n```";
//! assert_eq!(parser.parse(answer)?, json!({"city": "Oslo"}));
//! # Ok::<(), atomr_agents_parser::ParseError>(())
//! ```

mod choice;
mod comma_list;
mod error;
mod find;
mod fixing;
mod json;
mod json_schema;
mod parser;
mod repair;
mod step;
mod streaming;
mod typed;
mod xml;
mod yaml;

pub use choice::Enum;
pub use comma_list::CommaList;
pub use error::{Fault, ParseError, Place};
pub use find::json_values;
pub use fixing::{OutputFixing, RetryWithError};
pub use json::Json;
pub use json_schema::JsonSchema;
pub use parser::{AsValue, AsyncParser, Parser};
pub use repair::{ClientRepair, RepairModel};
pub use step::step;
pub use streaming::StreamingPartialJson;
pub use typed::Typed;
pub use xml::Xml;
pub use yaml::Yaml;
