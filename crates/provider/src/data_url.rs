//! Bytes inside a URL.

/// The URL that holds these bytes, given in base64.
#[must_use]
pub fn data_url(media_type: &str, base64: &str) -> String {
    format!("data:{media_type};base64,{base64}")
}

/// Media type, without its parameters, and base64 of a data URL; `None` for URLs that point elsewhere.
#[must_use]
pub fn inside_data_url(url: &str) -> Option<(&str, &str)> {
    let (kind, base64) = url.strip_prefix("data:")?.split_once(";base64,")?;
    Some((kind.split(';').next().unwrap_or(kind), base64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_gives_what_was_put_into_it() {
        assert_eq!(inside_data_url(&data_url("image/png", "AA==")), Some(("image/png", "AA==")));
        assert_eq!(inside_data_url("data:text/plain;charset=utf-8;base64,aA=="), Some(("text/plain", "aA==")));
        assert_eq!(inside_data_url("data:text/plain,a"), None);
        assert_eq!(inside_data_url("https://example.org/a.png"), None);
    }
}
