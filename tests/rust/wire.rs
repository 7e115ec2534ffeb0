//! What tests of byte streams share: a stream in memory, and cuts at arbitrary places.

use proptest::sample::Index;
use std::io::{self, Read, Write};

/// A stream that has its input and collects what is written.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) input: io::Cursor<Vec<u8>>,
    pub(crate) output: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(input: Vec<u8>) -> Self {
        Self { input: io::Cursor::new(input), output: Vec::new() }
    }
}

impl Read for Wire {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self.input.read(room)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.output.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The input in pieces.
pub(crate) fn cut<'a>(input: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
    cuts.extend([0, input.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect()
}
