//! [`NativeProducer`]: a producer's calls: records, transactions.

use std::ffi::{CString, c_int, c_void};
use std::ptr;
use std::time::Duration;

use rdkafka::client::Client;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka_sys as sys;

use super::{Code, Context, Failure, Membership, check, check_error, client, failure, millis};
use crate::broker::OutRecord;
use crate::change::Header;

/// A producer: client and the topics it has written to.
pub(in crate::broker::kafka) struct NativeProducer {
    client: Client<Context>,
    topics: Vec<(String, *mut sys::rd_kafka_topic_t)>,
    last: usize,
}

// SAFETY: librdkafka's handles may be used from any thread.
unsafe impl Send for NativeProducer {}

impl NativeProducer {
    pub(in crate::broker::kafka) fn new(config: &ClientConfig) -> KafkaResult<Self> {
        let client = client(config, sys::rd_kafka_type_t::RD_KAFKA_PRODUCER)?;
        Ok(Self { client, topics: Vec::new(), last: 0 })
    }

    pub(in crate::broker::kafka) fn context(&self) -> &Context {
        self.client.context()
    }

    fn native(&self) -> *mut sys::rd_kafka_t {
        self.client.native_ptr()
    }

    /// Whether the topic has been opened; it is the current one then.
    pub(in crate::broker::kafka) fn knows(&mut self, topic: &str) -> bool {
        if self.topics.get(self.last).is_some_and(|(name, _)| name == topic) {
            return true;
        }
        let found = self.topics.iter().position(|(name, _)| name == topic);
        self.last = found.unwrap_or(self.last);
        found.is_some()
    }

    /// Number of the current topic, in the order in which they were opened.
    pub(in crate::broker::kafka) fn current(&self) -> usize {
        self.last
    }

    /// Makes the topic the current one.
    pub(in crate::broker::kafka) fn open(&mut self, topic: &str) -> Result<(), Failure> {
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
    pub(in crate::broker::kafka) fn send(&self, record: &OutRecord<'_>) -> Result<(), RDKafkaErrorCode> {
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
    pub(in crate::broker::kafka) fn poll(&self, timeout: Duration) {
        // SAFETY: the client is alive.
        unsafe { sys::rd_kafka_poll(self.native(), millis(timeout)) };
    }

    pub(in crate::broker::kafka) fn flush(&self, timeout: Duration) -> Result<(), Failure> {
        // SAFETY: the client is alive.
        check(unsafe { sys::rd_kafka_flush(self.native(), millis(timeout)) })
    }

    pub(in crate::broker::kafka) fn init_transactions(&self, timeout: Duration) -> Result<(), Failure> {
        // SAFETY: the client is alive; the error object is taken over.
        check_error(unsafe { sys::rd_kafka_init_transactions(self.native(), millis(timeout)) })
    }

    pub(in crate::broker::kafka) fn begin(&self) -> Result<(), Failure> {
        // SAFETY: as above.
        check_error(unsafe { sys::rd_kafka_begin_transaction(self.native()) })
    }

    pub(in crate::broker::kafka) fn send_offsets(
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

    pub(in crate::broker::kafka) fn commit(&self, timeout: Duration) -> Result<(), Failure> {
        // SAFETY: as above.
        check_error(unsafe { sys::rd_kafka_commit_transaction(self.native(), millis(timeout)) })
    }

    pub(in crate::broker::kafka) fn abort(&self, timeout: Duration) -> Result<(), Failure> {
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
