//! The pool: its bound, its memory, and what it does when there is no more.

use std::cell::Cell;
use std::iter;

use super::*;

/// An offered buffer, as the kernel returns it from a receive.
fn receive(pool: &mut Pool) -> Option<Buffer> {
    let (index, _) = pool.offer()?;
    // SAFETY: (M) no kernel has it.
    Some(unsafe { pool.received(index) })
}

/// Takes all buffers that are left, as received ones.
fn take_all(pool: &mut Pool) -> Vec<Buffer> {
    iter::from_fn(|| receive(pool)).collect()
}

#[test]
fn grows_to_its_bound_and_no_further() {
    let mut pool = Pool::new(100).unwrap();
    let taken = take_all(&mut pool);
    assert_eq!((taken.len(), pool.left()), (100, 0));
    assert!(pool.take().is_none());
    assert_eq!(pool.blocks.len(), 2);
    for buffer in taken {
        pool.release(buffer);
    }
    assert_eq!(pool.left(), 100);
}

#[test]
fn the_last_released_is_the_next_used() {
    let mut pool = Pool::new(1024).unwrap();
    let first = receive(&mut pool).unwrap();
    let id = first.id();
    pool.release(first);
    assert_eq!(pool.take().unwrap().id(), id);
}

#[test]
fn an_offered_buffer_is_left_but_not_for_us() {
    let mut pool = Pool::new(64).unwrap();
    let offered: Vec<_> = iter::from_fn(|| pool.offer()).collect();
    assert_eq!((offered.len(), pool.offered(), pool.left()), (64, 64, 64));
    assert!(pool.take().is_none());
    // SAFETY: (M) no kernel has it.
    let buffer = unsafe { pool.received(offered[0].0) };
    assert_eq!((pool.offered(), pool.left()), (63, 63));
    pool.release(buffer);
    assert!(pool.take().is_some());
}

#[test]
fn buffers_are_writable_over_their_whole_length() {
    let pool = Pool::new(1024).unwrap();
    let address = pool.address(BLOCK_BUFFERS as u16 - 1).as_ptr();
    // SAFETY: (M) the last byte of the last buffer of a mapped block.
    let last = unsafe { &mut *address.wrapping_add(STRIDE_BYTES as usize - 1) };
    *last = 7;
    assert_eq!(*last, 7);
}

#[test]
fn what_is_written_and_copied_is_read_back() {
    let mut pool = Pool::new(1024).unwrap();
    let (mut a, mut b) = (pool.take().unwrap(), pool.take().unwrap());
    pool.write(&mut a, HEADROOM_BYTES - 3, b"abcdef");
    let (start, len) = (HEADROOM_BYTES - 2, 4);
    assert_eq!(pool.bytes(&a, Chunk { start, len }), b"bcde");
    pool.copy(&a, Chunk { start, len }, &mut b, STRIDE_BYTES - 4);
    let start = STRIDE_BYTES - 5;
    assert_eq!(pool.bytes(&b, Chunk { start, len: 5 }), b"\0bcde");
    pool.release(a);
    pool.release(b);
}

#[test]
#[should_panic(expected = "is not inside a buffer")]
fn nothing_is_written_beyond_a_buffer() {
    let mut pool = Pool::new(1024).unwrap();
    let mut buffer = pool.take().unwrap();
    pool.write(&mut buffer, STRIDE_BYTES - 1, b"ab");
}

#[test]
fn what_is_put_before_other_bytes_moves_them() {
    let mut pool = Pool::new(1024).unwrap();
    let (mut a, mut b) = (pool.take().unwrap(), pool.take().unwrap());
    pool.write(&mut a, 10, b"first");
    pool.write(&mut b, HEADROOM_BYTES, b"second");
    let (first, behind) = (Chunk { start: 10, len: 5 }, chunk(6));
    pool.prepend(&a, first, &mut b, behind);
    assert_eq!(pool.bytes(&b, chunk(11)), b"firstsecond");
    let (shrunk, first) = pool.shrink(a, first).unwrap();
    pool.prepend(&shrunk, first, &mut b, chunk(11));
    assert_eq!(pool.bytes(&b, chunk(16)), b"firstfirstsecond");
}

fn chunk(len: u32) -> Chunk {
    let start = HEADROOM_BYTES;
    Chunk { start, len }
}

#[test]
#[should_panic(expected = "is not inside a buffer")]
fn nothing_is_moved_beyond_a_buffer() {
    let mut pool = Pool::new(1024).unwrap();
    let (a, mut b) = (pool.take().unwrap(), pool.take().unwrap());
    pool.prepend(&a, chunk(100), &mut b, chunk(BUFFER_BYTES - 99));
}

#[test]
fn memory_of_the_size_of_its_bytes_counts_against_the_bound() {
    const LEN: u32 = SHRINK_BYTES_MAX;
    let mut pool = Pool::new(100).unwrap();
    let taken = take_all(&mut pool);
    assert_eq!((taken.len(), pool.left()), (100, 0));
    let mut shrunk = Vec::new();
    for (number, mut buffer) in taken.into_iter().enumerate() {
        pool.write(&mut buffer, HEADROOM_BYTES, &[number as u8; LEN as usize]);
        let (buffer, part) = pool.shrink(buffer, chunk(LEN)).unwrap();
        shrunk.push((buffer, part));
    }
    // Two halves and what it costs to have them.
    assert_eq!(pool.left(), 49);
    let more = take_all(&mut pool);
    assert_eq!(more.len(), 49, "there are not more than are left");
    for (number, (buffer, part)) in shrunk.into_iter().enumerate() {
        assert_eq!(pool.bytes(&buffer, part), [number as u8; LEN as usize]);
        pool.release(buffer);
    }
    assert_eq!((pool.left(), pool.sized_bytes), (51, 0));
    for buffer in more {
        pool.release(buffer);
    }
    assert_eq!(pool.left(), 100);
}

/// Such memory is not in the blocks that are mapped.
#[test]
fn memory_of_the_size_of_its_bytes_leaves_the_buffers_that_there_are() {
    let mut pool = Pool::new(1000).unwrap();
    pool.map = |_| Err(io::Error::from_raw_os_error(libc::ENOMEM));
    let taken = take_all(&mut pool);
    assert!(pool.is_refused());
    let shrink = |buffer| pool.shrink(buffer, chunk(SHRINK_BYTES_MAX)).unwrap();
    let shrunk: Vec<_> = taken.into_iter().map(shrink).collect();
    assert_eq!(pool.left(), BLOCK_BUFFERS);
    let taken = take_all(&mut pool);
    assert_eq!((taken.len(), pool.left()), (BLOCK_BUFFERS, 0));
    for buffer in taken.into_iter().chain(shrunk.into_iter().map(|(b, _)| b)) {
        pool.release(buffer);
    }
    assert_eq!(pool.left(), BLOCK_BUFFERS);
}

/// Whoever wants one can get it at the expense of whoever has one.
#[test]
fn memory_of_the_size_of_its_bytes_does_not_take_the_place_of_all_buffers() {
    let mut pool = Pool::new(64).unwrap();
    let mut shrunk = Vec::new();
    let kept = loop {
        let buffer = pool.take().unwrap();
        match pool.shrink(buffer, chunk(SHRINK_BYTES_MAX)) {
            Ok((buffer, _)) => shrunk.push(buffer),
            Err(buffer) => break buffer,
        }
    };
    assert_eq!(pool.left(), 64 - 48 - 1);
    pool.release(kept);
    for buffer in shrunk {
        pool.release(buffer);
    }
    assert_eq!(pool.left(), 64);
}

#[test]
fn what_fills_a_buffer_is_not_shrunk_nor_is_anything_twice() {
    let mut pool = Pool::new(100).unwrap();
    let buffer = pool.take().unwrap();
    let buffer = pool
        .shrink(buffer, chunk(SHRINK_BYTES_MAX + 1))
        .unwrap_err();
    let (buffer, part) = pool.shrink(buffer, chunk(3)).unwrap();
    let buffer = pool.shrink(buffer, part).unwrap_err();
    pool.release(buffer);
    assert_eq!(pool.left(), 100);
}

#[test]
#[should_panic(expected = "is not inside a buffer")]
fn nothing_is_written_beyond_memory_of_its_size() {
    let mut pool = Pool::new(100).unwrap();
    let buffer = pool.take().unwrap();
    let (mut buffer, _) = pool.shrink(buffer, chunk(3)).unwrap();
    pool.write(&mut buffer, 2, b"ab");
}

/// Memory of free buffers goes back to the system as bytes move elsewhere, so that the process as a
/// whole keeps its bound.
#[test]
fn what_moves_leaves_no_memory_behind() {
    let mut pool = Pool::new(64).unwrap();
    for mut buffer in take_all(&mut pool) {
        pool.write(&mut buffer, HEADROOM_BYTES, &[7; 1000]);
        pool.shrink(buffer, chunk(1000)).unwrap();
    }
    for index in 0..64 {
        let touched = pool.address(index).as_ptr();
        // SAFETY: (M) it is inside a mapped block.
        let byte = unsafe { *touched.wrapping_add(HEADROOM_BYTES as usize) };
        assert_eq!(byte, 0, "buffer {index} has memory");
    }
}

#[test]
fn a_refused_block_is_not_asked_for_again_at_once() {
    thread_local!(static ASKED: Cell<usize> = const { Cell::new(0) });
    let mut pool = Pool::new(1000).unwrap();
    pool.map = |_| {
        ASKED.set(ASKED.get() + 1);
        Err(io::Error::from_raw_os_error(libc::ENOMEM))
    };
    assert_eq!(pool.left(), 1000, "nobody knows yet");
    let taken = take_all(&mut pool);
    assert_eq!(taken.len(), BLOCK_BUFFERS);
    for _ in 0..100 {
        assert_eq!(pool.left(), 0);
        assert!(pool.take().is_none());
        assert!(pool.offer().is_none());
    }
    assert_eq!(ASKED.get(), 1);

    pool.refused_until = Some(Instant::now());
    assert_eq!(
        pool.left(),
        1000 - BLOCK_BUFFERS,
        "after a time it is tried"
    );
    pool.map = Mapping::new;
    assert!(pool.take().is_some());
    assert!(!pool.is_refused());
}

#[test]
fn the_last_buffers_are_few() {
    let mut pool = Pool::new(64).unwrap();
    assert!(!pool.is_short());
    let mut taken: Vec<_> = (0..31).map(|_| pool.take().unwrap()).collect();
    assert!(!pool.is_short());
    taken.push(pool.take().unwrap());
    assert!(pool.is_short());
    for buffer in taken {
        pool.release(buffer);
    }
    assert!(!pool.is_short());
}
