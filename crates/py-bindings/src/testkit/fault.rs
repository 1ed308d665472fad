//! Faults as Python writes them: a dict with the name of the fault and its numbers.

use atomr_agents_core::Value;
use atomr_agents_py_bridge::json;
use atomr_agents_testkit::{Fault, Flaw, RetryAfter, Trouble};
use pyo3::prelude::*;
use serde::Deserialize;

use crate::errors::config;

/// A fault as Python writes it.
#[derive(Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
enum Spec {
    Reset { at: usize },
    Close { at: usize },
    End { at: usize },
    HalfEvent { event: usize },
    Stall { at: usize },
    NoAnswer,
    NoHead,
    Redirect { url: String },
    Insert { at: usize, hex: String, times: usize },
    Garbage { bytes: usize, seed: u64 },
    ManyHeaders { count: usize },
    HugeHeader { bytes: usize },
    Gzip,
    GzipBomb { bytes: usize },
    Status { status: u16, message: String, retry_after: Option<Value> },
    Flaw { flaw: Value },
}

/// What one answer meets; `None` is nothing.
pub(super) fn trouble(fault: &Bound<'_, PyAny>) -> PyResult<Option<Trouble>> {
    if fault.is_none() {
        return Ok(None);
    }
    let wrong = |error: serde_json::Error| config(format!("there is no such fault: {error}"));
    let fault = match serde_json::from_value(json::from_py(fault)?).map_err(wrong)? {
        Spec::Reset { at } => Fault::ResetAt(at),
        Spec::Close { at } => Fault::CloseAt(at),
        Spec::End { at } => Fault::CleanEndAt(at),
        Spec::HalfEvent { event } => Fault::HalfEvent(event),
        Spec::Stall { at } => Fault::StallAt(at),
        Spec::NoAnswer => Fault::StallBeforeHeaders,
        Spec::NoHead => Fault::CloseBeforeHeaders,
        Spec::Redirect { url } => Fault::RedirectTo(url),
        Spec::Insert { at, hex, times } => Fault::Insert { at, bytes: unhex(&hex)?, times },
        Spec::Garbage { bytes, seed } => Fault::Garbage { bytes, seed },
        Spec::ManyHeaders { count } => Fault::ManyHeaders(count),
        Spec::HugeHeader { bytes } => Fault::HugeHeader(bytes),
        Spec::Gzip => Fault::Gzip,
        Spec::GzipBomb { bytes } => Fault::GzipBomb(bytes),
        Spec::Status { status, message, retry_after } => {
            let after = match retry_after {
                None | Some(Value::Null) => RetryAfter::Absent,
                Some(Value::String(text)) => RetryAfter::Text(text),
                Some(other) => RetryAfter::Text(other.to_string()),
            };
            return Ok(Some(Trouble::Status { status, message, after }));
        }
        Spec::Flaw { flaw } => {
            return Ok(Some(Trouble::Flaw(serde_json::from_value::<Flaw>(flaw).map_err(wrong)?)));
        }
    };
    Ok(Some(Trouble::Fault(fault)))
}

fn unhex(hex: &str) -> PyResult<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.ok_or_else(|| config("the bytes of a fault are written in hexadecimal".to_owned()))?;
    Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
