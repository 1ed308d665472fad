//! Loaders of files.

use std::path::PathBuf;
use std::sync::Arc;

use atomr_agents_http::HttpPolicy;
use atomr_agents_ingest::{
    ByName, Csv, Decoding, Directory, Docx, Fields, Files, Format, Html, IngestError, Json, JsonLines, Markdown, Pdf,
    Text, Web,
};
use pyo3::prelude::*;

use super::loaders::NativeLoader;
use crate::errors::{config, from_kinded};

fn files(paths: Vec<PathBuf>, format: impl Format) -> NativeLoader {
    NativeLoader(Arc::new(Files::new(paths, format)))
}

fn decoding(encoding: Option<&str>, replace: bool) -> Result<Decoding, IngestError> {
    let decoding = encoding.map(Decoding::named).transpose()?.unwrap_or_default();
    Ok(if replace { decoding.replacing() } else { decoding })
}

fn text(encoding: Option<&str>, replace: bool, max_bytes: u64) -> Result<Text, IngestError> {
    Ok(Text { decoding: decoding(encoding, replace)?, max_bytes })
}

fn fields(text: String, id: String, metadata: String) -> Result<Fields, IngestError> {
    let fields = Fields { text, id, metadata };
    fields.check()?;
    Ok(fields)
}

/// A setting that is one byte.
fn byte(name: &str, value: &str) -> PyResult<u8> {
    match value.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err(config(format!("{name} must be one character of ASCII, not {value:?}"))),
    }
}

/// Files that are texts: plain, Markdown, HTML.
#[pyfunction]
pub(crate) fn load_texts(
    paths: Vec<PathBuf>,
    format: &str,
    encoding: Option<&str>,
    replace: bool,
    max_bytes: u64,
) -> PyResult<NativeLoader> {
    let text = text(encoding, replace, max_bytes).map_err(from_kinded)?;
    Ok(match format {
        "markdown" => files(paths, Markdown(text)),
        "html" => files(paths, Html(text)),
        _ => files(paths, text),
    })
}

#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "each is a setting of the Python class")]
pub(crate) fn load_json(
    paths: Vec<PathBuf>,
    records: String,
    text_at: String,
    id_at: String,
    metadata_at: String,
    encoding: Option<&str>,
    replace: bool,
    max_bytes: u64,
) -> PyResult<NativeLoader> {
    if !records.is_empty() && !records.starts_with('/') {
        return Err(config(format!("records must be a JSON pointer such as \"/items\", not {records:?}")));
    }
    let made = || -> Result<Json, IngestError> {
        let (fields, decoding) = (fields(text_at, id_at, metadata_at)?, decoding(encoding, replace)?);
        Ok(Json { records, fields, decoding, max_bytes })
    };
    Ok(files(paths, made().map_err(from_kinded)?))
}

#[pyfunction]
pub(crate) fn load_json_lines(
    paths: Vec<PathBuf>,
    text_at: String,
    id_at: String,
    metadata_at: String,
    max_line_bytes: u64,
) -> PyResult<NativeLoader> {
    let fields = fields(text_at, id_at, metadata_at).map_err(from_kinded)?;
    Ok(files(paths, JsonLines { fields, max_line_bytes }))
}

#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "each is a setting of the Python class")]
pub(crate) fn load_csv(
    paths: Vec<PathBuf>,
    text_column: Option<String>,
    id_column: Option<String>,
    separator: Option<&str>,
    quote: &str,
    header: bool,
    lenient: bool,
    encoding: Option<&str>,
    replace: bool,
    max_row_bytes: u64,
) -> PyResult<NativeLoader> {
    let separator = separator.map(|separator| byte("separator", separator)).transpose()?;
    let decoding = decoding(encoding, replace).map_err(from_kinded)?;
    let (text, id, quote) = (text_column, id_column, byte("quote", quote)?);
    Ok(files(paths, Csv { text, id, separator, quote, header, lenient, decoding, max_row_bytes }))
}

#[pyfunction]
pub(crate) fn load_pdf(paths: Vec<PathBuf>, by_page: bool, max_bytes: u64, max_unpacked: u64) -> NativeLoader {
    files(paths, Pdf { by_page, max_bytes, max_unpacked })
}

#[pyfunction]
pub(crate) fn load_docx(paths: Vec<PathBuf>, max_bytes: u64, max_unpacked: u64, max_ratio: u64) -> NativeLoader {
    files(paths, Docx { max_bytes, max_unpacked, max_ratio })
}

#[pyfunction]
pub(crate) fn load_directory(
    root: PathBuf,
    include: Vec<String>,
    exclude: Vec<String>,
    hidden: bool,
    encoding: Option<&str>,
    replace: bool,
    max_bytes: u64,
) -> PyResult<NativeLoader> {
    let made = || -> Result<Directory, IngestError> {
        let text = text(encoding, replace, max_bytes)?;
        let decoding = text.decoding;
        let format = ByName {
            markdown: Markdown(text.clone()),
            html: Html(text.clone()),
            json: Json { decoding, max_bytes, ..Json::default() },
            csv: Csv { decoding, ..Csv::default() },
            pdf: Pdf { max_bytes, ..Pdf::default() },
            docx: Docx { max_bytes, ..Docx::default() },
            text,
            ..ByName::default()
        };
        let include: Vec<&str> = include.iter().map(String::as_str).collect();
        let exclude: Vec<&str> = exclude.iter().map(String::as_str).collect();
        let directory = Directory::new(root, &include)?.exclude(&exclude)?.format(format);
        Ok(if hidden { directory.hidden() } else { directory })
    };
    made().map(|directory| NativeLoader(Arc::new(directory))).map_err(from_kinded)
}

/// Pages of the web, within the settings of a policy.
#[pyfunction]
pub(crate) fn load_web(
    urls: Vec<String>,
    hosts: Option<Vec<String>>,
    allowed: Vec<String>,
    max_redirects: usize,
    max_bytes: usize,
    timeout: f64,
) -> PyResult<NativeLoader> {
    let mut policy = HttpPolicy::new();
    let address =
        |text: &String| text.parse().map_err(|_| config(format!("allowed must hold IP addresses, not {text:?}")));
    policy.allowed = allowed.iter().map(address).collect::<PyResult<_>>()?;
    (policy.hosts, policy.max_redirects, policy.max_bytes) = (hosts, max_redirects, max_bytes);
    policy.timeout = std::time::Duration::try_from_secs_f64(timeout).map_err(|error| config(error.to_string()))?;
    Ok(NativeLoader(Arc::new(Web::new(urls, policy))))
}
