//! What librdkafka's errors mean to us.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::native::Failure;
use crate::error::{Error, ErrorKind};

/// What the code asks of the caller.
pub(super) fn kind(code: RDKafkaErrorCode) -> ErrorKind {
    use RDKafkaErrorCode as Code;
    match code {
        // Another producer of the id, or another member for the partitions.
        Code::Fenced
        | Code::Fatal
        | Code::ProducerFenced
        | Code::InvalidProducerEpoch
        | Code::InvalidProducerIdMapping
        | Code::FencedInstanceId
        | Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::StaleMemberEpoch => ErrorKind::Fenced,
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition | Code::GroupIdNotFound => {
            ErrorKind::NotFound
        }
        Code::TopicAlreadyExists | Code::NonEmptyGroup => ErrorKind::Conflict,
        Code::InvalidTopic
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidReplicaAssignment
        | Code::InvalidConfig
        | Code::PolicyViolation => ErrorKind::Semantic,
        Code::MessageSizeTooLarge => ErrorKind::Data,
        Code::State | Code::InvalidArgument => ErrorKind::Internal,
        _ => ErrorKind::Unavailable,
    }
}

/// The error of a call, told as what was being done.
pub(super) fn failed(doing: &str, failure: &Failure) -> Error {
    let kind = if failure.fatal { ErrorKind::Fenced } else { kind(failure.code) };
    Error::new(kind, format!("{doing}: {}", failure.text))
}

/// The same for the crate's errors.
pub(super) fn crate_failed(doing: &str, error: &KafkaError) -> Error {
    match error {
        KafkaError::ClientConfig(_, why, key, value) => {
            Error::semantic(format!("Kafka property {key}={value}: {}", why.to_lowercase()))
                .hint("Properties are those of librdkafka; it has no `*.class` or `*.deserializer` ones.")
        }
        KafkaError::ClientCreation(why) => Error::semantic(format!("{doing}: {why}")),
        other => {
            let kind = other.rdkafka_error_code().map_or(ErrorKind::Unavailable, kind);
            Error::new(kind, format!("{doing}: {other}"))
        }
    }
}
