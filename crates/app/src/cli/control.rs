//! What can be said about sources, listeners, users, settings and tokens.

use clap::{Args, Subcommand};

use super::JsonArgs;

/// A name with keys.
#[derive(Debug, Args)]
pub(crate) struct ObjectArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// KEY=VALUE as in the configuration file (docs/settings.md); lists with commas, KEY= takes a key away
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) keys: Vec<String>,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

/// A name.
#[derive(Debug, Args)]
pub(crate) struct NamedArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SourceCommand {
    /// List all sources, where they are said, and what they gave
    List(JsonArgs),
    /// Add a source: a web address, a file, a channel (@name), or KEY=VALUE
    #[command(after_help = "Examples:\n  hezar source add mine 'https://example.org/sub?token=x'\n  \
                      hezar source add list https://github.com/owner/repo 'paths=nodes/*.txt' interval=1h\n  \
                      hezar source add lan file=lan.txt allow_private=true tags=paid,lan")]
    Add(ObjectArgs),
    /// Change a source
    #[command(after_help = "Example:\n  hezar source edit mine interval=10m tags=paid user_agent=clash.meta")]
    Edit(ObjectArgs),
    /// Switch a source off: it is not read, and what it alone lists is not used
    #[command(after_help = "Example:\n  hezar source pause mine")]
    Pause(NamedArgs),
    /// Switch a source on again
    #[command(after_help = "Example:\n  hezar source resume mine")]
    Resume(NamedArgs),
    /// Read a source now
    #[command(after_help = "Example:\n  hezar source refresh mine")]
    Refresh(NamedArgs),
    /// Say what a source would give; nothing is stored
    #[command(after_help = "Example:\n  hezar source test mine")]
    Test(NamedArgs),
    /// Remove a source, and what it alone lists
    #[command(after_help = "Example:\n  hezar source remove mine")]
    Remove(NamedArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ListenerCommand {
    /// List all listeners besides the first one, and where they listen
    List(JsonArgs),
    /// Add a listener; it opens at once
    #[command(after_help = "Examples:\n  hezar listener add europe listen=127.0.0.1:8001 countries=DE,NL\n  \
                      hezar listener add paid listen=8002 'tags=paid & !slow' max_latency=800ms")]
    Add(ObjectArgs),
    /// Change a listener; one that moves opens its new address before it leaves the old one
    #[command(after_help = "Example:\n  hezar listener edit europe listen=127.0.0.1:8003 top=50")]
    Edit(ObjectArgs),
    /// Close a listener; what runs on it may finish
    Remove(NamedArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// List all users
    List(JsonArgs),
    /// Add a user; without a password one is made and shown once. A key for encrypted listeners is made, too
    #[command(after_help = "Examples:\n  hezar user add alice\n  \
                      hezar user add bob password=secret quota.month=50GiB expires=2027-12-31 connections=100")]
    Add(ObjectArgs),
    /// Change a user
    #[command(after_help = "Examples:\n  hezar user edit bob quota.day=2GiB note='pays until May' expires=\n  \
                      hezar user edit bob 'links=[{\"name\":\"germany\",\"options\":\"country-de\"}]'")]
    Edit(ObjectArgs),
    /// Let a user in again
    Enable(NamedArgs),
    /// Refuse a user, and end what it has open
    Disable(NamedArgs),
    /// Remove a user
    Remove(NamedArgs),
    /// Show how much users have moved in the last 30 days, by day (UTC)
    #[command(after_help = "Examples:\n  hezar user usage\n  hezar user usage bob --json")]
    Usage(UsageArgs),
    /// Print the links by which a user's phones come in by encrypted listeners
    #[command(
        after_help = "Examples:\n  hezar user link bob --qr\n  hezar user link bob --listener reality --link germany\n  \
                      hezar user link bob --target clash > bob.yaml"
    )]
    Link(UserLinkArgs),
    /// Make the key from which a user's credentials at encrypted listeners derive
    #[command(
        after_help = "Examples:\n  hezar user key bob\n  hezar user key bob --new   # every link of before stops working"
    )]
    Key(UserKeyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct UserLinkArgs {
    /// The user
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Only links of this listener
    #[arg(long)]
    pub(crate) listener: Option<String>,
    /// Only links of this name; "" for the one without a name
    #[arg(long)]
    pub(crate) link: Option<String>,
    /// Draw each link as a QR code, too
    #[arg(long)]
    pub(crate) qr: bool,
    /// Print a configuration for a client instead: clash, sing-box, sing-box-profile, xray, surge, links, base64
    #[arg(long, value_name = "FORM", conflicts_with = "qr")]
    pub(crate) target: Option<String>,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UserKeyArgs {
    /// The user
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Another key, though there is one: every link that was given out stops working
    #[arg(long)]
    pub(crate) new: bool,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

/// What a key is for.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// The X25519 key of a REALITY listener: private_key for the file, and the public key that clients know
    #[command(after_help = "Example:\n  hezar key reality")]
    Reality(JsonArgs),
    /// The own key of a Shadowsocks listener with a cipher of 2022
    #[command(after_help = "Example:\n  hezar key shadowsocks 2022-blake3-aes-256-gcm")]
    Shadowsocks(ShadowsocksKeyArgs),
    /// A key for a user of the configuration file
    #[command(after_help = "Example:\n  hezar key user")]
    User(JsonArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ShadowsocksKeyArgs {
    /// The cipher
    #[arg(default_value = "2022-blake3-aes-128-gcm", value_parser = ["2022-blake3-aes-128-gcm", "2022-blake3-aes-256-gcm"])]
    pub(crate) method: String,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UsageArgs {
    /// Only this user
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SubscriptionCommand {
    /// List all subscriptions, without their tokens
    List(JsonArgs),
    /// Add a subscription, and print its address; without a token one is made and shown once
    #[command(after_help = "Examples:\n  hezar subscription add phone\n  \
                      hezar subscription add tablet countries=DE,NL top=50 user=alice interval=6h")]
    Add(ObjectArgs),
    /// Change a subscription
    #[command(after_help = "Example:\n  hezar subscription edit phone schemes=vless,trojan top=")]
    Edit(ObjectArgs),
    /// Let its address exist again
    Enable(NamedArgs),
    /// Let its address not exist, until it is enabled again
    Disable(NamedArgs),
    /// Remove a subscription: its address is unknown at once
    Remove(NamedArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum SettingsCommand {
    /// List every setting with its value, and where it is said
    List(JsonArgs),
    /// Show one setting with what it means and allows
    #[command(after_help = "Example:\n  hezar settings get probe.interval")]
    Get(GetArgs),
    /// Change settings now, all of them or none
    #[command(after_help = "Example:\n  hezar settings set probe.interval=30s proxy.attempts=8")]
    Set(SetArgs),
    /// Take settings back to what the file says, or to their defaults
    #[command(after_help = "Example:\n  hezar settings unset probe.interval")]
    Unset(UnsetArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The setting, such as probe.interval
    #[arg(value_name = "KEY")]
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// SECTION.KEY=VALUE
    #[arg(required = true, value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UnsetArgs {
    /// The settings
    #[arg(required = true, value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// List the tokens that were made, without the tokens themselves
    List(JsonArgs),
    /// Make a token; it is shown this once
    #[command(after_help = "Example:\n  hezar token create grafana --scope read")]
    Create(CreateTokenArgs),
    /// Revoke a token
    Revoke(NamedArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateTokenArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// What it allows
    #[arg(long, default_value = "read", value_parser = ["admin", "read", "feedback", "subscription", "feed"])]
    pub(crate) scope: String,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Only changes of this kind: source, listener, user, subscription, setting, token, configuration
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// Only changes of what has this name
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Only changes that this token made; "command line" while no instance ran
    #[arg(long)]
    pub(crate) who: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,
    #[command(flatten)]
    pub(crate) output: JsonArgs,
}
