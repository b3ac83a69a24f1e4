//! The kernel pipes of a session. Only one that has spliced has memory for them, from then on.

use crate::logic::session::Side;

/// Kernel pipes, by the side that bytes come from.
#[derive(Debug)]
pub struct Pipes<P>(Option<Box<[Option<P>; 2]>>);

impl<P> Default for Pipes<P> {
    fn default() -> Self {
        Pipes(None)
    }
}

impl<P> Pipes<P> {
    /// That of the bytes from this side.
    pub fn get(&self, from: Side) -> Option<&P> {
        self.0.as_ref()?[from.index()].as_ref()
    }

    /// Sets that of the bytes from this side, which has none.
    pub fn set(&mut self, from: Side, pipe: P) {
        let pipes = self.0.get_or_insert_with(|| Box::new([None, None]));
        pipes[from.index()] = Some(pipe);
    }

    /// Takes that of the bytes from this side.
    pub fn take(&mut self, from: Side) -> Option<P> {
        self.0.as_mut()?[from.index()].take()
    }
}
