//! The protocols that a client offers (ALPN, RFC 7301).

use super::input::Input;

/// The protocols that a client offers, in its order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protocols<'b> {
    /// The data of the extension: the length of the list, then names with their lengths. Empty: there is none.
    extension: &'b [u8],
}

impl<'b> Protocols<'b> {
    /// Reads the data of the extension; `None`: it is malformed.
    pub(super) fn read(extension: &'b [u8]) -> Option<Self> {
        let mut data = Input(extension);
        let mut list = Input(data.list16()?);
        if list.is_empty() || !data.is_empty() {
            return None;
        }
        while !list.is_empty() {
            list.list8().filter(|name| !name.is_empty())?;
        }
        Some(Protocols { extension })
    }

    /// Those of an extension that was read before ([`Protocols::extension`]).
    pub fn of(extension: &'b [u8]) -> Self {
        Self::read(extension).unwrap_or_default()
    }

    /// The data of the extension, as it was sent.
    pub fn extension(&self) -> &'b [u8] {
        self.extension
    }

    /// Whether none is offered.
    pub fn is_empty(&self) -> bool {
        self.extension.is_empty()
    }

    /// Their names, each of 1 to 255 bytes.
    pub fn iter(&self) -> impl Iterator<Item = &'b [u8]> + Clone + use<'b> {
        let mut list = Input(self.extension.get(2..).unwrap_or_default());
        std::iter::from_fn(move || list.list8())
    }

    /// The same without those that stand for nothing, which clients send to keep servers tolerant (GREASE,
    /// RFC 8701).
    pub fn meant(&self) -> impl Iterator<Item = &'b [u8]> + Clone + use<'b> {
        let is_grease = |name: &&[u8]| matches!(name, [a, b] if a == b && a & 0x0f == 0x0a);
        self.iter().filter(move |name| !is_grease(name))
    }
}
