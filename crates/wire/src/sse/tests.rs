use super::*;

fn drain(decoder: &mut SseDecoder, read: &[u8]) -> Result<Vec<String>, WireError> {
    let mut out = Vec::new();
    let mut events = decoder.feed(read);
    while let Some(event) = events.next_event()? {
        out.push(event.data.to_owned());
    }
    Ok(out)
}

#[test]
fn type_id_and_retry() {
    let mut decoder = SseDecoder::new();
    let mut events = decoder.feed(b"retry: 3000\nretry: x\nevent: add\nid: 7\ndata: 1\n\nid: a\0b\ndata: 2\n\n");
    let first = Event { data: "1", event: Some("add"), id: "7", unterminated: false };
    assert_eq!(events.next_event().unwrap(), Some(first));
    assert_eq!(events.next_event().unwrap(), Some(Event { data: "2", event: None, ..first }));
    assert_eq!(events.next_event().unwrap(), None);
    assert_eq!(decoder.retry(), Some(Duration::from_secs(3)));
    assert_eq!(decoder.last_event_id(), "7");
}

#[test]
fn a_whole_event_is_borrowed_from_the_read() {
    let read = b"data: whole\n\ndata: one\ndata: two\n\n";
    let mut decoder = SseDecoder::new();
    let mut events = decoder.feed(read);
    let data = events.next_event().unwrap().unwrap().data;
    assert!(read.as_ptr_range().contains(&data.as_ptr()));
    let data = events.next_event().unwrap().unwrap().data;
    assert_eq!(data, "one\ntwo");
    assert!(!read.as_ptr_range().contains(&data.as_ptr()));
}

#[test]
fn an_event_goes_out_with_its_last_cr() {
    let mut decoder = SseDecoder::new();
    assert_eq!(drain(&mut decoder, b"data: a\r\n\r").unwrap(), ["a"]);
    assert_eq!(drain(&mut decoder, b"\ndata: b\r\r").unwrap(), ["b"]);
}

#[test]
fn memory_stays_within_the_limit() {
    let limit = 10_000;
    for piece in [1, 7, 100, 4_096] {
        for line in ["data: ", "data: x\ndata: ", ": ", "event: ", "nonsense"] {
            let mut decoder = SseDecoder::with_max_event_bytes(limit);
            let mut stream = line.as_bytes().to_vec();
            stream.resize(5 * limit, b'x');
            let mut failed = false;
            for read in stream.chunks(piece) {
                failed |= drain(&mut decoder, read).is_err();
                assert!(decoder.buf.capacity() <= limit, "{}", decoder.buf.capacity());
            }
            assert!(failed);
            assert!(matches!(decoder.finish(), Err(WireError::EventTooLarge { limit: 10_000 })));
        }
    }
}

#[test]
fn the_largest_event_that_fits() {
    let fits = format!("data:{}\n\n", "x".repeat(95));
    for reads in [vec![fits.as_bytes()], fits.as_bytes().chunks(1).collect()] {
        let mut decoder = SseDecoder::with_max_event_bytes(100);
        let data: Vec<String> = reads.iter().flat_map(|read| drain(&mut decoder, read).unwrap()).collect();
        assert_eq!(data, ["x".repeat(95)]);
        let mut decoder = SseDecoder::with_max_event_bytes(99);
        assert!(reads.iter().any(|read| drain(&mut decoder, read).is_err()));
    }
}

#[test]
fn a_name_that_is_no_name() {
    let mut decoder = SseDecoder::new();
    let stream = format!("id: {}\n\n", "x".repeat(MAX_NAME_BYTES + 1));
    assert!(matches!(drain(&mut decoder, stream.as_bytes()), Err(WireError::EventTooLarge { .. })));
}

#[test]
fn invalid_utf8_skips_one_event() {
    let mut decoder = SseDecoder::new();
    let mut events = decoder.feed(b"data: ab\xffc\n\ndata: ok\n\n");
    assert!(matches!(events.next_event(), Err(WireError::InvalidUtf8 { offset: 2 })));
    assert_eq!(events.next_event().unwrap().unwrap().data, "ok");
}

#[test]
fn a_character_cut_in_two_is_whole() {
    let mut decoder = SseDecoder::new();
    let stream = "data: é€😀\n\n".as_bytes();
    let data: Vec<String> = stream.chunks(1).flat_map(|read| drain(&mut decoder, read).unwrap()).collect();
    assert_eq!(data, ["é€😀"]);
}

#[test]
fn a_million_empty_events() {
    let mut decoder = SseDecoder::new();
    let stream = "data\n\n\n".repeat(1_000_000);
    for read in stream.as_bytes().chunks(1 << 16) {
        assert!(drain(&mut decoder, read).unwrap().iter().all(String::is_empty));
    }
    assert_eq!(decoder.stats().events, 1_000_000);
}
