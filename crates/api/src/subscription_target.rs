//! The forms in which a subscription is given, and which one a client reads.

/// A form in which a subscription is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionTarget {
    /// Share links, one a line.
    Links,
    /// The same in base64.
    Base64,
    /// A profile of Clash (mihomo), YAML.
    Clash,
    /// Outbounds of sing-box with groups and a route, JSON.
    SingBox,
    /// A whole profile of sing-box for phones and desktops, with a TUN inbound.
    SingBoxProfile,
    /// Outbounds of Xray, JSON.
    Xray,
    /// A profile of Surge.
    Surge,
    /// Bare addresses, `host:port`.
    Addresses,
}

/// What a client's User-Agent contains in lower case, and the form that it reads. The first that fits counts: some clients
/// name others that they are like.
const AGENTS: [(&str, SubscriptionTarget); 34] = [
    // It names Clash, v2ray and sing-box behind its own name, and reads links best.
    ("hiddify", SubscriptionTarget::Base64),
    ("v2rayng", SubscriptionTarget::Base64),
    ("v2rayn", SubscriptionTarget::Base64),
    ("v2raytun", SubscriptionTarget::Base64),
    ("v2box", SubscriptionTarget::Base64),
    ("streisand", SubscriptionTarget::Base64),
    ("happ/", SubscriptionTarget::Base64),
    ("shadowrocket", SubscriptionTarget::Base64),
    ("quantumult", SubscriptionTarget::Base64),
    ("loon", SubscriptionTarget::Base64),
    ("passwall", SubscriptionTarget::Base64),
    // "NekoBox/Android/1.3.8 (Prefer ClashMeta Format)".
    ("clashmeta", SubscriptionTarget::Clash),
    ("clash", SubscriptionTarget::Clash),
    ("mihomo", SubscriptionTarget::Clash),
    ("flclash", SubscriptionTarget::Clash),
    ("stash", SubscriptionTarget::Clash),
    ("koala", SubscriptionTarget::Clash),
    ("nekobox", SubscriptionTarget::Clash),
    ("nekoray", SubscriptionTarget::Base64),
    ("sagernet", SubscriptionTarget::Base64),
    // The clients of sing-box for Android, iOS, macOS and Apple TV; they name sing-box too.
    ("sfa/", SubscriptionTarget::SingBoxProfile),
    ("sfi/", SubscriptionTarget::SingBoxProfile),
    ("sfm/", SubscriptionTarget::SingBoxProfile),
    ("sft/", SubscriptionTarget::SingBoxProfile),
    ("karing", SubscriptionTarget::Clash),
    ("sing-box", SubscriptionTarget::SingBox),
    ("surge", SubscriptionTarget::Surge),
    ("surfboard", SubscriptionTarget::Surge),
    ("xray", SubscriptionTarget::Base64),
    ("v2ray", SubscriptionTarget::Base64),
    // People who look.
    ("mozilla/", SubscriptionTarget::Links),
    ("curl/", SubscriptionTarget::Links),
    ("wget/", SubscriptionTarget::Links),
    ("hezar", SubscriptionTarget::Links),
];

impl SubscriptionTarget {
    /// Every form.
    pub const ALL: [Self; 8] = [
        Self::Links,
        Self::Base64,
        Self::Clash,
        Self::SingBox,
        Self::SingBoxProfile,
        Self::Xray,
        Self::Surge,
        Self::Addresses,
    ];

    /// The value of `target=`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Links => "links",
            Self::Base64 => "base64",
            Self::Clash => "clash",
            Self::SingBox => "sing-box",
            Self::SingBoxProfile => "sing-box-profile",
            Self::Xray => "xray",
            Self::Surge => "surge",
            Self::Addresses => "plain",
        }
    }

    /// Reads [`SubscriptionTarget::name`], and names that converters of subscriptions have for the same.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let known = Self::ALL.into_iter().find(|target| target.name() == name);
        known.or(match &*name {
            "v2ray" | "mixed" => Some(Self::Base64),
            "mihomo" | "clash-meta" | "clashmeta" | "stash" => Some(Self::Clash),
            "singbox" => Some(Self::SingBox),
            "sfa" | "sfi" | "sfm" | "sft" => Some(Self::SingBoxProfile),
            "surfboard" => Some(Self::Surge),
            "txt" => Some(Self::Addresses),
            _ => None,
        })
    }

    /// The form that a client with this User-Agent reads; base64 where it is not known, which most clients read.
    pub(crate) fn of_user_agent(agent: &str) -> Self {
        let agent = agent.to_ascii_lowercase();
        AGENTS.iter().find(|(word, _)| agent.contains(word)).map_or(Self::Base64, |(_, target)| *target)
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Links | Self::Base64 | Self::Surge | Self::Addresses => "text/plain; charset=utf-8",
            Self::Clash => "text/yaml; charset=utf-8",
            Self::SingBox | Self::SingBoxProfile | Self::Xray => "application/json",
        }
    }

    /// The ending of a file of this form.
    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Links | Self::Base64 | Self::Addresses => "txt",
            Self::Clash => "yaml",
            Self::SingBox | Self::SingBoxProfile | Self::Xray => "json",
            Self::Surge => "conf",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_gets_what_it_reads() {
        for (agent, target) in [
            ("v2rayN/7.15.0", "base64"),
            ("v2rayNG/1.10.8", "base64"),
            ("HiddifyNext/2.5.7 (android) like ClashMeta v2ray sing-box", "base64"),
            ("clash.meta/v1.19.32", "clash"),
            ("clash-verge/v2.4.2", "clash"),
            ("mihomo/1.19.32", "clash"),
            ("FlClash/v0.8.90 clash-verge Platform/android", "clash"),
            ("ClashX Pro/1.118.0.1", "clash"),
            ("Stash/3.1.0 Clash/1.9.0", "clash"),
            ("sing-box 1.14.4", "sing-box"),
            ("SFA/1.12.8 (Build 592; sing-box 1.12.8; language en_US)", "sing-box-profile"),
            ("SFI/1.12.8 (Build 1; sing-box 1.12.8)", "sing-box-profile"),
            ("Shadowrocket/2615 CFNetwork/1568.200.51 Darwin/24.1.0", "base64"),
            ("Surge iOS/3374", "surge"),
            ("Surge Mac/2804", "surge"),
            ("Surfboard/2.24.9", "surge"),
            ("NekoBox/Android/1.3.9 (Prefer ClashMeta Format)", "clash"),
            ("nekoray/3.26 (Prefer Clash Format)", "clash"),
            ("Quantumult%20X/1.5.2", "base64"),
            ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "links"),
            ("curl/8.14.1", "links"),
            ("Go-http-client/1.1", "base64"),
            ("", "base64"),
        ] {
            assert_eq!(SubscriptionTarget::of_user_agent(agent).name(), target, "{agent}");
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for target in SubscriptionTarget::ALL {
            assert_eq!(SubscriptionTarget::from_name(target.name()), Some(target));
        }
        assert_eq!(SubscriptionTarget::from_name("SFA"), Some(SubscriptionTarget::SingBoxProfile));
        assert_eq!(SubscriptionTarget::from_name("odd"), None);
    }
}
