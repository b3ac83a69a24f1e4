//! What only some sessions keep: those in HTTP or TLS mode, those behind a PROXY head, and those whose preface
//! is incomplete. The others have none of it, and no memory for it.

use super::client::Announced;
use super::hello_info::HelloInfo;
use super::http_state::Http;
use super::partial_preface::PartialPreface;
use crate::logic::session::Protocol;

/// What only some sessions keep.
#[derive(Default)]
pub struct Extras(Option<Box<All>>);

const _: () = assert!(size_of::<Extras>() == 8);

#[derive(Default)]
struct All {
    http: Option<Http>,
    hello_info: Option<Box<HelloInfo>>,
    announced: Option<Box<Announced>>,
    preface: Option<Box<PartialPreface>>,
}

impl Extras {
    /// What a new session needs.
    pub fn of(protocol: Protocol) -> Self {
        Extras(match protocol {
            Protocol::Tcp | Protocol::Tls => None,
            Protocol::Http => Some(Box::new(All {
                http: Some(Http::default()),
                ..All::default()
            })),
        })
    }

    /// What is known of the first request and its response, in HTTP mode.
    pub fn http(&self) -> Option<&Http> {
        self.0.as_ref()?.http.as_ref()
    }

    /// The same, to be changed.
    pub fn http_mut(&mut self) -> Option<&mut Http> {
        self.0.as_mut()?.http.as_mut()
    }

    /// Takes it: it is needed no longer.
    pub fn take_http(&mut self) -> Option<Http> {
        self.take(|all| all.http.take())
    }

    /// What the ClientHello asks for, in TLS mode.
    pub fn hello_info(&self) -> Option<&HelloInfo> {
        self.0.as_ref()?.hello_info.as_deref()
    }

    /// The same, to be changed.
    pub fn hello_info_mut(&mut self) -> Option<&mut HelloInfo> {
        self.0.as_mut()?.hello_info.as_deref_mut()
    }

    /// Keeps what the ClientHello asks for.
    pub fn set_hello_info(&mut self, hello: HelloInfo) {
        self.all().hello_info = Some(Box::new(hello));
    }

    /// Takes it: it is needed no longer.
    pub fn take_hello_info(&mut self) -> Option<Box<HelloInfo>> {
        self.take(|all| all.hello_info.take())
    }

    /// What a PROXY head said, if one named the client.
    pub fn announced(&self) -> Option<&Announced> {
        self.0.as_ref()?.announced.as_deref()
    }

    /// Keeps what a PROXY head said.
    pub fn set_announced(&mut self, announced: Announced) {
        self.all().announced = Some(Box::new(announced));
    }

    /// What came of a preface that is incomplete.
    pub fn preface(&self) -> Option<&PartialPreface> {
        self.0.as_ref()?.preface.as_deref()
    }

    /// The same, to be changed; an empty one if there is none.
    pub fn preface_mut(&mut self) -> &mut PartialPreface {
        self.all().preface.get_or_insert_default()
    }

    /// The preface is complete, or will not become so.
    pub fn drop_preface(&mut self) {
        self.take(|all| all.preface.take());
    }

    fn all(&mut self) -> &mut All {
        self.0.get_or_insert_default()
    }

    /// Takes one of them, and frees the memory of all once none is left.
    fn take<T>(&mut self, one: impl FnOnce(&mut All) -> Option<T>) -> Option<T> {
        let all = self.0.as_mut()?;
        let taken = one(all)?;
        if let All {
            http: None,
            hello_info: None,
            announced: None,
            preface: None,
        } = **all
        {
            self.0 = None;
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_freed_with_the_last_of_them() {
        let mut extras = Extras::of(Protocol::Tcp);
        assert!(extras.0.is_none());
        extras.drop_preface();
        extras.preface_mut().kept.replace(&[7]);
        assert_eq!(extras.preface().unwrap().kept.bytes(), [7]);
        extras.drop_preface();
        assert!(extras.0.is_none());
        let mut extras = Extras::of(Protocol::Http);
        extras.preface_mut();
        assert!(extras.take_http().is_some());
        assert!(extras.http().is_none() && extras.preface().is_some());
        extras.drop_preface();
        assert!(extras.0.is_none());
    }
}
