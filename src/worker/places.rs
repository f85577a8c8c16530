//! The places in which registers are asked: each register has its own few, so that a slow one holds nobody else up.
//!
//! They come on top of the places of all other jobs: asking is waiting, and takes no connection to the database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many questions one process asks a register at the same time.
pub(super) const PLACES: usize = 2;

/// Who is being asked. Clones share the places.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<String, usize>>>);

/// One place, free again when dropped.
pub(super) struct Place {
    places: Places,
    register: String,
}

impl Places {
    /// Takes a place, if the register has one free.
    pub(super) fn take(&self, register: &str) -> Option<Place> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(register.to_owned()).or_insert(0);
        if *count >= PLACES {
            return None;
        }
        *count += 1;
        Some(Place { places: self.clone(), register: register.to_owned() })
    }

    /// Gives the registers that have none free.
    pub(super) fn full(&self) -> Vec<String> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = taken.iter().filter(|(_, count)| **count >= PLACES);
        full.map(|(register, _)| register.clone()).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.register) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.register);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_register_has_places_of_its_own_and_gets_them_back() {
        let places = Places::default();
        let mut held: Vec<Place> = (0..PLACES).map(|_| places.take("a").unwrap()).collect();
        assert!(places.take("a").is_none());
        assert_eq!(places.full(), ["a"]);
        let other = places.take("b").unwrap();
        held.pop();
        assert_eq!(places.full(), Vec::<String>::new());
        held.push(places.take("a").unwrap());
        drop((held, other));
        assert!(places.0.lock().unwrap().is_empty());
    }
}
