//! What a ring may do, and what it does when the kernel refuses it.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

use io_uring::opcode;
use io_uring::types::Fd;

use super::*;

fn enabled() -> Ring {
    let mut ring = Ring::new(Features::default()).unwrap();
    ring.enable().unwrap();
    ring
}

/// Result of one operation.
fn result_of(ring: &mut Ring, entry: squeue::Entry) -> i32 {
    // SAFETY: (M) the callers' entries name no memory.
    unsafe { ring.push(&entry) };
    let mut completions = Vec::new();
    while completions.is_empty() {
        ring.enter(Some(Duration::from_secs(10)));
        ring.reap(&mut completions);
    }
    completions[0].result()
}

#[test]
fn only_what_the_engine_does_is_allowed() {
    let mut ring = enabled();
    let denied = -libc::EACCES;
    assert_eq!(result_of(&mut ring, opcode::Nop::new().build()), denied);
    let standard_input = Fd(0);
    let close = opcode::Close::new(standard_input).build();
    assert_eq!(result_of(&mut ring, close), denied);
    let linked = opcode::AsyncCancel::new(1).build();
    let linked = linked.flags(squeue::Flags::ASYNC);
    assert_eq!(result_of(&mut ring, linked), denied, "a flag");
    let known = opcode::AsyncCancel::new(1).build();
    assert_eq!(result_of(&mut ring, known), -libc::ENOENT);
}

#[test]
fn nothing_can_be_registered_any_more() {
    let ring = enabled();
    let errors = [
        ring.submitter.register_files(&[0]),
        ring.submitter.register_eventfd(0),
        ring.submitter.register_personality().map(drop),
        ring.submitter.register_restrictions(&mut []),
    ];
    for (index, error) in errors.into_iter().enumerate() {
        let error = error.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EACCES), "number {index}");
    }
}

#[test]
fn nothing_is_known_that_was_not_tried() {
    let ring = Ring::new(Features::Linux6_17).unwrap();
    assert!(ring.features <= Features::Linux6_6, "{:?}", ring.features);
}

/// A ring that is not enabled refuses to be entered.
#[test]
fn a_refused_enter_does_not_spin() {
    const ENTERS: u32 = 100;
    let cpu_time = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let mut ring = Ring::new(Features::default()).unwrap();
    // SAFETY: (M) it names no memory.
    unsafe { ring.push(&opcode::AsyncCancel::new(1).build()) };
    let (start, cpu_before) = (Instant::now(), cpu_time());
    for _ in 0..ENTERS {
        ring.enter(Some(Duration::ZERO));
    }
    assert_eq!(ring.submitted(), 0);
    let (time, cpu) = (start.elapsed(), cpu_time() - cpu_before);
    assert!(time >= ENTERS * REFUSED_ENTER_PAUSE, "{time:?}");
    assert!(cpu < time / 4, "{cpu:?} of {time:?}");
}

#[test]
fn a_ring_that_was_shut_down_is_the_only_handle_on_itself() {
    let mut ring = enabled();
    ring.shut_down().unwrap();
    let unregistered = ring.submitter.unregister_ring_fd();
    let error = unregistered.unwrap_err().raw_os_error();
    assert_eq!(error, Some(libc::EINVAL), "it is not registered any more");
}
