//! Which of several servers gets a request: the one that has the conversation's prefix in its cache, unless another has less to
//! do. The choice is pure; the rest keeps its inputs.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::endpoint::Endpoint;

/// Servers that run the same model.
#[derive(Debug)]
pub(super) struct Pool {
    endpoints: Vec<Arc<Endpoint>>,
    /// Which of them served a conversation last.
    last: Mutex<HashMap<u32, usize>>,
}

/// What a choice is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    /// Requests under way.
    load: usize,
    /// Failed the last time, and is to be left alone still.
    rests: bool,
    /// Was tried for this very request.
    tried: bool,
}

/// A server that works on a request until this is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    pub endpoint: Arc<Endpoint>,
    pub index: usize,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.load.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The least loaded server; `last` where it has no more to do than that one. One that rests is taken only where no other is
/// left, and one that was tried not at all.
fn choose(states: &[State], last: Option<usize>) -> Option<usize> {
    let rank = |index: &usize| {
        let state = states[*index];
        (state.rests, state.load, last != Some(*index), *index)
    };
    (0..states.len()).filter(|&index| !states[index].tried).min_by_key(rank)
}

impl Pool {
    pub fn new(endpoints: Vec<Arc<Endpoint>>) -> Self {
        Self { endpoints, last: Mutex::default() }
    }

    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// A server for the conversation `slot`, none of those in `tried`. One that failed before is asked first whether it is
    /// well; where it is not, the next one is taken, and the last one is taken in any case.
    pub async fn lease(&self, slot: u32, tried: &[usize]) -> Option<Lease> {
        let mut tried = tried.to_vec();
        loop {
            let index = choose(&self.states(&tried), self.last(slot))?;
            let endpoint = &self.endpoints[index];
            let alone = tried.len() + 1 == self.endpoints.len();
            if alone || endpoint.rests_until().is_none() || endpoint.is_healthy().await {
                endpoint.load.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(place = endpoint.place(), slot, "server");
                return Some(Lease { endpoint: endpoint.clone(), index });
            }
            endpoint.failed();
            tried.push(index);
        }
    }

    /// Notes that a server has a conversation's prefix in its cache now.
    pub fn served(&self, slot: u32, lease: &Lease) {
        lease.endpoint.works();
        self.last.lock().unwrap_or_else(PoisonError::into_inner).insert(slot, lease.index);
    }

    fn last(&self, slot: u32) -> Option<usize> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).get(&slot).copied()
    }

    fn states(&self, tried: &[usize]) -> Vec<State> {
        let now = Instant::now();
        let state = |(index, endpoint): (usize, &Arc<Endpoint>)| State {
            load: endpoint.load(),
            rests: endpoint.rests_until().is_some_and(|until| until > now),
            tried: tried.contains(&index),
        };
        self.endpoints.iter().enumerate().map(state).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: State = State { load: 0, rests: false, tried: false };

    fn busy(load: usize) -> State {
        State { load, ..IDLE }
    }

    #[test]
    fn a_conversation_stays_where_its_prefix_is() {
        assert_eq!(choose(&[IDLE, IDLE], None), Some(0));
        assert_eq!(choose(&[IDLE, IDLE], Some(1)), Some(1));
        assert_eq!(choose(&[busy(2), busy(2)], Some(1)), Some(1));
    }

    #[test]
    fn parallel_work_goes_to_the_least_loaded() {
        assert_eq!(choose(&[busy(1), IDLE], None), Some(1));
        assert_eq!(choose(&[busy(1), IDLE], Some(0)), Some(1));
    }

    #[test]
    fn a_server_that_failed_is_the_last_resort() {
        let resting = State { rests: true, ..IDLE };
        assert_eq!(choose(&[resting, busy(9)], Some(0)), Some(1));
        assert_eq!(choose(&[resting, State { tried: true, ..IDLE }], None), Some(0));
        assert_eq!(choose(&[State { tried: true, ..IDLE }], None), None);
    }
}
