//! The load generator: HTTP/1.1 with keep-alive on one thread, requests made beforehand or as the answers come.
//!
//! A closed loop sends the next request of a connection when the last one is answered. An open loop sends at instants that
//! are fixed beforehand, and counts from the instant at which a request was due: a server that stands still is charged
//! for all who would have come meanwhile (coordinated omission).

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// Gives the next request of a connection, or nothing when there are no more.
pub type Source = Box<dyn FnMut() -> Option<Vec<u8>>>;

/// What came of a slice.
pub struct Outcome {
    /// Latencies in microseconds.
    pub latency: Histogram<u64>,
    /// How long it took.
    pub took: Duration,
    /// Answers by status that were not as they should be, each with the first one's beginning.
    pub wrong: BTreeMap<u16, (u64, String)>,
}

/// Makes a histogram of microseconds up to a minute.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).unwrap()
}

impl Outcome {
    fn new() -> Self {
        Self { latency: histogram(), took: Duration::ZERO, wrong: BTreeMap::new() }
    }

    fn note(&mut self, micros: u64, answer: &Answer) {
        let _ = self.latency.record(micros.max(1));
        if !(200..300).contains(&answer.status) {
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            self.wrong.entry(answer.status).or_insert((0, body)).0 += 1;
        }
    }
}

/// One answer.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// A connection that is kept.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub async fn open(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::with_capacity(64 * 1024) }
    }

    /// Sends a request and reads its answer.
    pub async fn send(&mut self, request: &[u8]) -> Answer {
        self.stream.write_all(request).await.unwrap();
        self.buffer.clear();
        let (head, length) = loop {
            let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
            assert!(read > 0, "the service closed a connection");
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break (end + 4, content_length(&self.buffer[..end]));
            }
        };
        while self.buffer.len() < head + length {
            let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
            assert!(read > 0, "the service closed a connection");
        }
        let text = std::str::from_utf8(&self.buffer[..head]).unwrap();
        Answer {
            status: text[9..12].parse().unwrap(),
            body: self.buffer[head..head + length].to_vec(),
        }
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn content_length(head: &[u8]) -> usize {
    let head = std::str::from_utf8(head).unwrap();
    field(head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Makes the bytes of a request.
pub fn request(method: &str, path: &str, token: Option<&str>, fields: &str, body: &str) -> Vec<u8> {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let kind = if body.is_empty() || fields.contains("Content-Type") {
        String::new()
    } else {
        "Content-Type: application/json\r\n".to_owned()
    };
    let length = if method == "GET" && body.is_empty() {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    format!("{method} {path} HTTP/1.1\r\nHost: bench\r\n{token}{kind}{length}{fields}\r\n{body}")
        .into_bytes()
}

/// Gives requests of a common stock to each of `many` connections.
pub fn shared(stock: Vec<Vec<u8>>, many: usize) -> Vec<Source> {
    let left = Rc::new(RefCell::new(VecDeque::from(stock)));
    let source = |_| {
        let left = Rc::clone(&left);
        Box::new(move || left.borrow_mut().pop_front()) as Source
    };
    (0..many).map(source).collect()
}

/// Each connection sends its source's requests, one after another, until `time` is over or there are no more.
pub async fn closed(to: SocketAddr, sources: Vec<Source>, time: Duration) -> Outcome {
    let outcome = Rc::new(RefCell::new(Outcome::new()));
    let mut open = Vec::new();
    for source in sources {
        open.push((Connection::open(to).await, source));
    }
    let set = LocalSet::new();
    let began = Instant::now();
    for (mut connection, mut source) in open {
        let outcome = Rc::clone(&outcome);
        set.spawn_local(async move {
            while began.elapsed() < time {
                let Some(request) = source() else { return };
                let sent = Instant::now();
                let answer = connection.send(&request).await;
                outcome.borrow_mut().note(sent.elapsed().as_micros() as u64, &answer);
            }
        });
    }
    set.await;
    finish(outcome, began)
}

/// Sends `rate` requests a second on as many connections as there are sources, for `time`; latency counts from the instant
/// at which each was due. The timer wakes up to a millisecond late, and that counts, too.
pub async fn open(to: SocketAddr, sources: Vec<Source>, rate: f64, time: Duration) -> Outcome {
    let outcome = Rc::new(RefCell::new(Outcome::new()));
    let mut ways = Vec::new();
    for source in sources {
        ways.push((Connection::open(to).await, source));
    }
    let set = LocalSet::new();
    let next = Rc::new(RefCell::new(0_u32));
    let began = Instant::now();
    for (mut connection, mut source) in ways {
        let (outcome, next) = (Rc::clone(&outcome), Rc::clone(&next));
        set.spawn_local(async move {
            loop {
                let number = {
                    let mut next = next.borrow_mut();
                    *next += 1;
                    *next - 1
                };
                let due = Duration::from_secs_f64(f64::from(number) / rate);
                if due > time {
                    return;
                }
                let Some(request) = source() else { return };
                tokio::time::sleep_until((began + due).into()).await;
                let answer = connection.send(&request).await;
                let late = began.elapsed().saturating_sub(due);
                outcome.borrow_mut().note(late.as_micros() as u64, &answer);
            }
        });
    }
    set.await;
    finish(outcome, began)
}

fn finish(outcome: Rc<RefCell<Outcome>>, began: Instant) -> Outcome {
    let took = began.elapsed();
    let mut outcome = Rc::into_inner(outcome).unwrap().into_inner();
    outcome.took = took;
    outcome
}
