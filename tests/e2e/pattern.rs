//! Streams of bytes that both ends can tell from a seed, so that each byte received is compared with
//! the one that was sent: a loss, a repetition or a swap shows with its position.

use std::io::{Read, Write};

use xxhash_rust::xxh3::Xxh3;

/// Bytes of a block; a prime, so that blocks fall together with no buffer, page or pipe.
const BLOCK: usize = 65_521;

/// An endless stream: one block of noise over and over, each time stamped with its number.
pub struct Pattern {
    block: Vec<u8>,
    number: u64,
    next: usize,
}

impl Pattern {
    /// The stream of this seed, at its beginning.
    pub fn new(seed: u64) -> Self {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut noise = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        let mut pattern = Self {
            block: (0..BLOCK).map(|_| noise()).collect(),
            number: 0,
            next: 0,
        };
        pattern.stamp();
        pattern
    }

    /// Writes the number of the block over its first bytes.
    fn stamp(&mut self) {
        self.block[..8].copy_from_slice(&self.number.to_le_bytes());
    }

    /// Up to `limit` next bytes in one piece.
    fn piece(&mut self, limit: usize) -> &[u8] {
        if self.next == BLOCK {
            self.next = 0;
            self.number += 1;
            self.stamp();
        }
        let start = self.next;
        self.next = BLOCK.min(start + limit);
        &self.block[start..self.next]
    }

    /// The next `length` bytes as a message.
    pub fn message(&mut self, length: usize) -> Vec<u8> {
        let mut message = Vec::with_capacity(length);
        while message.len() < length {
            let missing = length - message.len();
            message.extend_from_slice(self.piece(missing));
        }
        message
    }

    /// Compares bytes that arrived with the next of the stream.
    pub fn check(&mut self, mut arrived: &[u8]) {
        while !arrived.is_empty() {
            let (number, start) = (self.number, self.next);
            let expected = self.piece(arrived.len());
            let (now, later) = arrived.split_at(expected.len());
            if now != expected {
                let offset = now.iter().zip(expected).position(|(a, b)| a != b);
                let offset = offset.expect("slices of one length that differ");
                panic!("wrong byte in block {number} after {start} + {offset} bytes");
            }
            arrived = later;
        }
    }
}

/// Writes the first `length` bytes of a stream in pieces of `chunk` bytes; `progress` learns of each.
pub fn send(
    mut to: impl Write,
    seed: u64,
    length: usize,
    chunk: usize,
    progress: impl Fn(usize),
) -> std::io::Result<()> {
    let mut pattern = Pattern::new(seed);
    let mut left = length;
    while left > 0 {
        let message = pattern.message(chunk.min(left));
        to.write_all(&message)?;
        left -= message.len();
        progress(message.len());
    }
    Ok(())
}

/// Reads exactly `length` bytes and compares them with the stream of the seed.
pub fn receive(mut from: impl Read, seed: u64, length: usize) {
    let mut pattern = Pattern::new(seed);
    let mut buffer = vec![0; 256 * 1024];
    let mut left = length;
    while left > 0 {
        let room = buffer.len().min(left);
        let count = match from.read(&mut buffer[..room]) {
            Ok(0) => panic!("the stream ended with {left} of {length} bytes missing"),
            Ok(count) => count,
            Err(error) => panic!("with {left} of {length} bytes missing: {error}"),
        };
        pattern.check(&buffer[..count]);
        left -= count;
    }
}

/// Reads to the end of the stream; returns how many bytes came and their hash, as text.
pub fn digest(mut from: impl Read) -> std::io::Result<(usize, String)> {
    let mut hash = Xxh3::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut length = 0;
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok((length, format!("{:032x}", hash.digest128()))),
            count => {
                hash.update(&buffer[..count]);
                length += count;
            }
        }
    }
}
