//! The HTTP exchanges of a carrier: requests over streams that are kept alive, and what their answers mean.

use super::{Carrier, Details, State};
use crate::proto::client::config::is_own;
use crate::proto::client::details::Doing;
use crate::proto::client::http::{Response, ResponseReader};
use crate::proto::client::stream::Exchange;
use crate::proto::engine::CloseReason;
use crate::proto::http::ResponseHead;
use crate::proto::http::response::write_header;
use crate::proto::limits::{ERROR_BODY_TIMEOUT, KEEP_ALIVE_POST, KEEP_ALIVE_RACE};
use crate::proto::peer::{Request, RequestKind};
use std::io::Write as _;
use std::time::Instant;

const USER_AGENT: &str = concat!("siox/", env!("CARGO_PKG_VERSION"));
/// What a browser says of a POST's body.
const CONTENT_TYPE: &str = "text/plain;charset=UTF-8";

impl<T: Copy + Eq> Carrier<T> {
    /// Sends a request, on a stream that is idle or on a fresh one.
    pub(super) fn begin_exchange(&mut self, request: Request, fresh: bool) {
        let idle = self.idle_stream(&request).filter(|_| !fresh);
        let reader = match request.kind {
            RequestKind::Get => ResponseReader::new(self.config.max_message),
            RequestKind::Post => ResponseReader::showing(),
        };
        let mut head = Vec::with_capacity(512 + request.body.len());
        // What is not to be cached is asked for by another name each time.
        let [a, b, c, d] = self.masks.draw();
        let query = format!("{}&t={:08x}", request.query, u32::from_be_bytes([a, b, c, d]));
        self.write_head(&mut head, request.kind.method(), &query);
        if request.kind == RequestKind::Post {
            // Writing to a Vec cannot fail.
            let _ =
                write!(head, "Content-Type: {CONTENT_TYPE}\r\nContent-Length: {}\r\n", request.body.len());
        }
        head.extend_from_slice(b"\r\n");
        head.extend_from_slice(&request.body);
        let state = State::Exchange(Box::new(Exchange { request, reader, began: self.now }));
        if let Some(stream) = idle.and_then(|at| self.streams.get_mut(at)) {
            stream.state = state;
            stream.is_reused = true;
            stream.out.buffer().extend_from_slice(&head);
        } else {
            let deadline = self.config.open_timeout.and_then(|time| self.now.checked_add(time));
            *self.open(state, deadline) = head;
        }
    }

    /// A stream to use again. What must not be made twice keeps clear of the moment at which a server ends an
    /// idle one.
    fn idle_stream(&mut self, request: &Request) -> Option<usize> {
        let at = self.streams.iter().position(|stream| matches!(stream.state, State::Idle))?;
        let since = self.streams.get(at)?.idle_since;
        let stale = since.is_some_and(|since| self.now.saturating_duration_since(since) >= KEEP_ALIVE_POST);
        if stale && !is_harmless(request) {
            self.let_go(at);
            return None;
        }
        Some(at)
    }

    /// The first line of a request and the headers that all of them have.
    pub(super) fn write_head(&mut self, out: &mut Vec<u8>, method: &str, query: &str) {
        let (path, more) = &self.target;
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{method} {path}?{query}{more} HTTP/1.1\r\n");
        write_header(out, "Host", self.config.header("host").unwrap_or(&self.config.authority));
        for (name, value) in [("Accept", "*/*"), ("User-Agent", USER_AGENT)] {
            if self.config.header(name).is_none() {
                write_header(out, name, value);
            }
        }
        for (name, value) in &self.config.headers {
            let elsewhere = ["host", "cookie"].iter().any(|own| own.eq_ignore_ascii_case(name));
            if !elsewhere && !is_own(name) {
                write_header(out, name, value);
            }
        }
        if let Some(cookies) = self.memory.cookies.header(path, self.config.header("cookie"), self.now) {
            write_header(out, "Cookie", &cookies);
        }
    }

    /// Keeps what the server sets.
    pub(super) fn keep_cookies(&mut self, head: &ResponseHead) {
        if !self.config.cookies {
            return;
        }
        let date = head.header_bytes("date");
        for value in head.values("set-cookie") {
            self.memory.cookies.set(value, date, &self.target.0, self.config.secure, self.now);
        }
    }

    pub(super) fn read_exchange(&mut self, at: usize, bytes: &[u8], now: Instant) {
        self.now = now;
        let Some(stream) = self.streams.get_mut(at) else { return };
        let State::Exchange(exchange) = &mut stream.state else { return };
        match exchange.reader.read(bytes) {
            Ok((used, Some(mut response))) => {
                // Nothing else was asked.
                response.reusable &= used == bytes.len();
                self.answered(at, &response, now);
            }
            Ok((_, None)) => {
                if exchange.reader.is_shown_only() && stream.deadline.is_none() {
                    stream.deadline = now.checked_add(ERROR_BODY_TIMEOUT);
                }
            }
            Err(error) => {
                let details = Details::malformed(exchange.request.kind.into(), &self.config, &error);
                self.exchange_failed(at, details, now);
            }
        }
    }

    pub(super) fn finish_exchange(&mut self, at: usize, now: Instant) {
        let Some(State::Exchange(exchange)) = self.streams.get_mut(at).map(|stream| &mut stream.state) else {
            return;
        };
        match exchange.reader.finish() {
            Ok(Some(response)) => self.answered(at, &response, now),
            Ok(None) => self.let_go(at),
            Err(error) => {
                let details = Details::malformed(exchange.request.kind.into(), &self.config, &error);
                self.exchange_failed(at, details, now);
            }
        }
    }

    /// The body of an answer that is only shown does not come to its end: what has come is enough.
    pub(super) fn cut_exchange(&mut self, at: usize, now: Instant) {
        let Some(State::Exchange(exchange)) = self.streams.get_mut(at).map(|stream| &mut stream.state) else {
            return;
        };
        match exchange.reader.cut() {
            Some(response) => self.answered(at, &response, now),
            None => self.let_go(at),
        }
    }

    fn answered(&mut self, at: usize, response: &Response, now: Instant) {
        let Some(stream) = self.streams.get_mut(at) else { return };
        stream.deadline = None;
        stream.idle_since = Some(now);
        let State::Exchange(exchange) = std::mem::replace(&mut stream.state, State::Idle) else { return };
        // An answer that came before its request had left is no reason to make another.
        let is_quiet = stream.out.len() == 0 && !stream.is_blocked;
        if !response.reusable || !is_quiet {
            self.let_go(at);
        }
        self.keep_cookies(&response.head);
        let kind = exchange.request.kind;
        let (status, doing) = (response.head.status(), Doing::from(kind));
        if status != 200 {
            self.blame(Details::refused(doing, &self.config, response));
        }
        let was_open = self.peer.was_opened();
        let was_over = self.session().is_closed();
        self.peer.handle_response(kind, status, &response.body, &self.peer_config, now);
        if let Some(CloseReason::ParseError(error)) = self.session().close_reason()
            && !was_over
            && !was_open
        {
            self.trouble = Some(Details::unreadable(error, response));
        }
    }

    /// A request was not answered.
    pub(super) fn exchange_failed(&mut self, at: usize, details: Details, now: Instant) {
        let Some(stream) = self.streams.get_mut(at) else { return };
        let (is_reused, is_unsent) = (stream.is_reused, stream.out.len() > 0);
        let State::Exchange(exchange) = std::mem::replace(&mut stream.state, State::Idle) else { return };
        self.let_go(at);
        let in_time = now.saturating_duration_since(exchange.began) <= KEEP_ALIVE_RACE;
        let may_be = is_unsent || is_harmless(&exchange.request);
        let wanted = !self.session().is_closed() || exchange.request.kind == RequestKind::Post;
        if is_reused && !exchange.reader.has_begun() && in_time && may_be && wanted {
            self.now = now;
            return self.begin_exchange(exchange.request, true);
        }
        self.blame(details);
        self.peer.handle_request_failed(exchange.request.kind);
    }

    /// Whether a POST is under way.
    pub(super) fn is_posting(&self) -> bool {
        self.streams.iter().any(|stream| match &stream.state {
            State::Exchange(exchange) => exchange.request.kind == RequestKind::Post,
            _ => false,
        })
    }
}

/// Whether a request may be made twice. The events of a POST would be taken twice; a pong and a goodbye may be.
fn is_harmless(request: &Request) -> bool {
    request.kind == RequestKind::Get || matches!(&*request.body, b"3" | b"1")
}
