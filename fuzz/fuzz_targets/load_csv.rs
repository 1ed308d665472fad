//! Tables: from raw bytes, and a table that a writer made, whose every field is read as it was.
#![no_main]

use atomr_agents_fuzz::load;
use atomr_agents_ingest::Csv;
use libfuzzer_sys::fuzz_target;

const SEPARATORS: [u8; 4] = *b",;\t|";

fuzz_target!(|input: (u8, u8, Vec<&str>, &[u8])| {
    let (dialect, columns, fields, bytes) = input;
    for lenient in [false, true] {
        load(&Csv { lenient, ..Csv::default() }, bytes);
    }
    let columns = usize::from(columns % 5) + 1;
    let separator = SEPARATORS[usize::from(dialect) % SEPARATORS.len()];
    let crlf = csv::Terminator::CRLF;
    let terminator = if dialect & 64 == 0 { csv::Terminator::Any(b'\n') } else { crlf };
    let mut writer = csv::WriterBuilder::new().delimiter(separator).terminator(terminator).from_writer(Vec::new());
    writer.write_record((0..columns).map(|n| format!("c{n}"))).expect("there is room");
    let rows: Vec<&[&str]> = fields.chunks_exact(columns).collect();
    for row in &rows {
        writer.write_record(*row).expect("there is room");
    }
    let table = writer.into_inner().expect("there is room");
    let read = load(&Csv { separator: Some(separator), ..Csv::default() }, &table);
    assert!(read.errors.is_empty(), "{:?}", read.errors);
    assert_eq!(read.documents.len(), rows.len());
    for (document, row) in read.documents.iter().zip(rows) {
        for (n, field) in row.iter().enumerate() {
            assert_eq!(document.metadata[&format!("c{n}")], *field);
        }
    }
});
