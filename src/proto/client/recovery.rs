//! What a socket needs to get back what it missed: the private id of its session, and the offset of the
//! last event it saw.
//!
//! Source: Socket.IO, "Connection state recovery", and `socket.ts` of the reference client. A server that
//! offers it appends the offset, a string, to the arguments of every event without an acknowledgement
//! that is not volatile. The reference client takes *any* last argument that is a string for the offset,
//! and shows it to the listeners. Here the offset is told from what the application sent, and cut off:
//!
//! - It has the form of an adapter's offset ([`Form`]), and the time in it is one of today. A volatile
//!   event's own last string practically never is: of random strings of seven characters one in a
//!   thousand, of words none.
//! - A server has one form. The first that is seen is kept to; only a form that chance brings about
//!   less often takes its place (an application that sends `ObjectId`s as last argument).
//! - Where the clock of this machine is wrong no offset proves itself. Then the last string of a known
//!   form is the offset, and stays visible, as in JavaScript.

use crate::proto::socket::{Data, Parser, namespace};

/// The longest private id that is kept, bytes: the reference's have 20.
const MAX_PID: usize = 256;
/// How far an offset may lie behind the clock, milliseconds: sessions are kept for minutes, and clocks
/// that are set to the local time are hours off.
const BEHIND: u64 = 24 * 60 * 60 * 1000;
/// How far it may lie ahead: a clock that stands while the machine sleeps is behind by that.
const AHEAD: u64 = 31 * BEHIND;

/// What an offset looks like, those first that chance brings about least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// The in-memory adapter's: milliseconds in base 64, seven digits, and perhaps `.` and a counter.
    Yeast,
    /// The Redis Streams adapter's entry id: milliseconds, `-`, counter.
    Stream,
    /// The Mongo adapter's `ObjectId`: 24 hexadecimal digits, the first eight of which are seconds.
    ObjectId,
}

/// What a socket keeps for its next CONNECT.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Recovery {
    pid: Option<Box<str>>,
    offset: Option<Box<str>>,
    form: Option<Form>,
    /// The time of the last offset that proved itself.
    last: Option<u64>,
}

impl Recovery {
    /// Whether the server offers it.
    pub(super) fn is_on(&self) -> bool {
        self.pid.is_some()
    }

    /// The server let the socket in. True when its session was recovered.
    pub(super) fn connected(&mut self, pid: Option<String>) -> bool {
        let pid = pid.filter(|pid| pid.len() <= MAX_PID).map(String::into_boxed_str);
        if pid.is_some() && pid == self.pid {
            return true;
        }
        *self = Self { pid, ..Self::default() };
        false
    }

    /// The session ended for good: there is nothing to recover.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The data of CONNECT.
    pub(super) fn connect_data(&self, parser: Parser, auth: Option<&Data<'_>>) -> Option<Data<'static>> {
        let known = self.pid.as_deref().map(|pid| (pid, self.offset.as_deref()));
        namespace::connect_data(parser, known, auth)
    }

    /// Looks for the offset in the data of an event without acknowledgement, keeps it, and cuts it off.
    /// `wall` is the time, milliseconds since 1970.
    pub(super) fn take_offset(&mut self, data: &mut Data<'_>, wall: u64) {
        if self.pid.is_none() {
            return;
        }
        let Some((start, text)) = data.last_string() else { return };
        let Some((form, time)) = form_and_time(text) else { return };
        let earliest = wall.saturating_sub(BEHIND).min(self.last.unwrap_or(u64::MAX));
        if time < earliest || time > wall.saturating_add(AHEAD) {
            if self.last.is_none() {
                self.offset = Some(text.into());
            }
            return;
        }
        if self.form.is_some_and(|known| known < form) {
            return;
        }
        self.form = Some(form);
        self.last = Some(time);
        match &mut self.offset {
            // Offsets are of one length mostly: no memory for each event.
            Some(offset) if offset.len() == text.len() => {
                let mut kept = String::from(std::mem::take(offset));
                kept.replace_range(.., text);
                *offset = kept.into_boxed_str();
            }
            offset => *offset = Some(text.into()),
        }
        data.cut_last(start);
    }
}

fn form_and_time(text: &str) -> Option<(Form, u64)> {
    let bytes = text.as_bytes();
    match bytes.len() {
        24 if bytes.iter().all(u8::is_ascii_hexdigit) => {
            let seconds = u64::from_str_radix(text.get(..8)?, 16).ok()?;
            Some((Form::ObjectId, seconds * 1000))
        }
        7..=36 => stream_time(text)
            .map(|time| (Form::Stream, time))
            .or_else(|| yeast_time(text).map(|time| (Form::Yeast, time))),
        _ => None,
    }
}

/// Thirteen digits of milliseconds last until 2286.
fn stream_time(text: &str) -> Option<u64> {
    let (time, counter) = text.split_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (time.len() == 13 && digits(time) && counter.len() <= 20 && digits(counter)).then_some(())?;
    time.parse().ok()
}

/// Seven digits in base 64 last until 2109.
fn yeast_time(text: &str) -> Option<u64> {
    let (time, counter) = match text.split_once('.') {
        Some((time, counter)) => (time, Some(counter)),
        None => (text, None),
    };
    if time.len() != 7 || counter.is_some_and(|counter| counter.is_empty() || counter.len() > 6) {
        return None;
    }
    if !counter.is_none_or(|counter| counter.bytes().all(|byte| digit(byte).is_some())) {
        return None;
    }
    time.bytes().try_fold(0, |time, byte| Some(time * 64 + digit(byte)?))
}

fn digit(byte: u8) -> Option<u64> {
    Some(u64::from(match byte {
        b'0'..=b'9' => byte - b'0',
        b'A'..=b'Z' => byte - b'A' + 10,
        b'a'..=b'z' => byte - b'a' + 36,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22, as `Q8MGJc0` and the like say it.
    const WALL: u64 = 1_795_305_600_000;

    fn yeast(mut time: u64) -> String {
        const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
        let mut text = Vec::new();
        while time > 0 {
            text.push(DIGITS[usize::try_from(time % 64).unwrap()]);
            time /= 64;
        }
        text.reverse();
        String::from_utf8(text).unwrap()
    }

    fn connected() -> Recovery {
        let mut recovery = Recovery::default();
        assert!(!recovery.connected(Some("pid".into())));
        recovery
    }

    /// What listeners see, and the offset kept.
    fn seen(recovery: &mut Recovery, data: &str) -> (String, Option<String>) {
        let mut data = Data::from(data.to_owned());
        recovery.take_offset(&mut data, WALL);
        (String::from_utf8(data.as_bytes().to_vec()).unwrap(), recovery.offset.as_deref().map(str::to_owned))
    }

    #[test]
    fn an_offset_is_kept_and_cut_off() {
        let id = format!("{:08x}0123456789abcdef", WALL / 1000);
        for offset in [yeast(WALL), format!("{}.a_", yeast(WALL)), format!("{WALL}-0"), id] {
            let mut recovery = connected();
            for (before, after) in [
                ("[\"a\",", "[\"a\"]"),
                ("[\"a\",\"b\",", "[\"a\",\"b\"]"),
                ("[1,{\"_placeholder\":true,\"num\":0},", "[1,{\"_placeholder\":true,\"num\":0}]"),
                ("[\"a\",\"\\\"\",", "[\"a\",\"\\\"\"]"),
            ] {
                let (data, kept) = seen(&mut recovery, &format!("{before}\"{offset}\"]"));
                assert_eq!((data.as_str(), kept.as_deref()), (after, Some(offset.as_str())));
            }
        }
    }

    #[test]
    fn an_applications_own_last_string_stays() {
        let old = yeast(WALL - 2 * BEHIND);
        let mut recovery = connected();
        assert_eq!(seen(&mut recovery, &format!("[\"a\",\"{}\"]", yeast(WALL))).0, "[\"a\"]");
        let kept = recovery.offset.clone();
        for last in
            ["example", "message", "", "x", "a\\\",\\\"bcdefg", &old, "12345678901234-1", "1-1", "ümlaut"]
        {
            let data = format!("[\"a\",\"{last}\"]");
            assert_eq!(seen(&mut recovery, &data).0, data);
            assert_eq!(recovery.offset, kept);
        }
        for data in ["[]", "[\"a\"]", "[\"Q8MGJc0\"]", "[\"a\",1]", "[\"a\",[\"Q8MGJc0\"]]", "\"]", "]", ""] {
            assert_eq!(seen(&mut recovery, data).0, data);
        }
    }

    #[test]
    fn a_server_has_one_form_of_offset() {
        let id = format!("[\"a\",\"{:08x}0123456789abcdef\"]", WALL / 1000);
        let offset = format!("[\"a\",\"{}\"]", yeast(WALL));
        let mut recovery = connected();
        assert_eq!(seen(&mut recovery, &offset).0, "[\"a\"]");
        assert_eq!(seen(&mut recovery, &id).0, id);
        // The volatile event came first: what chance brings about less often takes its place.
        let mut recovery = connected();
        assert_eq!(seen(&mut recovery, &id).0, "[\"a\"]");
        assert_eq!(seen(&mut recovery, &offset).0, "[\"a\"]");
        assert_eq!(seen(&mut recovery, &id).0, id);
    }

    #[test]
    fn without_recovery_no_argument_is_looked_at() {
        let data = format!("[\"a\",\"{}\"]", yeast(WALL));
        assert_eq!(seen(&mut Recovery::default(), &data), (data.clone(), None));
    }

    #[test]
    fn with_a_wrong_clock_the_offset_stays_visible_and_is_kept() {
        let mut recovery = connected();
        let offset = yeast(WALL + 2 * AHEAD);
        let data = format!("[\"a\",\"{offset}\"]");
        assert_eq!(seen(&mut recovery, &data), (data.clone(), Some(offset)));
        assert_eq!(
            seen(&mut recovery, "[\"a\",\"no offset\"]").1,
            recovery.offset.as_deref().map(Into::into)
        );
    }

    #[test]
    fn what_is_replayed_may_be_old() {
        let mut recovery = connected();
        let old = WALL - 5 * BEHIND;
        recovery.take_offset(&mut format!("[\"a\",\"{}\"]", yeast(old)).into(), old);
        let data = format!("[\"a\",\"{}\"]", yeast(old + 1));
        assert_eq!(seen(&mut recovery, &data), ("[\"a\"]".into(), Some(yeast(old + 1))));
    }

    #[test]
    fn connect_says_what_is_known() {
        let said = |recovery: &Recovery| {
            let auth = Data::from(r#"{"a":1}"#);
            let data = recovery.connect_data(Parser::Json, Some(&auth)).unwrap();
            String::from_utf8(data.as_bytes().to_vec()).unwrap()
        };
        let mut recovery = Recovery::default();
        assert_eq!(said(&recovery), r#"{"a":1}"#);
        recovery.connected(Some("p".into()));
        assert_eq!(said(&recovery), r#"{"pid":"p","a":1}"#);
        recovery.take_offset(&mut format!("[\"a\",\"{WALL}-0\"]").into(), WALL);
        assert_eq!(said(&recovery), format!(r#"{{"pid":"p","offset":"{WALL}-0","a":1}}"#));
    }

    #[test]
    fn only_the_same_private_id_is_a_recovery() {
        let mut recovery = connected();
        recovery.take_offset(&mut format!("[\"a\",\"{WALL}-0\"]").into(), WALL);
        assert!(recovery.connected(Some("pid".into())) && recovery.offset.is_some());
        assert!(!recovery.connected(Some("other".into())) && recovery.offset.is_none());
        assert!(!recovery.connected(None) && !recovery.connected(None));
        assert!(!recovery.connected(Some("p".repeat(MAX_PID + 1))) && recovery.pid.is_none());
        recovery.connected(Some("pid".into()));
        recovery.forget();
        assert_eq!(recovery, Recovery::default());
    }
}
