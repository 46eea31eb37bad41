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

/// Whether the cluster's authorizer said no, or who we are was not believed.
pub(super) fn is_refusal(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::Authentication
    )
}

/// The error with what helps against it, if somebody can do something.
pub(super) fn with_advice(error: Error, code: RDKafkaErrorCode) -> Error {
    use RDKafkaErrorCode as Code;
    match code {
        Code::TopicAuthorizationFailed => error.hint(
            "Allow READ and DESCRIBE on the topics that queries read, WRITE on those that they fill, and ALL on topics \
             that begin with `eddyline-SERVICE-ID-`.",
        ),
        Code::GroupAuthorizationFailed => {
            error.hint("Allow READ, DESCRIBE and DELETE on consumer groups that begin with `eddyline-SERVICE-ID-`.")
        }
        Code::TransactionalIdAuthorizationFailed => error.hint(
            "Allow WRITE and DESCRIBE on transactional ids that begin with `eddyline-SERVICE-ID-`, or set \
             processing.guarantee to at_least_once.",
        ),
        Code::ClusterAuthorizationFailed => {
            error.hint("Allow CREATE on the cluster or on the topics, or create the topics beforehand.")
        }
        Code::SaslAuthenticationFailed | Code::Authentication => {
            error.hint("Check kafka.sasl.mechanism, kafka.sasl.username and kafka.sasl.password.")
        }
        Code::MessageSizeTooLarge => {
            error.hint("Raise max.message.bytes of the topic; the query goes on by itself after that.")
        }
        _ => error,
    }
}

/// The error of a call, told as what was being done.
pub(super) fn failed(doing: &str, failure: &Failure) -> Error {
    // Every refusal of a transactional id is fatal to the client, but fences nobody.
    let fenced = failure.fatal && !is_refusal(failure.code);
    let kind = if fenced { ErrorKind::Fenced } else { kind(failure.code) };
    with_advice(Error::new(kind, format!("{doing}: {}", failure.text)), failure.code)
}

/// The same for the crate's errors.
pub(super) fn crate_failed(doing: &str, error: &KafkaError) -> Error {
    match error {
        KafkaError::ClientConfig(_, why, key, value) => {
            Error::semantic(format!("Kafka property {key}={value}: {}", why.to_lowercase()))
                .hint("Properties are those of librdkafka; it has no `*.class` or `*.deserializer` ones.")
        }
        KafkaError::ClientCreation(why) => Error::semantic(format!("{doing}: {why}")),
        other => match other.rdkafka_error_code() {
            None => Error::new(ErrorKind::Unavailable, format!("{doing}: {other}")),
            Some(code) => with_advice(Error::new(kind(code), format!("{doing}: {code}")), code),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: RDKafkaErrorCode, fatal: bool) -> Failure {
        Failure { code, text: "no".to_owned(), fatal, retriable: false }
    }

    #[test]
    fn refusals_say_what_to_allow() {
        for (code, word) in [
            (RDKafkaErrorCode::TopicAuthorizationFailed, "READ"),
            (RDKafkaErrorCode::GroupAuthorizationFailed, "consumer groups"),
            (RDKafkaErrorCode::TransactionalIdAuthorizationFailed, "transactional ids"),
        ] {
            for fatal in [false, true] {
                let error = failed("joining", &failure(code, fatal));
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{code}: it may be allowed later");
                assert!(error.hints()[0].contains(word), "{code}");
            }
        }
    }

    #[test]
    fn a_leader_that_moved_is_worth_another_try_and_a_fenced_producer_is_not() {
        for code in [
            RDKafkaErrorCode::NotLeaderForPartition,
            RDKafkaErrorCode::LeaderNotAvailable,
            RDKafkaErrorCode::NotCoordinator,
            RDKafkaErrorCode::CoordinatorLoadInProgress,
            RDKafkaErrorCode::NotEnoughReplicas,
        ] {
            assert_eq!(failed("writing", &failure(code, false)).kind(), ErrorKind::Unavailable, "{code}");
        }
        assert_eq!(failed("committing", &failure(RDKafkaErrorCode::ProducerFenced, false)).kind(), ErrorKind::Fenced);
        assert_eq!(failed("committing", &failure(RDKafkaErrorCode::State, true)).kind(), ErrorKind::Fenced);
    }
}
