//! [`Mark`]: what a local checkpoint says about itself; [`Fingerprint`]: of the layout that it is in.

/// Layout of local stores; checkpoints of another version are thrown away.
pub const STATE_VERSION: u16 = 1;

/// A stable hash of whatever decides the layout of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of a description (FNV-1a: the same in every build).
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        for part in parts {
            part.iter().copied().for_each(&mut add);
            (part.len() as u64).to_be_bytes().into_iter().for_each(&mut add);
        }
        Self(hash)
    }
}

/// A place in a changelog that a store's content has reached: all records before it are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The next record of the changelog that is to be read.
    pub offset: i64,
    /// When that was, by the wall clock: what was deleted long ago may have vanished from the changelog.
    pub at_ms: i64,
    /// Which topic of that name it was; empty when the broker cannot tell.
    pub incarnation: String,
}

/// A checkpoint's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) version: u16,
    pub(super) fingerprint: Fingerprint,
    /// The place on disk that it is about.
    pub(super) keyspace: u64,
    pub(super) position: Position,
}

impl Mark {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.version.to_be_bytes().to_vec();
        bytes.extend(self.fingerprint.0.to_be_bytes());
        bytes.extend(self.keyspace.to_be_bytes());
        bytes.extend(self.position.offset.to_be_bytes());
        bytes.extend(self.position.at_ms.to_be_bytes());
        bytes.extend(self.position.incarnation.as_bytes());
        bytes
    }

    /// `None` when it is of another version, or none at all.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk::<2>()?;
        let version = u16::from_be_bytes(*version);
        if version != STATE_VERSION {
            return None;
        }
        let (numbers, incarnation) = rest.split_at_checked(32)?;
        let number = |at: usize| numbers[8 * at..].first_chunk().map_or(0, |chunk| u64::from_be_bytes(*chunk));
        let incarnation = String::from_utf8(incarnation.to_vec()).ok()?;
        Some(Self {
            version,
            fingerprint: Fingerprint(number(0)),
            keyspace: number(1),
            position: Position { offset: number(2) as i64, at_ms: number(3) as i64, incarnation },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_survive_and_other_versions_do_not() {
        let position = Position { offset: 7, at_ms: -1, incarnation: "x".into() };
        let fingerprint = Fingerprint::of(&[b"store", b"layout"]);
        let mark = Mark { version: STATE_VERSION, fingerprint, keyspace: 3, position };
        assert_eq!(Mark::decode(&mark.encode()), Some(mark.clone()));
        let old = Mark { version: 0, ..mark.clone() };
        assert_eq!(Mark::decode(&old.encode()), None);
        assert_eq!(Mark::decode(&mark.encode()[..20]), None);
        assert_ne!(fingerprint, Fingerprint::of(&[b"storel", b"ayout"]));
    }
}
