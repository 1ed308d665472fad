//! From texts to tokens.

use std::path::Path;

use tokenizers::{PostProcessor as _, Tokenizer, TruncationParams};

use crate::{OnnxConfig, OnnxError};

/// The longest text that is read to its end where neither settings nor tokenizer say it.
const USUAL_TOKENS: usize = 512;

/// A tokenizer that cuts and does not fill up: rows are filled up to the longest of their batch, and no farther.
#[derive(Debug)]
pub(crate) struct Tokens {
    tokenizer: Tokenizer,
    /// Fills rows up.
    pub(crate) pad: i64,
    pub(crate) max_tokens: usize,
}

/// The tokens of a text.
pub(crate) struct Row {
    pub(crate) ids: Vec<i64>,
    pub(crate) types: Vec<i64>,
}

impl Tokens {
    pub(crate) fn read(bytes: &[u8], config: &OnnxConfig) -> Result<Self, OnnxError> {
        let path: &Path = &config.tokenizer;
        let bad = |error: tokenizers::Error| {
            OnnxError::format(path, format!("is no tokenizer that can be used: {error}"), Some(error.into()))
        };
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(bad)?;
        let own = tokenizer.get_truncation().map(|own| own.max_length);
        let max_tokens = config.max_tokens.or(own).unwrap_or(USUAL_TOKENS);
        let marks = tokenizer.get_post_processor().map_or(0, |marks| marks.added_tokens(false));
        if max_tokens <= marks {
            let problem = format!("must be more than the {marks} marks that the tokenizer puts around a text");
            return Err(OnnxError::Invalid { option: "max_tokens", problem });
        }
        let named = || ["[PAD]", "<pad>"].into_iter().find_map(|name| tokenizer.token_to_id(name));
        let pad = tokenizer.get_padding().map(|padding| padding.pad_id).or_else(named).unwrap_or(0);
        let cut = TruncationParams { max_length: max_tokens, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(cut)).map_err(bad)?.with_padding(None);
        Ok(Self { tokenizer, pad: pad.into(), max_tokens })
    }

    pub(crate) fn of(&self, text: &str) -> Result<Row, OnnxError> {
        let made = self.tokenizer.encode_fast(text, true);
        let made = made.map_err(|error| OnnxError::Run { message: format!("its tokenizer: {error}") })?;
        let wide = |numbers: &[u32]| numbers.iter().map(|number| i64::from(*number)).collect();
        Ok(Row { ids: wide(made.get_ids()), types: wide(made.get_type_ids()) })
    }
}
