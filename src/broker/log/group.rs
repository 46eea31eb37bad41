//! Consumer groups of one process: members, generations, range assignment.
//!
//! **Invariant:** a partition is given to a new owner only after its old owner has polled past its revocation, so what
//! the old owner commits before that poll is seen by the new one. Rebalances are eager, as Kafka's range assignor makes
//! them: every member gives up all it has.

use std::collections::BTreeMap;

use crate::broker::TopicPartition;

/// A group: its members by client id and order of arrival.
#[derive(Debug, Default)]
pub(super) struct Group {
    generation: u64,
    members: BTreeMap<MemberId, Member>,
}

/// Client id first, so that assignment does not depend on who came first.
pub(super) type MemberId = (String, u64);

#[derive(Debug)]
struct Member {
    topics: Vec<String>,
    owned: Vec<TopicPartition>,
    /// The generation this member takes part in; older than the group's while a rebalance waits for it.
    generation: u64,
    /// It owns partitions that it has not been told of.
    announce: bool,
    /// It has been told to give up what it owns.
    revoking: bool,
}

/// What a member's poll finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Give these up.
    Revoked(Vec<TopicPartition>),
    /// These are yours.
    Assigned(Vec<TopicPartition>),
    /// Others have to answer first.
    Wait,
    /// Nothing new: read on.
    Read,
    /// No member any more: join again.
    Expelled,
}

impl Group {
    pub(super) fn join(&mut self, id: MemberId, topics: Vec<String>) {
        let member = Member { topics, owned: Vec::new(), generation: 0, announce: false, revoking: false };
        self.members.insert(id, member);
        self.rebalance();
    }

    /// Whether it was a member.
    pub(super) fn leave(&mut self, id: &MemberId) -> bool {
        let left = self.members.remove(id).is_some();
        if left {
            self.rebalance();
        }
        left
    }

    /// The ids of the members that a client id names.
    pub(super) fn named(&self, client_id: &str) -> Vec<MemberId> {
        self.members.keys().filter(|(name, _)| name == client_id).cloned().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn reads(&self, topic: &str) -> bool {
        self.members.values().any(|member| member.topics.iter().any(|name| name == topic))
    }

    /// Begins a new generation, which every member has to enter.
    pub(super) fn rebalance(&mut self) {
        self.generation += 1;
        for member in self.members.values_mut() {
            if member.announce {
                // It never learned of them, so there is nothing to take back.
                member.announce = false;
                member.owned.clear();
            }
        }
    }

    /// The generation in which the member may commit.
    pub(super) fn generation(&self, id: &MemberId) -> Option<u64> {
        self.members.get(id).map(|member| member.generation)
    }

    /// Moves a member on; `partitions` tells how many a topic has. The flag says whether others should look again.
    pub(super) fn turn(&mut self, id: &MemberId, partitions: impl Fn(&str) -> i32) -> (Turn, bool) {
        let generation = self.generation;
        let Some(member) = self.members.get_mut(id) else { return (Turn::Expelled, false) };
        if member.generation < generation {
            if !member.owned.is_empty() && !member.revoking {
                member.revoking = true;
                return (Turn::Revoked(member.owned.clone()), false);
            }
            member.owned.clear();
            member.revoking = false;
            member.generation = generation;
            if self.members.values().all(|member| member.generation == generation) {
                self.assign(partitions);
                return (self.announce(id), true);
            }
            return (Turn::Wait, false);
        }
        (self.announce(id), false)
    }

    fn announce(&mut self, id: &MemberId) -> Turn {
        let settled = self.members.values().all(|member| member.generation == self.generation);
        match self.members.get_mut(id) {
            None => Turn::Expelled,
            Some(_) if !settled => Turn::Wait,
            Some(member) if !member.announce => Turn::Read,
            Some(member) => {
                member.announce = false;
                Turn::Assigned(member.owned.clone())
            }
        }
    }

    /// Ranges of each topic's partitions over its subscribers in order of their ids: equal partition numbers of topics
    /// with equal subscribers and counts meet at one member.
    fn assign(&mut self, partitions: impl Fn(&str) -> i32) {
        let mut topics: Vec<String> = self.members.values().flat_map(|member| member.topics.iter().cloned()).collect();
        topics.sort();
        topics.dedup();
        for topic in topics {
            let count = partitions(&topic);
            let mut readers: Vec<&mut Member> =
                self.members.values_mut().filter(|member| member.topics.contains(&topic)).collect();
            let (each, extra) = (count / readers.len() as i32, count % readers.len() as i32);
            let mut next = 0;
            for (i, member) in readers.iter_mut().enumerate() {
                let end = next + each + i32::from((i as i32) < extra);
                member.owned.extend((next..end).map(|partition| TopicPartition::new(topic.as_str(), partition)));
                next = end;
            }
        }
        self.members.values_mut().for_each(|member| member.announce = !member.owned.is_empty());
    }
}
