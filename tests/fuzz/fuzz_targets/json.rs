//! Any text through the JSON reader: no panic, faults within the text, the ways of reading agree; and any text
//! written as a string comes back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use siox::proto::json::{ReadError, ReadOptions, Reader, Skip, write_string};

fuzz_target!(|data: (u8, &str)| {
    let (count, text) = data;
    let mut string = vec![b'['];
    write_string(&mut string, text);
    string.push(b']');
    let string = String::from_utf8(string).expect("text makes text");
    let mut reader = Reader::new(&string, ReadOptions::default());
    assert!(reader.open_array().is_ok());
    assert_eq!(reader.next_string().map(|read| read.as_str() == Some(text)), Ok(true));
    for attachments in [None, Some(usize::from(count))] {
        let options = ReadOptions { attachments, ..ReadOptions::default() };
        let mut whole = Reader::new(text, options);
        let read = whole.value(&mut Skip);
        let whole = read.and_then(|()| Ok(whole.finish()?));
        if let Err(ReadError::Json(error)) = &whole {
            assert!(error.offset <= text.len());
        }
        // An array element by element is the same as at once.
        let mut parts = Reader::new(text, options);
        if parts.open_array().is_ok() {
            let rest = parts.rest(&mut Skip);
            let parts = rest.and_then(|()| Ok(parts.finish()?));
            assert_eq!(whole.is_ok(), parts.is_ok());
        }
    }
});
