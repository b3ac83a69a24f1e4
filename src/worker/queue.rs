//! Sessions that wait for a place: in line for any server of a backend, or for the one that their
//! cookie names.

use std::collections::{BTreeMap, VecDeque};

use super::plan::PlanIndex;
use super::token::Key;

/// A line of waiting sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which plan.
    pub plan: PlanIndex,
    /// Index of the backend in it.
    pub backend: usize,
    /// Index of the server that they wait for; `None`: any.
    pub server: Option<u16>,
}

/// Those who wait in one plan for servers of one backend; in each line, longest first.
#[derive(Debug, Default)]
pub struct Queue {
    any: VecDeque<Key>,
    /// By the server; no line is empty.
    named: BTreeMap<u16, VecDeque<Key>>,
}

impl Queue {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.any.len() + self.named.values().map(VecDeque::len).sum::<usize>()
    }

    /// The servers that somebody waits for by name.
    pub fn named(&self) -> impl Iterator<Item = u16> {
        self.named.keys().copied()
    }

    /// Who waits longest for this server, or for any.
    pub fn first(&self, server: Option<u16>) -> Option<Key> {
        let line = match server {
            None => &self.any,
            Some(server) => self.named.get(&server)?,
        };
        line.front().copied()
    }

    /// Appends one.
    pub fn push(&mut self, server: Option<u16>, key: Key) {
        self.line(server).push_back(key);
    }

    /// Puts one before all others.
    pub fn push_first(&mut self, server: Option<u16>, key: Key) {
        self.line(server).push_front(key);
    }

    /// Takes the one that waits longest.
    pub fn pop(&mut self, server: Option<u16>) -> Option<Key> {
        let first = self.line(server).pop_front();
        self.drop_empty(server);
        first
    }

    /// Takes all out, with what they wait for.
    pub fn drain(&mut self) -> Vec<(Option<u16>, Key)> {
        let any = self.any.drain(..).map(|key| (None, key));
        let named = std::mem::take(&mut self.named).into_iter();
        let named =
            named.flat_map(|(server, line)| line.into_iter().map(move |key| (Some(server), key)));
        any.chain(named).collect()
    }

    /// Takes one out, wherever it stands.
    pub fn remove(&mut self, server: Option<u16>, key: Key) {
        self.line(server).retain(|waiting| *waiting != key);
        self.drop_empty(server);
    }

    fn line(&mut self, server: Option<u16>) -> &mut VecDeque<Key> {
        match server {
            None => &mut self.any,
            Some(server) => self.named.entry(server).or_default(),
        }
    }

    fn drop_empty(&mut self, server: Option<u16>) {
        if let Some(server) = server
            && self.named.get(&server).is_some_and(VecDeque::is_empty)
        {
            self.named.remove(&server);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_do_not_hold_each_other_up() {
        let key = |slot| Key {
            slot,
            generation: 0,
        };
        let mut queue = Queue::default();
        queue.push(Some(7), key(1));
        queue.push(None, key(2));
        queue.push(Some(7), key(3));
        assert_eq!(queue.len(), 3);
        assert_eq!(queue.first(None), Some(key(2)));
        assert_eq!(queue.first(Some(8)), None);
        assert_eq!(queue.pop(Some(7)), Some(key(1)));
        queue.push_first(Some(7), key(1));
        queue.remove(Some(7), key(3));
        assert_eq!(queue.named().collect::<Vec<_>>(), [7]);
        assert_eq!(queue.pop(Some(7)), Some(key(1)));
        assert_eq!(queue.pop(Some(7)), None);
        assert_eq!(queue.named().count(), 0);
        assert_eq!(queue.len(), 1);
        queue.push(Some(7), key(4));
        assert_eq!(queue.drain(), [(None, key(2)), (Some(7), key(4))]);
        assert_eq!(queue.len(), 0);
    }
}
