//! The calls to librdkafka that the `rdkafka` crate does not offer: draining messages in batches and by partition,
//! letting a rebalance wait between two polls, producing without a callback per message.
//!
//! **Invariant:** every pointer here either belongs to a handle that frees it when dropped, or is used only during the
//! call that brought it. The callbacks get a [`Context`] that the client keeps alive.
#![expect(unsafe_code, reason = "librdkafka is C; nothing else in the library needs unsafe")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Wake;
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

use crate::broker::OutRecord;
use crate::change::Header;

/// Messages that are taken from librdkafka at once: one that was just handed over is still in the processor's cache.
const PIECE: usize = 512;

/// Why a call failed.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) code: RDKafkaErrorCode,
    pub(super) text: String,
    pub(super) fatal: bool,
    pub(super) retriable: bool,
}

/// A change of what the group gives to this member.
#[derive(Debug, Clone)]
pub(super) enum Rebalance {
    Assign(Vec<(String, i32)>),
    Revoke,
}

/// Ends the wait of the thread that polls: something has come, or somebody wants it.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rang: Mutex<bool>,
    ringing: Condvar,
}

impl Bell {
    /// Until it rings; not at all if it rang since the last wait.
    pub(super) fn wait(&self, timeout: Duration) {
        let rang = self.rang.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.ringing.wait_timeout_while(rang, timeout, |rang| !*rang);
        // Whether it rang or the time is over, the caller looks.
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }

    fn ring(&self) {
        with(&self.rang, |rang| *rang = true);
        self.ringing.notify_all();
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

/// What callbacks leave for the thread that polls.
#[derive(Debug, Default)]
pub(super) struct Context {
    bell: Arc<Bell>,
    rebalances: Mutex<Vec<Rebalance>>,
    /// The newest general error: why brokers cannot be reached.
    trouble: Mutex<Option<String>>,
    /// The first record that could not be delivered since it was last asked.
    undelivered: Mutex<Option<(RDKafkaErrorCode, String)>>,
    closing: AtomicBool,
}

impl ClientContext for Context {}

fn with<T, R>(mutex: &Mutex<T>, f: impl FnOnce(&mut T) -> R) -> R {
    f(&mut mutex.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Context {
    pub(super) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    pub(super) fn take_rebalances(&self) -> Vec<Rebalance> {
        with(&self.rebalances, std::mem::take)
    }

    pub(super) fn put_back(&self, rebalances: Vec<Rebalance>) {
        with(&self.rebalances, |list| list.splice(0..0, rebalances).for_each(drop));
    }

    pub(super) fn trouble(&self) -> Option<String> {
        with(&self.trouble, |text| text.clone())
    }

    pub(super) fn take_undelivered(&self) -> Option<(RDKafkaErrorCode, String)> {
        with(&self.undelivered, Option::take)
    }
}

fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: librdkafka's strings end with a null byte and outlive the call that handed them out.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn millis(timeout: Duration) -> c_int {
    c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX)
}

fn check(code: Code) -> Result<(), Failure> {
    if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    // SAFETY: a static string.
    let text = text(unsafe { sys::rd_kafka_err2str(code) });
    let code = RDKafkaErrorCode::from(code);
    Err(Failure { code, text, fatal: code == RDKafkaErrorCode::Fatal, retriable: false })
}

/// Takes ownership of an error object, null for success.
fn check_error(error: *mut sys::rd_kafka_error_t) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the object is ours until the last call destroys it.
    unsafe {
        let failure = Failure {
            code: sys::rd_kafka_error_code(error).into(),
            text: text(sys::rd_kafka_error_string(error)),
            fatal: sys::rd_kafka_error_is_fatal(error) != 0,
            retriable: sys::rd_kafka_error_is_retriable(error) != 0,
        };
        sys::rd_kafka_error_destroy(error);
        Err(failure)
    }
}

/// Comes on the client's own threads: the client's name says which worker's it is.
extern "C" fn on_log(client: *const sys::rd_kafka_t, level: c_int, facility: *const c_char, line: *const c_char) {
    let name = match client.is_null() {
        true => String::new(),
        // SAFETY: the client exists while it logs; its name as long as it does.
        false => text(unsafe { sys::rd_kafka_name(client) }),
    };
    match level {
        0..=3 => tracing::warn!(client = name, facility = text(facility), "{}", text(line)),
        _ => tracing::debug!(client = name, facility = text(facility), "{}", text(line)),
    }
}

unsafe extern "C" fn on_error(_: *mut sys::rd_kafka_t, _: c_int, reason: *const c_char, opaque: *mut c_void) {
    // SAFETY: the opaque pointer is the context, which the client keeps alive.
    let context = unsafe { &*(opaque as *const Context) };
    let reason = text(reason);
    tracing::debug!("kafka client: {reason}");
    // "all brokers are down" says less than the reason before it.
    if !reason.contains("brokers are down") {
        with(&context.trouble, |trouble| *trouble = Some(reason));
    }
}

/// A queue that was empty has something.
unsafe extern "C" fn on_event(_: *mut sys::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: the opaque pointer is the context, which outlives the client and its queues.
    unsafe { &*(opaque as *const Context) }.bell.ring();
}

unsafe extern "C" fn on_rebalance(
    client: *mut sys::rd_kafka_t,
    code: Code,
    partitions: *mut sys::rd_kafka_topic_partition_list_t,
    opaque: *mut c_void,
) {
    // SAFETY: the opaque pointer is the context, which the client keeps alive; the list lives during the call.
    let (context, list) = unsafe { (&*(opaque as *const Context), partitions.as_ref()) };
    let assign = code == Code::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    if context.closing.load(Ordering::Acquire) || !(assign || code == Code::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        // SAFETY: the client is alive during its own callback.
        unsafe { sys::rd_kafka_assign(client, ptr::null()) };
        return;
    }
    // Nothing is answered yet: the group waits until the polling thread has settled what it has.
    let note = if assign { Rebalance::Assign(list.map(names).unwrap_or_default()) } else { Rebalance::Revoke };
    with(&context.rebalances, |list| list.push(note));
}

fn names(list: &sys::rd_kafka_topic_partition_list_t) -> Vec<(String, i32)> {
    let count = usize::try_from(list.cnt).unwrap_or(0);
    // SAFETY: the list holds `cnt` elements.
    (0..count).map(|i| unsafe { &*list.elems.add(i) }).map(|element| (text(element.topic), element.partition)).collect()
}

unsafe extern "C" fn on_delivery(
    _: *mut sys::rd_kafka_t,
    message: *const sys::rd_kafka_message_t,
    opaque: *mut c_void,
) {
    // SAFETY: the opaque pointer is the context; the message lives during the call.
    let (context, message) = unsafe { (&*(opaque as *const Context), &*message) };
    if message.err != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
        // SAFETY: the message names its topic as long as it lives.
        let topic = text(unsafe { sys::rd_kafka_topic_name(message.rkt) });
        let reason = RDKafkaErrorCode::from(message.err);
        let what = format!("a record of {topic}-{} was not delivered: {reason}", message.partition);
        with(&context.undelivered, |first| {
            first.get_or_insert((reason, what));
        });
    }
}

/// librdkafka gets a buffer for every fetch and frees it soon after. glibc would give that memory back each time, and
/// have the kernel clear it for the next one.
#[cfg(target_env = "gnu")]
fn keep_buffers() {
    unsafe extern "C" {
        fn mallopt(parameter: c_int, value: c_int) -> c_int;
    }
    const TRIM_THRESHOLD: c_int = -1;
    const MMAP_THRESHOLD: c_int = -3;
    const ARENA_MAX: c_int = -8;
    // SAFETY: settings of the allocator, which locks for itself.
    unsafe {
        mallopt(TRIM_THRESHOLD, 32 << 20);
        mallopt(MMAP_THRESHOLD, 16 << 20);
        // Every client has a dozen threads; each would keep buffers of its own.
        mallopt(ARENA_MAX, 2);
    }
}

#[cfg(not(target_env = "gnu"))]
fn keep_buffers() {}

fn client(config: &ClientConfig, kind: sys::rd_kafka_type_t) -> KafkaResult<Client<Context>> {
    keep_buffers();
    let native = config.create_native_config()?;
    let consumer = kind == sys::rd_kafka_type_t::RD_KAFKA_CONSUMER;
    // SAFETY: plain setters on a configuration that is ours until `Client::new` takes it.
    unsafe {
        sys::rd_kafka_conf_set_log_cb(native.ptr(), Some(on_log));
        sys::rd_kafka_conf_set_error_cb(native.ptr(), Some(on_error));
        if consumer {
            sys::rd_kafka_conf_set_rebalance_cb(native.ptr(), Some(on_rebalance));
        } else {
            sys::rd_kafka_conf_set_dr_msg_cb(native.ptr(), Some(on_delivery));
        }
    }
    Client::new(config, native, kind, Context::default())
}

/// A message while it is being visited.
pub(super) struct Received<'a>(&'a sys::rd_kafka_message_t);

impl<'a> Received<'a> {
    pub(super) fn topic(&self) -> String {
        if self.0.rkt.is_null() {
            return String::new();
        }
        // SAFETY: the message holds on to its topic.
        text(unsafe { sys::rd_kafka_topic_name(self.0.rkt) })
    }

    pub(super) fn partition(&self) -> i32 {
        self.0.partition
    }

    pub(super) fn offset(&self) -> i64 {
        self.0.offset
    }

    /// `None` for a record, else what this is instead.
    pub(super) fn failure(&self) -> Option<Failure> {
        let mut failure = check(self.0.err).err()?;
        // SAFETY: the message lives as long as this borrow.
        failure.text = text(unsafe { sys::rd_kafka_message_errstr(self.0) });
        Some(failure)
    }

    pub(super) fn key(&self) -> Option<&'a [u8]> {
        bytes(self.0.key, self.0.key_len)
    }

    pub(super) fn value(&self) -> Option<&'a [u8]> {
        bytes(self.0.payload, self.0.len)
    }

    pub(super) fn timestamp(&self) -> i64 {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message lives as long as this borrow.
        unsafe { sys::rd_kafka_message_timestamp(self.0, &mut kind) }
    }

    pub(super) fn headers(&self) -> Vec<Header> {
        let mut list = ptr::null_mut();
        // SAFETY: the list belongs to the message, which lives as long as this borrow; names and values are copied.
        unsafe {
            if sys::rd_kafka_message_headers(self.0, &mut list) != Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Vec::new();
            }
            let mut headers = Vec::new();
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            while sys::rd_kafka_header_get_all(list, headers.len(), &mut name, &mut value, &mut size)
                == Code::RD_KAFKA_RESP_ERR_NO_ERROR
            {
                headers.push(Header { key: text(name), value: bytes(value, size).map(<[u8]>::to_vec) });
            }
            headers
        }
    }
}

fn bytes<'a>(data: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: librdkafka says that `len` bytes lie there; the caller bounds the lifetime by the message's.
    (!data.is_null()).then(|| unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

/// A consumer: client and queue.
pub(super) struct NativeConsumer {
    client: Arc<Client<Context>>,
    queue: *mut sys::rd_kafka_queue_t,
    batch: [*mut sys::rd_kafka_message_t; PIECE],
}

// SAFETY: librdkafka's handles may be used from any thread; between calls the batch holds nothing that is used again.
unsafe impl Send for NativeConsumer {}
// SAFETY: the methods that take `&self` only call librdkafka, which locks for itself.
unsafe impl Sync for NativeConsumer {}

impl NativeConsumer {
    pub(super) fn new(config: &ClientConfig) -> KafkaResult<Self> {
        let client = client(config, sys::rd_kafka_type_t::RD_KAFKA_CONSUMER)?;
        // SAFETY: the client is alive; errors and logs come through the consumer's queue from here.
        let queue = unsafe {
            sys::rd_kafka_poll_set_consumer(client.native_ptr());
            sys::rd_kafka_queue_get_consumer(client.native_ptr())
        };
        let consumer = Self { client: Arc::new(client), queue, batch: [ptr::null_mut(); PIECE] };
        consumer.announce(queue);
        Ok(consumer)
    }

    /// The bell rings when the queue is no longer empty.
    fn announce(&self, queue: *mut sys::rd_kafka_queue_t) {
        let context = ptr::from_ref(self.context()).cast_mut().cast();
        // SAFETY: the queue is alive; the context outlives the client, and so every queue that may ring.
        unsafe { sys::rd_kafka_queue_cb_event_enable(queue, Some(on_event), context) };
    }

    /// What is read of a partition from the next assignment on, apart from all else that the client brings.
    pub(super) fn partition_queue(&self, topic: &CStr, partition: i32) -> Result<PartitionQueue, Failure> {
        // SAFETY: the client is alive; the name is copied; the queue is ours.
        let queue = unsafe { sys::rd_kafka_queue_get_partition(self.native(), topic.as_ptr(), partition) };
        if queue.is_null() {
            return Err(failure(RDKafkaErrorCode::UnknownPartition));
        }
        // SAFETY: the queue is alive.
        unsafe { sys::rd_kafka_queue_forward(queue, ptr::null_mut()) };
        self.announce(queue);
        Ok(PartitionQueue { queue, _client: self.client.clone() })
    }

    pub(super) fn client(&self) -> &Client<Context> {
        &self.client
    }

    pub(super) fn context(&self) -> &Context {
        self.client.context()
    }

    fn native(&self) -> *mut sys::rd_kafka_t {
        self.client.native_ptr()
    }

    /// Visits what has come, at most `max` messages: of a partition, or what concerns the client as a whole.
    pub(super) fn consume(
        &mut self,
        of: Option<&PartitionQueue>,
        max: usize,
        mut visit: impl FnMut(&Received<'_>),
    ) -> usize {
        let queue = of.map_or(self.queue, |partition| partition.queue);
        let mut total = 0;
        while total < max {
            let room = self.batch.len().min(max - total);
            // SAFETY: the queue is alive; the batch has room for as many pointers.
            let count = unsafe { sys::rd_kafka_consume_batch_queue(queue, 0, self.batch.as_mut_ptr(), room) };
            let count = usize::try_from(count).unwrap_or(0);
            for message in &self.batch[..count] {
                // SAFETY: the pointers that were filled in are messages, ours until they are destroyed.
                unsafe {
                    visit(&Received(&**message));
                    sys::rd_kafka_message_destroy(*message);
                }
            }
            total += count;
            if count < room {
                break;
            }
        }
        total
    }

    /// Serves callbacks of a client that reads nothing, so that its errors are known and do not pile up.
    pub(super) fn serve(&self) {
        let mut some = [ptr::null_mut(); 16];
        // SAFETY: the array has room for as many pointers as the call is told; what it filled in is ours.
        unsafe {
            let count = sys::rd_kafka_consume_batch_queue(self.queue, 0, some.as_mut_ptr(), some.len());
            let filled = usize::try_from(count).unwrap_or(0);
            some[..filled].iter().for_each(|message| sys::rd_kafka_message_destroy(*message));
        }
    }

    pub(super) fn subscribe(&self, topics: &TopicPartitionList) -> Result<(), Failure> {
        // SAFETY: both handles are alive.
        check(unsafe { sys::rd_kafka_subscribe(self.native(), topics.ptr()) })
    }

    pub(super) fn unsubscribe(&self) {
        // SAFETY: the client is alive.
        unsafe { sys::rd_kafka_unsubscribe(self.native()) };
    }

    /// Reads these; nothing when `None`, which also answers a revocation.
    pub(super) fn assign(&self, partitions: Option<&TopicPartitionList>) -> Result<(), Failure> {
        let list = partitions.map_or(ptr::null_mut(), TopicPartitionList::ptr);
        // SAFETY: both handles are alive.
        check(unsafe { sys::rd_kafka_assign(self.native(), list) })
    }

    /// Whether the partitions that are to be given up went to others before this member knew.
    pub(super) fn assignment_lost(&self) -> bool {
        // SAFETY: the client is alive.
        unsafe { sys::rd_kafka_assignment_lost(self.native()) != 0 }
    }

    pub(super) fn seek(&self, partitions: &TopicPartitionList, timeout: Duration) -> Result<(), Failure> {
        // SAFETY: both handles are alive; the error object is taken over; the list has the elements it counts.
        unsafe {
            check_error(sys::rd_kafka_seek_partitions(self.native(), partitions.ptr(), millis(timeout)))?;
            let list = &*partitions.ptr();
            (0..usize::try_from(list.cnt).unwrap_or(0)).try_for_each(|i| check((*list.elems.add(i)).err))
        }
    }

    /// Fills in the committed offsets, waiting for transactions that are being committed.
    pub(super) fn committed(&self, partitions: &TopicPartitionList, timeout: Duration) -> Result<(), Failure> {
        // SAFETY: both handles are alive.
        check(unsafe { sys::rd_kafka_committed(self.native(), partitions.ptr(), millis(timeout)) })
    }

    /// The id that the cluster gave to a topic, if there is one.
    pub(super) fn topic_id(&self, topic: &CStr, timeout: Duration) -> Result<Option<String>, Failure> {
        let mut names = [topic.as_ptr()];
        let mut trouble: [c_char; 1] = [0];
        // SAFETY: the client is alive; names are copied; what is made here is destroyed here, the event last, as the
        // description belongs to it.
        unsafe {
            let queue = sys::rd_kafka_queue_new(self.native());
            let topics = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
            let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
            let options = sys::rd_kafka_AdminOptions_new(self.native(), operation);
            let wait = millis(timeout);
            sys::rd_kafka_AdminOptions_set_request_timeout(options, wait, trouble.as_mut_ptr(), trouble.len());
            sys::rd_kafka_DescribeTopics(self.native(), topics, options, queue);
            let event = sys::rd_kafka_queue_poll(queue, wait.saturating_add(1000));
            let id = match event.is_null() {
                true => Err(failure(RDKafkaErrorCode::OperationTimedOut)),
                false => described_id(event),
            };
            if !event.is_null() {
                sys::rd_kafka_event_destroy(event);
            }
            sys::rd_kafka_AdminOptions_destroy(options);
            sys::rd_kafka_TopicCollection_destroy(topics);
            sys::rd_kafka_queue_destroy(queue);
            id
        }
    }

    /// One past the last offset of the partition that the newest fetch knew of.
    pub(super) fn cached_end(&self, topic: &CStr, partition: i32) -> Option<i64> {
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the client is alive, the numbers are ours.
        let code = unsafe {
            sys::rd_kafka_get_watermark_offsets(self.native(), topic.as_ptr(), partition, &mut low, &mut high)
        };
        (code == Code::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
    }

    pub(super) fn membership(&self) -> Option<Membership> {
        // SAFETY: the client is alive; the object is ours.
        let metadata = unsafe { sys::rd_kafka_consumer_group_metadata(self.native()) };
        (!metadata.is_null()).then(|| Membership { metadata, client: self.client.clone() })
    }

    /// Leaves the group and stops.
    pub(super) fn close(&self) {
        self.context().closing.store(true, Ordering::Release);
        // SAFETY: the client is alive; closing twice is an error code, not more. A rebalance that has not been answered
        // yet is answered first, as closing would wait for that forever.
        unsafe {
            sys::rd_kafka_assign(self.native(), ptr::null());
            sys::rd_kafka_consumer_close(self.native());
        }
    }
}

impl Drop for NativeConsumer {
    fn drop(&mut self) {
        self.close();
        // SAFETY: the queue is ours; nobody uses it after this.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) };
    }
}

/// What has been read of one partition.
pub(super) struct PartitionQueue {
    queue: *mut sys::rd_kafka_queue_t,
    /// The queue is the client's.
    _client: Arc<Client<Context>>,
}

// SAFETY: librdkafka's handles may be used from any thread.
unsafe impl Send for PartitionQueue {}
// SAFETY: it is only handed to librdkafka, which locks for itself.
unsafe impl Sync for PartitionQueue {}

impl Drop for PartitionQueue {
    fn drop(&mut self) {
        // SAFETY: the handle is ours; nobody uses it after this.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) };
    }
}

/// The token behind `GroupMetadata`: which member, in which generation.
pub(super) struct Membership {
    metadata: *mut sys::rd_kafka_consumer_group_metadata_t,
    client: Arc<Client<Context>>,
}

// SAFETY: the object is never changed after it was made.
unsafe impl Send for Membership {}
// SAFETY: as above.
unsafe impl Sync for Membership {}

impl Membership {
    /// Stores offsets outside a transaction.
    pub(super) fn store(&self, offsets: &TopicPartitionList) -> Result<(), Failure> {
        // SAFETY: both handles are alive; 0 waits for the answer.
        check(unsafe { sys::rd_kafka_commit(self.client.native_ptr(), offsets.ptr(), 0) })
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        // SAFETY: the object is ours.
        unsafe { sys::rd_kafka_consumer_group_metadata_destroy(self.metadata) };
    }
}

/// A producer: client and the topics it has written to.
pub(super) struct NativeProducer {
    client: Client<Context>,
    topics: Vec<(String, *mut sys::rd_kafka_topic_t)>,
    last: usize,
}

// SAFETY: librdkafka's handles may be used from any thread.
unsafe impl Send for NativeProducer {}

impl NativeProducer {
    pub(super) fn new(config: &ClientConfig) -> KafkaResult<Self> {
        let client = client(config, sys::rd_kafka_type_t::RD_KAFKA_PRODUCER)?;
        Ok(Self { client, topics: Vec::new(), last: 0 })
    }

    pub(super) fn context(&self) -> &Context {
        self.client.context()
    }

    fn native(&self) -> *mut sys::rd_kafka_t {
        self.client.native_ptr()
    }

    /// Whether the topic has been opened; it is the current one then.
    pub(super) fn knows(&mut self, topic: &str) -> bool {
        if self.topics.get(self.last).is_some_and(|(name, _)| name == topic) {
            return true;
        }
        let found = self.topics.iter().position(|(name, _)| name == topic);
        self.last = found.unwrap_or(self.last);
        found.is_some()
    }

    /// Number of the current topic, in the order in which they were opened.
    pub(super) fn current(&self) -> usize {
        self.last
    }

    /// Makes the topic the current one.
    pub(super) fn open(&mut self, topic: &str) -> Result<(), Failure> {
        let name = CString::new(topic).map_err(|_| failure(RDKafkaErrorCode::InvalidTopic))?;
        // SAFETY: the client is alive; the topic is ours until it is dropped.
        let handle = unsafe { sys::rd_kafka_topic_new(self.native(), name.as_ptr(), ptr::null_mut()) };
        if handle.is_null() {
            return Err(failure(RDKafkaErrorCode::InvalidTopic));
        }
        self.last = self.topics.len();
        self.topics.push((topic.to_owned(), handle));
        Ok(())
    }

    /// Copies a record of the current topic into the client's buffer; `QueueFull` when there is no room.
    pub(super) fn send(&self, record: &OutRecord<'_>) -> Result<(), RDKafkaErrorCode> {
        let part = |bytes: Option<&[u8]>| match bytes {
            None => (ptr::null(), 0),
            // An empty slice may point anywhere, but must not look like null.
            Some(bytes) => (bytes.as_ptr().cast::<c_void>(), bytes.len()),
        };
        let ((key, key_len), (value, value_len)) = (part(record.key), part(record.value));
        let headers = headers(record.headers);
        // librdkafka takes 0 as "now": the first millisecond of 1970 becomes the second.
        let timestamp = if record.timestamp == 0 { 1 } else { record.timestamp };
        use sys::rd_kafka_vtype_t as Field;
        // SAFETY: the fields have the types that their tags announce; key and value are copied during the call;
        // headers are taken over when it succeeds.
        unsafe {
            let code = sys::rd_kafka_producev(
                self.native(),
                Field::RD_KAFKA_VTYPE_RKT,
                self.topics[self.last].1,
                Field::RD_KAFKA_VTYPE_PARTITION,
                record.partition,
                Field::RD_KAFKA_VTYPE_MSGFLAGS,
                sys::RD_KAFKA_MSG_F_COPY,
                Field::RD_KAFKA_VTYPE_VALUE,
                value,
                value_len,
                Field::RD_KAFKA_VTYPE_KEY,
                key,
                key_len,
                Field::RD_KAFKA_VTYPE_TIMESTAMP,
                timestamp,
                Field::RD_KAFKA_VTYPE_HEADERS,
                headers,
                Field::RD_KAFKA_VTYPE_END,
            );
            if code == Code::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Ok(());
            }
            if !headers.is_null() {
                sys::rd_kafka_headers_destroy(headers);
            }
            Err(code.into())
        }
    }

    /// Serves callbacks.
    pub(super) fn poll(&self, timeout: Duration) {
        // SAFETY: the client is alive.
        unsafe { sys::rd_kafka_poll(self.native(), millis(timeout)) };
    }

    pub(super) fn flush(&self, timeout: Duration) -> Result<(), Failure> {
        // SAFETY: the client is alive.
        check(unsafe { sys::rd_kafka_flush(self.native(), millis(timeout)) })
    }

    pub(super) fn init_transactions(&self, timeout: Duration) -> Result<(), Failure> {
        // SAFETY: the client is alive; the error object is taken over.
        check_error(unsafe { sys::rd_kafka_init_transactions(self.native(), millis(timeout)) })
    }

    pub(super) fn begin(&self) -> Result<(), Failure> {
        // SAFETY: as above.
        check_error(unsafe { sys::rd_kafka_begin_transaction(self.native()) })
    }

    pub(super) fn send_offsets(
        &self,
        offsets: &TopicPartitionList,
        member: &Membership,
        timeout: Duration,
    ) -> Result<(), Failure> {
        // SAFETY: as above; offsets and membership are alive.
        check_error(unsafe {
            let (native, metadata) = (self.native(), member.metadata);
            sys::rd_kafka_send_offsets_to_transaction(native, offsets.ptr(), metadata, millis(timeout))
        })
    }

    pub(super) fn commit(&self, timeout: Duration) -> Result<(), Failure> {
        // SAFETY: as above.
        check_error(unsafe { sys::rd_kafka_commit_transaction(self.native(), millis(timeout)) })
    }

    pub(super) fn abort(&self, timeout: Duration) -> Result<(), Failure> {
        // SAFETY: as above.
        check_error(unsafe { sys::rd_kafka_abort_transaction(self.native(), millis(timeout)) })
    }
}

impl Drop for NativeProducer {
    fn drop(&mut self) {
        // SAFETY: the topics are ours. What was not flushed is given up: it was never promised.
        unsafe {
            sys::rd_kafka_purge(self.native(), (sys::RD_KAFKA_PURGE_F_QUEUE | sys::RD_KAFKA_PURGE_F_INFLIGHT) as c_int);
            sys::rd_kafka_flush(self.native(), 500);
            self.topics.iter().for_each(|(_, topic)| sys::rd_kafka_topic_destroy(*topic));
        }
    }
}

fn failure(code: RDKafkaErrorCode) -> Failure {
    Failure { code, text: code.to_string(), fatal: false, retriable: false }
}

/// The id in the answer to a question about one topic.
///
/// # Safety
/// The event is alive.
unsafe fn described_id(event: *mut sys::rd_kafka_event_t) -> Result<Option<String>, Failure> {
    // SAFETY: the caller's; descriptions live as long as the event.
    unsafe {
        check(sys::rd_kafka_event_error(event))?;
        let answer = sys::rd_kafka_event_DescribeTopics_result(event);
        if answer.is_null() {
            return Ok(None);
        }
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(answer, &mut count);
        if topics.is_null() || count == 0 {
            return Ok(None);
        }
        let topic = *topics;
        let error = sys::rd_kafka_TopicDescription_error(topic);
        let code = if error.is_null() { Code::RD_KAFKA_RESP_ERR_NO_ERROR } else { sys::rd_kafka_error_code(error) };
        match check(code) {
            Err(failure) if failure.code == RDKafkaErrorCode::UnknownTopicOrPartition => return Ok(None),
            checked => checked?,
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        Ok((!id.is_null()).then(|| text(sys::rd_kafka_Uuid_base64str(id))))
    }
}

/// A new list of headers, null for none.
fn headers(headers: &[Header]) -> *mut sys::rd_kafka_headers_t {
    if headers.is_empty() {
        return ptr::null_mut();
    }
    // SAFETY: names and values are copied during the call.
    unsafe {
        let list = sys::rd_kafka_headers_new(headers.len());
        for header in headers {
            let value = header.value.as_deref();
            let (data, len) = value.map_or((ptr::null(), 0), |value| (value.as_ptr().cast(), value.len() as isize));
            sys::rd_kafka_header_add(list, header.key.as_ptr().cast(), header.key.len() as isize, data, len);
        }
        list
    }
}
