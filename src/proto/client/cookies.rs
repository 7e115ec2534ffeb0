//! The cookies of one origin (RFC 6265): what its responses set is sent with the requests that follow,
//! polling and WebSocket alike; what keeps a client with one of several servers lives here.
//!
//! There is one origin, so there are no domains: `Domain` is not looked at. `HttpOnly` and `SameSite` say
//! nothing to a client that runs no scripts.

use super::date;
use crate::proto::limits::{MAX_COOKIE, MAX_COOKIES, MAX_COOKIES_SIZE};
use std::fmt;
use std::time::{Duration, Instant};

#[derive(Clone)]
struct Cookie {
    name: Box<str>,
    value: Box<str>,
    path: Box<str>,
    expires: Option<Instant>,
}

/// The cookies that one origin has set, the oldest first.
#[derive(Clone, Default)]
pub struct CookieJar {
    cookies: Vec<Cookie>,
}

/// How long a cookie lives.
#[derive(Clone, Copy)]
enum Life {
    Session,
    Until(Instant),
    Over,
}

impl CookieJar {
    /// Takes the value of a Set-Cookie, in the answer to a request for `path`. What breaks a rule or passes a
    /// limit is ignored, a Secure cookie on a plain stream among it (RFC 6265bis, 5.7).
    ///
    /// There is no clock of the wall here: `Expires` counts from `date`, the answer's own Date.
    pub fn set(&mut self, header: &[u8], date: Option<&[u8]>, path: &str, secure: bool, now: Instant) {
        let Ok(text) = std::str::from_utf8(header) else { return };
        let mut parts = text.split(';');
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let (name, value) = (name.trim(), value.trim());
        let is_plain = |text: &str| text.bytes().all(|byte| byte >= b' ' && byte != 0x7f);
        if name.is_empty() || name.len() + value.len() > MAX_COOKIE || !is_plain(name) || !is_plain(value) {
            return;
        }
        let (mut own_path, mut max_age, mut expires) = (None, None, None);
        for attribute in parts {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let (key, value) = (key.trim(), value.trim());
            if key.eq_ignore_ascii_case("path") {
                own_path = Some(value).filter(|path| path.starts_with('/') && path.len() <= MAX_COOKIE);
            } else if key.eq_ignore_ascii_case("max-age") {
                max_age = seconds(value).or(max_age);
            } else if key.eq_ignore_ascii_case("expires") {
                expires = date::parse(value.as_bytes()).or(expires);
            } else if key.eq_ignore_ascii_case("secure") && !secure {
                return;
            }
        }
        let left =
            max_age.or_else(|| expires.map(|expires| expires - date.and_then(date::parse).unwrap_or(0)));
        let path = own_path.unwrap_or_else(|| default_path(path));
        self.put(name, value, path, life(left, now));
    }

    fn put(&mut self, name: &str, value: &str, path: &str, life: Life) {
        let known = self.cookies.iter().position(|cookie| *cookie.name == *name && *cookie.path == *path);
        let expires = match life {
            Life::Over => {
                known.map(|at| self.cookies.remove(at));
                return;
            }
            Life::Session => None,
            Life::Until(end) => Some(end),
        };
        let cookie = Cookie { name: name.into(), value: value.into(), path: path.into(), expires };
        // One that is set anew keeps its place (RFC 6265, 5.3).
        if let Some(known) = known.and_then(|at| self.cookies.get_mut(at)) {
            *known = cookie;
            return;
        }
        if self.cookies.len() >= MAX_COOKIES {
            self.cookies.remove(0);
        }
        self.cookies.push(cookie);
    }

    /// The value of the Cookie header of a request for `path`; None when there is nothing to say. `first` is
    /// what the application says itself.
    pub fn header(&mut self, path: &str, first: Option<&str>, now: Instant) -> Option<String> {
        self.cookies.retain(|cookie| cookie.expires.is_none_or(|end| now < end));
        let mut fitting: Vec<&Cookie> =
            self.cookies.iter().filter(|cookie| path_matches(&cookie.path, path)).collect();
        // The longest path first, then the oldest cookie: the sort is stable.
        fitting.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let mut header = first.unwrap_or_default().to_owned();
        for cookie in fitting {
            if header.len() + cookie.name.len() + cookie.value.len() > MAX_COOKIES_SIZE {
                break;
            }
            if !header.is_empty() {
                header.push_str("; ");
            }
            header.extend([&cookie.name, "=", &cookie.value]);
        }
        (!header.is_empty()).then_some(header)
    }

    /// How many cookies there are, expired ones among them.
    pub fn len(&self) -> usize {
        self.cookies.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cookies.is_empty()
    }
}

impl fmt::Debug for CookieJar {
    /// Without values, which are credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.cookies.iter().map(|cookie| &cookie.name)).finish()
    }
}

fn life(left: Option<i64>, now: Instant) -> Life {
    match left.map(u64::try_from) {
        None => Life::Session,
        // Beyond what a clock can hold is for ever, here.
        Some(Ok(1..)) => left
            .and_then(|left| now.checked_add(Duration::from_secs(left.unsigned_abs())))
            .map_or(Life::Session, Life::Until),
        Some(_) => Life::Over,
    }
}

/// The number of a Max-Age: anything that is none counts as not given (RFC 6265, 5.2.2).
fn seconds(value: &str) -> Option<i64> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(value.parse().unwrap_or(if value.starts_with('-') { i64::MIN } else { i64::MAX }))
}

/// The path of a cookie that names none (RFC 6265, 5.1.4).
fn default_path(request: &str) -> &str {
    match request.rfind('/') {
        Some(end @ 1..) => request.get(..end).unwrap_or("/"),
        _ => "/",
    }
}

/// Whether a cookie of `path` goes with a request for `request` (RFC 6265, 5.1.4).
fn path_matches(path: &str, request: &str) -> bool {
    request
        .strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || path.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/socket.io/";

    fn jar(headers: &[&str]) -> (CookieJar, Instant) {
        let (mut jar, now) = (CookieJar::default(), Instant::now());
        for header in headers {
            jar.set(header.as_bytes(), Some(b"Sun, 06 Nov 1994 08:49:37 GMT"), PATH, false, now);
        }
        (jar, now)
    }

    fn sent(headers: &[&str]) -> Option<String> {
        let (mut jar, now) = jar(headers);
        jar.header(PATH, None, now)
    }

    #[test]
    fn what_was_set_is_sent_in_order_and_the_latest_value_counts() {
        assert_eq!(sent(&[]), None);
        assert_eq!(sent(&["io=abc; Path=/; HttpOnly; SameSite=Strict"]).as_deref(), Some("io=abc"));
        assert_eq!(sent(&["a=1", "b=2", "a=3"]).as_deref(), Some("a=3; b=2"));
        assert_eq!(sent(&["a=1", " b = x=y z "]).as_deref(), Some("a=1; b=x=y z"));
        let (mut jar, now) = jar(&["a=1"]);
        assert_eq!(jar.header(PATH, Some("own=0"), now).as_deref(), Some("own=0; a=1"));
        assert_eq!(CookieJar::default().header(PATH, Some("own=0"), now).as_deref(), Some("own=0"));
    }

    #[test]
    fn a_cookie_goes_where_its_path_says() {
        assert_eq!(sent(&["a=1; Path=/socket.io"]).as_deref(), Some("a=1"));
        assert_eq!(sent(&["a=1; Path=/socket.io/"]).as_deref(), Some("a=1"));
        assert_eq!(sent(&["a=1; Path=/socket.i", "b=2; path=/other", "c=3; Path=/socket.io/x"]), None);
        assert_eq!(sent(&["a=1; Path=/", "b=2"]).as_deref(), Some("b=2; a=1"), "the longest path first");
        assert_eq!(sent(&["a=1; Path=/", "a=2"]).as_deref(), Some("a=2; a=1"), "two cookies of one name");
        assert_eq!(sent(&["a=1; Path=relative"]).as_deref(), Some("a=1"));
        assert_eq!((default_path("/a/b/c"), default_path("/a"), default_path("")), ("/a/b", "/", "/"));
    }

    #[test]
    fn a_cookie_ends_when_it_says() {
        let (mut jar, now) = jar(&["a=1; Max-Age=10", "b=2; Expires=Sun, 06 Nov 1994 08:49:57 GMT", "c=3"]);
        let mut at = |seconds| jar.header(PATH, None, now + Duration::from_secs(seconds)).unwrap();
        assert_eq!((at(9), at(19), at(20)), ("a=1; b=2; c=3".into(), "b=2; c=3".into(), "c=3".into()));
        assert_eq!(jar.len(), 1);
    }

    #[test]
    fn a_cookie_is_taken_back() {
        for gone in ["a=; Max-Age=0", "a=x; max-age=-1", "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"] {
            assert_eq!(sent(&["a=1", gone]), None, "{gone}");
        }
        assert_eq!(sent(&["a=1", "a=; Max-Age=0; Path=/"]).as_deref(), Some("a=1"), "another path's");
        let early = "a=1; Max-Age=5; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
        assert_eq!(sent(&[early]).as_deref(), Some("a=1"), "Max-Age counts first");
        let (mut jar, now) = (CookieJar::default(), Instant::now());
        jar.set(b"a=1; Expires=Fri, 31 Dec 9999 23:59:59 GMT", None, PATH, false, now);
        assert_eq!(jar.header(PATH, None, now).as_deref(), Some("a=1"), "without a Date, too");
        jar.set(b"a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", None, PATH, false, now);
        assert!(jar.is_empty());
    }

    #[test]
    fn what_is_no_number_or_date_counts_as_not_given() {
        for odd in ["Max-Age=", "Max-Age=1.5", "Max-Age=x", "Expires=soon", "Max-Age=99999999999999999999999"]
        {
            assert_eq!(sent(&[&format!("a=1; {odd}")]).as_deref(), Some("a=1"), "{odd}");
        }
        assert_eq!(sent(&["a=1; Max-Age=-99999999999999999999999"]), None);
    }

    #[test]
    fn a_secure_cookie_is_kept_on_tls_alone() {
        assert_eq!(sent(&["a=1; Secure"]), None);
        let (mut jar, now) = (CookieJar::default(), Instant::now());
        jar.set(b"a=1; secure", None, PATH, true, now);
        assert_eq!(jar.header(PATH, None, now).as_deref(), Some("a=1"));
    }

    #[test]
    fn what_is_no_cookie_is_ignored() {
        let long = format!("a={}", "x".repeat(MAX_COOKIE));
        for header in ["", "a", "=1", ";a=1", "a=1\u{7}", "a\u{1}=1", &long] {
            assert_eq!(sent(&[header]), None, "{header}");
        }
        let (mut jar, now) = (CookieJar::default(), Instant::now());
        jar.set(b"a=\xff", None, PATH, false, now);
        assert!(jar.is_empty());
    }

    #[test]
    fn a_jar_is_bounded() {
        let (mut jar, now) = jar(&[]);
        for number in 0..1000 {
            let header = format!("c{number}={}", "x".repeat(1000));
            jar.set(header.as_bytes(), None, PATH, false, now);
        }
        assert_eq!(jar.len(), MAX_COOKIES);
        assert!(jar.header(PATH, None, now).unwrap().len() <= MAX_COOKIES_SIZE + 2 * MAX_COOKIES);
        assert!(format!("{jar:?}").starts_with(r#"["c950", "c951""#));
    }
}
