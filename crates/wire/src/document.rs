//! What all decoders do with a document and its parts.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::WireError;

/// Reads a whole document, or a part of one, as a value of its own.
pub(crate) fn parse<'j, T: Deserialize<'j>>(json: &'j str) -> Result<T, WireError> {
    serde_json::from_str(json).map_err(|source| WireError::json(json, source))
}

/// A key may be there without a value, `error` for instance without an error.
pub(crate) fn is_meant(value: &RawValue) -> bool {
    !matches!(value.get(), "\"\"" | "false" | "{}" | "[]")
}

/// The number that a server gave to a part of its answer, if it is not beyond `max`.
pub(crate) fn in_range(what: &'static str, index: u64, max: u32) -> Result<u32, WireError> {
    let known = u32::try_from(index).ok().filter(|index| *index <= max);
    known.ok_or(WireError::IndexOutOfRange { what, index, max })
}

/// The last of `states` that `is_it`; a new one where there is none yet.
pub(crate) fn state_of<T>(states: &mut Vec<T>, is_it: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> &mut T {
    let at = states.iter().rposition(is_it).unwrap_or_else(|| {
        states.push(new());
        states.len() - 1
    });
    &mut states[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_key_without_an_error() {
        let is_meant = |json| is_meant(parse(json).unwrap());
        assert!(!is_meant("\"\"") && !is_meant("false") && !is_meant("{}") && !is_meant("[]"));
        assert!(is_meant("\"no\"") && is_meant("{\"message\":\"\"}"));
    }

    #[test]
    fn numbers_and_their_states() {
        assert_eq!(in_range("choice", 3, 3).unwrap(), 3);
        let error = in_range("choice", 1 << 40, 3).unwrap_err();
        assert!(matches!(error, WireError::IndexOutOfRange { what: "choice", index: 0x100_0000_0000, max: 3 }));
        let mut states = vec![(0, 'a')];
        state_of(&mut states, |state| state.0 == 7, || (7, 'b')).1 = 'c';
        assert_eq!(state_of(&mut states, |state| state.0 == 7, || unreachable!()).1, 'c');
        assert_eq!(states, [(0, 'a'), (7, 'c')]);
    }
}
