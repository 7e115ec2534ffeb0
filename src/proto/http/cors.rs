//! Cross-origin requests: which origins are let in, and the headers that tell browsers so.
//!
//! The headers are those of the npm package `cors`, which socket.io uses (Fetch standard, "CORS protocol").

use super::head::Head;
use super::response::{HeaderPair, Response};
use std::borrow::Cow;

/// Who may connect from a browser.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origins {
    /// Only pages of the server itself.
    #[default]
    SameOrigin,
    /// Every page.
    Any,
    /// Pages of these origins, written as browsers send them: `https://example.com`.
    List(Vec<String>),
    /// Every page, and each is named to its browser.
    Echo,
    /// Pages of the server itself, under the name that it has here or that a proxy in front of it has
    /// (`X-Forwarded-Host` and `-Proto`); they are named as if they were of elsewhere. python-engineio's way.
    Own,
    /// Every page, as somebody else judges them and tells their browsers.
    Off,
}

/// The settings of cross-origin requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Who may connect.
    pub origins: Origins,
    /// Methods a preflight allows.
    pub methods: Vec<String>,
    /// Headers a preflight allows; None allows those it asks for.
    pub allowed_headers: Option<Vec<String>>,
    /// Response headers that scripts may read.
    pub exposed_headers: Vec<String>,
    /// Whether cookies may be sent.
    pub credentials: bool,
    /// How long a browser may keep the answer to a preflight, seconds.
    pub max_age: Option<u32>,
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            origins: Origins::SameOrigin,
            methods: ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"].map(str::to_owned).to_vec(),
            allowed_headers: None,
            exposed_headers: Vec::new(),
            credentials: false,
            max_age: None,
        }
    }
}

/// Whether a request may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allowed,
    /// It is answered with 400.
    Refused,
}

impl Cors {
    /// Whether responses carry headers for browsers.
    pub fn has_headers(&self) -> bool {
        !matches!(self.origins, Origins::SameOrigin | Origins::Off)
    }

    /// Whether a preflight has an answer.
    pub fn has_preflight(&self) -> bool {
        self.origins != Origins::SameOrigin
    }

    /// Judges the Origin of a request that came over TLS (`secure`) or not.
    ///
    /// Without Origin it is allowed: it comes from no page, or from one of the same origin.
    pub fn check(&self, head: &Head, secure: bool) -> Verdict {
        let Some(origin) = head.header_bytes("origin").map(String::from_utf8_lossy) else {
            return Verdict::Allowed;
        };
        let is_same = || head.host().is_some_and(|host| is_same_origin(&origin, host, secure));
        let allowed = origin_is_clean(&origin)
            && match &self.origins {
                Origins::Any | Origins::Echo | Origins::Off => true,
                Origins::List(list) => list.iter().any(|known| *known == origin),
                Origins::SameOrigin => is_same(),
                Origins::Own => is_same() || is_forwarded_origin(&origin, head, secure),
            };
        if allowed { Verdict::Allowed } else { Verdict::Refused }
    }

    /// The Origin of a request, unless no response is to name it.
    pub fn shown_origin<'a>(&self, head: &'a Head, secure: bool) -> Option<&'a str> {
        let is_shown = self.origins != Origins::Own || self.check(head, secure) == Verdict::Allowed;
        head.header("origin").filter(|_| is_shown)
    }

    /// The headers of every response, errors included; `origin` is what [`Cors::shown_origin`] gave.
    pub fn headers(&self, origin: Option<&str>) -> Vec<HeaderPair> {
        let mut headers = self.origin_headers(origin);
        if !headers.is_empty() && !self.exposed_headers.is_empty() {
            headers.push(pair("Access-Control-Expose-Headers", self.exposed_headers.join(",")));
        }
        headers
    }

    /// The answer to a preflight request that came over TLS (`secure`) or not.
    pub fn preflight(&self, head: &Head, secure: bool) -> Response {
        let mut response = Response::empty(204);
        response.headers = self.origin_headers(self.shown_origin(head, secure));
        if response.headers.is_empty() {
            return response;
        }
        response.headers.push(pair("Access-Control-Allow-Methods", self.methods.join(",")));
        let allowed = if let Some(list) = &self.allowed_headers {
            list.join(",")
        } else {
            add_vary(&mut response.headers, "Access-Control-Request-Headers");
            head.header("access-control-request-headers").unwrap_or_default().to_owned()
        };
        if !allowed.is_empty() {
            response.headers.push(pair("Access-Control-Allow-Headers", allowed));
        }
        if let Some(seconds) = self.max_age {
            response.headers.push(pair("Access-Control-Max-Age", seconds.to_string()));
        }
        if !self.exposed_headers.is_empty() {
            response.headers.push(pair("Access-Control-Expose-Headers", self.exposed_headers.join(",")));
        }
        response
    }

    /// Allow-Origin, Vary and Allow-Credentials.
    fn origin_headers(&self, origin: Option<&str>) -> Vec<HeaderPair> {
        let mut headers = Vec::new();
        let reflected = match &self.origins {
            Origins::SameOrigin | Origins::Off => return headers,
            // Browsers refuse `*` together with credentials: the origin itself is given then.
            Origins::Any if !self.credentials => Some("*"),
            Origins::Any | Origins::Echo | Origins::Own => origin.filter(|origin| origin_is_clean(origin)),
            Origins::List(list) => origin.filter(|origin| list.iter().any(|known| known == origin)),
        };
        if let Some(origin) = reflected {
            headers.push(pair("Access-Control-Allow-Origin", origin.to_owned()));
        }
        if reflected != Some("*") {
            add_vary(&mut headers, "Origin");
        }
        if self.credentials {
            headers.push(pair("Access-Control-Allow-Credentials", "true"));
        }
        headers
    }
}

fn pair(name: &'static str, value: impl Into<Cow<'static, str>>) -> HeaderPair {
    (Cow::Borrowed(name), value.into())
}

/// One Vary header for all.
fn add_vary(headers: &mut Vec<HeaderPair>, field: &'static str) {
    match headers.iter_mut().find(|(name, _)| name == "Vary") {
        Some((_, value)) => {
            let value = value.to_mut();
            value.push_str(", ");
            value.push_str(field);
        }
        None => headers.push(pair("Vary", field)),
    }
}

/// Whether an Origin has no control bytes (engine.io answers such a one with error 3).
pub fn origin_is_clean(origin: &str) -> bool {
    !origin.bytes().any(|byte| byte.is_ascii_control())
}

/// Compares scheme, host and port; the scheme's default port may be left out.
fn is_same_origin(origin: &str, host: &str, secure: bool) -> bool {
    let (scheme, default_port) = if secure { ("https", "443") } else { ("http", "80") };
    let Some((origin_scheme, origin_host)) = origin.split_once("://") else { return false };
    let (name, port) = split_port(host);
    let (origin_name, origin_port) = split_port(origin_host);
    origin_scheme.eq_ignore_ascii_case(scheme)
        && !name.is_empty()
        && origin_name.eq_ignore_ascii_case(name)
        && origin_port.unwrap_or(default_port) == port.unwrap_or(default_port)
}

/// Compares with what a proxy in front calls the server; of several proxies the first, which the browser saw.
fn is_forwarded_origin(origin: &str, head: &Head, secure: bool) -> bool {
    let first = |name| head.header(name).and_then(|list| list.split(',').next()).map(str::trim);
    let (scheme, host) = (first("x-forwarded-proto"), first("x-forwarded-host"));
    if scheme.is_none() && host.is_none() {
        return false;
    }
    let secure = scheme.map_or(secure, |scheme| scheme.eq_ignore_ascii_case("https"));
    host.or(head.host()).is_some_and(|host| is_same_origin(origin, host, secure))
}

/// Splits `host:port`; the colons of an IPv6 address in brackets are its own.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port).filter(|port| !port.is_empty())),
        _ => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Allowed, Refused};

    type Lines<'a> = &'a [(&'a [u8], &'a [u8])];

    fn list(origins: &[&str]) -> Cors {
        let origins = Origins::List(origins.iter().map(|&origin| origin.to_owned()).collect());
        Cors { origins, ..Cors::default() }
    }

    fn shown(headers: &[HeaderPair]) -> Vec<(&str, &str)> {
        headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect()
    }

    fn head(method: &str, lines: &[(&[u8], &[u8])]) -> Head {
        Head::build(method, "/", lines.iter().copied()).unwrap()
    }

    fn preflight(cors: &Cors, lines: &[(&[u8], &[u8])]) -> Response {
        cors.preflight(&head("OPTIONS", lines), false)
    }

    fn check(cors: &Cors, origin: Option<&str>, host: Option<&str>, secure: bool) -> Verdict {
        let origin = origin.map(|origin| (&b"origin"[..], origin.as_bytes()));
        let host = host.map(|host| (&b"host"[..], host.as_bytes()));
        cors.check(&head("GET", &origin.into_iter().chain(host).collect::<Vec<_>>()), secure)
    }

    #[test]
    fn the_same_origin_is_scheme_host_and_port() {
        let cases = [
            ("http://a.com", "a.com", false, Allowed),
            ("http://a.com", "A.com:80", false, Allowed),
            ("http://a.com:80", "a.com", false, Allowed),
            ("https://a.com", "a.com:443", true, Allowed),
            ("http://a.com:8080", "a.com:8080", false, Allowed),
            ("http://[::1]", "[::1]", false, Allowed),
            ("http://[::1]:80", "[::1]", false, Allowed),
            ("http://[::1]:81", "[::1]", false, Refused),
            ("https://a.com", "a.com", false, Refused),
            ("http://a.com", "a.com", true, Refused),
            ("http://a.com", "a.com:443", false, Refused),
            ("http://a.com:8080", "a.com", false, Refused),
            ("http://b.com", "a.com", false, Refused),
            ("http://a.com.b.com", "a.com", false, Refused),
            ("http://a.com/", "a.com", false, Refused),
            ("http://a.com@b.com", "b.com", false, Refused),
            ("a.com", "a.com", false, Refused),
            ("null", "a.com", false, Refused),
            ("http://", "", false, Refused),
            ("", "a.com", false, Refused),
        ];
        for (origin, host, secure, verdict) in cases {
            let found = check(&Cors::default(), Some(origin), Some(host), secure);
            assert_eq!(found, verdict, "{origin} at {host}, secure {secure}");
        }
        assert_eq!(check(&Cors::default(), Some("http://a"), None, false), Refused);
    }

    #[test]
    fn a_request_without_origin_is_allowed() {
        for cors in [Cors::default(), list(&[])] {
            assert_eq!(check(&cors, None, Some("a"), false), Allowed);
        }
    }

    #[test]
    fn a_list_holds_the_origins_letter_by_letter() {
        let cors = list(&["https://a.com"]);
        assert_eq!(check(&cors, Some("https://a.com"), Some("b"), true), Allowed);
        for origin in ["https://a.com/", "https://a.com.evil", "http://a.com", "*", "null"] {
            assert_eq!(check(&cors, Some(origin), Some("b"), true), Refused, "{origin}");
        }
    }

    #[test]
    fn an_origin_with_control_bytes_is_never_let_in() {
        let any = Cors { origins: Origins::Any, credentials: true, ..Cors::default() };
        for origin in ["http://a\r\nX: y", "http://a\0", "http://a\x7f", "\t"] {
            assert!(!origin_is_clean(origin));
            assert_eq!(check(&any, Some(origin), Some("a"), false), Refused);
            assert!(any.headers(Some(origin)).iter().all(|(_, value)| !value.contains(origin)));
        }
        assert_eq!(check(&any, Some("http://a"), Some("b"), false), Allowed);
    }

    #[test]
    fn the_headers_follow_the_kind_of_origins() {
        assert_eq!(Cors::default().headers(Some("http://a")), []);
        let any = Cors { origins: Origins::Any, ..Cors::default() };
        assert_eq!(shown(&any.headers(Some("http://a"))), [("Access-Control-Allow-Origin", "*")]);
        let with_credentials = Cors { credentials: true, ..any };
        assert_eq!(
            shown(&with_credentials.headers(Some("http://a"))),
            [
                ("Access-Control-Allow-Origin", "http://a"),
                ("Vary", "Origin"),
                ("Access-Control-Allow-Credentials", "true"),
            ]
        );
        let list = list(&["http://a"]);
        let known = [("Access-Control-Allow-Origin", "http://a"), ("Vary", "Origin")];
        assert_eq!(shown(&list.headers(Some("http://a"))), known);
        assert_eq!(shown(&list.headers(Some("http://b"))), [("Vary", "Origin")]);
        assert_eq!(shown(&list.headers(None)), [("Vary", "Origin")]);
        let exposing = Cors { exposed_headers: vec!["X-A".into(), "X-B".into()], ..list };
        assert_eq!(exposing.headers(None).last().unwrap().1, "X-A,X-B");
    }

    #[test]
    fn a_preflight_allows_what_it_asks_for_or_what_is_set() {
        let asks: &[(&[u8], &[u8])] =
            &[(b"origin", b"http://a"), (b"access-control-request-headers", b"x-token,x-b")];
        let response = preflight(&list(&["http://a"]), asks);
        assert_eq!((response.status, response.body.len()), (204, 0));
        assert_eq!(
            shown(&response.headers),
            [
                ("Access-Control-Allow-Origin", "http://a"),
                ("Vary", "Origin, Access-Control-Request-Headers"),
                ("Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE"),
                ("Access-Control-Allow-Headers", "x-token,x-b"),
            ]
        );
        let set = Cors {
            origins: Origins::Any,
            methods: vec!["GET".into(), "POST".into()],
            allowed_headers: Some(vec!["x-only".into()]),
            exposed_headers: vec!["x-out".into()],
            max_age: Some(600),
            ..Cors::default()
        };
        assert_eq!(
            shown(&preflight(&set, asks).headers),
            [
                ("Access-Control-Allow-Origin", "*"),
                ("Access-Control-Allow-Methods", "GET,POST"),
                ("Access-Control-Allow-Headers", "x-only"),
                ("Access-Control-Max-Age", "600"),
                ("Access-Control-Expose-Headers", "x-out"),
            ]
        );
        assert_eq!(preflight(&Cors::default(), asks).headers, []);
    }
    #[test]
    fn every_page_is_let_in_and_named_or_nothing_is_said() {
        let asks: &[(&[u8], &[u8])] = &[(b"origin", b"http://a")];
        let echo = Cors { origins: Origins::Echo, credentials: true, ..Cors::default() };
        let named = [
            ("Access-Control-Allow-Origin", "http://a"),
            ("Vary", "Origin"),
            ("Access-Control-Allow-Credentials", "true"),
        ];
        assert_eq!(shown(&echo.headers(Some("http://a"))), named);
        assert_eq!(shown(&preflight(&echo, asks).headers)[..1], named[..1]);
        let off = Cors { origins: Origins::Off, credentials: true, ..Cors::default() };
        assert_eq!(
            (off.has_headers(), off.has_preflight(), off.headers(Some("http://a"))),
            (false, true, vec![])
        );
        assert_eq!((preflight(&off, asks).status, preflight(&off, asks).headers), (204, vec![]));
        for cors in [&echo, &off] {
            assert_eq!(check(cors, Some("http://a"), Some("b"), true), Allowed);
        }
    }

    #[test]
    fn a_page_of_the_server_itself_is_named_whatever_a_proxy_calls_it() {
        let own = Cors { origins: Origins::Own, ..Cors::default() };
        let cases: [(&str, Lines<'_>, bool, Verdict); 9] = [
            ("http://in", &[], false, Allowed),
            ("https://in", &[], false, Refused),
            ("https://in", &[(b"x-forwarded-proto", b"https")], false, Allowed),
            ("http://out", &[(b"x-forwarded-host", b"out")], false, Allowed),
            ("https://out", &[(b"x-forwarded-host", b"out")], true, Allowed),
            (
                "https://out",
                &[(b"x-forwarded-host", b"out, in"), (b"x-forwarded-proto", b" https , http")],
                false,
                Allowed,
            ),
            ("http://in", &[(b"x-forwarded-host", b"out")], false, Allowed),
            ("http://b", &[(b"x-forwarded-host", b"out, b")], false, Refused),
            ("http://", &[(b"x-forwarded-host", b"")], false, Refused),
        ];
        for (origin, forwarded, secure, verdict) in cases {
            let mut lines = vec![(&b"host"[..], &b"in"[..]), (b"origin", origin.as_bytes())];
            lines.extend(forwarded);
            let head = head("GET", &lines);
            assert_eq!(own.check(&head, secure), verdict, "{origin}");
            assert_eq!(own.shown_origin(&head, secure), (verdict == Allowed).then_some(origin));
        }
        assert_eq!(shown(&own.headers(None)), [("Vary", "Origin")]);
    }
}
