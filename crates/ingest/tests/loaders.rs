//! Whatever a file holds, it is documents or errors that name it; and what a writer wrote is read as it was.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

use std::io::{Cursor, Write};

use atomr_agents_ingest::conformance::check_format;
use atomr_agents_ingest::{
    Csv, Decoding, Docx, Format, Html, IngestError, Json, JsonLines, Loaded, Markdown, Pdf, Text,
};
use lopdf::{Object, Stream, dictionary};
use proptest::prelude::*;
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;

fn read(format: &dyn Format, bytes: &[u8]) -> Loaded {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    check_format(format, "f", &file).unwrap()
}

fn failure(format: &dyn Format, bytes: &[u8]) -> IngestError {
    let Loaded { documents, mut errors } = read(format, bytes);
    assert_eq!((documents.len(), errors.len()), (0, 1), "{documents:?} {errors:?}");
    errors.remove(0)
}

fn formats() -> Vec<Box<dyn Format>> {
    let (replacing, detect) = (Decoding::default().replacing(), Decoding::named("detect").unwrap());
    vec![
        Box::new(Text::default()),
        Box::new(Text { decoding: detect, ..Text::default() }),
        Box::new(Markdown::default()),
        Box::new(Markdown(Text { decoding: replacing, ..Text::default() })),
        Box::new(Html::default()),
        Box::new(Html(Text { decoding: replacing, ..Text::default() })),
        Box::new(Json::default()),
        Box::new(Json { decoding: replacing, records: "/0".into(), ..Json::default() }),
        Box::new(JsonLines::default()),
        Box::new(JsonLines { max_line_bytes: 5, ..JsonLines::default() }),
        Box::new(Csv::default()),
        Box::new(Csv { decoding: replacing, lenient: true, ..Csv::default() }),
        Box::new(Csv { decoding: detect, header: false, max_row_bytes: 9, ..Csv::default() }),
        Box::new(Pdf::default()),
        Box::new(Docx::default()),
    ]
}

/// An archive with this as its text.
fn docx(xml: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [("[Content_Types].xml", "<Types/>"), ("word/document.xml", xml)] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn letter(paragraphs: &[&str]) -> String {
    let texts = paragraphs.iter().map(|text| format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"));
    format!("<w:document xmlns:w='w'><w:body>{}</w:body></w:document>", texts.collect::<String>())
}

/// A PDF of these pages, whose objects are changed before it is written.
fn pdf(texts: &[&str], change: impl FnOnce(&mut lopdf::Document, Vec<lopdf::ObjectId>)) -> Vec<u8> {
    let mut pdf = lopdf::Document::with_version("1.5");
    let pages = pdf.new_object_id();
    let font = pdf.add_object(dictionary! { "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Courier" });
    let resources = pdf.add_object(dictionary! { "Font" => dictionary! { "F1" => font } });
    let mut made = vec![pages];
    for text in texts {
        let mut stream = Stream::new(dictionary! {}, format!("BT /F1 12 Tf 10 10 Td ({text}) Tj ET").into_bytes());
        stream.compress().unwrap();
        let content = pdf.add_object(stream);
        let page = dictionary! {
            "Type" => "Page", "Parent" => pages, "Contents" => content, "Resources" => resources,
            "MediaBox" => vec![0.into(), 0.into(), 595.into(), 842.into()],
        };
        made.push(pdf.add_object(page));
    }
    let kids: Vec<Object> = made.iter().skip(1).map(|id| Object::Reference(*id)).collect();
    let count = kids.len() as u32;
    pdf.objects.insert(pages, dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => count }.into());
    let catalog = pdf.add_object(dictionary! { "Type" => "Catalog", "Pages" => pages });
    pdf.trailer.set("Root", catalog);
    change(&mut pdf, made);
    let mut bytes = Vec::new();
    pdf.save_to(&mut bytes).unwrap();
    bytes
}

#[derive(Clone, Debug)]
enum Harm {
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Double(prop::sample::Index, u8),
}

fn harms() -> impl Strategy<Value = Vec<Harm>> {
    let at = any::<prop::sample::Index>;
    let harm = prop_oneof![
        at().prop_map(Harm::Cut),
        (at(), 0u8..8).prop_map(|(at, bit)| Harm::Flip(at, bit)),
        (at(), 1u8..20).prop_map(|(at, len)| Harm::Double(at, len)),
    ];
    prop::collection::vec(harm, 1..6)
}

fn harmed(mut bytes: Vec<u8>, harms: &[Harm]) -> Vec<u8> {
    for harm in harms {
        if bytes.is_empty() {
            break;
        }
        match harm {
            Harm::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Harm::Flip(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Harm::Double(at, len) => {
                let at = at.index(bytes.len());
                let again = bytes[at..bytes.len().min(at + usize::from(*len))].to_vec();
                bytes.splice(at..at, again);
            }
        }
    }
    bytes
}

/// Fields of tables: any text, and often what a table is made of.
fn field() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a\"', ;|\t\r\n☔é]{0,8}"]
}

proptest! {
    #[test]
    fn any_bytes_are_documents_or_errors_that_name_the_file(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for format in formats() {
            read(&*format, &bytes);
        }
    }

    #[test]
    fn any_text_is_too(text in "[-\\[\\]{}<>/\"',:;#a-f0-9 \n\r\t\u{feff}☔]{0,120}") {
        for format in formats() {
            read(&*format, text.as_bytes());
        }
    }

    #[test]
    fn a_table_is_read_as_it_was_written(
        rows in (1usize..5).prop_flat_map(|n| prop::collection::vec(prop::collection::vec(field(), n), 1..6)),
        separator in prop::sample::select(b",;\t|:^".to_vec()),
        quote in prop::sample::select(b"\"'".to_vec()),
        crlf in any::<bool>(),
        every in any::<bool>(),
        mark in any::<bool>(),
    ) {
        let mut writer = csv::WriterBuilder::new();
        writer.delimiter(separator).quote(quote);
        if crlf {
            writer.terminator(csv::Terminator::CRLF);
        }
        if every {
            writer.quote_style(csv::QuoteStyle::Always);
        }
        let mut writer = writer.from_writer(if mark { "\u{feff}".as_bytes().to_vec() } else { Vec::new() });
        writer.write_record((0..rows[0].len()).map(|n| format!("c{n}"))).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let table = writer.into_inner().unwrap();
        let format = Csv { separator: Some(separator), quote, text: Some("c0".into()), ..Csv::default() };
        let read = read(&format, &table);
        prop_assert!(read.errors.is_empty(), "{:?}", read.errors);
        let found: Vec<Vec<&str>> = read.documents.iter().map(|document| {
            let others = (1..rows[0].len()).map(|n| document.metadata[&format!("c{n}")].as_str().unwrap());
            std::iter::once(document.text.as_str()).chain(others).collect()
        }).collect();
        prop_assert_eq!(found, rows);
    }

    #[test]
    fn a_table_says_the_same_in_every_encoding(rows in prop::collection::vec("[a-zéßø€ \"\n]{1,5}", 1..5)) {
        let quoted = rows.iter().map(|row| format!("\"{}\"\r\n", row.replace('"', "\"\"")));
        let table = format!("text\r\n{}", quoted.collect::<String>());
        let utf16: Vec<u8> = table.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = [&[0xff, 0xfe][..], &utf16].concat();
        let (windows, _, _) = encoding_rs::WINDOWS_1252.encode(&table);
        for (name, bytes) in [("utf-8", table.as_bytes()), ("utf-16le", &utf16), ("cp1252", &windows), ("utf-8", &marked)] {
            let decoding = Decoding::named(name).unwrap();
            let read = read(&Csv { decoding, text: Some("text".into()), ..Csv::default() }, bytes);
            prop_assert!(read.errors.is_empty(), "{name}: {:?}", read.errors);
            prop_assert!(read.documents.iter().map(|document| &document.text).eq(&rows), "{name}: {read:?}");
        }
    }

    #[test]
    fn records_are_read_as_they_were_written(records in prop::collection::vec((any::<String>(), any::<Option<i64>>()), 0..8), mark in any::<bool>()) {
        let values: Vec<Value> = records
            .iter()
            .enumerate()
            .map(|(n, (text, number))| json!({"id": n, "text": text, "metadata": {"n": number}}))
            .collect();
        let mark = if mark { "\u{feff}" } else { "" };
        let lines: String = values.iter().map(|value| format!("{value}\r\n\n")).collect();
        let array = Value::Array(values);
        for (format, bytes) in [
            (Box::new(JsonLines::default()) as Box<dyn Format>, format!("{mark}{lines}")),
            (Box::new(Json::default()), format!("{mark}{array:#}")),
        ] {
            let read = read(&*format, bytes.as_bytes());
            prop_assert!(read.errors.is_empty(), "{:?}", read.errors);
            prop_assert_eq!(read.documents.len(), records.len());
            for (n, (document, (text, number))) in read.documents.iter().zip(&records).enumerate() {
                prop_assert_eq!((&document.id, &document.text), (&n.to_string(), text));
                prop_assert_eq!(&document.metadata["n"], &json!(number));
            }
        }
    }

    #[test]
    fn documents_that_were_harmed_are_documents_or_errors(harms in harms()) {
        let docx = docx(&letter(&["Rain in Oslo &amp; Bergen.", "Wind."]));
        read(&Docx::default(), &harmed(docx, &harms));
        let pdf = pdf(&["Rain in Oslo.", "Wind."], |_, _| {});
        read(&Pdf { by_page: true, ..Pdf::default() }, &harmed(pdf, &harms));
    }
}

#[test]
fn what_is_not_harmed_is_read() {
    let read_docx = read(&Docx::default(), &docx(&letter(&["Rain in Oslo &amp; Bergen.", "Wind."])));
    assert_eq!(read_docx.documents[0].text, "Rain in Oslo & Bergen.\n\nWind.");
    let read_pdf = read(&Pdf::default(), &pdf(&["Rain in Oslo.", "Wind."], |_, _| {}));
    assert_eq!(read_pdf.documents[0].text, "Rain in Oslo.\n\nWind.");
}

#[test]
fn a_pdf_that_goes_in_circles_ends() {
    let circles: [(&str, fn(&mut lopdf::Document, Vec<lopdf::ObjectId>)); 6] = [
        ("the tree is its own child", |pdf, made| {
            pdf.get_object_mut(made[0]).unwrap().as_dict_mut().unwrap().set("Kids", vec![made[0].into()]);
        }),
        ("a page is the tree's parent and child", |pdf, made| {
            let kids: Vec<Object> = vec![made[1].into(), made[0].into(), made[1].into()];
            pdf.get_object_mut(made[0]).unwrap().as_dict_mut().unwrap().set("Kids", kids.clone());
            pdf.get_object_mut(made[1]).unwrap().as_dict_mut().unwrap().set("Kids", kids);
        }),
        ("a parent is its own parent", |pdf, made| {
            pdf.get_object_mut(made[0]).unwrap().as_dict_mut().unwrap().set("Parent", made[0]);
            pdf.get_object_mut(made[1]).unwrap().as_dict_mut().unwrap().remove(b"Resources");
        }),
        ("contents are themselves", |pdf, made| {
            let circle = pdf.new_object_id();
            pdf.objects.insert(circle, Object::Reference(circle));
            pdf.get_object_mut(made[1]).unwrap().as_dict_mut().unwrap().set("Contents", circle);
        }),
        ("an array of contents holds itself", |pdf, made| {
            let circle = pdf.new_object_id();
            pdf.objects.insert(circle, vec![Object::Reference(circle), circle.into()].into());
            pdf.get_object_mut(made[1]).unwrap().as_dict_mut().unwrap().set("Contents", circle);
        }),
        ("two objects are each other", |pdf, made| {
            let (one, two) = (pdf.new_object_id(), pdf.new_object_id());
            pdf.objects.insert(one, two.into());
            pdf.objects.insert(two, one.into());
            pdf.get_object_mut(made[1]).unwrap().as_dict_mut().unwrap().set("Resources", one);
            pdf.get_object_mut(made[0]).unwrap().as_dict_mut().unwrap().set("Count", one);
        }),
    ];
    for (what, change) in circles {
        let read = read(&Pdf::default(), &pdf(&["Rain."], change));
        assert_eq!(read.documents.len() + read.errors.len(), 1, "{what}");
    }
}

#[test]
fn nothing_that_lies_deep_ends_the_process() {
    let deep = 200_000;
    let json = format!("{}{}", "[".repeat(deep), "]".repeat(deep));
    assert!(failure(&Json::default(), json.as_bytes()).to_string().contains("recursion"));
    assert_eq!(failure(&JsonLines::default(), json.as_bytes()).id(), Some("f#1"));
    // As deep as a part may be that unpacks to so much more than it is.
    let xml = format!("{}{}", "<w:p>".repeat(deep / 4), "</w:p>".repeat(deep / 4));
    assert_eq!(read(&Docx::default(), &docx(&xml)).documents[0].text, "");
    let html = format!("{}Rain.", "<div><pre><script>".repeat(deep));
    assert_eq!(read(&Html::default(), html.as_bytes()).documents[0].text, "");
    assert!(failure(&Markdown::default(), format!("---\na: {json}\n---\n").as_bytes()).id().is_some());
    for deep in [format!("/Deep {json}"), format!("/Deep {}", "<</A ".repeat(deep))] {
        let whole = pdf(&["Rain."], |_, _| {});
        let at = whole.windows(6).position(|six| six == b"/Count").unwrap();
        let harmed = [&whole[..at], deep.as_bytes(), &whole[at..]].concat();
        read(&Pdf::default(), &harmed);
    }
}

#[test]
fn what_unpacks_to_much_is_refused() {
    let large = "A".repeat(100 << 20);
    let error = failure(&Docx::default(), &docx(&letter(&[&large])));
    assert!(matches!(error, IngestError::TooLarge { limit, .. } if limit < 64 << 20), "{error}");
    let error = failure(&Pdf { max_unpacked: 1 << 20, ..Pdf::default() }, &pdf(&[&large[..32 << 20]], |_, _| {}));
    assert!(matches!(error, IngestError::TooLarge { limit: 1_048_576, .. }), "{error}");
}

#[test]
fn a_row_that_is_too_large_and_a_quote_that_stays_open_refuse_the_table() {
    let small = Csv { max_row_bytes: 10, ..Csv::default() };
    assert_eq!(read(&small, b"a,b\n12345,7890\nc,d\n").documents.len(), 2);
    let error = failure(&small, b"a,b\nc,d\n12345,78901\ne,f\n");
    assert_eq!(error.to_string(), "f: the row that begins on line 3 is larger than the limit of 10");
    for (open, line) in [("a,b\n1,2\n3,\"4\n5,6\n", 3), ("a,b\r1,2\r\n\"3\n4", 2), ("a\n\n\"\"\"", 3)] {
        let error = failure(&Csv::default(), open.as_bytes());
        assert!(error.to_string().contains(&format!("a quote is opened on line {line} and never closed")), "{error}");
    }
    let error = failure(&Csv::default(), &[b"a,b\n".repeat(50_000), b"n\xe9e\n".to_vec()].concat());
    assert!(error.to_string().starts_with("f: byte 200001 (0xe9) is not UTF-8"), "{error}");
    for (separator, quote) in [(b',', b','), (b'\n', b'"'), (b',', 0xc3)] {
        let format = Csv { separator: Some(separator), quote, ..Csv::default() };
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"a,b\n").unwrap();
        let read: Vec<_> = format.read(atomr_agents_ingest::Source::new("f", file).unwrap()).collect();
        assert!(matches!(read.as_slice(), [Err(IngestError::Config { .. })]), "{read:?}");
    }
}
