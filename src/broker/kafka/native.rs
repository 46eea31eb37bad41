//! The calls to librdkafka that the `rdkafka` crate does not offer: draining messages in batches and by partition,
//! letting a rebalance wait between two polls, producing without a callback per message.
//!
//! **Invariant:** every pointer here either belongs to a handle that frees it when dropped, or is used only during the
//! call that brought it. The callbacks get a [`Context`] that the client keeps alive.
#![expect(unsafe_code, reason = "librdkafka is C; nothing else in the library needs unsafe")]

mod consumer;
mod producer;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t as Code;

pub(super) use self::consumer::{Membership, NativeConsumer, PartitionQueue, Received};
pub(super) use self::producer::NativeProducer;

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
    /// The group waits for an answer to a rebalance that the polling thread knows of.
    unanswered: AtomicBool,
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

/// A partition's queue that was empty has something.
unsafe extern "C" fn on_record(_: *mut sys::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: the opaque pointer is the waker of the queue, which stops calling before it is gone.
    unsafe { &*(opaque as *const Waker) }.wake_by_ref();
}

/// A client's queue that was empty has something.
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
    context.unanswered.store(true, Ordering::Release);
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

fn failure(code: RDKafkaErrorCode) -> Failure {
    Failure { code, text: code.to_string(), fatal: false, retriable: false }
}
