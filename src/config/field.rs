//! What an operator wrote for one key: nothing, something wrong, or a value.

use toml::Spanned;

/// What an operator wrote for a key.
#[derive(Clone, Debug, Default)]
pub(super) enum Field<T> {
    /// Nothing.
    #[default]
    Absent,
    /// Something wrong, which was reported.
    Invalid,
    /// This, at this location.
    Written(Spanned<T>),
}

impl<T> Field<T> {
    /// The value, if a valid one was written.
    pub fn get(&self) -> Option<&T> {
        self.written().map(Spanned::get_ref)
    }

    /// The value with its location, if a valid one was written.
    pub fn written(&self) -> Option<&Spanned<T>> {
        match self {
            Field::Written(value) => Some(value),
            Field::Absent | Field::Invalid => None,
        }
    }

    /// The value without its location, if a valid one was written.
    pub fn into_inner(self) -> Option<T> {
        match self {
            Field::Written(value) => Some(value.into_inner()),
            Field::Absent | Field::Invalid => None,
        }
    }
}
