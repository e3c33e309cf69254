//! The instances that share the store, as the API shows them.

use std::time::Duration;

use hezar_api::{ApiError, DrainReport, InstanceDto};
use hezar_core::{Role, Timestamp};
use hezar_store::{MemberBeat, MemberRow};

use super::ApiBackend;
use crate::cluster::{DrainError, KnownMember};

impl ApiBackend {
    /// All members; this instance alone where it shares nothing, or does not know the others yet.
    pub(super) fn all_instances(&self) -> Vec<InstanceDto> {
        let (known, now) = (self.membership.known(), self.clock.now());
        if known.is_empty() {
            let row = self.membership.own_row();
            return vec![dto(&KnownMember { row, lives: true, own: true }, Duration::ZERO, now)];
        }
        let silence = self.membership.silence().unwrap_or_default();
        known.iter().map(|member| dto(member, silence, now)).collect()
    }

    pub(super) async fn set_draining(&self, name: &str, draining: bool) -> Result<DrainReport, ApiError> {
        self.membership.set_draining(name, draining).await.map_err(|error| match error {
            DrainError::Unknown => ApiError::NotFound,
            DrainError::Store(error) => ApiError::NotStored(format!("the store cannot be told: {error}")),
        })?;
        Ok(DrainReport { name: name.to_owned(), draining })
    }
}

/// A member as it was known `silence` ago, when the store was reached last.
fn dto(member: &KnownMember, silence: Duration, now: Timestamp) -> InstanceDto {
    let MemberRow { beat, age, .. } = &member.row;
    let MemberBeat { name, roles, region, host, pid, version, proxy, api, started, figures, .. } = beat;
    let address = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let age = u64::try_from(age.saturating_add(silence).as_millis()).unwrap_or(u64::MAX);
    InstanceDto {
        id: format!("{:x}-{pid:x}", started.0),
        name: name.to_string(),
        roles: roles.iter().map(|role: Role| role.name().to_owned()).collect(),
        region: region.to_string(),
        state: member.state().to_owned(),
        host: host.to_string(),
        pid: *pid,
        version: version.to_string(),
        started: started.0,
        seen: now.0.saturating_sub(age),
        own: member.own,
        proxy: address(proxy),
        api: address(api),
        tunnels: figures.tunnels,
        routable: figures.routable,
        owned: figures.owned,
        queue: figures.queue,
        claims: figures.claims,
        lag_ms: figures.lag_ms,
        cpu_percent: figures.cpu_percent,
        memory_bytes: figures.memory_bytes,
    }
}

#[cfg(test)]
mod tests {
    use hezar_core::Roles;
    use hezar_store::MemberFigures;

    use super::*;

    #[test]
    fn who_was_heard_before_the_store_went_away_was_not_heard_since() {
        let beat = MemberBeat {
            name: "a".into(),
            incarnation: 1,
            roles: Roles::all(),
            region: "".into(),
            host: "".into(),
            pid: 1,
            version: "".into(),
            proxy: "".into(),
            api: "".into(),
            started: Timestamp(1),
            figures: MemberFigures::default(),
        };
        let row = MemberRow { beat, age: Duration::from_secs(2), member_for: Duration::ZERO, draining: false };
        let member = KnownMember { row, lives: true, own: false };
        let seen = |silence| dto(&member, Duration::from_secs(silence), Timestamp(100_000)).seen;
        assert_eq!((seen(0), seen(60), seen(600)), (98_000, 38_000, 0));
    }
}
