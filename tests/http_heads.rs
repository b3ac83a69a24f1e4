//! Heads of HTTP/1 as they come: real ones, odd ones and hostile ones.
//!
//! `http_heads/*.txt` holds them with what is to become of each; `corpus.rs` says how they are
//! written. Each is scanned in one piece, cut in two at every offset, and byte by byte, and each is
//! compared with `reference.rs`, which does the same in the most obvious way. `fuzz.rs` makes
//! more of them from a seed.

#[path = "http_heads/corpus.rs"]
mod corpus;
#[path = "http_heads/fuzz.rs"]
mod fuzz;
#[path = "http_heads/looking.rs"]
mod looking;
#[path = "http_heads/reference.rs"]
mod reference;

use looking::{request, response};

/// How many heads there are: one that is lost is noticed.
const REQUEST_COUNT: usize = 467;
const RESPONSE_COUNT: usize = 115;

/// All ways to cut bytes that are tried: one piece, two pieces, and byte by byte.
fn cuts(len: usize) -> impl Iterator<Item = Vec<usize>> {
    let in_two = (0..len).map(move |offset| vec![offset, len]);
    [vec![len], (0..=len).collect()].into_iter().chain(in_two)
}

#[test]
fn requests_of_the_corpus() {
    let cases = corpus::requests();
    let mut failed = Vec::new();
    for case in &cases {
        let wrong = cuts(case.bytes.len()).find_map(|ends| {
            let got = request(&case.bytes, ends.iter().copied(), &case.setting);
            case.check(&got).err().map(|error| (ends, error))
        });
        if let Some((ends, error)) = wrong {
            let ends = &ends[..ends.len().min(2)];
            failed.push(format!("{}, in pieces {ends:?}...\n{error}", case.name));
        }
        let plain = reference::request(&case.bytes, &case.setting);
        if let Err(error) = case.check(&plain) {
            failed.push(format!("{}, by the reference\n{error}", case.name));
        }
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n\n"));
    assert_eq!(cases.len(), REQUEST_COUNT);
}

#[test]
fn responses_of_the_corpus() {
    let cases = corpus::responses();
    let mut failed = Vec::new();
    for case in &cases {
        let wrong = cuts(case.bytes.len()).find_map(|ends| {
            let got = response(&case.bytes, ends.iter().copied(), &case.setting);
            case.check(&got).err().map(|error| (ends, error))
        });
        if let Some((ends, error)) = wrong {
            let ends = &ends[..ends.len().min(2)];
            failed.push(format!("{}, in pieces {ends:?}...\n{error}", case.name));
        }
        let plain = reference::response(&case.bytes, &case.setting);
        if let Err(error) = case.check(&plain) {
            failed.push(format!("{}, by the reference\n{error}", case.name));
        }
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n\n"));
    assert_eq!(cases.len(), RESPONSE_COUNT);
}
