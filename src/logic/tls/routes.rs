//! Which route a client takes, by the name and the protocols that it asks for.

use std::collections::HashMap;

use super::name_pattern::{NAME_LEN_MAX, NamePattern};

/// When a route may be taken: if all of its conditions hold. A list that is empty is no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// The client asks for one of these names.
    pub names: Vec<NamePattern>,
    /// The client offers one of these protocols (ALPN, RFC 7301).
    pub protocols: Vec<String>,
}

impl Conditions {
    /// Whether its protocols are no condition, or one of them is offered.
    fn has_protocol<'p>(&self, mut offered: impl Iterator<Item = &'p [u8]>) -> bool {
        let wanted = &self.protocols;
        wanted.is_empty() || offered.any(|one| wanted.iter().any(|it| it.as_bytes() == one))
    }
}

/// The route that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteMatch<'t> {
    /// Its index.
    pub index: usize,
    /// Which of its names has matched; `None`: names are no condition of it.
    pub name: Option<&'t NamePattern>,
}

/// One of the names of a route.
type Entry = (usize, NamePattern);

/// Routes, to be looked up by name: a lookup hashes the name and each of its parents, however many routes
/// there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteTable {
    /// By index of the route.
    conditions: Vec<Conditions>,
    /// In the order of the routes, by name.
    exact: HashMap<String, Vec<Entry>>,
    /// In the order of the routes, by what stands behind `*.`.
    below: HashMap<String, Vec<Entry>>,
    /// The length of the longest key of `below`.
    below_len_max: usize,
    /// Indices of routes without names, in order.
    nameless: Vec<usize>,
}

impl RouteTable {
    /// Of the conditions of all routes, in their order.
    pub fn new(routes: impl IntoIterator<Item = Conditions>) -> Self {
        let mut table = RouteTable {
            conditions: routes.into_iter().collect(),
            ..RouteTable::default()
        };
        for (index, conditions) in table.conditions.iter().enumerate() {
            if conditions.names.is_empty() {
                table.nameless.push(index);
            }
            for pattern in &conditions.names {
                let (map, name) = match pattern {
                    NamePattern::Exact(name) => (&mut table.exact, name),
                    NamePattern::Below(name) => {
                        table.below_len_max = table.below_len_max.max(name.len());
                        (&mut table.below, name)
                    }
                };
                let entries = map.entry(name.clone()).or_default();
                entries.push((index, pattern.clone()));
            }
        }
        table
    }

    /// The route of a client that asks for `server_name`, if it does for any, and offers `protocols`.
    ///
    /// Of the routes that match, one with the exact name wins over one with a wildcard, a longer wildcard over a
    /// shorter one, any of them over one without names; among equals the first.
    pub fn find<'p>(
        &self,
        server_name: Option<&str>,
        protocols: impl Iterator<Item = &'p [u8]> + Clone,
    ) -> Option<RouteMatch<'_>> {
        let by_name = server_name.and_then(|name| self.find_by_name(name, protocols.clone()));
        by_name.or_else(|| {
            let mut nameless = self.nameless.iter().copied();
            let index =
                nameless.find(|index| self.conditions[*index].has_protocol(protocols.clone()))?;
            Some(RouteMatch { index, name: None })
        })
    }

    fn find_by_name<'p>(
        &self,
        name: &str,
        protocols: impl Iterator<Item = &'p [u8]> + Clone,
    ) -> Option<RouteMatch<'_>> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let mut lower = [0; NAME_LEN_MAX];
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name.as_bytes());
        lower.make_ascii_lowercase();
        let name = str::from_utf8(lower).ok()?;
        let take = |entries: &'_ [Entry]| {
            let mut entries = entries.iter();
            entries.position(|(route, _)| self.conditions[*route].has_protocol(protocols.clone()))
        };
        let exact = self.exact.get(name).into_iter();
        let dots = name.match_indices('.').map(|(at, _)| at);
        // There is a label before the first dot.
        let parents = dots.filter(|at| *at > 0).map(|at| &name[at + 1..]);
        let parents = parents.filter(|parent| parent.len() <= self.below_len_max);
        let below = parents.filter_map(|parent| self.below.get(parent));
        let (index, name) = exact
            .chain(below)
            .find_map(|entries| entries.get(take(entries)?))?;
        Some(RouteMatch {
            index: *index,
            name: Some(name),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(names: &[&str], protocols: &[&str]) -> Conditions {
        Conditions {
            names: names
                .iter()
                .map(|n| NamePattern::parse(n).unwrap())
                .collect(),
            protocols: protocols.iter().map(|p| (*p).to_owned()).collect(),
        }
    }

    /// The index of the route, and the pattern that matched.
    fn find(table: &RouteTable, name: Option<&str>, protocols: &[&str]) -> Option<(usize, String)> {
        let offered = protocols.iter().map(|protocol| protocol.as_bytes());
        let found = table.find(name, offered)?;
        let name = found.name.map(ToString::to_string);
        Some((found.index, name.unwrap_or_default()))
    }

    #[test]
    fn the_most_special_route_wins_and_then_the_first() {
        let table = RouteTable::new([
            conditions(&[], &["acme-tls/1"]),
            conditions(&["*.example.com"], &[]),
            conditions(&["*.shop.example.com"], &["h2"]),
            conditions(&["*.shop.example.com", "shop.example.com"], &[]),
            conditions(&["shop.example.com"], &["acme-tls/1"]),
            conditions(&["a.example.com"], &["h2"]),
        ]);
        let expect = |name, protocols: &[&str], expected: Option<(usize, &str)>| {
            let expected = expected.map(|(index, name)| (index, name.to_owned()));
            assert_eq!(
                find(&table, name, protocols),
                expected,
                "{name:?} {protocols:?}"
            );
        };
        expect(Some("shop.example.com"), &[], Some((3, "shop.example.com")));
        expect(
            Some("SHOP.Example.COM."),
            &["h2"],
            Some((3, "shop.example.com")),
        );
        // The first of two with this name, although the other one also matches.
        let both = &["acme-tls/1"];
        expect(
            Some("shop.example.com"),
            both,
            Some((3, "shop.example.com")),
        );
        expect(
            Some("x.shop.example.com"),
            &[],
            Some((3, "*.shop.example.com")),
        );
        expect(
            Some("x.shop.example.com"),
            &["http/1.1", "h2"],
            Some((2, "*.shop.example.com")),
        );
        expect(
            Some("x.y.shop.example.com"),
            &[],
            Some((3, "*.shop.example.com")),
        );
        // An exact name whose protocol is not offered leaves the name to a wildcard.
        expect(Some("a.example.com"), &["h2"], Some((5, "a.example.com")));
        expect(Some("a.example.com"), &["h3"], Some((1, "*.example.com")));
        expect(Some("example.com"), &[], None);
        expect(Some("example.com"), &["acme-tls/1"], Some((0, "")));
        expect(None, &["acme-tls/1"], Some((0, "")));
        expect(None, &["acme-tls/1x"], None);
        expect(None, &[], None);
        // A wildcard stands for one label or more, and none of them is empty.
        expect(Some(".example.com"), &[], None);
        expect(Some("xexample.com"), &[], None);
        for name in ["", ".", "..", "com", "a..com", &"a".repeat(300)] {
            expect(Some(name), &[], None);
        }
    }

    #[test]
    fn a_table_is_the_same_as_looking_at_each_route() {
        let patterns = ["a.b", "*.a.b", "*.b", "b", "*.c.a.b", "*.a"];
        let names = ["a.b", "c.a.b", "x.c.a.b", "b", "x.a", "y", "a.a.b", "A.B."];
        let protocols: [&[&str]; 3] = [&[], &["h2"], &["h2", "h3"]];
        // All triples of routes of one name or none and one list of protocols.
        let routes: Vec<Conditions> = (0..patterns.len() * 3 + 3)
            .map(|n| {
                let name = patterns.get(n / 3).into_iter().copied();
                conditions(&name.collect::<Vec<_>>(), protocols[n % 3])
            })
            .collect();
        let mut found = 0;
        for n in 0..routes.len().pow(3) {
            let digit = |power: u32| n / routes.len().pow(power) % routes.len();
            let chosen = [0, 1, 2].map(|power| routes[digit(power)].clone());
            let table = RouteTable::new(chosen.clone());
            for name in names {
                for offered in protocols {
                    let plain = plainly(&chosen, name, offered);
                    let index = find(&table, Some(name), offered).map(|(index, _)| index);
                    assert_eq!(index, plain, "{chosen:?} {name} {offered:?}");
                    found += usize::from(plain.is_some());
                }
            }
        }
        assert!(found > 100_000, "{found}");
    }

    /// The rule, as the documentation has it.
    fn plainly(routes: &[Conditions], name: &str, offered: &[&str]) -> Option<usize> {
        let name = name.trim_end_matches('.').to_lowercase();
        // Greater is more special.
        let rank = |conditions: &Conditions| {
            let has = |it: &String| offered.contains(&it.as_str());
            if !conditions.protocols.is_empty() && !conditions.protocols.iter().any(has) {
                return None;
            }
            let ranks = conditions.names.iter().filter_map(|pattern| match pattern {
                NamePattern::Exact(exact) => (*exact == name).then_some(usize::MAX),
                NamePattern::Below(parent) => name
                    .ends_with(&format!(".{parent}"))
                    .then_some(parent.len()),
            });
            match conditions.names.is_empty() {
                true => Some(0),
                false => ranks.max(),
            }
        };
        let ranked = routes.iter().enumerate();
        let ranked = ranked.filter_map(|(index, route)| Some((rank(route)?, index)));
        let best = ranked.max_by_key(|(rank, index)| (*rank, usize::MAX - index));
        best.map(|(_, index)| index)
    }
}
