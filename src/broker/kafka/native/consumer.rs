//! [`NativeConsumer`]: a consumer's calls: group, assignment, and what has come, by partition.

use std::ffi::{CStr, c_char, c_void};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Duration;

use rdkafka::client::Client;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka_sys as sys;

use super::{Code, Context, Failure, check, check_error, client, failure, millis, on_event, on_record, text};
use crate::change::Header;

/// Messages that are taken from librdkafka at once: one that was just handed over is still in the processor's cache.
const PIECE: usize = 512;

/// A message while it is being visited.
pub(in crate::broker::kafka) struct Received<'a>(&'a sys::rd_kafka_message_t);

impl<'a> Received<'a> {
    pub(in crate::broker::kafka) fn topic(&self) -> String {
        if self.0.rkt.is_null() {
            return String::new();
        }
        // SAFETY: the message holds on to its topic.
        text(unsafe { sys::rd_kafka_topic_name(self.0.rkt) })
    }

    pub(in crate::broker::kafka) fn partition(&self) -> i32 {
        self.0.partition
    }

    pub(in crate::broker::kafka) fn offset(&self) -> i64 {
        self.0.offset
    }

    /// `None` for a record, else what this is instead.
    pub(in crate::broker::kafka) fn failure(&self) -> Option<Failure> {
        let mut failure = check(self.0.err).err()?;
        // SAFETY: the message lives as long as this borrow.
        failure.text = text(unsafe { sys::rd_kafka_message_errstr(self.0) });
        Some(failure)
    }

    pub(in crate::broker::kafka) fn key(&self) -> Option<&'a [u8]> {
        bytes(self.0.key, self.0.key_len)
    }

    pub(in crate::broker::kafka) fn value(&self) -> Option<&'a [u8]> {
        bytes(self.0.payload, self.0.len)
    }

    pub(in crate::broker::kafka) fn timestamp(&self) -> i64 {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message lives as long as this borrow.
        unsafe { sys::rd_kafka_message_timestamp(self.0, &mut kind) }
    }

    pub(in crate::broker::kafka) fn headers(&self) -> Vec<Header> {
        if self.surely_without_headers() {
            debug_assert!(self.parsed_headers().is_empty(), "a value is not followed by the count of headers");
            return Vec::new();
        }
        self.parsed_headers()
    }

    /// Whether a look at the record shows that it has none; librdkafka would allocate to find out, for each record.
    ///
    /// A record of format 2, the only one with headers and with a leader epoch, lies in the buffer that was fetched, and
    /// behind its value the count of its headers, of which 0 is one byte. Only where an empty value lies is not known.
    /// Debug builds, so all tests, ask librdkafka too.
    fn surely_without_headers(&self) -> bool {
        let message = self.0;
        // SAFETY: the message lives as long as this borrow; as said above, a byte of the same buffer follows its value.
        unsafe {
            !message.payload.is_null()
                && message.len > 0
                && sys::rd_kafka_message_leader_epoch(message) >= 0
                && *message.payload.cast::<u8>().add(message.len) == 0
        }
    }

    fn parsed_headers(&self) -> Vec<Header> {
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

/// Messages that are to be destroyed, also when a visitor panics: a client with messages left cannot be closed.
struct Messages<'a>(std::slice::Iter<'a, *mut sys::rd_kafka_message_t>);

impl Messages<'_> {
    fn destroy_first(&mut self) {
        if let Some(message) = self.0.next() {
            // SAFETY: it is ours, and destroyed once.
            unsafe { sys::rd_kafka_message_destroy(*message) };
        }
    }
}

impl Drop for Messages<'_> {
    fn drop(&mut self) {
        while self.0.len() > 0 {
            self.destroy_first();
        }
    }
}

/// A consumer: client and queue.
pub(in crate::broker::kafka) struct NativeConsumer {
    client: Arc<Client<Context>>,
    queue: *mut sys::rd_kafka_queue_t,
}

// SAFETY: librdkafka's handles may be used from any thread.
unsafe impl Send for NativeConsumer {}
// SAFETY: the methods only call librdkafka, which locks for itself.
unsafe impl Sync for NativeConsumer {}

impl NativeConsumer {
    pub(in crate::broker::kafka) fn new(config: &ClientConfig) -> KafkaResult<Self> {
        let client = client(config, sys::rd_kafka_type_t::RD_KAFKA_CONSUMER)?;
        // SAFETY: the client is alive; errors and logs come through the consumer's queue from here.
        let queue = unsafe {
            sys::rd_kafka_poll_set_consumer(client.native_ptr());
            sys::rd_kafka_queue_get_consumer(client.native_ptr())
        };
        let consumer = Self { client: Arc::new(client), queue };
        let context = ptr::from_ref(consumer.context()).cast_mut().cast();
        // SAFETY: the queue is alive; the context outlives the client, and so its queue.
        unsafe { sys::rd_kafka_queue_cb_event_enable(queue, Some(on_event), context) };
        Ok(consumer)
    }

    /// What is read of a partition from the next assignment on, apart from all else that the client brings. The waker is
    /// woken when it is no longer empty.
    pub(in crate::broker::kafka) fn partition_queue(
        &self,
        topic: &CStr,
        partition: i32,
        waker: Waker,
    ) -> Result<PartitionQueue, Failure> {
        // SAFETY: the client is alive; the name is copied; the queue is ours.
        let queue = unsafe { sys::rd_kafka_queue_get_partition(self.native(), topic.as_ptr(), partition) };
        if queue.is_null() {
            return Err(failure(RDKafkaErrorCode::UnknownPartition));
        }
        let queue = PartitionQueue { queue, waker: Box::new(waker), _client: self.client.clone() };
        let opaque = ptr::from_ref(&*queue.waker).cast_mut().cast();
        // SAFETY: the queue is alive; the waker lives until the queue no longer calls.
        unsafe {
            sys::rd_kafka_queue_forward(queue.queue, ptr::null_mut());
            sys::rd_kafka_queue_cb_event_enable(queue.queue, Some(on_record), opaque);
        }
        Ok(queue)
    }

    pub(in crate::broker::kafka) fn client(&self) -> &Client<Context> {
        &self.client
    }

    pub(in crate::broker::kafka) fn context(&self) -> &Context {
        self.client.context()
    }

    fn native(&self) -> *mut sys::rd_kafka_t {
        self.client.native_ptr()
    }

    /// Visits what has come, at most `max` messages: of a partition, or what concerns the client as a whole.
    pub(in crate::broker::kafka) fn consume(
        &self,
        of: Option<&PartitionQueue>,
        max: usize,
        mut visit: impl FnMut(&Received<'_>),
    ) -> usize {
        let queue = of.map_or(self.queue, |partition| partition.queue);
        let mut batch = [ptr::null_mut(); PIECE];
        let mut total = 0;
        while total < max {
            let room = batch.len().min(max - total);
            // SAFETY: the queue is alive; the batch has room for as many pointers.
            let count = unsafe { sys::rd_kafka_consume_batch_queue(queue, 0, batch.as_mut_ptr(), room) };
            let count = usize::try_from(count).unwrap_or(0);
            let mut messages = Messages(batch[..count].iter());
            while let Some(message) = messages.0.as_slice().first() {
                // SAFETY: the pointers that were filled in are messages, ours until they are destroyed.
                visit(&Received(unsafe { &**message }));
                messages.destroy_first();
            }
            total += count;
            if count < room {
                break;
            }
        }
        total
    }

    /// Serves callbacks of a client that reads nothing, so that its errors are known and do not pile up.
    pub(in crate::broker::kafka) fn serve(&self) {
        let mut some = [ptr::null_mut(); 16];
        // SAFETY: the array has room for as many pointers as the call is told; what it filled in is ours.
        unsafe {
            let count = sys::rd_kafka_consume_batch_queue(self.queue, 0, some.as_mut_ptr(), some.len());
            let filled = usize::try_from(count).unwrap_or(0);
            some[..filled].iter().for_each(|message| sys::rd_kafka_message_destroy(*message));
        }
    }

    pub(in crate::broker::kafka) fn subscribe(&self, topics: &TopicPartitionList) -> Result<(), Failure> {
        // SAFETY: both handles are alive.
        check(unsafe { sys::rd_kafka_subscribe(self.native(), topics.ptr()) })
    }

    pub(in crate::broker::kafka) fn unsubscribe(&self) {
        // SAFETY: the client is alive.
        unsafe { sys::rd_kafka_unsubscribe(self.native()) };
    }

    /// Reads these; nothing when `None`, which also answers a revocation.
    pub(in crate::broker::kafka) fn assign(&self, partitions: Option<&TopicPartitionList>) -> Result<(), Failure> {
        let list = partitions.map_or(ptr::null_mut(), TopicPartitionList::ptr);
        self.context().unanswered.store(false, Ordering::Release);
        // SAFETY: both handles are alive.
        check(unsafe { sys::rd_kafka_assign(self.native(), list) })
    }

    /// Reads these too. Only for a client that belongs to no group.
    pub(in crate::broker::kafka) fn assign_more(&self, partitions: &TopicPartitionList) -> Result<(), Failure> {
        // SAFETY: both handles are alive; the error object is taken over.
        check_error(unsafe { sys::rd_kafka_incremental_assign(self.native(), partitions.ptr()) })
    }

    /// Reads these no longer. Only for a client that belongs to no group.
    pub(in crate::broker::kafka) fn assign_less(&self, partitions: &TopicPartitionList) -> Result<(), Failure> {
        // SAFETY: both handles are alive; the error object is taken over.
        check_error(unsafe { sys::rd_kafka_incremental_unassign(self.native(), partitions.ptr()) })
    }

    /// Whether the partitions that are to be given up went to others before this member knew.
    pub(in crate::broker::kafka) fn assignment_lost(&self) -> bool {
        // SAFETY: the client is alive.
        unsafe { sys::rd_kafka_assignment_lost(self.native()) != 0 }
    }

    pub(in crate::broker::kafka) fn seek(
        &self,
        partitions: &TopicPartitionList,
        timeout: Duration,
    ) -> Result<(), Failure> {
        // SAFETY: both handles are alive; the error object is taken over; the list has the elements it counts.
        unsafe {
            check_error(sys::rd_kafka_seek_partitions(self.native(), partitions.ptr(), millis(timeout)))?;
            let list = &*partitions.ptr();
            (0..usize::try_from(list.cnt).unwrap_or(0)).try_for_each(|i| check((*list.elems.add(i)).err))
        }
    }

    /// Fills in the committed offsets, waiting for transactions that are being committed.
    pub(in crate::broker::kafka) fn committed(
        &self,
        partitions: &TopicPartitionList,
        timeout: Duration,
    ) -> Result<(), Failure> {
        // SAFETY: both handles are alive.
        check(unsafe { sys::rd_kafka_committed(self.native(), partitions.ptr(), millis(timeout)) })
    }

    /// The id that the cluster gave to a topic, if there is one.
    pub(in crate::broker::kafka) fn topic_id(
        &self,
        topic: &CStr,
        timeout: Duration,
    ) -> Result<Option<String>, Failure> {
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
    pub(in crate::broker::kafka) fn cached_end(&self, topic: &CStr, partition: i32) -> Option<i64> {
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the client is alive, the numbers are ours.
        let code = unsafe {
            sys::rd_kafka_get_watermark_offsets(self.native(), topic.as_ptr(), partition, &mut low, &mut high)
        };
        (code == Code::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
    }

    pub(in crate::broker::kafka) fn membership(&self) -> Option<Membership> {
        // SAFETY: the client is alive; the object is ours.
        let metadata = unsafe { sys::rd_kafka_consumer_group_metadata(self.native()) };
        (!metadata.is_null()).then(|| Membership { metadata, client: self.client.clone() })
    }

    /// Leaves the group and stops.
    pub(in crate::broker::kafka) fn close(&self) {
        self.context().closing.store(true, Ordering::Release);
        // SAFETY: the client is alive; closing twice is an error code, not more.
        unsafe {
            // A rebalance that has not been answered yet is answered first: closing would wait for that forever. One that
            // is still on its way is answered by the callback; were it answered here, the callback's answer would be one
            // too many, and wait forever for a group that has come to its end meanwhile.
            if self.context().unanswered.swap(false, Ordering::AcqRel) {
                sys::rd_kafka_assign(self.native(), ptr::null());
            }
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
pub(in crate::broker::kafka) struct PartitionQueue {
    queue: *mut sys::rd_kafka_queue_t,
    waker: Box<Waker>,
    /// The queue is the client's.
    _client: Arc<Client<Context>>,
}

// SAFETY: librdkafka's handles may be used from any thread.
unsafe impl Send for PartitionQueue {}
// SAFETY: it is only handed to librdkafka, which locks for itself.
unsafe impl Sync for PartitionQueue {}

impl Drop for PartitionQueue {
    fn drop(&mut self) {
        // SAFETY: the handle is ours; nobody uses it after this. Queues call under their lock, which the first call takes:
        // after it nobody uses the waker.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.queue, None, ptr::null_mut());
            sys::rd_kafka_queue_destroy(self.queue);
        }
    }
}

/// The token behind `GroupMetadata`: which member, in which generation.
pub(in crate::broker::kafka) struct Membership {
    pub(super) metadata: *mut sys::rd_kafka_consumer_group_metadata_t,
    client: Arc<Client<Context>>,
}

// SAFETY: the object is never changed after it was made.
unsafe impl Send for Membership {}
// SAFETY: as above.
unsafe impl Sync for Membership {}

impl Membership {
    /// Stores offsets outside a transaction.
    pub(in crate::broker::kafka) fn store(&self, offsets: &TopicPartitionList) -> Result<(), Failure> {
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
