//! The rules that hold for every algorithm: which servers it may choose from, and the choices that
//! need no algorithm. The module above states them.

/// The servers of a backend, as they are when a server is chosen.
///
/// The index is the position in the file. The values may come from memory that other threads write:
/// they need not be consistent with each other, nor stay the same during a choice. So the chosen
/// server may have no free slot any more: the caller takes the slot in one atomic step, and asks
/// again if there is none.
pub trait Servers {
    /// How many servers there are: as many as the balancer was given names.
    fn len(&self) -> usize;
    /// Whether there is no server at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Whether the server is up and not draining.
    fn usable(&self, index: usize) -> bool;
    /// The effective weight, slow start included; 0: no balanced sessions.
    fn weight(&self, index: usize) -> u32;
    /// Whether the server is a backup, which is used only when no other is usable.
    fn is_backup(&self, index: usize) -> bool;
    /// Open sessions of the server, those of all workers.
    fn sessions(&self, index: usize) -> u32;
    /// Whether the server may take one more session.
    fn has_room(&self, index: usize) -> bool;
}

/// Where a session should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// To the server of this index.
    Server(usize),
    /// To wait: there are usable servers, and all of them are full.
    Full,
    /// Nowhere yet: the usable servers that have room were tried already.
    Tried,
    /// Nowhere: no server is usable.
    None,
}

/// What the rules leave to an algorithm.
pub(super) enum Survey<'a, S> {
    /// One of these.
    Open(Open<'a, S>),
    /// Nothing to choose.
    Decided(Choice),
}

/// The servers among which an algorithm chooses.
pub(super) struct Open<'a, S> {
    servers: &'a S,
    /// Servers to leave out, for having been tried.
    excluded: &'a [u16],
}

impl<S: Servers> Open<'_, S> {
    /// Index and weight of each, in the order of the file.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, u32)> {
        self.iter_from(0)
    }

    /// Index and weight of each, in the order of the file, but from index `start` on and around.
    pub(super) fn iter_from(&self, start: usize) -> impl Iterator<Item = (usize, u32)> {
        let servers = self.servers;
        (start..servers.len())
            .chain(0..start.min(servers.len()))
            .filter(|&index| servers.usable(index) && !servers.is_backup(index))
            .map(|index| (index, servers.weight(index)))
            .filter(|&(_, weight)| weight > 0)
            .filter(|&(index, _)| servers.has_room(index) && !is_in(self.excluded, index))
    }

    /// Open sessions of a server.
    pub(super) fn sessions(&self, index: usize) -> u32 {
        self.servers.sessions(index)
    }
}

/// Whether a choice for a session that has tried no server would be [`Choice::Full`].
pub fn is_full(servers: &impl Servers) -> bool {
    match survey(servers, &[]) {
        Survey::Decided(Choice::Full) => true,
        Survey::Open(_) | Survey::Decided(Choice::Server(_) | Choice::Tried | Choice::None) => {
            false
        }
    }
}

/// The backup for a session that has waited too long while all other usable servers are full: the
/// first that is usable, has
/// room and was not tried.
pub fn spare(servers: &impl Servers, tried: &[u16]) -> Option<usize> {
    let mut spare = None;
    for index in 0..servers.len() {
        if !servers.usable(index) || servers.weight(index) == 0 || !servers.has_room(index) {
            continue;
        }
        if !servers.is_backup(index) {
            return None;
        }
        if !is_in(tried, index) {
            spare = spare.or(Some(index));
        }
    }
    spare
}

/// Applies the rules of the module. Ends at the first server that is open and was not tried.
pub(super) fn survey<'a, S: Servers>(servers: &'a S, tried: &'a [u16]) -> Survey<'a, S> {
    let mut any_candidate = false;
    let mut any_candidate_tried = false;
    let mut any_tried_with_room = false;
    let mut any_backup = false;
    let mut backup = None;
    for index in 0..servers.len() {
        if !servers.usable(index) || servers.weight(index) == 0 {
            continue;
        }
        let is_tried = is_in(tried, index);
        any_tried_with_room |= is_tried && servers.has_room(index);
        if servers.is_backup(index) {
            any_backup = true;
            if !is_tried {
                backup = backup.or(Some(index));
            }
            continue;
        }
        any_candidate = true;
        any_candidate_tried |= is_tried;
        if !is_tried && servers.has_room(index) {
            return Survey::Open(Open {
                servers,
                excluded: tried,
            });
        }
    }
    let helps = !any_candidate || any_candidate_tried;
    if let Some(index) = backup.filter(|index| helps && servers.has_room(*index)) {
        return Survey::Decided(Choice::Server(index));
    }
    Survey::Decided(if any_tried_with_room {
        Choice::Tried
    } else if any_candidate || any_backup {
        Choice::Full
    } else {
        Choice::None
    })
}

/// Where an algorithm that goes around the servers goes on in another set, in which each server has the
/// `former` index: at the server at which it was, or at the next one behind it that stays.
pub(super) fn moved_start(start: usize, former: &[Option<usize>]) -> usize {
    let stays = former.iter().enumerate();
    let stays = stays.filter_map(|(index, former)| Some(((*former)?, index)));
    let behind = |former: usize| (former < start, former);
    let next = stays.min_by_key(|(former, _)| behind(*former));
    next.map_or(0, |(_, index)| index)
}

fn is_in(tried: &[u16], index: usize) -> bool {
    tried.iter().any(|&one| usize::from(one) == index)
}
