//! The node of a session: the one that it is pinned to, or another one behind the same exit.

use std::sync::Arc;

use hezar_core::{ExitKey, SessionKey};

use super::{Choice, OTHER_EXITS, other_key, score};
use crate::{
    Node,
    sessions::{SessionPin, SessionTable},
};

/// Times that a session is looked up again because somebody else has pinned it meanwhile.
const PINS: usize = 4;

impl<'s, D> Choice<'s, '_, D> {
    /// The session's node as long as it lives, then another one behind the same exit, then any. While the caller
    /// excludes it, another one helps out unpinned. The table is not locked while nodes are looked at: when somebody
    /// else pins the session meanwhile, that pin counts.
    pub(super) fn pinned(&mut self, session: SessionKey, sessions: &SessionTable) -> Option<&'s Arc<Node<D>>> {
        self.pinned_or(session, sessions, OTHER_EXITS, None)
    }

    /// The same. Where the site refuses the session's exit, the session has a second fixed one for that site, as long as
    /// it is refused, and a third one; at most `others`. A session that is pinned to nothing begins behind the exit `near`
    /// if it can.
    fn pinned_or(
        &mut self,
        session: SessionKey,
        sessions: &SessionTable,
        others: u32,
        near: Option<ExitKey>,
    ) -> Option<&'s Arc<Node<D>>> {
        let mut home = None;
        for _ in 0..PINS {
            let pin = sessions.shard(session).get(session);
            let near = near.filter(|_| pin.is_none()).and_then(|exit| self.behind(exit));
            let node = near.or_else(|| self.home(pin, session))?;
            home = Some(node);
            let wanted = pin_of(node);
            if pin == Some(wanted) || sessions.shard(session).replace(session, pin, wanted) {
                break;
            }
        }
        let home = home?;
        if self.fits(home) {
            return Some(home);
        }
        match self.query.site {
            Some(site) if others > 0 && self.is_refused(home) => {
                self.pinned_or(other_key(session, site), sessions, others - 1, Some(home.exit()))
            }
            _ => self.behind(home.exit()).or_else(|| self.by_strategy(session.0)),
        }
    }

    /// Where a session belongs.
    fn home(&mut self, pin: Option<SessionPin>, session: SessionKey) -> Option<&'s Arc<Node<D>>> {
        let Some(pin) = pin else { return self.by_strategy(session.0) };
        let node = self.snapshot.node_at(pin.slot).filter(|node| node.id() == pin.id && self.belongs(node));
        // It may come out elsewhere now, or only now it is known where.
        if let Some(node) = node
            && (node.exit() == pin.exit || pin.exit == node.server_exit().exit)
        {
            return Some(node);
        }
        let twin = self.behind(pin.exit).or_else(|| self.alive_behind(pin.exit));
        twin.or(node).or_else(|| self.by_strategy(session.0))
    }

    /// A node behind an exit that lives and does not fit just now: the session stays with it all the same.
    fn alive_behind(&self, exit: ExitKey) -> Option<&'s Arc<Node<D>>> {
        let mut nodes = self.view.exits.nodes_behind(exit).iter().filter_map(|slot| self.snapshot.node_at(*slot));
        nodes.find(|node| node.routable() && node.exit() == exit && self.is_where_asked(node))
    }

    /// Whether a node is one of the view's.
    pub(super) fn belongs(&self, node: &Node<D>) -> bool {
        let country = self.query.country.is_none_or(|country| node.country() == Some(country));
        node.routable()
            && country
            && self.is_where_asked(node)
            && (self.query.filter.is_none() || self.view.exits.nodes_behind(node.exit()).contains(&node.slot()))
    }

    /// The best fitting node behind an exit; all of them are looked at, for a session must not lose its exit.
    fn behind(&self, exit: ExitKey) -> Option<&'s Arc<Node<D>>> {
        let nodes = self.view.exits.nodes_behind(exit).iter().filter_map(|slot| self.at(*slot));
        nodes.filter(|node| node.exit() == exit).min_by(|a, b| score(a).total_cmp(&score(b)))
    }
}

fn pin_of<D>(node: &Node<D>) -> SessionPin {
    SessionPin { slot: node.slot(), id: node.id(), exit: node.exit() }
}
