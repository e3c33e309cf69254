//! What the GATEWAY core has served, over all its lives.

/// What the core has served, over all its lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Served {
    /// Connections that are open.
    pub(crate) connections: u64,
    /// Bytes from clients.
    pub(crate) up: u64,
    /// Bytes to clients.
    pub(crate) down: u64,
    /// What the core told last, which begins at 0 with each life of it.
    told: (u64, u64),
}

impl Served {
    /// Takes in what the core tells, and returns the bytes that are new in it.
    pub(super) fn note(&mut self, connections: u64, (up, down): (u64, u64)) -> (u64, u64) {
        let (before_up, before_down) = if up < self.told.0 || down < self.told.1 { (0, 0) } else { self.told };
        let new = (up - before_up, down - before_down);
        self.up += new.0;
        self.down += new.1;
        (self.connections, self.told) = (connections, (up, down));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_core_has_served_is_not_lost_when_it_is_started_again() {
        let mut served = Served::default();
        assert_eq!(served.note(3, (100, 1000)), (100, 1000));
        assert_eq!(served.note(2, (150, 1500)), (50, 500));
        assert_eq!(served.note(1, (10, 20)), (10, 20));
        assert_eq!((served.connections, served.up, served.down), (1, 160, 1520));
    }
}
