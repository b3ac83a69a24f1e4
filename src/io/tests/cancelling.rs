//! Cancellations.

use super::*;

on_every_engine![
    what_was_cancelled_comes_back_before_the_cancellation,
    a_cancellation_ends_in_a_later_wait,
];

fn what_was_cancelled_comes_back_before_the_cancellation((mut engine, _): (impl Tested, Waker)) {
    let (socket, _peer) = connected(&mut engine);
    let both = [
        (Cancelable::Poll, Token(2)),
        (Cancelable::Receive, Token(2)),
    ];
    let other_order = [both[1], both[0]];
    for these in [both, other_order] {
        engine.receive(&socket, Receive::Stream, true, Token(2));
        engine.watch(&socket, Token(4));
        let [first, second] = these;
        let these = [first, (Cancelable::Watch, Token(4)), second];
        engine.cancel(&socket, &these, Token(3));
        let (mut receive_ended, mut watch_ended, mut cancel_ended) = (false, false, false);
        while !(receive_ended && watch_ended && cancel_ended) {
            match completion(&mut engine) {
                (Token(2), Done::Received { bytes, armed, .. }) => {
                    assert!(matches!(bytes, Err(Fault::Canceled)) && !armed);
                    receive_ended = true;
                }
                (Token(4), Done::Unwatched) => watch_ended = true,
                (Token(3), Done::Canceled) => cancel_ended = true,
                other => panic!("{other:?}"),
            }
        }
    }
    engine.poll(&socket, Interest::Read, Token(2));
    engine.cancel(&socket, &[(Cancelable::Poll, Token(2))], Token(3));
    let mut ended = [completion(&mut engine), completion(&mut engine)];
    ended.sort_by_key(|(token, _)| token.0);
    assert!(
        matches!(ended[0], (Token(2), Done::Polled(Err(Fault::Canceled)))),
        "{ended:?}"
    );
    assert!(matches!(ended[1], (Token(3), Done::Canceled)), "{ended:?}");
    engine.reset(socket);
}

fn a_cancellation_ends_in_a_later_wait((mut engine, _): (impl Tested, Waker)) {
    let (socket, _peer) = connected(&mut engine);
    engine.receive(&socket, Receive::Stream, true, Token(2));
    engine.cancel(&socket, &[(Cancelable::Receive, Token(2))], Token(3));
    let early = engine.next();
    assert!(early.is_none(), "{early:?}");
    let _ = (completion(&mut engine), completion(&mut engine));
    engine.close(socket);
}
