//! Which deliveries of a channel are unsettled, and how to acknowledge many of them with few frames.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::message::Received;

/// The deliveries of one channel by their tags, which grow by one.
#[derive(Debug, Default)]
pub(super) struct Tags {
    /// Delivered and not acknowledged; without a message from when its settlement was asked for.
    open: BTreeMap<u64, Option<Arc<Received>>>,
}

/// One frame that acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) tag: u64,
    /// All deliveries up to this tag.
    pub(super) multiple: bool,
}

impl Tags {
    pub(super) fn delivered(&mut self, tag: u64, message: Arc<Received>) {
        self.open.insert(tag, Some(message));
    }

    /// Takes the right to settle a delivery.
    pub(super) fn claim(&mut self, tag: u64) -> Option<Arc<Received>> {
        self.open.get_mut(&tag)?.take()
    }

    /// Takes the right to settle all deliveries that nobody settles.
    pub(super) fn claim_rest(&mut self) -> Vec<(u64, Arc<Received>)> {
        let rest = self.open.iter_mut();
        rest.filter_map(|(tag, message)| Some((*tag, message.take()?)))
            .collect()
    }

    /// Removes these deliveries and returns the frames that acknowledge them: one for all up to the first unsettled one, and
    /// one for each other.
    pub(super) fn acknowledge(&mut self, settled: impl Iterator<Item = u64>) -> Vec<Frame> {
        let mut settled: BTreeSet<_> = settled.collect();
        for tag in &settled {
            self.open.remove(tag);
        }
        let first_open = self
            .open
            .first_key_value()
            .map_or(u64::MAX, |(tag, _)| *tag);
        let beyond = settled.split_off(&first_open);
        let prefix = settled.last().map(|tag| Frame {
            tag: *tag,
            multiple: settled.len() > 1,
        });
        let singles = beyond.into_iter().map(|tag| Frame {
            tag,
            multiple: false,
        });
        prefix.into_iter().chain(singles).collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn message() -> Arc<Received> {
        Arc::new(Received {
            exchange: String::new(),
            routing_key: "mailer".to_owned(),
            redelivered: false,
            properties: lapin::BasicProperties::default(),
            body: Bytes::new(),
        })
    }

    fn delivered(tags: std::ops::RangeInclusive<u64>) -> Tags {
        let mut known = Tags::default();
        tags.for_each(|tag| known.delivered(tag, message()));
        known
    }

    #[test]
    fn the_settled_prefix_goes_as_one_frame() {
        let mut tags = delivered(1..=6);
        let frame = |tag, multiple| Frame { tag, multiple };
        let frames = tags.acknowledge([2, 1, 5].into_iter());
        assert_eq!(frames, [frame(2, true), frame(5, false)]);
        let frames = tags.acknowledge([3, 4, 6].into_iter());
        assert_eq!(frames, [frame(6, true)]);
    }

    #[test]
    fn a_delivery_is_settled_once() {
        let mut tags = delivered(1..=3);
        assert!(tags.claim(2).is_some());
        assert!(tags.claim(2).is_none(), "it is being settled");
        let rest: Vec<_> = tags.claim_rest().iter().map(|(tag, _)| *tag).collect();
        assert_eq!(rest, [1, 3]);
    }

    proptest::proptest! {
        /// The server's side: a frame with `multiple` removes all up to its tag.
        #[test]
        fn exactly_what_is_settled_is_acknowledged(
            order in proptest::prelude::Just((1..=20_u64).collect::<Vec<_>>()).prop_shuffle(),
            cuts in proptest::collection::vec(1..5_usize, 10),
        ) {
            let mut tags = delivered(1..=20);
            let mut server: BTreeSet<u64> = (1..=20).collect();
            let mut settled = BTreeSet::<u64>::new();
            let mut order = order.into_iter();
            for cut in cuts {
                let batch: Vec<_> = order.by_ref().take(cut).collect();
                settled.extend(batch.iter().copied());
                for frame in tags.acknowledge(batch.into_iter()) {
                    proptest::prop_assert!(server.contains(&frame.tag), "an unknown tag ends the channel");
                    server.retain(|tag| *tag != frame.tag && !(frame.multiple && *tag < frame.tag));
                }
                let left: BTreeSet<_> = (1..=20).filter(|tag| !settled.contains(tag)).collect();
                proptest::prop_assert_eq!(&server, &left);
            }
        }
    }

    use proptest::strategy::Strategy;
}
