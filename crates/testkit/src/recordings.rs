//! Recordings that come with the crate. Where each is from and under which licence says its `source.txt`, in the
//! crate's folder `recordings/`.

use bytes::Bytes;

use crate::{Exchange, TestkitError};

macro_rules! recording {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../recordings/", $name, "/request.json")) as &[u8],
            include_bytes!(concat!("../recordings/", $name, "/response.meta.json")) as &[u8],
            include_bytes!(concat!("../recordings/", $name, "/response.body")) as &'static [u8],
        )
    };
}

/// Three answers of OpenAI's chat completions, streamed: a question that calls the tools `add` (2 and 3) and
/// `multiply` (2 and 3) at once, one that calls `weather` (Florence), and the text that says how the weather is.
///
/// # Errors
/// None, unless the crate was built from damaged files.
pub fn demo() -> Result<Vec<Exchange>, TestkitError> {
    let all = [
        recording!("tools-parallel-stream"),
        recording!("tool-single-stream"),
        recording!("tool-single-followup-stream"),
    ];
    let parse = |(name, request, meta, body)| Exchange::parse(name, request, meta, Bytes::from_static(body));
    all.into_iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_whole() {
        let all = demo().unwrap();
        assert_eq!(all.len(), 3);
        for exchange in &all {
            assert!(exchange.is_stream() && exchange.status == 200, "{}", exchange.name);
            assert_eq!(exchange.path, "/v1/chat/completions");
            assert!(exchange.body.ends_with(b"data: [DONE]\n\n"), "{}", exchange.name);
        }
        let text = String::from_utf8_lossy(&all[0].body);
        assert!(text.contains(r#""name":"add""#) && text.contains(r#""name":"multiply""#));
    }
}
