//! One Python object per event for all who listen to a bus in Python: making it costs more than handing it over.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use atomr_agents_core as core;
use pyo3::prelude::*;

use crate::event::Event;

/// How many objects wait for listeners that have not come to them yet; those of a listener that stands still are
/// replaced by later ones.
const PLACES: usize = 4_096;

/// The objects that one listener of a bus has had and others have not.
#[derive(Default)]
pub(crate) struct SharedEvents {
    listeners: AtomicUsize,
    places: Mutex<Vec<Option<Shared>>>,
}

struct Shared {
    object: Py<Event>,
    /// How many listeners have not had it.
    left: usize,
}

/// A listener's share; while there is only one, objects are made for it alone.
pub(crate) struct Share(Arc<SharedEvents>);

impl SharedEvents {
    pub(crate) fn join(self: &Arc<Self>) -> Share {
        self.listeners.fetch_add(1, Ordering::Relaxed);
        Share(Arc::clone(self))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.0.listeners.fetch_sub(1, Ordering::Relaxed) <= 2 {
            let places = std::mem::take(&mut *self.0.places.lock().unwrap_or_else(PoisonError::into_inner));
            drop(places);
        }
    }
}

impl Share {
    /// The events as Python objects.
    pub(crate) fn wrap(&self, py: Python<'_>, events: Vec<Arc<core::Event>>) -> PyResult<Vec<Py<Event>>> {
        let others = self.0.listeners.load(Ordering::Relaxed).saturating_sub(1);
        if others == 0 {
            return wrapped(py, events);
        }
        // No Python runs under the lock: an event is plain data, also when it is dropped.
        let mut places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.resize_with(PLACES, || None);
        events.into_iter().map(|event| take(py, &mut places[place(&event)], event, others)).collect()
    }
}

/// Objects for these events alone.
pub(crate) fn wrapped(py: Python<'_>, events: impl IntoIterator<Item = Arc<core::Event>>) -> PyResult<Vec<Py<Event>>> {
    events.into_iter().map(|event| Py::new(py, Event(event))).collect()
}

/// As long as an object is kept, so is its event, and no other has the same address.
fn place(event: &Arc<core::Event>) -> usize {
    let address = Arc::as_ptr(event) as usize as u64;
    (address >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize >> (usize::BITS - PLACES.ilog2())
}

fn take(py: Python<'_>, place: &mut Option<Shared>, event: Arc<core::Event>, others: usize) -> PyResult<Py<Event>> {
    match place {
        Some(shared) if Arc::ptr_eq(&shared.object.get().0, &event) => {
            shared.left -= 1;
            let object = shared.object.clone_ref(py);
            if shared.left == 0 {
                *place = None;
            }
            Ok(object)
        }
        _ => {
            let object = Py::new(py, Event(event))?;
            *place = Some(Shared { object: object.clone_ref(py), left: others });
            Ok(object)
        }
    }
}
